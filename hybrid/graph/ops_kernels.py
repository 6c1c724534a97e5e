"""Loops over the states and arcs of large graphs, compiled by numba."""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.base.log_math import log_add

__all__ = ["add_costs", "has_one_way", "log_sums", "reweight", "spread_potentials", "useful_states"]


@kernel
def add_costs(a, b):
    """Adds two costs as probabilities: -log(exp(-a) + exp(-b)); inf is zero probability."""
    return -log_add(-a, -b)


@kernel
def has_one_way(splits, ilabels, num_labels):
    """Whether the input labels of each state's arcs differ and none is 0."""
    last = np.full(num_labels, -1, np.int32)  # the state that had a label last
    for state in range(len(splits) - 1):
        for arc in range(splits[state], splits[state + 1]):
            if ilabels[arc] == 0 or last[ilabels[arc]] == state:
                return False
            last[ilabels[arc]] = state
    return True


@kernel
def log_sums(splits, costs, finals):
    """Log of each state's total probability."""
    sums = np.empty(len(finals), np.float64)
    for state in range(len(finals)):
        best = finals[state]
        for arc in range(splits[state], splits[state + 1]):
            best = min(best, costs[arc])
        if best == np.inf:
            sums[state] = -np.inf
            continue
        total = np.exp(np.float64(best) - finals[state])
        for arc in range(splits[state], splits[state + 1]):
            total += np.exp(np.float64(best) - costs[arc])
        sums[state] = np.log(total) - best
    return sums


@kernel
def useful_states(start, splits, next_states, finals):
    """Marks the states on some path from the start to a final state."""
    num_states = len(finals)
    stack = np.empty(num_states, np.int32)
    forward = np.zeros(num_states, np.bool_)
    forward[start] = True
    stack[0], top = start, 1
    while top > 0:
        top -= 1
        state = stack[top]
        for arc in range(splits[state], splits[state + 1]):
            to = next_states[arc]
            if not forward[to]:
                forward[to] = True
                stack[top] = to
                top += 1
    entering = np.zeros(num_states + 1, np.int64)
    for arc in range(len(next_states)):
        entering[next_states[arc] + 1] += 1
    for state in range(num_states):
        entering[state + 1] += entering[state]
    fill = entering[:-1].copy()
    source = np.empty(len(next_states), np.int32)
    for state in range(num_states):
        for arc in range(splits[state], splits[state + 1]):
            to = next_states[arc]
            source[fill[to]] = state
            fill[to] += 1
    backward = np.zeros(num_states, np.bool_)
    top = 0
    for state in range(num_states):
        if finals[state] < np.inf and forward[state]:
            backward[state] = True
            stack[top] = state
            top += 1
    while top > 0:
        top -= 1
        state = stack[top]
        for k in range(entering[state], entering[state + 1]):
            if not backward[source[k]] and forward[source[k]]:
                backward[source[k]] = True
                stack[top] = source[k]
                top += 1
    return backward


@kernel
def spread_potentials(start, splits, next_states, probabilities, finals, values, damping):
    """One step of the power method: the value of a state becomes what its arcs lead to.

    Args:
      probabilities, finals: float64, of arcs and final weights; a final weight leads back to the start.
      values: float64 [num_states], changed in place to unit length.

    Returns:
      The smallest and largest ratio of new to old value, damping taken off.
    """
    new = np.empty_like(values)
    low, high, square = np.inf, 0.0, 0.0
    for state in range(len(values)):
        total = finals[state] * values[start]
        for arc in range(splits[state], splits[state + 1]):
            total += probabilities[arc] * values[next_states[arc]]
        ratio = total / values[state]
        low, high = min(low, ratio), max(high, ratio)
        new[state] = total + damping * values[state]
        square += new[state] * new[state]
    length = np.sqrt(square)
    for state in range(len(values)):
        values[state] = new[state] / length
    return low, high


@kernel
def reweight(start, splits, next_states, costs, finals, potentials):
    """Adds to each arc, in place, the potential that it leads to and takes off that which it leaves."""
    for state in range(len(finals)):
        for arc in range(splits[state], splits[state + 1]):
            costs[arc] = costs[arc] + potentials[next_states[arc]] - potentials[state]
        if finals[state] < np.inf:
            finals[state] = finals[state] + potentials[start] - potentials[state]
