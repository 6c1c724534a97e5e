"""The states of a composition that have been met, and the table that they are found in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.lookahead.reach import larger

__all__ = ["FREE", "LOW", "NONE", "Composed", "empty_composed", "mixed", "place_of", "room_in", "with_room"]

FREE, NONE = np.uint32(2**32 - 1), np.uint64(2**64 - 1)
LOW = np.uint64(2**32 - 1)
FACTOR = np.uint64(0x9E3779B97F4A7C15)


class Composed(NamedTuple):
    """The states of the composition that have been met, number 2 i for the i-th; arrays have room for more.

    Attributes:
      bounds: uint32 [4 N], of each state its first emitting arc, first ε and end (twice); FREE where it is met only.
      arcs, scores: as `hybrid.search.engines.native_kernels.GraphArrays` has them. transition_ids: int32 [A].
      word_ids: int32 [A]; −1 − g on an arc that backs off from state g of G.
      final_scores: float32 [2 N].
      keys: uint64 [2 N], s · 2^33 + chosen · 2^32 + g; and in `potentials`, float64, the same memory: behind each the
        potential, of look-ahead.
      table: uint64, a hash table of states, half of what their keys are mixed to, and their number; NONE where there is
        none. mask: of places in it.
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
def mixed(key):
    """Returns a key mixed: the place where a state is looked for first, and the half that the table keeps."""
    value = (key ^ (key >> np.uint64(29))) * FACTOR
    return value >> np.uint64(16), value >> np.uint64(32)


@kernel(inline="always")
def place_of(key, table, mask, keys):
    """Returns where a state stands in the table, or the free place that it would take."""
    at, half = mixed(key)
    at &= np.uint64(mask)
    while table[at] != NONE:
        if table[at] >> np.uint64(32) == half and keys[np.uint64(2) * (table[at] & LOW)] == key:
            break
        at = (at + np.uint64(1)) & np.uint64(mask)
    return at


@kernel(inline="always")
def room_in(table):
    """Returns how many states a table takes: beyond two thirds looking for a place takes long."""
    return 2 * len(table) // 3


@kernel
def empty_composed():
    """Returns a composition without states."""
    arcs, table, keys = np.empty(3 * 64, np.uint32), np.full(128, NONE, np.uint64), np.empty(2 * 64, np.uint64)
    return Composed(
        np.empty(4 * 64, np.uint32), arcs, arcs.view(np.float32), np.empty(64, np.int32), np.empty(64, np.int32),
        np.empty(2 * 64, np.float32), keys, keys.view(np.float64), table, len(table) - 1, np.zeros(2, np.int64),
    )  # fmt: skip


@kernel
def with_room(composed, more):
    """Returns the composition with room for so many states and arcs more, and for some."""
    states, count = composed.counts[0] + more + 1000, composed.counts[1] + more + 1000
    keys, table, mask = larger(composed.keys, 2 * states), composed.table, composed.mask
    if room_in(table) < states:
        size = 2 * len(table)
        while 2 * size // 3 < states:
            size *= 2
        table = np.full(size, NONE, np.uint64)
        mask = size - 1
        for i in range(composed.counts[0]):
            at, half = mixed(keys[2 * i])
            at &= np.uint64(mask)
            while table[at] != NONE:
                at = (at + np.uint64(1)) & np.uint64(mask)
            table[at] = half << np.uint64(32) | np.uint64(i)
    arcs = larger(composed.arcs, 3 * count)
    return Composed(
        larger(composed.bounds, 4 * states), arcs, arcs.view(np.float32), larger(composed.transition_ids, count),
        larger(composed.word_ids, count), larger(composed.final_scores, 2 * states), keys, keys.view(np.float64), table,
        mask, composed.counts,
    )  # fmt: skip
