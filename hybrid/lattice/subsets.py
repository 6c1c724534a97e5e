"""Subsets of lattice states in one pool: equal ones are found and numbered.

A pool is (states, graph scores, acoustic scores, strings of all elements; where each subset begins; hashes; their
table; how many subsets there are); the arrays grow.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["find", "grown", "new_pool"]

DELTA = 1.0 / 1024  # two subsets are one state if their scores differ by no more (Kaldi's kDelta)


@kernel
def _hash(states, strings):
    key = np.uint64(len(states))
    for i in range(len(states)):
        key = (key ^ np.uint64(states[i])) * np.uint64(0x9E3779B97F4A7C15)
        key = (key ^ np.uint64(strings[i])) * np.uint64(0xBF58476D1CE4E5B9)
        key ^= key >> np.uint64(31)
    return key


@kernel
def grown(array, needed):
    """Returns a longer array that begins alike: at least `needed` long, and at least twice as long."""
    out = np.empty(max(2 * len(array), needed), array.dtype)
    out[: len(array)] = array
    return out


@kernel
def new_pool():
    """Returns a pool of subsets: elements, where each begins, hashes, their table, and how many there are."""
    return (
        np.empty(1024, np.int32), np.empty(1024), np.empty(1024), np.empty(1024, np.int32), np.zeros(257, np.int64),
        np.empty(256, np.uint64), np.full(512, -1, np.int64), 0,
    )  # fmt: skip


@kernel
def find(pool, states, graph, acoustic, strings):
    """Returns the pool, the number of an equal subset in it, which is added if there is none, and whether it was."""
    at_state, at_graph, at_acoustic, at_string, begins, hashes, table, count = pool
    key = _hash(states, strings)
    mask = len(table) - 1
    place = np.int64(key & np.uint64(mask))
    size = len(states)
    while table[place] >= 0:
        other = table[place]
        first = begins[other]
        if hashes[other] == key and begins[other + 1] - first == size:
            same = True
            for i in range(size):
                k = first + i
                if (
                    at_state[k] != states[i] or at_string[k] != strings[i] or abs(at_graph[k] - graph[i]) > DELTA
                    or abs(at_acoustic[k] - acoustic[i]) > DELTA * (1 + abs(acoustic[i]) * 1e-3)
                ):  # fmt: skip
                    same = False
                    break
            if same:
                return pool, other, False
        place = (place + 1) & mask
    used = begins[count]
    if used + size > len(at_state):
        needed = used + size
        at_state, at_graph = grown(at_state, needed), grown(at_graph, needed)
        at_acoustic, at_string = grown(at_acoustic, needed), grown(at_string, needed)
    at_state[used : used + size], at_graph[used : used + size] = states, graph
    at_acoustic[used : used + size], at_string[used : used + size] = acoustic, strings
    if count == len(hashes):
        begins, hashes = grown(begins, 2 * count + 1), grown(hashes, 0)
    begins[count + 1], hashes[count] = used + size, key
    table[place] = count
    count += 1
    if 2 * count > len(table):
        table = np.full(2 * len(table), -1, np.int64)
        mask = len(table) - 1
        for other in range(count):
            place = np.int64(hashes[other] & np.uint64(mask))
            while table[place] >= 0:
                place = (place + 1) & mask
            table[place] = other
    return (at_state, at_graph, at_acoustic, at_string, begins, hashes, table, count), count - 1, True
