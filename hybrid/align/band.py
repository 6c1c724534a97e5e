"""Viterbi over a band of states, compiled by numba: for graphs whose every arc takes a frame.

States are renumbered in the order in which they can be reached; the live ones then lie close
together, and a frame is a sweep over the arcs into that band, without lists or jumps. Where each
frame's states came from is kept for its band only, so that memory grows with the band and not
with the graph.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["best_path_scored_on_demand"]

FRAMES_AT_ONCE = 128  # scored together: many make a good matrix product, few let the band stay narrow


@kernel
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


@kernel
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


@kernel
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


@kernel
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


@kernel
def _trace(state, in_splits, arcs, sources, came_from, offsets, lows):
    """Returns the arcs that led to a state at the last frame."""
    path = np.empty(len(lows), np.int64)
    for frame in range(len(lows) - 1, -1, -1):
        i = in_splits[state] + came_from[offsets[frame] + state - lows[frame]]
        path[frame] = arcs[i]
        state = sources[i]
    return path


@kernel
def _wanted(low, high, frames, in_splits, columns, lowest, highest, num_columns):
    """Returns the columns on arcs into the places that a band can reach within some frames, in order."""
    begin, end = len(lowest), 0
    for _ in range(frames):
        next_low, next_high = len(lowest), 0
        for state in range(low, high):
            next_low = min(next_low, lowest[state])
            next_high = max(next_high, highest[state] + 1)
        begin, end = min(begin, next_low), max(end, next_high)
        if begin <= low and end >= high and next_low >= low and next_high <= high:
            break
        low, high = next_low, next_high
    found = np.zeros(num_columns, np.bool_)
    if begin < end:
        for i in range(in_splits[begin], in_splits[end]):
            found[columns[i]] = True
    return np.flatnonzero(found)


@kernel
def _advance(
    low, high, costs, next_costs, scores, wanted, scale, beam, min_active,
    in_splits, sources, columns, arc_costs, lowest, highest, came_from, used, lows, offsets,
):  # fmt: skip
    """Passes the tokens of the band [low, high) over some frames.

    Args:
      scores: float32 [frame][len(wanted)], unscaled.
      came_from, used: where tokens came from, and how much of it is filled.
      lows, offsets: int64 [frame], written: first state and place in `came_from` of each frame's band.

    Returns:
      The new band, tokens (two arrays, the first one filled), came_from (grown if need be) and used.
    """
    scaled = np.full(1 + wanted.max() if len(wanted) else 0, -np.inf)
    for frame in range(len(scores)):
        for i in range(len(wanted)):
            scaled[wanted[i]] = scale * scores[frame, i]
        next_low, next_high = _prune(costs, low, high, beam, min_active, lowest, highest)
        end = used + max(0, next_high - next_low)
        if end > len(came_from):
            larger = np.empty(max(2 * len(came_from), end), np.int32)
            larger[:used] = came_from[:used]
            came_from = larger
        ways = came_from[used:end]
        _sweep(next_low, next_high, in_splits, sources, columns, arc_costs, scaled, costs, next_costs, ways)
        costs[low:high] = np.inf
        costs, next_costs = next_costs, costs
        lows[frame], offsets[frame] = next_low, used
        used, low, high = end, next_low, max(next_low, next_high)
    return low, high, costs, next_costs, came_from, used


def best_path_scored_on_demand(
    start: int, splits: np.ndarray, columns: np.ndarray, arc_costs: np.ndarray, next_states: np.ndarray,
    final_costs: np.ndarray, score: Callable[[int, int, np.ndarray], np.ndarray], frames: int, num_columns: int,
    scale: float, beam: float, min_active: int, at_once: int = FRAMES_AT_ONCE,
) -> tuple[np.ndarray, float, np.ndarray]:  # fmt: skip
    """Finds the cheapest path of exactly `frames` arcs from the start to a final state.

    Scores are asked for as the band moves on: of pdfs that it can reach, no others.

    Args:
      start, splits, next_states, final_costs: of the graph; final_costs are inf where no path ends.
      columns: int32 [num_arcs], column of the scores that each arc takes.
      arc_costs: float64 [num_arcs].
      score: (begin, end, columns int64 [n]) → float32 [end - begin][n], unscaled scores of these frames.
      frames, num_columns: size of all scores together.
      scale: what scores are multiplied by.
      beam, min_active: tokens above the frame's best cost + beam are dropped, but not the best min_active.
      at_once: frames between two questions.

    Returns:
      Arcs of the path, int64 [frame], its cost, and the scores along it, float32 [frame]; nothing, inf and nothing
      where no final state is alive at the end.
    """
    order, place = _reached(start, splits, next_states)
    in_splits, arcs, sources, lowest, highest = _incoming(order, place, splits, next_states)
    in_columns, in_costs = columns[arcs], arc_costs[arcs]
    costs, next_costs = np.full(len(order), np.inf), np.full(len(order), np.inf)
    lows, offsets = np.empty(frames, np.int64), np.empty(frames, np.int64)
    came_from, used = np.empty(1 << 16, np.int32), 0
    costs[0] = 0.0
    low, high = 0, 1
    parts = []
    for begin in range(0, frames, at_once):
        end = min(begin + at_once, frames)
        wanted = _wanted(low, high, end - begin, in_splits, in_columns, lowest, highest, num_columns)
        part = np.ascontiguousarray(score(begin, end, wanted), dtype=np.float32)
        parts.append((begin, end, wanted, part))
        low, high, costs, next_costs, came_from, used = _advance(
            low, high, costs, next_costs, part, wanted, scale, beam, min_active,
            in_splits, sources, in_columns, in_costs, lowest, highest, came_from, used,
            lows[begin:end], offsets[begin:end],
        )  # fmt: skip
    totals = costs[low:high] + final_costs[order[low:high]]
    if not len(totals) or not np.isfinite(totals.min()):
        return np.empty(0, np.int64), np.inf, np.empty(0, np.float32)
    best = int(totals.argmin())
    path = _trace(low + best, in_splits, arcs, sources, came_from, offsets, lows)
    along = [part[np.arange(e - b), np.searchsorted(wanted, columns[path[b:e]])] for b, e, wanted, part in parts]
    return path, float(totals[best]), np.concatenate(along)
