"""Hashes of arcs, 64 bits wide, and what is done with many of them: distinct ones, numbers; compiled by numba."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["SPREAD", "Leaving", "arc_hash", "distinct", "label_hash", "mix", "numbered"]

_A, _B = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # Steele, Lea and Flood (2014), splitmix64
_C, SPREAD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_FEW = 8  # arcs that are compared in pairs; more are sorted
_PART = 32768  # hashes that are numbered in one table: it and they fit a processor's own cache


class Leaving(NamedTuple):
    """What leaves the states of an FST: as in `FstArrays`, costs as the int32 of their bits."""

    splits: np.ndarray
    ilabels: np.ndarray
    olabels: np.ndarray
    next_states: np.ndarray
    costs: np.ndarray
    finals: np.ndarray


@kernel(inline="always")
def mix(x):
    """Spreads a number over all 64 bits."""
    x = (x ^ (x >> np.uint64(30))) * _A
    x = (x ^ (x >> np.uint64(27))) * _B
    return x ^ (x >> np.uint64(31))


@kernel(inline="always")
def label_hash(ilabels, olabels, costs, arc, seed):
    """Hash of what an arc reads, writes and costs."""
    labels = (np.uint64(ilabels[arc]) << np.uint64(32)) | np.uint64(olabels[arc])
    return mix(labels ^ seed) + np.uint64(np.uint32(costs[arc])) * _C


@kernel(inline="always")
def arc_hash(label, to):
    """Hash of an arc with the class that it leads to."""
    return mix(label + np.uint64(to) * SPREAD)


@kernel
def distinct(hashes):
    """Moves the distinct values of an array to its front and counts them."""
    if len(hashes) > _FEW:
        hashes.sort()
        count = 1
        for i in range(1, len(hashes)):
            if hashes[i] != hashes[count - 1]:
                hashes[count] = hashes[i]
                count += 1
        return count
    count = 0
    for i in range(len(hashes)):
        new = True
        for j in range(count):
            if hashes[i] == hashes[j]:
                new = False
        if new:
            hashes[count] = hashes[i]
            count += 1
    return count


@kernel
def numbered(keys):
    """Numbers the values of an array: int32 [len(keys)], and per number the first index and how many there are.

    Where there are many, those with the same last bits are put together first: a small table does for each part.
    """
    shift = 0
    while len(keys) >> shift > _PART:
        shift += 1
    begins = np.zeros((1 << shift) + 1, np.int64)
    last = np.uint64((1 << shift) - 1)
    for key in keys:
        begins[np.int64(key & last) + 1] += 1
    room = 16
    while room < 2 * begins.max():
        room *= 2
    for part in range(len(begins) - 1):
        begins[part + 1] += begins[part]
    order, sorted_keys = np.empty(len(keys), np.int32), np.empty(len(keys), np.uint64)
    for i in range(len(keys)):
        place = begins[np.int64(keys[i] & last)]
        order[place], sorted_keys[place] = i, keys[i]
        begins[np.int64(keys[i] & last)] += 1
    number, firsts, counts = np.empty(len(keys), np.int32), np.empty(len(keys), np.int32), np.empty(len(keys), np.int32)
    table, group_at = np.empty(room, np.int32), np.empty(room, np.int32)
    groups, start = 0, 0
    for part in range(len(begins) - 1):  # its begin is its end by now
        table[:] = -1
        for place in range(start, begins[part]):
            slot = np.int64(sorted_keys[place] >> np.uint64(shift)) & (room - 1)
            while table[slot] >= 0 and sorted_keys[start + table[slot]] != sorted_keys[place]:
                slot = (slot + 1) & (room - 1)
            if table[slot] < 0:
                table[slot], group_at[place - start] = place - start, groups
                firsts[groups], counts[groups] = order[place], 0
                groups += 1
            of = group_at[table[slot]]
            number[order[place]] = of
            counts[of] += 1
        start = begins[part]
    return number, firsts[:groups], counts[:groups]
