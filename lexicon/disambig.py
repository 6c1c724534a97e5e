"""Disambiguation symbols: pseudo-phones at the ends of pronunciations that make L determinizable.

A pronunciation that another word has too, or that begins another one, gets `#1`, `#2`, … so that no
two words have the same phone string and none is the beginning of another (Mohri, Pereira and Riley, 2002).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hybrid.base.errors import quote

__all__ = ["Clash", "assign_disambig", "find_clashes", "homophones"]


def _key(phones: Iterable[str]) -> str:
    """A text in which one pronunciation begins another exactly if their phones do."""
    return " ".join(phones) + " "


def _prefixes(keys: Iterable[str]) -> set[str]:
    """Returns those keys that are a proper beginning of another.

    In sorted order everything that a key begins comes right after it.
    """
    ordered = sorted(set(keys))
    return {a for a, b in zip(ordered, ordered[1:]) if b.startswith(a)}


def assign_disambig(pronunciations: Sequence[str], first: int = 1) -> list[int]:
    """Numbers the pronunciations that need a disambiguation symbol, as Kaldi numbers them.

    Args:
      pronunciations: phones joined by single spaces, none empty, in the order of the lexicon.
      first: the smallest number to use (smaller ones are taken for other purposes).

    Returns:
      For each pronunciation the number of its symbol, or 0 where it needs none. Equal phone strings
      get first, first + 1, … in order.
    """
    keys = [p + " " for p in pronunciations]
    counts = Counter(keys)
    prefixes = _prefixes(counts)
    last: dict[str, int] = {}
    numbers = []
    for key in keys:
        if counts[key] == 1 and key not in prefixes:
            numbers.append(0)
        else:
            last[key] = last.get(key, first - 1) + 1
            numbers.append(last[key])
    return numbers


def homophones(entries: Iterable[tuple[str, Sequence[str]]]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Returns phone string → words, for the phone strings that two or more words share.

    Args:
      entries: (word, phones) pairs.
    """
    words: dict[tuple[str, ...], dict[str, None]] = defaultdict(dict)
    for word, phones in entries:
        words[tuple(phones)][word] = None
    return {phones: tuple(group) for phones, group in words.items() if len(group) > 1}


class Clash(NamedTuple):
    """Two words that L cannot tell apart when it reads left to right.

    Attributes:
      kind: "same" phone string, or the first's "begins" the second's.
      phones: the shared phone string, disambiguation symbols included.
    """

    kind: str
    first: str
    second: str
    phones: tuple[str, ...]

    def __str__(self) -> str:
        phones = " ".join(self.phones)
        if self.kind == "same":
            return f"'{quote(self.first)}' and '{quote(self.second)}' are both pronounced '{quote(phones)}'"
        return f"the pronunciation '{quote(phones)}' of '{quote(self.first)}' begins that of '{quote(self.second)}'"


def find_clashes(entries: Iterable[tuple[str, Sequence[str]]], limit: int | None = None) -> list[Clash]:
    """Finds pronunciations that are not distinguishable: the reason why an L∘G cannot be determinised.

    Args:
      entries: (word, phones) pairs with whatever disambiguation symbols they carry.
      limit: stop after so many; None for all. Each pronunciation is reported with its first rival only.

    Returns:
      Nothing exactly if all phone strings differ and none begins another.
    """
    ordered = sorted((_key(phones), word, tuple(phones)) for word, phones in entries)
    clashes = []
    for (key, word, phones), (next_key, next_word, _) in zip(ordered, ordered[1:]):
        if next_key.startswith(key):
            kind = "same" if key == next_key else "begins"
            clashes.append(Clash(kind, word, next_word, phones))
            if limit is not None and len(clashes) >= limit:
                break
    return clashes
