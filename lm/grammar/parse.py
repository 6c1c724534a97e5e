"""What was said, by the grammar: the most probable parse of words, with its tags; where other words leave it."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

from lm.grammar.automaton import GrammarAutomaton
from lm.grammar.values import GARBAGE

__all__ = ["Parse", "Stop", "Tag", "parse", "stop_of"]

END = 1


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


def parse(automaton: GrammarAutomaton, words: Sequence[str]) -> Parse | None:
    """Finds the most probable parse of words; None where the grammar does not accept them.

    Viterbi's search over the automaton; between two words the nearest way through empty arcs (Dijkstra).
    """
    costs, columns = {0: 0.0}, []
    for word in words:
        reached, came = _closed(automaton, costs)
        label = automaton.word_numbers.get(word, -1)
        costs, back = {}, {}
        for state, cost in reached.items():
            for arc in automaton.leaving[state]:
                if automaton.labels[arc] == label:
                    new, target = cost - math.log(automaton.probabilities[arc]), automaton.targets[arc]
                    if new < costs.get(target, math.inf):
                        costs[target], back[target] = new, arc
        if not costs:
            return None
        columns.append((came, back))
    reached, came = _closed(automaton, costs)
    if END not in reached:
        return None
    columns.append((came, {}))
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


def _arcs(automaton: GrammarAutomaton, columns: Sequence[tuple[dict[int, int], dict[int, int]]]) -> list[int]:
    """Returns the arcs of the best way, from its end back."""
    state, arcs = END, []
    for number in range(len(columns) - 1, -1, -1):
        came = columns[number][0]
        while state in came:
            arcs.append(came[state])
            state = automaton.sources[arcs[-1]]
        if number:
            arcs.append(columns[number - 1][1][state])
            state = automaton.sources[arcs[-1]]
    return arcs[::-1]


def _told(automaton: GrammarAutomaton, arcs: Sequence[int], log_probability: float) -> Parse:
    """Reads rule and tags off the marks of a way."""
    position, rule, garbage = 0, "", automaton.word_numbers.get(GARBAGE, 0)
    open_: list[tuple[int, int]] = []
    tags: list[Tag] = []
    for arc in arcs:
        position += automaton.labels[arc] not in (0, garbage)
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
