"""Loops of minimisation, compiled by numba: signatures of states, groups of equal ones, arcs of the merged graph.

A state's signature is a hash of what leaves it: the final weight and the set of (input, output, cost, class of the
target). Arcs are told apart by the bits of their costs. Hashes are 64 bits wide; the caller compares final classes once
more under another seed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybrid.base.compiled import kernel

__all__ = [
    "Leaving",
    "first_members",
    "group",
    "merged_arcs",
    "repeating_states",
    "signatures",
    "who_changes",
]

_A, _B = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # Steele, Lea and Flood (2014), splitmix64
_C, _D = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_FEW = 8  # arcs that are compared in pairs; more are sorted


class Leaving(NamedTuple):
    """What leaves the states of an FST: as in `FstArrays`, costs as the int32 of their bits."""

    splits: np.ndarray
    ilabels: np.ndarray
    olabels: np.ndarray
    next_states: np.ndarray
    costs: np.ndarray
    finals: np.ndarray


@kernel(inline="always")
def _mix(x):
    x = (x ^ (x >> np.uint64(30))) * _A
    x = (x ^ (x >> np.uint64(27))) * _B
    return x ^ (x >> np.uint64(31))


@kernel(inline="always")
def _label(fst, arc, seed):
    """Hash of what an arc reads, writes and costs."""
    labels = (np.uint64(fst.ilabels[arc]) << np.uint64(32)) | np.uint64(fst.olabels[arc])
    return _mix(labels ^ seed) + np.uint64(np.uint32(fst.costs[arc])) * _C


@kernel(inline="always")
def _whole(fst, arc, classes, seed):
    """Hash of an arc with the class that it leads to."""
    return _mix(_label(fst, arc, seed) + np.uint64(classes[fst.next_states[arc]]) * _D)


@kernel
def repeating_states(fst, seed):
    """Marks the states with two arcs that read, write and cost the same; their arcs may fall together."""
    repeats = np.zeros(len(fst.finals), np.bool_)
    for state in range(len(repeats)):
        begin, end = fst.splits[state], fst.splits[state + 1]
        if end - begin > 1:
            hashes = np.empty(end - begin, np.uint64)
            for arc in range(begin, end):
                hashes[arc - begin] = _label(fst, arc, seed)
            repeats[state] = _distinct(hashes) < end - begin
    return repeats


@kernel
def _distinct(hashes):
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
def signatures(states, classes, repeats, fst, seed):
    """Hashes what leaves each of some states, and the class that it is in: uint64 [len(states)]."""
    result = np.empty(len(states), np.uint64)
    for i in range(len(states)):
        state = states[i]
        begin, end = fst.splits[state], fst.splits[state + 1]
        total = _mix(np.uint64(np.uint32(fst.finals[state])) ^ seed) + np.uint64(classes[state]) * _D
        if repeats[state]:
            hashes = np.empty(end - begin, np.uint64)
            for arc in range(begin, end):
                hashes[arc - begin] = _whole(fst, arc, classes, seed)
            for j in range(_distinct(hashes)):
                total += hashes[j]
        else:
            for arc in range(begin, end):
                total += _whole(fst, arc, classes, seed)
        result[i] = _mix(total)
    return result


@kernel
def group(states, keys, classes, sizes, num_classes, touched, largest):
    """Splits classes by the new signatures of some of their members.

    The members of a class that are not among `states` stay in it; where there are none, the largest group does.

    Args:
      states: int32, distinct; keys: uint64, their signatures.
      classes: int32 [num_states], changed in place.
      sizes: int32 [num_states], members of each class, changed in place.
      num_classes: so far.
      touched, largest: int32 [num_states], scratch: 0 and −1 throughout, before and after.

    Returns:
      The number of classes, and int32, those of `states` (they are overwritten) whose class is another now.
    """
    room = 16
    while room < 2 * len(states):
        room *= 2
    table = np.full(room, -1, np.int32)  # hash → group
    where = np.empty(len(states), np.int32)
    firsts = np.empty(len(states), np.int32)  # of each group: its first member's index
    counts = np.zeros(len(states), np.int32)
    groups = 0
    for i in range(len(states)):
        touched[classes[states[i]]] += 1
        slot = np.int64(keys[i] & np.uint64(room - 1))
        while table[slot] >= 0 and keys[firsts[table[slot]]] != keys[i]:
            slot = (slot + 1) & (room - 1)
        if table[slot] < 0:
            table[slot] = groups
            firsts[groups] = i
            groups += 1
        where[i] = table[slot]
        counts[where[i]] += 1
    of_group = np.empty(groups, np.int32)
    for g in range(groups):
        of = classes[states[firsts[g]]]
        of_group[g] = of
        if touched[of] == sizes[of] and (largest[of] < 0 or counts[g] > counts[largest[of]]):
            largest[of] = g
    number = np.empty(groups, np.int32)
    for g in range(groups):
        of = of_group[g]
        if largest[of] == g:
            number[g] = of
        else:
            number[g] = num_classes
            sizes[num_classes] = counts[g]
            sizes[of] -= counts[g]
            num_classes += 1
    for g in range(groups):
        touched[of_group[g]], largest[of_group[g]] = 0, -1
    moved = 0
    for i in range(len(states)):
        state = states[i]
        if classes[state] != number[where[i]]:
            classes[state] = number[where[i]]
            states[moved] = state
            moved += 1
    return num_classes, states[:moved]


@kernel
def who_changes(moved, entering, sources, classes, sizes, marks):
    """Returns, sorted, the states of classes with several members from which an arc leads to one of `moved`.

    Args:
      marks: bool [num_states], scratch: False throughout, before and after.
    """
    result = np.empty(1024, np.int32)
    count = 0
    for state in moved:
        for k in range(entering[state], entering[state + 1]):
            source = sources[k]
            if not marks[source] and sizes[classes[source]] > 1:
                marks[source] = True
                if count == len(result):
                    longer = np.empty(2 * count, np.int32)
                    longer[:count] = result
                    result = longer
                result[count] = source
                count += 1
    result = np.sort(result[:count]) if count < len(marks) // 16 else np.flatnonzero(marks).astype(np.int32)
    for state in result:
        marks[state] = False
    return result


@kernel
def first_members(classes, num_classes):
    """Numbers classes by their first state: int32 [num_states], and int32 [num_classes] those states."""
    number = np.full(num_classes, -1, np.int32)
    firsts = np.empty(num_classes, np.int32)
    merged = np.empty(len(classes), np.int32)
    count = 0
    for state in range(len(classes)):
        if number[classes[state]] < 0:
            number[classes[state]] = count
            firsts[count] = state
            count += 1
        merged[state] = number[classes[state]]
    return merged, firsts


@kernel
def merged_arcs(firsts, merged, repeats, fst, seed):
    """Lists the arcs that the merged graph keeps: those of the first member of each class, equal ones once.

    Returns:
      int64 [num_classes + 1] splits, int32 [num_kept] indices of arcs.
    """
    new_splits = np.zeros(len(firsts) + 1, np.int64)
    total = 0
    for state in firsts:
        total += fst.splits[state + 1] - fst.splits[state]
    kept = np.empty(total, np.int32)
    place = 0
    for number in range(len(firsts)):
        state = firsts[number]
        begin, end = fst.splits[state], fst.splits[state + 1]
        again = np.zeros(end - begin if repeats[state] else 0, np.bool_)
        if repeats[state]:
            hashes = np.empty(end - begin, np.uint64)
            for arc in range(begin, end):
                hashes[arc - begin] = _whole(fst, arc, merged, seed)
            order = np.argsort(hashes, kind="mergesort")
            for i in range(1, len(order)):
                again[order[i]] = hashes[order[i]] == hashes[order[i - 1]]
        for arc in range(begin, end):
            if not repeats[state] or not again[arc - begin]:
                kept[place] = arc
                place += 1
        new_splits[number + 1] = place
    return new_splits, kept[:place]
