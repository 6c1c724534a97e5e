"""Viterbi over a band of states, compiled by numba: for graphs whose every arc takes a frame.

States are renumbered in the order in which they can be reached; the live ones then lie close
together, and a frame is a sweep over the arcs into that band, without lists or jumps. Where each
frame's states came from is kept for its band only, so that memory grows with the band and not
with the graph.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["best_path_in_band"]


@njit(cache=True)
def _reached(start, splits, next_states):
    """Returns the states in the order of the frame that can first reach them, and each state's place (-1: never)."""
    num_states = len(splits) - 1
    order = np.empty(num_states, np.int64)
    place = np.full(num_states, -1, np.int64)
    order[0], place[start] = start, 0
    size, done = 1, 0
    while done < size:
        state = order[done]
        done += 1
        for arc in range(splits[state], splits[state + 1]):
            target = next_states[arc]
            if place[target] < 0:
                order[size], place[target] = target, size
                size += 1
    return order[:size], place


@njit(cache=True)
def _incoming(order, place, splits, next_states):
    """Sorts arcs by the place they lead to.

    Returns:
      Splits over places, arcs, the arcs' sources, and the lowest and the highest place that each leads to.
    """
    size = len(order)
    in_splits = np.zeros(size + 1, np.int64)
    lowest, highest = np.full(size, size, np.int64), np.full(size, -1, np.int64)
    for source in range(size):
        for arc in range(splits[order[source]], splits[order[source] + 1]):
            target = place[next_states[arc]]
            in_splits[target + 1] += 1
            lowest[source] = min(lowest[source], target)
            highest[source] = max(highest[source], target)
    for target in range(size):
        in_splits[target + 1] += in_splits[target]
    filled = in_splits[:-1].copy()
    arcs, sources = np.empty(in_splits[size], np.int64), np.empty(in_splits[size], np.int64)
    for source in range(size):
        for arc in range(splits[order[source]], splits[order[source] + 1]):
            target = place[next_states[arc]]
            arcs[filled[target]], sources[filled[target]] = arc, source
            filled[target] += 1
    return in_splits, arcs, sources, lowest, highest


@njit(cache=True)
def _prune(costs, low, high, beam, min_active, lowest, highest):
    """Drops the tokens outside the beam; returns the band that the others reach."""
    best, alive = np.inf, 0
    for state in range(low, high):
        alive += costs[state] < np.inf
        best = costs[state] if costs[state] < best else best
    cutoff, inside = best + beam, 0
    for state in range(low, high):
        inside += costs[state] <= cutoff
    if alive <= min_active:
        cutoff = np.inf
    elif inside < min_active:
        cutoff = np.sort(costs[low:high])[min_active - 1]
    next_low, next_high = len(costs), 0
    for state in range(low, high):
        if costs[state] > cutoff:
            costs[state] = np.inf
        elif costs[state] < np.inf:
            next_low = lowest[state] if lowest[state] < next_low else next_low
            next_high = highest[state] + 1 if highest[state] >= next_high else next_high
    return next_low, next_high


@njit(cache=True)
def _sweep(low, high, in_splits, sources, columns, arc_costs, scaled, costs, next_costs, came_from):
    """Finds the best way into every state of a band; `came_from` gets the rank of the arc among those into it."""
    for state in range(low, high):
        best, choice = np.inf, 0
        first = in_splits[state]
        for i in range(first, in_splits[state + 1]):
            cost = costs[sources[i]] + arc_costs[i] - scaled[columns[i]]
            better = cost < best
            best = cost if better else best
            choice = i - first if better else choice
        next_costs[state] = best
        came_from[state - low] = choice


@njit(cache=True)
def _trace(state, in_splits, arcs, sources, came_from, offsets, lows):
    """Returns the arcs that led to a state at the last frame."""
    path = np.empty(len(lows), np.int64)
    for frame in range(len(lows) - 1, -1, -1):
        i = in_splits[state] + came_from[offsets[frame] + state - lows[frame]]
        path[frame] = arcs[i]
        state = sources[i]
    return path


@njit(cache=True)
def best_path_in_band(start, splits, columns, arc_costs, next_states, final_costs, scores, scale, beam, min_active):
    """Finds the cheapest path of exactly len(scores) arcs; arguments and results as `kernels.best_path`.

    Every arc has a column.
    """
    order, place = _reached(start, splits, next_states)
    in_splits, arcs, sources, lowest, highest = _incoming(order, place, splits, next_states)
    in_columns, in_costs = columns[arcs], arc_costs[arcs]
    frames, size = len(scores), len(order)
    costs, next_costs = np.full(size, np.inf), np.full(size, np.inf)
    scaled = np.empty(scores.shape[1], np.float64)
    lows, offsets = np.empty(frames, np.int64), np.zeros(frames + 1, np.int64)
    came_from = np.empty(1 << 16, np.int32)
    costs[0] = 0.0
    low, high = 0, 1
    for frame in range(frames):
        for column in range(len(scaled)):
            scaled[column] = scale * scores[frame, column]
        next_low, next_high = _prune(costs, low, high, beam, min_active, lowest, highest)
        begin, end = offsets[frame], offsets[frame] + max(0, next_high - next_low)
        if end > len(came_from):
            larger = np.empty(max(2 * len(came_from), end), np.int32)
            larger[:begin] = came_from[:begin]
            came_from = larger
        ways = came_from[begin:end]
        _sweep(next_low, next_high, in_splits, sources, in_columns, in_costs, scaled, costs, next_costs, ways)
        costs[low:high] = np.inf
        costs, next_costs = next_costs, costs
        lows[frame], offsets[frame + 1] = next_low, end
        low, high = next_low, max(next_low, next_high)

    best, state = np.inf, -1
    for candidate in range(low, high):
        total = costs[candidate] + final_costs[order[candidate]]
        if total < best:
            best, state = total, candidate
    if state < 0:
        return np.empty(0, np.int64), np.inf, 0
    return _trace(state, in_splits, arcs, sources, came_from, offsets, lows), best, 1
