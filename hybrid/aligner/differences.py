"""Where two word sequences differ: minimum edit distance with its path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Difference", "compare", "differing_runs", "edit_path"]


@dataclass(frozen=True)
class Difference:
    """A stretch where text and audio differ.

    Attributes:
      start, end: of the stretch in the text, word numbers from 0, end excluded.
      heard_start, heard_end: of the stretch in what was heard.
    """

    start: int
    end: int
    heard_start: int
    heard_end: int


def edit_path(text: np.ndarray, heard: np.ndarray) -> np.ndarray:
    """Aligns two sequences of ids with the fewest substitutions, deletions and insertions.

    Of equal paths the one with the most words in common is taken.

    Returns:
      int32 [step][2]: position in the text and in what was heard; -1 in the second column for words that were not
      heard, -1 in the first for words that the text lacks.
    """
    from hybrid.aligner.edit_kernels import edit_steps

    return edit_steps(np.asarray(text, np.int32), np.asarray(heard, np.int32))


def compare(text: Sequence[str], heard: Sequence[str]) -> np.ndarray:
    """Does `edit_path` for words."""
    ids: dict[str, int] = {}
    first = [ids.setdefault(w, len(ids)) for w in text]
    second = [ids.setdefault(w, len(ids)) for w in heard]
    return edit_path(np.array(first, np.int32), np.array(second, np.int32))


def differing_runs(text: Sequence[object], heard: Sequence[object], steps: np.ndarray) -> list[Difference]:
    """Returns the stretches of steps that are no matches, in order."""
    runs: list[Difference] = []
    i = j = 0
    begin: tuple[int, int] | None = None
    for a, b in steps.tolist():
        if a >= 0 and b >= 0 and text[a] == heard[b]:
            if begin is not None:
                runs.append(Difference(begin[0], i, begin[1], j))
                begin = None
        elif begin is None:
            begin = (i, j)
        i, j = i + (a >= 0), j + (b >= 0)
    if begin is not None:
        runs.append(Difference(begin[0], i, begin[1], j))
    return runs
