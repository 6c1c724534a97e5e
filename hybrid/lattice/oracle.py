"""The path of a lattice closest to what was said (lattice-oracle)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.base.content import ByContent
from hybrid.lattice.lattice import Lattice

__all__ = ["Oracle", "oracle"]


@dataclass(frozen=True, eq=False)
class Oracle(ByContent):
    """The word sequence of a lattice with the fewest errors, and these errors."""

    word_ids: np.ndarray
    errors: int
    insertions: int
    deletions: int
    substitutions: int


def oracle(lattice: Lattice, reference: Sequence[int]) -> Oracle:
    """Finds the path with the smallest Levenshtein distance to the reference.

    Args:
      reference: word ids; those of silence or noise should be left out by the caller, as in scoring.

    Returns:
      Its words and errors; an empty lattice has no words, so all of the reference is deleted.
    """
    words = np.asarray(reference, np.int32)
    if lattice.is_empty:
        return Oracle(np.zeros(0, np.int32), len(words), 0, len(words), 0)
    final = np.isfinite(lattice.final_graph_scores)
    path, counts = _oracle(lattice.row_splits, lattice.next_states, lattice.word_ids, final, words)
    return Oracle(path, int(counts.sum()), int(counts[0]), int(counts[1]), int(counts[2]))


@kernel
def _oracle(row_splits, next_states, word_ids, final, words):
    """Distances from each (state, position) to the end, backwards; then the best path forwards."""
    states, size = len(row_splits) - 1, len(words)
    unreachable = np.int32(1 << 29)
    cost = np.full((states, size + 1), unreachable, np.int32)
    for s in range(states - 1, -1, -1):
        if final[s]:
            for i in range(size + 1):
                cost[s, i] = size - i
        for a in range(row_splits[s], row_splits[s + 1]):
            d, w = next_states[a], word_ids[a]
            for i in range(size + 1):
                value = cost[d, i] + (1 if w != 0 else 0)
                if w != 0 and i < size:
                    value = min(value, cost[d, i + 1] + (1 if words[i] != w else 0))
                cost[s, i] = min(cost[s, i], value)
        for i in range(size - 1, -1, -1):
            cost[s, i] = min(cost[s, i], cost[s, i + 1] + 1)
    counts = np.zeros(3, np.int64)  # insertions, deletions, substitutions
    path = np.empty(states + 1, np.int32)
    length = s = i = 0
    while True:
        if final[s] and cost[s, i] == size - i:
            counts[1] += size - i
            break
        moved = False
        for a in range(row_splits[s], row_splits[s + 1]):
            d, w = next_states[a], word_ids[a]
            step, errors, kind = 0, 0, -1
            if w == 0:
                moved = cost[d, i] == cost[s, i]
            elif i < size and cost[d, i + 1] + (1 if words[i] != w else 0) == cost[s, i]:
                moved, step, kind = True, 1, 2
                errors = 1 if words[i] != w else 0
            elif cost[d, i] + 1 == cost[s, i]:
                moved, errors, kind = True, 1, 0
            if moved:
                if w != 0:
                    path[length] = w
                    length += 1
                if errors:
                    counts[kind] += 1
                s, i = d, i + step
                break
        if not moved:
            counts[1] += 1
            i += 1
    return path[:length].copy(), counts
