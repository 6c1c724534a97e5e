"""Which token of a level a graph state has: a small hash table, open to the next free pair.

uint32, pairs of state, FREE where there is none, and place of its token; at most half full, so that it stays in the
nearest caches.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.search.engines.trellis import enlarged

__all__ = ["FREE", "SMALLEST", "find", "table_of", "table_size"]

SMALLEST = 256  # pairs of the table
FREE = np.uint32(2**32 - 1)
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: neighbours lie apart
SHIFT = np.uint64(40)


@kernel
def table_size(tokens):
    """Returns the numbers of a table that is at most half full with so many tokens."""
    size = SMALLEST
    while size < 2 * tokens:
        size *= 2
    return 2 * size


@kernel
def find(table, state):
    """Returns where a state stands in a table, or the free place that it would take."""
    mask = np.uint64(len(table) - 1)
    at = ((np.uint64(state) * FACTOR) >> SHIFT) & mask & ~np.uint64(1)
    while table[at] != state and table[at] != FREE:
        at = (at + np.uint64(2)) & mask
    return at


@kernel
def table_of(states, room, memory):
    """Returns a table of tokens, at most half full with `room` of them, in some memory if that is large enough."""
    table = enlarged(memory, 0, table_size(room))[: table_size(room)]
    table[:] = FREE
    for i in range(len(states)):
        at = find(table, np.uint32(states[i]))
        table[at], table[at + np.uint64(1)] = states[i], i
    return table
