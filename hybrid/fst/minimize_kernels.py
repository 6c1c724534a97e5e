"""Loops of minimisation, compiled by numba: signatures of states, groups of equal ones, arcs of the merged graph.

A state's signature is a hash of what leaves it: the final weight and the set of (input, output, cost, class of the
target). Arcs are told apart by the bits of their costs. Hashes are 64 bits wide; the caller compares the members of
final classes once more under another seed.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.fst.arc_hashes import SPREAD, arc_hash, distinct, label_hash, mix, numbered

__all__ = ["differ", "first_members", "group", "merged_arcs", "repeating_states", "signatures", "who_changes"]


@kernel
def repeating_states(fst, seed):
    """Marks the states with two arcs that read, write and cost the same; their arcs may fall together."""
    splits, ilabels, olabels, _, costs, finals = fst  # in a loop an array of a tuple costs the counting of references
    repeats = np.zeros(len(finals), np.bool_)
    hashes = np.empty(np.diff(splits).max() if len(finals) else 0, np.uint64)
    for state in range(len(repeats)):
        begin, end = splits[state], splits[state + 1]
        if end - begin > 1:
            for arc in range(begin, end):
                hashes[arc - begin] = label_hash(ilabels, olabels, costs, arc, seed)
            repeats[state] = distinct(hashes[: end - begin]) < end - begin
    return repeats


@kernel
def signatures(states, classes, repeats, nodes, seed):
    """Hashes what leaves each of some nodes, and the class that it is in: uint64 [len(states)]."""
    result = np.empty(len(states), np.uint64)
    splits, keys, next_states, finals = nodes.splits, nodes.keys, nodes.next_states, nodes.finals
    for i in range(len(states)):
        state = states[i]
        begin, end = splits[state], splits[state + 1]
        total = mix(np.uint64(np.uint32(finals[state])) ^ seed) + np.uint64(classes[state]) * SPREAD
        if repeats[state]:
            hashes = np.empty(end - begin, np.uint64)
            for arc in range(begin, end):
                hashes[arc - begin] = arc_hash(keys[arc], classes[next_states[arc]])
            for j in range(distinct(hashes)):
                total += hashes[j]
        else:
            for arc in range(begin, end):
                total += arc_hash(keys[arc], classes[next_states[arc]])
        result[i] = mix(total)
    return result


@kernel
def _leaving(fst, state, repeating, classes, seed):
    """Hash of what leaves one state."""
    splits, ilabels, olabels, next_states, costs, finals = fst
    begin, end = splits[state], splits[state + 1]
    hashes = np.empty(end - begin, np.uint64)
    for arc in range(begin, end):
        hashes[arc - begin] = arc_hash(label_hash(ilabels, olabels, costs, arc, seed), classes[next_states[arc]])
    total = mix(np.uint64(np.uint32(finals[state])) ^ seed)
    for j in range(distinct(hashes) if repeating else end - begin):
        total += hashes[j]
    return total


@kernel
def differ(fst, repeats, merged, firsts, seed):
    """Whether something else leaves a state than leaves the first member of its class."""
    for state in range(len(merged)):
        first = firsts[merged[state]]
        if first != state:
            ours = _leaving(fst, state, repeats[state], merged, seed)
            if ours != _leaving(fst, first, repeats[first], merged, seed):
                return True
    return False


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
    where, firsts, counts = numbered(keys)
    groups = len(firsts)
    for state in states:
        touched[classes[state]] += 1
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

    Where most states have moved all of those classes are returned.

    Args:
      marks: bool [num_states], scratch: False throughout, before and after.
    """
    if len(moved) > len(marks) // 2:
        return np.flatnonzero(sizes[classes] > 1).astype(np.int32)
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
def merged_arcs(firsts, merged, repeats, fst, arcs, seed):
    """Writes the arcs that the merged graph keeps: those of the first member of each class, equal ones once.

    Args:
      arcs: input labels, output labels, targets and bits of costs to write into, long enough for all of their arcs.

    Returns:
      int64 [num_classes + 1] splits.
    """
    new_ilabels, new_olabels, new_next_states, new_costs = arcs
    splits, ilabels, olabels, next_states, costs, _ = fst
    new_splits, again = np.zeros(len(firsts) + 1, np.int64), np.zeros(0, np.bool_)
    place = 0
    for number in range(len(firsts)):
        state = firsts[number]
        begin, end = splits[state], splits[state + 1]
        repeating = repeats[state]
        if repeating:
            again = np.zeros(end - begin, np.bool_)
            hashes = np.empty(end - begin, np.uint64)
            for arc in range(begin, end):
                hashes[arc - begin] = arc_hash(label_hash(ilabels, olabels, costs, arc, seed), merged[next_states[arc]])
            order = np.argsort(hashes, kind="mergesort")
            for i in range(1, len(order)):
                again[order[i]] = hashes[order[i]] == hashes[order[i - 1]]
        for arc in range(begin, end):
            if not repeating or not again[arc - begin]:
                new_ilabels[place], new_olabels[place] = ilabels[arc], olabels[arc]
                new_next_states[place], new_costs[place] = merged[next_states[arc]], costs[arc]
                place += 1
        new_splits[number + 1] = place
    return new_splits
