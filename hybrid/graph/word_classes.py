"""Classes of words in G: arcs with a class's label, expanded in place or left open as slots.

Both ways pass L by the same symbol, so that words of a class and the same words beside it never mix, and L∘G can be
determinised whatever a class holds. An expanded class is left by a symbol too:

    p ──$CLASS:ε/w──► the class's words ──END:ε──► r
"""

from __future__ import annotations

import math
import os
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hybrid.base.artifact import read_meta
from hybrid.base.errors import HybridError, InputError, quote
from hybrid.base.reading import reading
from hybrid.formats.openfst import FstArrays
from lexicon.lexicon_fst import add_disambig_loops
from lexicon.symbols import SymbolTable
from lexicon.words.class_names import is_class
from lm.word_list import ListEntry, spelled

__all__ = ["ClassLists", "Classes", "labels_of"]

MAX_DEPTH = 20  # classes inside one another


@dataclass(frozen=True, eq=False)
class Classes:
    """What the labels of classes in a grammar stand for.

    Attributes:
      labels: class → its label in G; none is a word's.
      contents: class → acceptor of what it is expanded to, over words and labels of other classes; classes without one
        are left open as slots.
      takes_words: G is an n-gram model's, and gets a slot for new words (`hybrid.graph.new_words`).
    """

    labels: Mapping[str, int] = field(default_factory=dict)
    contents: Mapping[str, FstArrays] = field(default_factory=dict)
    takes_words: bool = False

    def __post_init__(self) -> None:
        if unknown := sorted(self.contents.keys() - self.labels.keys()):
            raise InputError.at("classes", f"'{quote(unknown[0])}' has no label in the grammar")

    @classmethod
    def of(cls, labels: Mapping[str, int], slots: Sequence[str], lists: Mapping[str, Sequence[ListEntry]],
           words: SymbolTable, place: object) -> Classes:  # fmt: skip
        """Makes classes of lists; the $ of names may be left out.

        Args:
          labels: class → its label in the grammar.
          slots: those that are left open. lists: what the others are expanded to.
          words: ids of the grammar's words.

        Raises:
          InputError: a name that is no class of the grammar, a class with neither, a word that `words` lacks.
        """

        def name(given: str) -> str:
            """The class that a name with or without $ means."""
            found = next((n for n in (given, f"${given}") if n in labels), None)
            if found is None:
                shown = ", ".join(map(quote, labels)) or "none"
                cure = "Train the language model of a text with $NAME where the words stand."
                raise InputError.at(place, f"'{quote(given)}' is no class of the grammar, which has {shown}", cure)
            return found

        known = words.extended(sorted(labels))
        contents = {name(n): _acceptor(spelled(entries, known.spelling), known, n) for n, entries in lists.items()}
        _require_told(labels, {name(n) for n in slots}, contents, place)
        return cls(labels, contents)

    @property
    def slots(self) -> tuple[str, ...]:
        """Classes that are left open, sorted."""
        return tuple(sorted(self.labels.keys() - self.contents.keys()))

    @property
    def symbols(self) -> list[int]:
        """Labels that pass L as symbols: of slots, of expanded classes, and of their ends; each sorted by name."""
        expanded = [self.labels[name] for name in sorted(self.contents)]
        return [self.labels[name] for name in self.slots] + expanded + ([self._end] if expanded else [])

    @property
    def _end(self) -> int:
        return max(self.labels.values()) + 1

    def check_used(self, grammar: FstArrays, place: object) -> None:
        """Raises InputError where a class stands nowhere in the grammar or in another class."""
        used = set(np.unique(grammar.ilabels).tolist()).union(*(np.unique(c.ilabels) for c in self.contents.values()))
        for name, label in sorted(self.labels.items()):
            if label not in used:
                cure = "Look at the text that the language model was made from."
                raise InputError.at(place, f"the class '{quote(name)}' stands nowhere in the grammar", cure)

    def expand(self, grammar: FstArrays) -> FstArrays:
        """Returns G with expanded classes in their places and the labels of slots on input sides only.

        Raises:
          HybridError: classes that contain themselves, or a class inside another more than `MAX_DEPTH` deep.
        """
        names = {self.labels[name]: name for name in self.contents}
        for _ in range(MAX_DEPTH):
            # an arc that writes its class's label is one that still waits to be expanded
            waiting = np.isin(grammar.ilabels, list(names)) & (grammar.olabels == grammar.ilabels)
            if not waiting.any():
                open_ = np.isin(grammar.ilabels, [self.labels[name] for name in self.slots])
                return replace(grammar, olabels=np.where(open_, 0, grammar.olabels))
            grammar = self._expand_once(grammar, waiting, names)
        left = grammar.ilabels[(grammar.olabels == grammar.ilabels) & np.isin(grammar.ilabels, list(names))]
        found = ", ".join(quote(names[int(label)]) for label in np.unique(left))
        raise HybridError(f"classes stand inside one another more than {MAX_DEPTH} deep: {found}")

    def _expand_once(self, grammar: FstArrays, waiting: np.ndarray, names: Mapping[int, str]) -> FstArrays:
        """Puts a copy of its class behind each (class, target) of the waiting arcs."""
        arcs = np.flatnonzero(waiting)
        pairs, which = np.unique(
            np.stack([grammar.ilabels[arcs], grammar.next_states[arcs]], axis=1), axis=0, return_inverse=True
        )
        begins, blocks, finals = [], [], [grammar.final_costs]
        states = grammar.num_states
        for label, target in pairs.tolist():
            content = self.contents[names[label]]
            begins.append(states + content.start)
            ends = np.flatnonzero(np.isfinite(content.final_costs))
            blocks.append(
                (states + content.sources(), content.ilabels, content.olabels, states + content.next_states,
                 content.costs)
            )  # fmt: skip
            out = np.full(len(ends), self._end)
            blocks.append((states + ends, out, 0 * out, np.full(len(ends), target), content.final_costs[ends]))
            finals.append(np.full(content.num_states, np.inf, np.float32))
            states += content.num_states
        olabels, targets = grammar.olabels.copy(), grammar.next_states.copy()
        olabels[arcs], targets[arcs] = 0, np.array(begins)[which.reshape(-1)]
        blocks.insert(0, (grammar.sources(), grammar.ilabels, olabels, targets, grammar.costs))
        sources, il, ol, to, costs = (np.concatenate(column) for column in zip(*blocks))
        return FstArrays.from_arcs(grammar.start, sources, il, ol, to, costs, np.concatenate(finals))

    def pass_lexicon(self, lexicon: FstArrays, first: int) -> FstArrays:
        """Returns L through which the symbols pass between words, as phones `first`, `first` + 1, …"""
        symbols = self.symbols
        if not symbols:
            return lexicon
        return add_disambig_loops(lexicon, range(first, first + len(symbols)), symbols)


