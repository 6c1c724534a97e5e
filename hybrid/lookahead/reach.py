"""Label reachability: which words can come next from each state of a graph of H, C and L.

Words are numbered in the order in which a walk over the tree of the lexicon meets them, so that what can come next
from a state is an interval of numbers, or a few (Allauzen, Riley and Schalkwyk, "A generalized composition algorithm
for weighted finite-state transducers", 2009). Number 0 is the end of the sentence.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["count_numbers", "larger", "number_words", "reach_sets"]

FACTOR = np.uint64(0x9E3779B97F4A7C15)


@kernel
def number_words(start, splits, next_states, words, num_words):
    """Numbers words in the order in which walks over arcs without words meet them, depth first, from the start first.

    Args:
      splits: int64 [S+1], arcs of each state. next_states, words: int32 [A].
      num_words: one more than the highest word.

    Returns:
      int32 [num_words]: 0 for 0, the end; 1, 2, … for words; -1 for words that no arc has.
    """
    numbers = np.full(num_words, -1, np.int32)
    numbers[0] = 0
    count = 1
    states = len(splits) - 1
    at, seen = splits[:-1].copy(), np.zeros(states, np.bool_)
    stack = np.empty(states, np.int64)
    for root in range(-1, states):
        stack[0] = start if root < 0 else root
        depth = 0 if seen[stack[0]] else 1
        seen[stack[0]] = True
        while depth > 0:
            s = stack[depth - 1]
            if at[s] == splits[s + 1]:
                depth -= 1
                continue
            a = at[s]
            at[s] += 1
            if words[a] != 0:
                if numbers[words[a]] < 0:
                    numbers[words[a]] = count
                    count += 1
            elif not seen[next_states[a]]:
                seen[next_states[a]] = True
                stack[depth] = next_states[a]
                depth += 1
    return numbers


@kernel
def _postorder(splits, next_states, numbers):
    """Returns all states, each after those that it reaches over arcs without words, cycles aside."""
    states = len(splits) - 1
    order, count = np.empty(states, np.int64), 0
    at, seen = splits[:-1].copy(), np.zeros(states, np.bool_)
    stack = np.empty(states, np.int64)
    for root in range(states):
        if seen[root]:
            continue
        stack[0], seen[root], depth = root, True, 1
        while depth > 0:
            s = stack[depth - 1]
            if at[s] == splits[s + 1]:
                order[count] = s
                count += 1
                depth -= 1
                continue
            d = next_states[at[s]]
            if numbers[at[s]] == 0 and not seen[d]:
                seen[d] = True
                stack[depth] = d
                depth += 1
            at[s] += 1
    return order


@kernel
def larger(array, need):
    """Returns an array with room for so many rows, itself if it has."""
    if need <= len(array):
        return array
    enlarged = np.empty(2 * need, array.dtype)
    enlarged[: len(array)] = array
    return enlarged


@kernel
def _gather(s, splits, next_states, numbers, final, sets, set_splits, begins, ends, work):
    """Writes the intervals of all that can come next from a state, merged; returns them and how many they are.

    Returns:
      The set that it is where it is one that is known, else -1; the memory; and the number of intervals in it.
    """
    count, only = 0, -1
    several = False
    if final:
        work[0, 0], work[0, 1], count = 0, 1, 1
    for a in range(splits[s], splits[s + 1]):
        need = count + 1
        if numbers[a] == 0:
            k = sets[next_states[a]]
            if next_states[a] == s or k < 0 or k == only:
                continue
            several |= only >= 0
            only = k
            need = count + set_splits[k + 1] - set_splits[k]
        if need > len(work):
            wider = np.empty((2 * need, 2), np.int32)
            wider[:count] = work[:count]
            work = wider
        if numbers[a] == 0:
            for i in range(set_splits[only], set_splits[only + 1]):
                work[count, 0], work[count, 1] = begins[i], ends[i]
                count += 1
        else:
            several = True
            work[count, 0], work[count, 1] = numbers[a], numbers[a] + 1
            count += 1
    if only >= 0 and not several and not final:
        return only, work, 0
    order = np.argsort(work[:count, 0])
    merged = work[:count][order]
    used = 0
    for i in range(count):
        if used > 0 and merged[i, 0] <= work[used - 1, 1]:
            work[used - 1, 1] = max(work[used - 1, 1], merged[i, 1])
        else:
            work[used, 0], work[used, 1] = merged[i, 0], merged[i, 1]
            used += 1
    return -1, work, used


@kernel
def _known(table, set_splits, begins, ends, work, used):
    """Returns where a set stands in the hash table, or the free place that it would take."""
    value = np.uint64(used)
    for i in range(used):
        value = (value ^ np.uint64(work[i, 0])) * FACTOR
        value = (value ^ np.uint64(work[i, 1])) * FACTOR
    mask = np.uint64(len(table) - 1)
    at = (value >> np.uint64(20)) & mask
    while table[at] >= 0:
        k = table[at]
        first = set_splits[k]
        same = set_splits[k + 1] - first == used
        for i in range(used if same else 0):
            same = same and begins[first + i] == work[i, 0] and ends[first + i] == work[i, 1]
        if same:
            break
        at = (at + np.uint64(1)) & mask
    return at


@kernel
def _doubled(table, count, set_splits, begins, ends):
    """Returns a hash table of twice the size with the same sets."""
    doubled = np.full(2 * len(table), -1, np.int32)
    for k in range(count):
        first, end = set_splits[k], set_splits[k + 1]
        rows = np.empty((end - first, 2), np.int32)
        rows[:, 0], rows[:, 1] = begins[first:end], ends[first:end]
        doubled[_known(doubled, set_splits, begins, ends, rows, end - first)] = k
    return doubled


@kernel
def reach_sets(splits, next_states, numbers, finals):
    """Finds what can come next from each state.

    Args:
      splits: int64 [S+1]. next_states: int32 [A]. numbers: int32 [A], of the arc's word; 0 without.
      finals: bool [S].

    Returns:
      int32 [S], the set of each state (-1: nothing can come); and the sets: int64 [N+1], splits of int32 [I], begins
      and ends of their intervals, which rise and do not touch.
    """
    order = _postorder(splits, next_states, numbers)
    sets = np.full(len(splits) - 1, -1, np.int32)
    set_splits, begins, ends = np.zeros(64, np.int64), np.empty(64, np.int32), np.empty(64, np.int32)
    table, work = np.full(64, -1, np.int32), np.empty((64, 2), np.int32)
    count, changed = 0, True
    while changed:  # more than once only where there are cycles
        changed = False
        for s in order:
            k, work, used = _gather(s, splits, next_states, numbers, finals[s], sets, set_splits, begins, ends, work)
            if k < 0 and used > 0:
                if 2 * count > len(table):
                    table = _doubled(table, count, set_splits, begins, ends)
                at = _known(table, set_splits, begins, ends, work, used)
                k = table[at]
                if k < 0:
                    first = set_splits[count]
                    begins, ends = larger(begins, first + used), larger(ends, first + used)
                    begins[first : first + used], ends[first : first + used] = work[:used, 0], work[:used, 1]
                    set_splits = larger(set_splits, count + 2)
                    set_splits[count + 1] = first + used
                    k, table[at] = count, count
                    count += 1
            if k != sets[s]:
                sets[s], changed = k, True
    return sets, set_splits[: count + 1], begins[: set_splits[count]], ends[: set_splits[count]]


def count_numbers(splits: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Returns how many numbers each set holds, int64 [N]."""
    return np.add.reduceat((ends - begins).astype(np.int64), splits[:-1]) if len(splits) > 1 else np.zeros(0, np.int64)
