"""Token passing through a training graph, compiled by numba.

Tokens live in two growing arrays: where each came from and over which arc. Per frame every live
state has one token; `costs`, `tokens` (per state) and `active` (list of live states) describe it.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["FINISHED", "LOOP", "NOT_FINAL", "best_path"]

FINISHED, NOT_FINAL, LOOP = 1, 0, -1


@kernel
def _grown(array):
    larger = np.empty(2 * len(array), array.dtype)
    larger[: len(array)] = array
    return larger


@kernel
def _cutoff(costs, active, beam, min_active):
    """Returns the cost above which tokens of a frame are dropped."""
    if len(active) <= min_active:
        return np.inf
    best = np.inf
    for state in active:
        if costs[state] < best:
            best = costs[state]
    cutoff = best + beam
    inside = 0
    for state in active:
        inside += costs[state] <= cutoff
    if inside >= min_active:
        return cutoff
    return np.sort(costs[active])[min_active - 1]


@kernel
def _spread(splits, columns, arc_costs, next_states, with_epsilon, costs, tokens, active, size, previous, taken, count):
    """Follows arcs without input within a frame; returns the new size (-1: an endless loop), arrays and count."""
    num_states = len(costs)
    stack = np.empty(num_states, np.int32)
    on_stack = np.zeros(num_states, np.bool_)
    top = 0
    for i in range(size):
        if with_epsilon[active[i]]:
            stack[top] = active[i]
            on_stack[active[i]] = True
            top += 1
    steps = 0
    while top > 0:
        top -= 1
        state = stack[top]
        on_stack[state] = False
        steps += 1
        if steps > 1000 * (num_states + 1):
            return -1, previous, taken, count
        for arc in range(splits[state], splits[state + 1]):
            cost = costs[state] + arc_costs[arc]
            target = next_states[arc]
            if columns[arc] >= 0 or not cost < costs[target]:
                continue
            if tokens[target] < 0:
                active[size] = target
                size += 1
            if count == len(previous):
                previous, taken = _grown(previous), _grown(taken)
            previous[count], taken[count] = tokens[state], arc
            costs[target], tokens[target] = cost, count
            count += 1
            if with_epsilon[target] and not on_stack[target]:
                stack[top] = target
                on_stack[target] = True
                top += 1
    return size, previous, taken, count


@kernel
def _advance(
    splits, columns, arc_costs, next_states, row, scale, cutoff,
    costs, tokens, active, size, next_costs, next_tokens, next_active, previous, taken, count,
):  # fmt: skip
    """Moves the tokens of a frame over arcs with input and forgets them; returns size, arrays and count."""
    next_size = 0
    for i in range(size):
        state = active[i]
        if costs[state] <= cutoff:
            for arc in range(splits[state], splits[state + 1]):
                if columns[arc] < 0:
                    continue
                cost = costs[state] + arc_costs[arc] - scale * row[columns[arc]]
                target = next_states[arc]
                if not cost < next_costs[target]:
                    continue
                if next_tokens[target] < 0:
                    next_active[next_size] = target
                    next_size += 1
                    if count == len(previous):
                        previous, taken = _grown(previous), _grown(taken)
                    next_tokens[target] = count
                    count += 1
                # the token may be overwritten in place: nobody points to it yet
                previous[next_tokens[target]], taken[next_tokens[target]] = tokens[state], arc
                next_costs[target] = cost
        costs[state], tokens[state] = np.inf, -1
    return next_size, previous, taken, count


@kernel
def _trace(token, previous, taken):
    """Returns the arcs that led to a token, in order."""
    length, at = 0, token
    while previous[at] >= 0:
        length += 1
        at = previous[at]
    path = np.empty(length, np.int64)
    at = token
    for i in range(length - 1, -1, -1):
        path[i] = taken[at]
        at = previous[at]
    return path


@kernel
def best_path(start, splits, columns, arc_costs, next_states, final_costs, scores, scale, beam, min_active):
    """Finds the cheapest path of exactly len(scores) arcs with input, from the start to a final state.

    Args:
      columns: int32 [num_arcs], column of the scores, -1 for arcs without input.
      arc_costs: float64 [num_arcs].
      scores: float32 [frame][column], unscaled.
      scale: what scores are multiplied by.
      beam, min_active: tokens above the frame's best cost + beam are dropped, but not the best min_active.

    Returns:
      Arcs of the path in order (empty where there is none); its cost; FINISHED, NOT_FINAL (no final state was alive
      at the end) or LOOP (arcs without input form a loop that lowers the cost).
    """
    num_states = len(final_costs)
    nothing = np.empty(0, np.int64)
    with_epsilon = np.zeros(num_states, np.bool_)
    for state in range(num_states):
        for arc in range(splits[state], splits[state + 1]):
            with_epsilon[state] |= columns[arc] < 0
    some_epsilon = with_epsilon.any()
    costs, next_costs = np.full(num_states, np.inf), np.full(num_states, np.inf)
    tokens, next_tokens = np.full(num_states, -1, np.int64), np.full(num_states, -1, np.int64)
    active, next_active = np.empty(num_states, np.int32), np.empty(num_states, np.int32)
    previous, taken = np.empty(1 << 14, np.int64), np.empty(1 << 14, np.int64)
    previous[0], taken[0] = -1, -1
    costs[start], tokens[start], active[0] = 0.0, 0, start
    size, count = 1, 1
    for frame in range(len(scores) + 1):
        if some_epsilon:
            size, previous, taken, count = _spread(
                splits,
                columns,
                arc_costs,
                next_states,
                with_epsilon,
                costs,
                tokens,
                active,
                size,
                previous,
                taken,
                count,
            )
            if size < 0:
                return nothing, np.inf, LOOP
        if frame == len(scores):
            break
        cutoff = _cutoff(costs, active[:size], beam, min_active)
        size, previous, taken, count = _advance(
            splits, columns, arc_costs, next_states, scores[frame], scale, cutoff,
            costs, tokens, active, size, next_costs, next_tokens, next_active, previous, taken, count,
        )  # fmt: skip
        costs, next_costs = next_costs, costs
        tokens, next_tokens = next_tokens, tokens
        active, next_active = next_active, active

    best, cost = -1, np.inf
    for i in range(size):
        total = costs[active[i]] + final_costs[active[i]]
        if total < cost:
            cost, best = total, tokens[active[i]]
    if best < 0:
        return nothing, np.inf, NOT_FINAL
    return _trace(best, previous, taken), cost, FINISHED
