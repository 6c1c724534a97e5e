"""How far the boundaries of an alignment lie from where they are.

The two sides may pronounce a word differently (accents, variants). So their phones are aligned by edit distance first;
the start of a phone counts where it and its left neighbour (pauses apart) are matched on both sides, since only there
both sides speak of the same boundary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["VOWELS", "Boundary", "BoundaryReport", "PhoneStart", "common", "compare_starts", "report"]

VOWELS = frozenset(["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"])
STOPS = frozenset(["P", "B", "T", "D", "K", "G", "CH", "JH"])
GAP, NEAR, FAR = 1.0, 0.7, 1.6  # costs of edit distance: phone left out, same kind, other kind


@dataclass(frozen=True)
class PhoneStart:
    """A phone and where it starts.

    Attributes:
      label: without stress and position marks.
      start: seconds; None where it is not known (the second half of a phoneme that counts as two).
      opens: it is the first phone of a word.
    """

    label: str
    start: float | None
    opens: bool = False


@dataclass(frozen=True)
class Boundary:
    """The start of one phone on both sides.

    Attributes:
      utterance, place: which; place counts the reference's phones.
      left, label: the phones before (empty at the beginning) and after it, as the reference has them.
      opens: a word starts there.
      error: seconds, alignment minus reference.
    """

    utterance: str
    place: int
    left: str
    label: str
    opens: bool
    error: float

    @property
    def kind(self) -> str:
        """`stop`, `vowel` or `other`, of the phone that starts."""
        return "stop" if self.label in STOPS else "vowel" if self.label in VOWELS else "other"


@dataclass(frozen=True)
class BoundaryReport:
    """Errors of many boundaries in milliseconds.

    Attributes:
      mean, median, p95: of the absolute errors. bias: mean of the signed ones. within_20: percent below 20 ms.
    """

    count: int
    mean: float
    median: float
    p95: float
    bias: float
    within_20: float

    def __str__(self) -> str:
        return (
            f"{self.count} boundaries: mean {self.mean:.1f} ms, median {self.median:.1f}, 95 % {self.p95:.1f}, "
            f"bias {self.bias:+.1f}, within 20 ms {self.within_20:.1f} %"
        )


def compare_starts(
    utterance: str, reference: Sequence[PhoneStart], aligned: Sequence[PhoneStart], shift: float = 0.0
) -> list[Boundary]:
    """Returns the boundaries that both sides have.

    Args:
      reference, aligned: phones in order, without pauses; `opens` is taken from the aligned side.
      shift: seconds added to the aligned starts, but for the first (the start of the audio, if it is 0).
    """
    pairs = _matched([p.label for p in reference], [p.label for p in aligned])
    found, before = [], (-1, -1)
    for i, j in pairs:
        start, own = reference[i].start, aligned[j].start
        if (i - 1, j - 1) == before and start is not None and own is not None:
            left = reference[i - 1].label if i else ""
            moved = own + (shift if own > 0 else 0.0)
            found.append(Boundary(utterance, i, left, reference[i].label, aligned[j].opens, moved - start))
        before = (i, j)
    return found


def _cost(a: str, b: str) -> float:
    if a == b:
        return 0.0
    return NEAR if (a in VOWELS) == (b in VOWELS) else FAR


def _matched(reference: Sequence[str], aligned: Sequence[str]) -> list[tuple[int, int]]:
    """Returns the pairs of phones that minimum edit distance puts together, substitutions included."""
    rows, columns = len(reference) + 1, len(aligned) + 1
    best = np.zeros((rows, columns))
    best[:, 0], best[0] = np.arange(rows) * GAP, np.arange(columns) * GAP
    for i in range(1, rows):
        for j in range(1, columns):
            both = best[i - 1, j - 1] + _cost(reference[i - 1], aligned[j - 1])
            best[i, j] = min(both, best[i - 1, j] + GAP, best[i, j - 1] + GAP)
    pairs, i, j = [], rows - 1, columns - 1
    while i and j:
        if best[i, j] == best[i - 1, j - 1] + _cost(reference[i - 1], aligned[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif best[i, j] == best[i - 1, j] + GAP:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


def common(first: Iterable[Boundary], second: Iterable[Boundary]) -> tuple[list[Boundary], list[Boundary]]:
    """Returns the boundaries of two alignments of the same reference that both have, in the same order."""
    table = {(b.utterance, b.place): b for b in second}
    pairs = [(b, table[b.utterance, b.place]) for b in first if (b.utterance, b.place) in table]
    return [a for a, _ in pairs], [b for _, b in pairs]


def report(boundaries: Sequence[Boundary]) -> BoundaryReport:
    """Sums up; all figures are NaN without boundaries."""
    if not boundaries:
        return BoundaryReport(0, *[float("nan")] * 5)
    errors = 1000.0 * np.array([b.error for b in boundaries])
    size = np.abs(errors)
    share = 100.0 * float((size <= 20.0).mean())
    middle, high = (float(x) for x in np.percentile(size, [50, 95]))
    return BoundaryReport(len(errors), float(size.mean()), middle, high, float(errors.mean()), share)
