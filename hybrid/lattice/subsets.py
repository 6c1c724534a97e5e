"""Subsets of lattice states in one pool: equal ones are found.

A pool is (states, strings, graph scores, acoustic scores of all elements; where each subset begins; how many symbols
its strings drop (`hybrid.lattice.strings`); hashes; their table). Subsets are numbered as they are put in, one behind
the other; a pool has a fixed size.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.lattice.strings import depth, same

__all__ = ["equal_to", "new_pool"]

DELTA = 1.0 / 1024  # two subsets are one state if their scores differ by no more (Kaldi's kDelta)


@kernel
def new_pool(size):
    """Returns a pool with room for `size` elements, and as many subsets."""
    places = 1024
    while places < 2 * size:
        places *= 2
    return (
        np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size), np.empty(size),
        np.zeros(size + 2, np.int64), np.empty(size, np.int32), np.empty(size, np.uint64),
        np.full(places, -1, np.int32),
    )  # fmt: skip


@kernel
def _hash(tree, states, strings, begin, end, drop):
    """Of the states and of the lengths of their strings: what else there is, is seen where subsets are compared."""
    key = np.uint64(end - begin)
    for i in range(begin, end):
        key = (key ^ np.uint64(states[i])) * np.uint64(0x9E3779B97F4A7C15)
        key = (key ^ np.uint64(depth(tree, strings[i]) - drop)) * np.uint64(0xBF58476D1CE4E5B9)
        key ^= key >> np.uint64(31)
    return key


@kernel
def equal_to(pool, tree, number):
    """Returns the first subset that is equal to subset `number`: that itself, which is one of the table then."""
    states, strings, graph, acoustic, begins, drops, hashes, table = pool
    begin, end, drop = begins[number], begins[number + 1], drops[number]
    key = _hash(tree, states, strings, begin, end, drop)
    mask = len(table) - 1
    place = np.int64(key & np.uint64(mask))
    found = np.int64(-1)
    while table[place] >= 0 and found < 0:
        other = np.int64(table[place])
        ahead = begins[other] - begin
        equal = hashes[other] == key and begins[other + 1] - ahead == end
        i = begin
        while equal and i < end:
            k = i + ahead
            equal = (
                states[k] == states[i] and abs(graph[k] - graph[i]) <= DELTA
                and abs(acoustic[k] - acoustic[i]) <= DELTA * (1 + abs(acoustic[i]) * 1e-3)
                and same(tree, strings[k], drops[other], strings[i], drop)
            )  # fmt: skip
            i += 1
        if equal:
            found = other
        place = (place + 1) & mask
    if found < 0:
        table[place], hashes[number], found = number, key, number
    return found
