"""What a recogniser's slots hold, and the words added to its vocabulary while it runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import InputError, quote
from hybrid.base.reading import read_json, reading
from hybrid.decode.slot_filler import SlotFiller
from hybrid.decode.system import System
from hybrid.graph.new_words import NEW
from lexicon.words.blanks import split_words
from lm.word_list import ListEntry, check_entries, entries_of, read_word_list

__all__ = ["Lists", "SlotContents", "list_of"]

PROBABILITY = 1e-5  # of a new word of which nothing is said
Lists = Mapping[str, str | os.PathLike | Iterable[str | ListEntry]]  # slot → a list's file, or its entries


def list_of(value: str | os.PathLike | Iterable[str | ListEntry]) -> tuple[ListEntry, ...]:
    """Returns the entries of a list: a file's, or given ones; an empty sequence empties the slot.

    Raises:
      InputError: see `read_word_list`.
    """
    if isinstance(value, (str, os.PathLike)):
        return read_word_list(value)
    items = list(value)
    return entries_of(items) if items else ()


@dataclass(frozen=True, eq=False)
class SlotContents:
    """Systems that differ in the contents of their slots; each change gives another one, and leaves this as it is.

    Attributes:
      system: with the contents.

    Raises:
      InputError: its graph has no slots.
    """

    system: System

    @cached_property
    def filler(self) -> SlotFiller:
        """What fills the slots."""
        return SlotFiller.of(self.system)

    def __post_init__(self) -> None:
        SlotFiller.of(self.system)

    def fill(self, lists: Lists) -> SlotContents:
        """Replaces the contents of some slots; an empty list empties one. The others keep theirs.

        Raises:
          InputError: see `SlotFiller.fill`; a list's file that cannot be read.
        """
        named = {self.filler.table.name(name): value for name, value in lists.items()}
        changed = {**self.system.contents, **{name: list_of(value) for name, value in named.items()}}
        return SlotContents(self.filler.fill({name: some for name, some in changed.items() if some}))

    def can_add(self) -> bool:
        """Whether the graph has a place for new words."""
        return NEW in self.filler.table.names

    def add(
        self,
        text: str,
        pronunciations: str | Sequence[str | Sequence[str]] | None,
        like: str | None,
        probability: float | None,
    ) -> SlotContents:
        """Adds a word, or a phrase, to the vocabulary.

        Args:
          text: not among those added.
          pronunciations: phones of each, parted by blanks; `|` between the words of a phrase. None: of the lexicon, or
            guessed.
          like: a word of the graph whose probability it gets. probability: its own, where no words before it are known.

        Raises:
          InputError: the graph is closed, it is there already, there is no word like it, or it cannot be said.
        """
        self._require_open()
        words = tuple(split_words(text))
        weight = self._probability(like, probability)
        some = [pronunciations] if isinstance(pronunciations, str) else pronunciations
        ways = [None] if some is None else [p if isinstance(p, str) else " ".join(p) for p in some]
        entries = tuple(
            ListEntry(words, weight, () if way is None else tuple(tuple(part.split()) for part in way.split("|")))
            for way in ways
        )
        entries = tuple(self.filler.spelt(check_entries(entries, "new words")))
        if any(entry.words == entries[0].words for entry in self._added):
            raise InputError.at("new words", f"'{quote(text)}' is there already", "Remove it first.")
        return self.fill({NEW: (*self._added, *entries)})

    def _probability(self, like: str | None, probability: float | None) -> float:
        unigrams, words = self.filler.graph.unigrams, self.filler.graph.words
        if like is None:
            value = PROBABILITY if probability is None else float(probability)
            if not 0 < value <= 1:
                found = f"probability {value:g} of a new word, wanted above 0 and at most 1"
                raise InputError.at("new words", found, "Give a smaller one, or like= a word.")
            return value
        meant = words.spelling.find(like)
        known = words[meant[0]] if meant is not None else 0
        if unigrams is None or not 0 < known < len(unigrams) or not np.isfinite(unigrams[known]):
            raise InputError.at(
                "new words", f"the graph has no word '{quote(like)}'", "Name another, or give probability=."
            )
        return float(np.exp(-float(unigrams[known])))

    def remove(self, text: str) -> SlotContents:
        """Takes an added word or phrase away again.

        Raises:
          InputError: it was not added.
        """
        self._require_open()
        words = tuple(split_words(text))
        spelt = self.filler.spelt([ListEntry(words)])[0].words
        left = tuple(entry for entry in self._added if entry.words not in (words, spelt))
        if len(left) == len(self._added):
            cure = "Only words that were added can be removed; see vocabulary()."
            raise InputError.at("new words", f"'{quote(text)}' is not one of them", cure)
        return self.fill({NEW: left})

    def vocabulary(self) -> tuple[str, ...]:
        """The texts that stand in slots, and those added, sorted; words of the graph itself are in its words.txt."""
        return tuple(sorted({entry.text for some in self.system.contents.values() for entry in some}))

    def save(self, path: str | os.PathLike) -> None:
        """Writes the contents of all slots to a small file, for `load` in another process."""
        contents = {
            name: [[list(e.words), e.weight, [list(p) for p in e.phones]] for e in some]
            for name, some in sorted(self.system.contents.items())
        }
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps({"slots": contents}, ensure_ascii=False) + "\n", encoding="utf-8")

    def load(self, path: str | os.PathLike) -> SlotContents:
        """Returns these slots with the contents of a file that `save` wrote.

        Raises:
          InputError: another file, or contents that do not fit the graph.
        """
        found = read_json(Path(path))
        with reading(path, "contents of slots", "Save them again."):
            lists = {
                str(name): [ListEntry(tuple(map(str, w)), float(n), tuple(tuple(map(str, p)) for p in ps))
                            for w, n, ps in some]
                for name, some in found["slots"].items()
            }  # fmt: skip
        return self.fill(lists)

    @property
    def _added(self) -> tuple[ListEntry, ...]:
        return tuple(self.system.contents.get(NEW, ()))

    def _require_open(self) -> None:
        if not self.can_add():
            cure = "Compile it with --open."
            raise InputError.at(self.system.spec.graph_dir or "the graph", "takes no new words", cure)
