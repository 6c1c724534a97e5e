"""Classes in texts by lists: what stands in a list becomes its class, and is counted.

CALL JOHN SMITH NOW  →  CALL $CONTACT NOW
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lm.word_list import ListEntry

__all__ = ["Tagger"]


class Tagger:
    """Tags sentences from left to right, the longest entry first; of equal ones that of the first list.

    Attributes:
      counts: class → how often each entry was met.
    """

    def __init__(self, lists: Mapping[str, Sequence[ListEntry]]) -> None:
        """Takes class → entries."""
        self._lists = lists
        self._names: dict[tuple[str, ...], str] = {}
        lengths: dict[str, set[int]] = {}
        for name, entries in lists.items():
            for entry in entries:
                self._names.setdefault(entry.words, name)
                lengths.setdefault(entry.words[0], set()).add(len(entry.words))
        self._lengths = {word: sorted(some, reverse=True) for word, some in lengths.items()}
        self.counts: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in lists}

    def tag(self, words: Sequence[str]) -> list[str]:
        """Returns a sentence with classes in the places of entries."""
        found: list[str] = []
        at = 0
        while at < len(words):
            lengths = self._lengths.get(words[at], ())
            entry = next((e for n in lengths if (e := tuple(words[at : at + n])) in self._names), None)
            if entry is None:
                found.append(words[at])
                at += 1
                continue
            name = self._names[entry]
            self.counts[name][entry] += 1
            found.append(name)
            at += len(entry)
        return found

    def counted(self, name: str) -> list[ListEntry]:
        """Returns the entries of a class, to each one's weight added how often it was met."""
        counts = self.counts[name]
        return [replace(entry, weight=entry.weight + counts[entry.words]) for entry in self._lists[name]]
