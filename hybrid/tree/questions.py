"""Questions that a tree may ask: sets of phones for each position, sets of pdf-classes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hybrid.base.artifact import atomic_path
from hybrid.base.content import ByContent
from hybrid.base.errors import InputError, quote
from hybrid.base.reading import text_lines
from hybrid.tree.cluster import cluster_top_down
from hybrid.tree.nodes import PDF_CLASS_KEY
from hybrid.tree.stats import TreeStats, sum_by

__all__ = ["Questions", "find_questions", "read_questions", "write_questions"]

PhoneSets = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class Questions(ByContent):
    """The sets of values that may be asked of each key.

    Attributes:
      by_key: key (position in the window, or PDF_CLASS_KEY) → sets of its values, each sorted.
    """

    by_key: Mapping[int, PhoneSets]

    def __post_init__(self) -> None:
        for key, sets in self.by_key.items():
            for values in sets:
                if not values or list(values) != sorted(set(values)) or values[0] < 0:
                    raise ValueError(
                        f"question {quote(values)} for key {key} must be non-empty, sorted, without repeats"
                    )

    @classmethod
    def compile(cls, phone_sets: Iterable[Sequence[int]], context_width: int, max_pdf_classes: int) -> Questions:
        """Asks the same phone questions at every position, and of pdf-classes whether they come before the k-th.

        Args:
          phone_sets: any order; repeats are dropped.
          max_pdf_classes: pdf-classes of the phone that has most.
        """
        phones = tuple(sorted({tuple(sorted(int(p) for p in values)) for values in phone_sets}))
        by_key: dict[int, PhoneSets] = dict.fromkeys(range(context_width), phones)
        by_key[PDF_CLASS_KEY] = tuple(tuple(range(k)) for k in range(1, max_pdf_classes))
        return cls(by_key)


def find_questions(
    stats: TreeStats, phone_sets: Sequence[Sequence[int]], pdf_classes: Sequence[int] = (1,), tries: int = 10
) -> PhoneSets:
    """Finds sets of phones that sound alike, by dividing all phones again and again.

    Args:
      stats: of the central phones.
      phone_sets: disjoint sets that are never divided, e.g. the position-dependent variants of one phone.
      pdf_classes: whose frames count; 1 is the middle of a three-state HMM.
      tries: starts of each division; more find slightly better sets.

    Returns:
      distinct sets, sorted: every cluster of the hierarchy and the given sets themselves.

    Raises:
      ValueError: no sets, or a phone in two of them.
    """
    sets = [tuple(sorted(int(p) for p in phones)) for phones in phone_sets]
    members = [p for phones in sets for p in phones]
    if not members or len(members) != len(set(members)) or min(members) < 1:
        raise ValueError("phone sets must be disjoint and hold at least one phone, numbered from 1")
    chosen = np.isin(stats.pdf_classes, list(pdf_classes))
    highest = max(max(members), int(stats.central_phones.max(initial=0)))
    by_phone = sum_by(stats.central_phones[chosen], stats.moments[chosen], highest + 1)
    by_set = np.stack([by_phone[list(phones)].sum(axis=0) for phones in sets])
    clusters = cluster_top_down(by_set, tries)
    found = {tuple(sorted(p for index in cluster for p in sets[index])) for cluster in clusters}
    return tuple(sorted(found | set(sets)))


def read_questions(path: str | os.PathLike) -> PhoneSets:
    """Reads phone sets as integers, one set a line (Kaldi's `questions.int`, `sets.int`, `extra_questions.int`).

    Raises:
      InputError: a line is not a set of phone ids.
    """
    sets = []
    for number, line in text_lines(path):
        fields = line.split()
        if not all(f.isascii() and f.isdigit() and 0 < len(f) < 7 for f in fields):
            raise InputError.at(path, f"found '{quote(line, 40)}'; wanted phone ids", "Use ids, not symbols.", number)
        if len(set(fields)) != len(fields):
            raise InputError.at(path, "a phone stands twice in one set", "Remove the repeat.", number)
        if fields:
            sets.append(tuple(sorted(int(f) for f in fields)))
    return tuple(sets)


def write_questions(path: str | os.PathLike, sets: Iterable[Sequence[int]]) -> None:
    """Writes phone sets as integers, one set a line, atomically."""
    with atomic_path(path) as temporary:
        Path(temporary).write_text("".join(" ".join(map(str, s)) + "\n" for s in sets), encoding="ascii")
