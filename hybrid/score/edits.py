"""Word and character errors: counts, rates, alignments, confusions (Levenshtein distance by kaldialign)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hybrid.base.content import ByContent
from hybrid.base.errors import InputError, quote

__all__ = ["Confusions", "ErrorCounts", "UtteranceErrors", "align", "characters", "confusions", "score_utterances"]

LONGEST = 100_000  # units of an utterance; the time to align it grows with the square, here to a minute
Pairs = Mapping[str, tuple[Sequence[str], Sequence[str]]]


@dataclass(frozen=True)
class ErrorCounts:
    """Errors against a number of reference units (words or characters)."""

    words: int
    insertions: int
    deletions: int
    substitutions: int

    def __post_init__(self) -> None:
        if min(self.words, self.insertions, self.deletions, self.substitutions) < 0:
            raise ValueError(f"counts cannot be negative: {self}")
        if self.deletions + self.substitutions > self.words:
            raise ValueError(f"more words wrong than there are: {self}")

    @property
    def errors(self) -> int:
        """Insertions, deletions and substitutions together."""
        return self.insertions + self.deletions + self.substitutions

    @property
    def rate(self) -> float:
        """Errors in percent of the reference's units; infinite where errors meet an empty reference."""
        if self.words:
            return 100.0 * self.errors / self.words
        return float("inf") if self.errors else 0.0

    def __add__(self, other: "ErrorCounts") -> "ErrorCounts":
        return ErrorCounts(
            self.words + other.words,
            self.insertions + other.insertions,
            self.deletions + other.deletions,
            self.substitutions + other.substitutions,
        )

    def __str__(self) -> str:
        return (
            f"{self.rate:.2f} % [ {self.errors} / {self.words}, {self.insertions} ins, "
            f"{self.deletions} del, {self.substitutions} sub ]"
        )


@dataclass(frozen=True, eq=False)
class UtteranceErrors(ByContent):
    """Errors utterance by utterance.

    Attributes:
      ids: utterance ids, in order.
      words, insertions, deletions, substitutions: int64 [utterance].
    """

    ids: tuple[str, ...]
    words: np.ndarray
    insertions: np.ndarray
    deletions: np.ndarray
    substitutions: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """int64 [utterance]."""
        return self.insertions + self.deletions + self.substitutions

    def total(self) -> ErrorCounts:
        """The sum over all utterances."""
        return self._sum(slice(None))

    def _sum(self, index: slice | np.ndarray) -> ErrorCounts:
        return ErrorCounts(
            int(self.words[index].sum()),
            int(self.insertions[index].sum()),
            int(self.deletions[index].sum()),
            int(self.substitutions[index].sum()),
        )

    def by_speaker(self, speakers: Mapping[str, str]) -> dict[str, ErrorCounts]:
        """Sums by speaker, in the order of their names; utterances without a speaker are left out."""
        names = np.array([speakers.get(u, "") for u in self.ids])
        return {str(name): self._sum(names == name) for name in sorted(set(names)) if name}


def characters(words: Sequence[str]) -> list[str]:
    """Splits words into characters, with one space between words; a word in angle brackets is one symbol."""
    symbols: list[str] = []
    for word in words:
        if symbols:
            symbols.append(" ")
        symbols.extend([word] if len(word) > 2 and word[0] == "<" and word[-1] == ">" else word)
    return symbols


def score_utterances(pairs: Pairs, unit: str = "word") -> UtteranceErrors:
    """Counts the errors of each utterance.

    Args:
      pairs: utterance id → (reference words, hypothesis words).
      unit: "word" or "character" (spaces between words count as characters).

    Raises:
      InputError: an utterance is longer than `LONGEST` units.
    """
    import kaldialign

    if unit not in ("word", "character"):
        raise ValueError(f"unit is '{quote(unit)}', wanted 'word' or 'character'")
    table = np.zeros((4, len(pairs)), dtype=np.int64)
    for column, (name, (reference, hypothesis)) in enumerate(pairs.items()):
        if unit == "character":
            reference, hypothesis = characters(reference), characters(hypothesis)
        if len(reference) * len(hypothesis) > LONGEST**2:
            found = f"{len(reference)} {unit}s of reference and {len(hypothesis)} of hypothesis take too long to align"
            raise InputError.at(f"utterance '{quote(name)}'", f"{found}, wanted at most {LONGEST}", "Cut it up.")
        found = kaldialign.edit_distance(list(reference), list(hypothesis))
        table[:, column] = len(reference), found["ins"], found["del"], found["sub"]
    return UtteranceErrors(tuple(pairs), *table)


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[tuple[str, str]]:
    """Aligns two word sequences; an empty string stands where one of them has nothing."""
    import kaldialign

    return list(kaldialign.align(list(reference), list(hypothesis), ""))


@dataclass(frozen=True, eq=False)
class Confusions(ByContent):
    """What was taken for what: counters of (reference, hypothesis) words, of inserted and of deleted words."""

    substitutions: Counter[tuple[str, str]]
    insertions: Counter[str]
    deletions: Counter[str]


def confusions(pairs: Pairs) -> Confusions:
    """Counts the word errors by their words."""
    found = Confusions(Counter(), Counter(), Counter())
    for reference, hypothesis in pairs.values():
        for said, heard in align(reference, hypothesis):
            if said == heard:
                continue
            if not said:
                found.insertions[heard] += 1
            elif not heard:
                found.deletions[said] += 1
            else:
                found.substitutions[said, heard] += 1
    return found
