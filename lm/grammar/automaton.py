"""A grammar as an automaton of arcs with words, probabilities, and marks where rules and tags begin and end.

Thompson's construction (1968) with probabilities: what leaves a state sums to one. Rules are written out where they
are called, but for right recursion, which leads back. It gives G (`grammar_acceptor`) and parses what was said
(`parse`).
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from lm.grammar.rules import components, without_void
from lm.grammar.values import Choice, Grammar, Node, Ref, Repeat, Tagged, Word, walk

__all__ = ["GrammarAutomaton", "Mark", "automaton_of"]


@dataclass(frozen=True)
class Mark:
    """Where something begins that is told of a sentence.

    Attributes:
      kind: "rule" for a root, "tag", or "group" for a recursion, at whose end all tags in it end.
    """

    kind: str
    text: str


@dataclass(eq=False)
class GrammarAutomaton:
    """Arcs between states; state 0 is the start, state 1 the end.

    Attributes:
      sources, targets: [arc]. labels: [arc], 0 or 1 + index into `words`.
      probabilities: [arc], of the arc in its state.
      place: the grammar's file, for errors.
      marks: [arc], 0, 1 + index into `names` where it begins, or the negative where it ends.
    """

    sources: array = field(default_factory=lambda: array("i"))
    targets: array = field(default_factory=lambda: array("i"))
    labels: array = field(default_factory=lambda: array("i"))
    probabilities: array = field(default_factory=lambda: array("d"))
    marks: array = field(default_factory=lambda: array("i"))
    words: list[str] = field(default_factory=list)
    names: list[Mark] = field(default_factory=list)
    num_states: int = 2
    place: str = "grammar"

    @cached_property
    def leaving(self) -> list[list[int]]:
        """The arcs out of each state."""
        found: list[list[int]] = [[] for _ in range(self.num_states)]
        for arc, state in enumerate(self.sources):
            found[state].append(arc)
        return found

    @cached_property
    def word_numbers(self) -> dict[str, int]:
        """The label of each word."""
        return {word: number for number, word in enumerate(self.words, 1)}


def automaton_of(grammar: Grammar) -> GrammarAutomaton:
    """Returns the automaton of a grammar that `check_rules` has passed."""
    grammar = without_void(grammar)
    builder = _Builder(grammar)
    for name in grammar.roots:
        builder.marked(Ref(name), Mark("rule", name), 0, 1, 1 / len(grammar.roots))
    return builder.automaton


class _Builder:
    """Adds the arcs of parts."""

    def __init__(self, grammar: Grammar) -> None:
        self.automaton, self._grammar = GrammarAutomaton(place=grammar.place or "grammar"), grammar
        self._words: dict[str, int] = {}
        calls = {
            name: [node.name for node in walk(rule.body) if isinstance(node, Ref)]
            for name, rule in grammar.rules.items()
        }
        groups = components(calls)
        recursive = [group for group in groups if len(group) > 1 or group[0] in calls[group[0]]]
        self._group: Mapping[str, tuple[str, ...]] = {name: group for group in recursive for name in group}
        self._open: dict[str, int] = {}  # rules of the recursion that is being written out, and where they begin

    def _state(self) -> int:
        self.automaton.num_states += 1
        return self.automaton.num_states - 1

    def _arc(self, source: int, target: int, probability: float, label: int = 0, mark: int = 0) -> None:
        automaton = self.automaton
        if not probability:
            return
        automaton.sources.append(source)
        automaton.targets.append(target)
        automaton.labels.append(label)
        automaton.probabilities.append(probability)
        automaton.marks.append(mark)

    def _label(self, word: str) -> int:
        if word not in self._words:
            self.automaton.words.append(word)
            self._words[word] = len(self.automaton.words)
        return self._words[word]

    def marked(self, node: Node, name: Mark, source: int, target: int, probability: float, ends: bool = True) -> None:
        """Adds a part with marks around it.

        Args:
          ends: else the mark has no end: the group around it ends it.
        """
        self.automaton.names.append(name)
        mark, inner = len(self.automaton.names), self._state()
        self._arc(source, inner, probability, mark=mark)
        last = self._state() if ends else target
        self.add(node, inner, last, 1.0)
        if ends:
            self._arc(last, target, 1.0, mark=-mark)

    def add(self, node: Node, source: int, target: int, probability: float) -> None:
        """Adds a part between two states.

        Args:
          probability: of leaving `source` by it.
        """
        if isinstance(node, Word):
            self._arc(source, target, probability, self._label(node.text))
        elif isinstance(node, Choice):
            for own, part in node.probable:
                self.add(part, source, target, probability * own)
        elif isinstance(node, Repeat):
            self._repeat(node, source, target, probability)
        elif isinstance(node, Tagged):
            self.marked(node.part, Mark("tag", node.tag), source, target, probability, not self._leads_back(node))
        elif isinstance(node, Ref):
            self._ref(node.name, source, target, probability)
        elif not node.parts:
            self._arc(source, target, probability)
        else:
            for part in node.parts[:-1]:
                after = self._state()
                self.add(part, source, after, probability)
                source, probability = after, 1.0
            self.add(node.parts[-1], source, target, probability)

    def _repeat(self, node: Repeat, source: int, target: int, probability: float) -> None:
        for _ in range(node.least):
            after = self._state()
            self.add(node.part, source, after, probability)
            source, probability = after, 1.0
        if node.most is None:
            begin = self._state()
            self._arc(source, begin, probability)
            self.add(node.part, begin, begin, node.again)
            self._arc(begin, target, 1 - node.again)
            return
        for _ in range(node.least, node.most - 1):
            after = self._state()
            self.add(node.part, source, after, probability * node.again)
            self._arc(source, target, probability * (1 - node.again))
            source, probability = after, 1.0
        if node.most > node.least:
            self.add(node.part, source, target, probability * node.again)
            self._arc(source, target, probability * (1 - node.again))
        else:
            self._arc(source, target, probability)

    def _leads_back(self, node: Node) -> bool:
        return any(isinstance(one, Ref) and one.name in self._open for one in walk(node)) if self._open else False

    def _ref(self, name: str, source: int, target: int, probability: float) -> None:
        if name not in self._group:
            self.add(self._grammar.rules[name].body, source, target, probability)
        elif name in self._open:
            self._arc(source, self._open[name], probability)
        else:
            self._recursion(name, source, target, probability)

    def _recursion(self, name: str, source: int, target: int, probability: float) -> None:
        """Writes out the rules that call each other once, between marks, so that all of them end together."""
        around, group = self._open, self._group[name]
        self._open = {one: self._state() for one in group}
        self.automaton.names.append(Mark("group", ""))
        mark, last = len(self.automaton.names), self._state()
        self._arc(source, self._open[name], probability, mark=mark)
        for one in group:
            self.add(self._grammar.rules[one].body, self._open[one], last, 1.0)
        self._arc(last, target, 1.0, mark=-mark)
        self._open = around