@dataclass(frozen=True, eq=False)
class ClassLists:
    """The classes of a user's texts, before they have labels.

    Attributes:
      slots: left open. lists: what the others are expanded to. takes_words: there is a place for new words.
    """

    slots: tuple[str, ...]
    lists: Mapping[str, Sequence[ListEntry]]
    takes_words: bool = False

    @classmethod
    def of(cls, slots: Iterable[str], lists: Mapping[str, Sequence[ListEntry]], takes_words: bool) -> ClassLists:
        """Takes names with or without their $."""

        def named(name: str) -> str:
            return name if name.startswith("$") else f"${name}"

        return cls(tuple(sorted(set(map(named, slots)))), {named(n): some for n, some in lists.items()}, takes_words)

    @property
    def entries(self) -> list[ListEntry]:
        """Those of all lists."""
        return [entry for some in self.lists.values() for entry in some]

    def names(self, words: Iterable[str], place: object) -> list[str]:
        """Returns the classes among words, and those given, sorted.

        Raises:
          InputError: nothing is said of one, or two things.
        """
        found = sorted({*self.slots, *self.lists} | {word for word in words if is_class(word)})
        _require_told(found, self.slots, self.lists, place)
        return found

    def labelled(self, names: Sequence[str], words: SymbolTable, place: object) -> Classes:
        """Returns the classes with labels after the last id of some words; see `Classes.of`."""
        table = words.extended(names)
        made = Classes.of({name: table[name] for name in names}, self.slots, self.lists, words, place)
        return replace(made, takes_words=self.takes_words)


def _require_told(classes: Iterable[str], slots: Container[str], lists: Container[str], place: object) -> None:
    """Raises InputError where a class is neither left open nor expanded, or both."""
    for name in classes:
        if name not in slots and name not in lists:
            cure = f"Expand it with --class {name[1:]}=LIST, or leave it open with --slot {name[1:]}."
            raise InputError.at(place, f"nothing is said of the class '{quote(name)}'", cure)
        if name in slots and name in lists:
            raise InputError.at(place, f"the class '{quote(name)}' is both expanded and open", "Give one of the two.")


def labels_of(grammar: str | os.PathLike) -> dict[str, int]:
    """Returns class → label of a G that `hybrid lm fst` made of a model with classes; nothing for any other."""
    with reading(grammar, "record of a grammar's classes", "Make it again with `hybrid lm fst`."):
        found = read_meta(grammar).get("facts", {}).get("classes", {})
        return {str(name): int(label) for name, label in found.items()}


def _acceptor(entries: Sequence[ListEntry], words: SymbolTable, name: str) -> FstArrays:
    """Returns the entries of a list as a tree of words, costs of their relative weights at the ends."""
    total = sum({e.words: e.weight for e in reversed(entries)}.values())
    arcs: dict[tuple[int, int], int] = {}
    finals: dict[int, float] = {}
    for entry in entries:
        state = 0
        for word in words.encode(entry.words, f"class '{quote(name)}'"):
            state = arcs.setdefault((state, word), len(arcs) + 1)
        finals.setdefault(state, math.log(total / entry.weight))
    sources, labels = np.array(list(arcs)).T
    costs = [finals.get(state, np.inf) for state in range(len(arcs) + 1)]
    return FstArrays.from_arcs(0, sources, labels, labels, np.array(list(arcs.values())), 0.0 * labels, np.array(costs))
