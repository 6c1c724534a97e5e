"""Loops over the words of OpenFst's vector files, compiled by numba."""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["measure_vector", "pack_vector", "unpack_vector", "vector_stats"]


@kernel
def measure_vector(words, num_states):
    """Counts the states, arcs and int32 words of an FST in `words` ([final, arcs (int64), arcs × 4] per state).

    Args:
      num_states: how many the header promises; negative where it did not know (the FST then fills the file).

    Returns:
      States, arcs, words used; states is -(s + 1) where state s is cut short.
    """
    position = arcs = np.int64(0)
    state = 0
    size = len(words)
    while state != num_states:
        if num_states < 0 and position == size:
            break
        if position + 3 > size:
            return -(state + 1), 0, 0
        low = np.int64(np.uint32(words[position + 1]))
        count = low + (np.int64(words[position + 2]) << 32)
        if count < 0 or count > (size - position - 3) // 4:
            return -(state + 1), 0, 0
        position += 3 + 4 * count
        arcs += count
        state += 1
    return state, arcs, position


@kernel
def unpack_vector(words, floats, splits, final_costs, ilabels, olabels, next_states, costs):
    """Spreads the words of a vector file over the arrays of an FST (words and floats are one memory)."""
    position, arc = 0, 0
    for state in range(len(final_costs)):
        final_costs[state] = floats[position]
        splits[state] = arc
        count = np.int64(np.uint32(words[position + 1]))
        position += 3
        for _ in range(count):
            ilabels[arc] = words[position]
            olabels[arc] = words[position + 1]
            costs[arc] = floats[position + 2]
            next_states[arc] = words[position + 3]
            position += 4
            arc += 1
    splits[len(final_costs)] = arc


@kernel
def pack_vector(begin, end, splits, final_costs, ilabels, olabels, next_states, costs, words, floats):
    """Writes states begin to end in the layout of a vector file (words and floats are one memory)."""
    position = 0
    for state in range(begin, end):
        floats[position] = final_costs[state]
        count = splits[state + 1] - splits[state]
        words[position + 1] = np.int32(count)
        words[position + 2] = 0
        position += 3
        for arc in range(splits[state], splits[state + 1]):
            words[position] = ilabels[arc]
            words[position + 1] = olabels[arc]
            floats[position + 2] = costs[arc]
            words[position + 3] = next_states[arc]
            position += 4


@kernel
def vector_stats(words, floats, num_states):
    """Returns states, arcs, and the extremes of the cost that each state's arcs and final weight sum to."""
    position, arcs = np.int64(0), np.int64(0)
    low, high = np.inf, -np.inf
    for _ in range(num_states):
        count = np.int64(words[position + 1])
        best = floats[position]
        for arc in range(count):
            best = min(best, floats[position + 5 + 4 * arc])
        cost = np.inf
        if best < np.inf:
            total = np.exp(np.float64(best) - floats[position])
            for arc in range(count):
                total += np.exp(np.float64(best) - floats[position + 5 + 4 * arc])
            cost = best - np.log(total)
        low, high = min(low, cost), max(high, cost)
        position += 3 + 4 * count
        arcs += count
    return num_states, arcs, low, high
