"""The passes through one graph per sequence on CPU, compiled by numba: in the log domain, float64.

A numerator may be long and cyclic, and its only complete path far less likely than others meanwhile: no scale per frame
would save it from underflow.
"""

from __future__ import annotations

import math

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["sequences_pass"]

FAR = 1 << 30
NEGLIGIBLE = -100.0  # of a log posterior


@kernel
def _reach(low, high, starts, rows, order, ends, distances, queue):
    """Fills each state's least number of arcs from a start; returns how many states were reached, in `queue`."""
    size = 0
    for s in range(low, high):
        distances[s - low] = FAR
        if starts[s] > -np.inf:
            distances[s - low] = 0
            queue[size] = s
            size += 1
    head = 0
    while head < size:
        state = queue[head]
        head += 1
        for k in range(rows[state], rows[state + 1]):
            other = ends[order[k]]
            if distances[other - low] == FAR:
                distances[other - low] = distances[state - low] + 1
                queue[size] = other
                size += 1
    return size


@kernel
def _log_sum(values, count):
    largest = -np.inf
    for k in range(count):
        if not values[k] <= largest:  # also NaN
            largest = values[k]
    if not -np.inf < largest < np.inf:
        return largest
    total = 0.0
    for k in range(count):
        total += math.exp(values[k] - largest)
    return largest + math.log(total)


@kernel
def _one_sequence(
    scores, frames, low, high, from_state, to_state, pdf, log_weight, initial, final, into, into_arcs, out, out_arcs,
    occupancy,
):  # fmt: skip
    """Passes both ways through the graph of states low to high; returns the log of its paths' total weight.

    A state takes part from the first frame it can be reached at to the last it can still be left from in time: of
    acceptors with one arc per frame just the states of that frame.
    """
    states = high - low
    first, remaining = np.empty(states, np.int64), np.empty(states, np.int64)
    queue = np.empty(states, np.int64)
    _reach(low, high, final, into, into_arcs, from_state, remaining, queue)
    size = _reach(low, high, initial, out, out_arcs, to_state, first, queue)
    alpha = np.full((frames + 1, states), -np.inf)
    begin, stop = np.zeros(frames + 1, np.int64), np.zeros(frames + 1, np.int64)  # of the queue, per frame
    widest = states
    for s in range(low, high):
        widest = max(widest, into[s + 1] - into[s], out[s + 1] - out[s])
    values = np.empty(widest)
    for t in range(frames + 1):
        begin[t] = begin[t - 1] if t else 0
        stop[t] = stop[t - 1] if t else 0
        while stop[t] < size and first[queue[stop[t]] - low] <= t:
            stop[t] += 1
        while begin[t] < stop[t] and remaining[queue[begin[t]] - low] > frames - t:
            begin[t] += 1
        for q in range(begin[t], stop[t]):
            s = queue[q]
            if remaining[s - low] > frames - t:
                continue
            if t == 0:
                alpha[0, s - low] = initial[s]
                continue
            count = 0
            for k in range(into[s], into[s + 1]):
                arc = into_arcs[k]
                values[count] = alpha[t - 1, from_state[arc] - low] + log_weight[arc] + scores[t - 1, pdf[arc]]
                count += 1
            alpha[t, s - low] = _log_sum(values, count)
    for s in range(states):
        values[s] = alpha[frames, s] + final[low + s]
    total = _log_sum(values, states)
    if not -np.inf < total < np.inf:
        return total
    beta, before = np.full(states, -np.inf), np.full(states, -np.inf)
    for s in range(states):
        beta[s] = final[low + s]
    for t in range(frames - 1, -1, -1):
        before[:] = -np.inf
        for q in range(begin[t], stop[t]):
            s = queue[q]
            count = 0
            here = alpha[t, s - low] - total
            if here == -np.inf:
                continue
            for k in range(out[s], out[s + 1]):
                arc = out_arcs[k]
                value = beta[to_state[arc] - low] + log_weight[arc] + scores[t, pdf[arc]]  # in float64
                values[count] = value
                count += 1
                if value + here > NEGLIGIBLE:
                    occupancy[t, pdf[arc]] += math.exp(value + here)
            before[s - low] = _log_sum(values, count)
        beta, before = before, beta
    return total


@kernel
def sequences_pass(
    scores, lengths, state_splits, from_state, to_state, pdf, log_weight, initial, final, into, into_arcs, out,
    out_arcs, begin, end, totals, occupancy,
):  # fmt: skip
    """Passes through the graphs of sequences begin to end.

    Args:
      scores: [N][T][P]. lengths, state_splits: int64. from_state, …, out_arcs: see `Arcs` and `SequenceRows`.
      totals: out, float64 [N]. occupancy: out, [N][T][P], zeros before.
    """
    for n in range(begin, end):
        totals[n] = _one_sequence(
            scores[n], lengths[n], state_splits[n], state_splits[n + 1], from_state, to_state, pdf, log_weight, initial,
            final, into, into_arcs, out, out_arcs, occupancy[n],
        )  # fmt: skip
