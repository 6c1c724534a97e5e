"""What was said, by the grammar: the most probable parse of words, with its tags; where other words leave it."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from lm.grammar.automaton import GrammarAutomaton
from lm.grammar.values import GARBAGE

__all__ = ["Filling", "Parse", "Stop", "Tag", "parse", "stop_of"]

END = 1
Column = tuple[dict[int, int], dict[int, tuple[int, int]]]  # state → arc without a word; → arc with words, how many


@dataclass(frozen=True)
class Tag:
    """A tag of a sentence.

    Attributes:
      text: as the grammar has it. begin, end: the words that it covers, from 0, without the last; equal where none.
    """

    text: str
    begin: int
    end: int


@dataclass(frozen=True)
class Parse:
    """The most probable way to say a sentence.

    Attributes:
      rule: the root that it is. tags: in the order in which they begin. log_probability: natural, of this way.
    """

    rule: str
    tags: tuple[Tag, ...]
    log_probability: float


@dataclass(frozen=True, eq=False)
class Filling:
    """What may stand in the place of a word of a grammar: a slot's phrases.

    Attributes:
      costs: words of a phrase → negative natural log of its probability.
    """

    costs: Mapping[tuple[str, ...], float]

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Numbers of words that phrases have, from the least."""
        return tuple(sorted({len(phrase) for phrase in self.costs}))

    def at(self, words: Sequence[str], position: int) -> Iterator[tuple[int, float]]:
        """Yields length and cost of each phrase that stands at a position."""
        for length in self.lengths:
            phrase = tuple(words[position : position + length])
            if len(phrase) == length and phrase in self.costs:
                yield length, self.costs[phrase]


@dataclass(frozen=True)
class Stop:
    """Where words leave the grammar.

    Attributes:
      position: of the first word that cannot follow, from 0; the number of words where the sentence is not over.
      wanted: words that could have followed. may_end: the sentence could have ended here.
    """

    position: int
    wanted: tuple[str, ...]
    may_end: bool


def parse(
    automaton: GrammarAutomaton, words: Sequence[str], fillings: Mapping[str, Filling] | None = None
) -> Parse | None:
    """Finds the most probable parse of words; None where the grammar does not accept them.

    Viterbi's search over the automaton; between two words the nearest way through empty arcs (Dijkstra).

    Args:
      fillings: word of the grammar → phrases that stand for it.
    """
    numbers = automaton.word_numbers
    filled = {numbers[name]: filling for name, filling in (fillings or {}).items() if name in numbers}
    tentative: list[dict[int, float]] = [{} for _ in range(len(words) + 1)]
    columns: list[Column] = [({}, {}) for _ in tentative]
    tentative[0] = {0: 0.0}
    reached: dict[int, float] = {}
    for position, costs in enumerate(tentative):
        reached, came = _closed(automaton, costs)
        columns[position] = came, columns[position][1]
        if position == len(words):
            break
        label = numbers.get(words[position], -1)
        for state, cost in reached.items():
            for arc in automaton.leaving[state]:
                steps = [(1, 0.0)] if automaton.labels[arc] == label else []
                if filling := filled.get(automaton.labels[arc]):
                    steps += filling.at(words, position)
                for length, price in steps:
                    new, target = cost + price - math.log(automaton.probabilities[arc]), automaton.targets[arc]
                    if new < tentative[position + length].get(target, math.inf):
                        tentative[position + length][target] = new
                        columns[position + length][1][target] = arc, length
    if END not in reached:
        return None
    return _told(automaton, _arcs(automaton, columns), -reached[END])


def _closed(automaton: GrammarAutomaton, costs: dict[int, float]) -> tuple[dict[int, float], dict[int, int]]:
    """Returns the least cost of each state that arcs without a word, or of garbage, lead to, and the arcs."""
    best: dict[int, float] = {}
    tentative, came = dict(costs), {}
    silent = (0, automaton.word_numbers.get(GARBAGE, 0))
    heap = [(cost, state) for state, cost in costs.items()]
    heapq.heapify(heap)
    while heap:
        cost, state = heapq.heappop(heap)
        if state in best:
            continue
        best[state] = cost
        for arc in automaton.leaving[state]:
            if automaton.labels[arc] in silent:
                new, target = cost - math.log(automaton.probabilities[arc]), automaton.targets[arc]
                if target not in best and new < tentative.get(target, math.inf):
                    tentative[target], came[target] = new, arc
                    heapq.heappush(heap, (new, target))
    return best, came


def _arcs(automaton: GrammarAutomaton, columns: Sequence[Column]) -> list[tuple[int, int]]:
    """Returns the arcs of the best way with the number of words of each, from its end back."""
    state, position, arcs = END, len(columns) - 1, []
    while True:
        came, back = columns[position]
        while state in came:
            arcs.append((came[state], 0))
            state = automaton.sources[arcs[-1][0]]
        if not position:
            return arcs[::-1]
        arcs.append(back[state])
        state = automaton.sources[arcs[-1][0]]
        position -= arcs[-1][1]


def _told(automaton: GrammarAutomaton, arcs: Sequence[tuple[int, int]], log_probability: float) -> Parse:
    """Reads rule and tags off the marks of a way."""
    position, rule = 0, ""
    open_: list[tuple[int, int]] = []
    tags: list[Tag] = []
    for arc, length in arcs:
        position += length
        mark = automaton.marks[arc]
        if mark > 0:
            open_.append((mark, position))
        elif mark < 0:
            while open_:
                number, begin = open_.pop()
                name = automaton.names[number - 1]
                if name.kind == "tag":
                    tags.append(Tag(name.text, begin, position))
                rule = name.text if name.kind == "rule" else rule
                if number == -mark:
                    break
    return Parse(rule, tuple(sorted(tags, key=lambda tag: (tag.begin, -tag.end))), log_probability)


def stop_of(automaton: GrammarAutomaton, words: Sequence[str]) -> Stop | None:
    """Tells where words leave the grammar; None where it accepts them."""
    states = {0}
    for position in range(len(words) + 1):
        reached, _ = _closed(automaton, dict.fromkeys(states, 0.0))
        arcs = [arc for state in reached for arc in automaton.leaving[state] if automaton.labels[arc]]
        label = automaton.word_numbers.get(words[position], -1) if position < len(words) else -1
        states = {automaton.targets[arc] for arc in arcs if automaton.labels[arc] == label}
        if not states:
            break
    if position == len(words) and END in reached:
        return None
    wanted = sorted({automaton.words[automaton.labels[arc] - 1] for arc in arcs} - {GARBAGE})
    return Stop(position, tuple(wanted), END in reached)
