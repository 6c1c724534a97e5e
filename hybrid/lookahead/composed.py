"""The states of a composition that have been met, and the table that they are found in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.lookahead.reach import larger

__all__ = ["FREE", "NONE", "Composed", "empty_composed", "place_of", "with_room"]

FREE, NONE = np.uint32(2**32 - 1), np.uint64(2**64 - 1)
FACTOR = np.uint64(0x9E3779B97F4A7C15)


class Composed(NamedTuple):
    """The states of the composition that have been met, number 2 i for the i-th; arrays have room for more.

    Attributes:
      bounds: uint32 [4 N], of each state its first emitting arc, first ε and end (twice); FREE where it is met only.
      arcs, scores: as `hybrid.search.engines.native_kernels.GraphArrays` has them. transition_ids, word_ids: int32 [A].
      final_scores: float32 [2 N].
      keys: uint64 [N], s · 2^33 + chosen · 2^32 + g. potentials: float64 [N], of look-ahead.
      table: uint64, a hash table of states: pairs of key, NONE where there is none, and place. mask: of where pairs
        begin in it.
      counts: int64 [2], states and arcs.
    """

    bounds: np.ndarray
    arcs: np.ndarray
    scores: np.ndarray
    transition_ids: np.ndarray
    word_ids: np.ndarray
    final_scores: np.ndarray
    keys: np.ndarray
    potentials: np.ndarray
    table: np.ndarray
    mask: int
    counts: np.ndarray


@kernel(inline="always")
def place_of(key, mask):
    """Returns where in the table a state is looked for first."""
    return ((key ^ (key >> np.uint64(29))) * FACTOR) >> np.uint64(24) & np.uint64(mask)


@kernel
def empty_composed():
    """Returns a composition without states."""
    arcs, table = np.empty(3 * 64, np.uint32), np.full(256, NONE, np.uint64)
    return Composed(
        np.empty(4 * 64, np.uint32), arcs, arcs.view(np.float32), np.empty(64, np.int32), np.empty(64, np.int32),
        np.empty(2 * 64, np.float32), np.empty(64, np.uint64), np.empty(64), table, len(table) - 2,
        np.zeros(2, np.int64),
    )  # fmt: skip


@kernel
def with_room(composed, more):
    """Returns the composition with room for so many states and arcs more, and for some."""
    states, count = composed.counts[0] + more + 1000, composed.counts[1] + more + 1000
    keys, table = larger(composed.keys, states), composed.table
    mask = composed.mask
    if 4 * len(keys) > len(table):
        size = len(table)
        while size < 4 * len(keys):
            size *= 2
        table = np.full(size, NONE, np.uint64)
        mask = size - 2
        for i in range(composed.counts[0]):
            at = place_of(keys[i], mask)
            while table[at] != NONE:
                at = (at + np.uint64(2)) & np.uint64(mask)
            table[at], table[at + np.uint64(1)] = keys[i], i
    arcs = larger(composed.arcs, 3 * count)
    return Composed(
        larger(composed.bounds, 4 * states), arcs, arcs.view(np.float32), larger(composed.transition_ids, count),
        larger(composed.word_ids, count), larger(composed.final_scores, 2 * states), keys,
        larger(composed.potentials, states), table, mask, composed.counts,
    )  # fmt: skip
