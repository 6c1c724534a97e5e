"""A grammar as values: words, sequences, weighted choices, repetitions, tags and rules.

    public <call> = [please] call (/3/ anna | /1/ peter) {contact};

is `Rule("call", Together((Repeat(Word("please"), 0, 1), Word("call"), Tagged(Choice(…), "contact"))))`. Both formats
give the same values, so that nothing after the readers knows which it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Union

__all__ = ["GARBAGE", "NULL", "VOID", "Choice", "Grammar", "Node", "Ref", "Repeat", "Rule", "Tagged", "Together",
           "Word", "over", "parts_of", "together", "walk"]  # fmt: skip

GARBAGE = "<garbage>"  # the word that stands for any speech: one phone of it


@dataclass(frozen=True)
class Word:
    """One word."""

    text: str


@dataclass(frozen=True)
class Together:
    """One part after the other; without parts what is said in silence (`<NULL>`)."""

    parts: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Choice:
    """One of several ways; without any what cannot be said (`<VOID>`).

    Attributes:
      ways: weight and part of each; weights are relative.
    """

    ways: tuple[tuple[float, Node], ...] = ()

    @property
    def probable(self) -> list[tuple[float, Node]]:
        """The ways with probabilities that sum to one."""
        total = sum(weight for weight, _ in self.ways)
        return [(weight / total, part) for weight, part in self.ways]


@dataclass(frozen=True)
class Repeat:
    """A part said several times.

    Attributes:
      least, most: how often; most is None where there is no limit.
      again: the probability of going on after each time from `least` to `most`.
    """

    part: Node
    least: int = 0
    most: int | None = None
    again: float = 0.5


@dataclass(frozen=True)
class Tagged:
    """A part that gives a tag when it is said."""

    part: Node
    tag: str


@dataclass(frozen=True)
class Ref:
    """Another rule in this place.

    Attributes:
      line: where it stands in its file, for errors.
    """

    name: str
    line: int = 0


Node = Union[Word, Together, Choice, Repeat, Tagged, Ref]  # noqa: UP007  (evaluated by Python 3.10's dataclasses)
NULL, VOID = Together(), Choice()


def together(parts: Sequence[Node]) -> Node:
    """Returns the parts as one; a single one as it is."""
    return parts[0] if len(parts) == 1 else Together(tuple(parts))


@dataclass(frozen=True)
class Rule:
    """A named part.

    Attributes:
      public: may be said by itself, and be imported.
      place, line: the file and line that it begins in.
    """

    name: str
    body: Node
    public: bool = False
    place: str = ""
    line: int = 0


@dataclass(frozen=True, eq=False)
class Grammar:
    """A whole grammar: rules whose references all lead to rules.

    Attributes:
      name: what it calls itself.
      rules: by name; those of imported files have their grammar's name before theirs (`dates.month`).
      roots: names of the rules that are sentences; all equally probable.
      place: its file.
    """

    name: str
    rules: Mapping[str, Rule]
    roots: tuple[str, ...]
    place: str = ""

    @property
    def words(self) -> list[str]:
        """Every word of its rules, sorted, each once."""
        return sorted({node.text for rule in self.rules.values() for node in walk(rule.body) if isinstance(node, Word)})

    def with_words(self, spell: Callable[[str], Sequence[str]]) -> Grammar:
        """Returns the grammar with other words: what the lexicon calls them.

        Args:
          spell: the words of a word; none where it is punctuation. Not asked for `GARBAGE`.
        """

        def spelt(node: Node) -> Node:
            if isinstance(node, Word):
                return node if node.text == GARBAGE else together([Word(word) for word in spell(node.text)])
            return over(node, spelt)

        rules = {name: replace(rule, body=spelt(rule.body)) for name, rule in self.rules.items()}
        return replace(self, rules=rules)


def parts_of(node: Node) -> tuple[Node, ...]:
    """Returns what a node is made of, in order."""
    if isinstance(node, Together):
        return node.parts
    if isinstance(node, Choice):
        return tuple(part for _, part in node.ways)
    return (node.part,) if isinstance(node, (Repeat, Tagged)) else ()


def over(node: Node, change: Callable[[Node], Node]) -> Node:
    """Returns a node of the same kind whose parts have been changed."""
    if isinstance(node, Together):
        return Together(tuple(change(part) for part in node.parts))
    if isinstance(node, Choice):
        return Choice(tuple((weight, change(part)) for weight, part in node.ways))
    return replace(node, part=change(node.part)) if isinstance(node, (Repeat, Tagged)) else node


def walk(node: Node) -> Iterator[Node]:
    """Yields a node and all that is in it."""
    stack = [node]
    while stack:
        one = stack.pop()
        yield one
        stack += reversed(parts_of(one))
