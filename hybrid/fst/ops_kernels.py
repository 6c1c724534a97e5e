"""Loops over the states and arcs of large graphs, compiled by numba."""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.base.log_math import log_add

__all__ = [
    "add_costs",
    "copy_useful",
    "count_useful",
    "entering_states",
    "first_at_least",
    "has_one_way",
    "log_sums",
    "reweight",
    "spread_potentials",
    "useful_states",
]

_SWEEPS = 8  # over all states, before single states are searched
_FEW = 4096  # states that are swept over until nothing changes


@kernel
def first_at_least(labels, begin, end, wanted):
    """Returns the first index in the sorted labels[begin:end] whose label is not below `wanted`."""
    while begin < end:
        middle = (begin + end) // 2
        if labels[middle] < wanted:
            begin = middle + 1
        else:
            end = middle
    return begin


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
        total = 0.0
        if finals[state] < np.inf:
            total = np.exp(np.float64(best) - finals[state])
        for arc in range(splits[state], splits[state + 1]):
            total += 1.0 if costs[arc] == best else np.exp(np.float64(best) - costs[arc])
        sums[state] = (np.log(total) if total != 1.0 else 0.0) - best
    return sums


@kernel
def useful_states(start, splits, next_states, finals, reached=False):
    """Marks the states on some path from the start to a final state; `reached`: the start leads to all of them.

    First by sweeps over all states in turn, which read memory in order; where the numbers of states run so much against
    the arcs that a few sweeps do not suffice, by a search from state to state.
    """
    forward, backward = np.full(len(finals), reached), finals < np.inf
    forward[start] = True
    if not reached and not _sweep_forward(splits, next_states, forward):
        _search_forward(splits, next_states, forward)
    for state in range(len(finals)):
        backward[state] &= forward[state]
    if not _sweep_backward(splits, next_states, forward, backward):
        _search_backward(splits, next_states, forward, backward)
    return backward


@kernel
def _sweep_forward(splits, next_states, forward):
    """Marks what marked states lead to; returns whether that was done when the sweeps ended."""
    for _ in range(_SWEEPS):
        again = False
        for state in range(len(forward)):
            if forward[state]:
                for arc in range(splits[state], splits[state + 1]):
                    to = next_states[arc]
                    if not forward[to]:
                        forward[to] = True
                        again |= to < state
        if not again:
            return True
    return False


@kernel
def _sweep_backward(splits, next_states, forward, backward):
    """Marks, of the states in `forward`, those that lead to marked ones; returns whether it was done."""
    left = forward.sum() - backward.sum()
    for _ in range(_SWEEPS):
        before = left
        for state in range(len(forward) - 1, -1, -1):
            if forward[state] and not backward[state]:
                for arc in range(splits[state], splits[state + 1]):
                    if backward[next_states[arc]]:
                        backward[state] = True
                        left -= 1
                        break
        if left == 0 or left == before:
            return True
        if left < _FEW:
            _sweep_few(splits, next_states, np.flatnonzero(forward & ~backward), backward)
            return True
    return False


@kernel
def _sweep_few(splits, next_states, states, backward):
    """Marks, of some states, those that lead to marked ones."""
    again = True
    while again:
        again = False
        for i in range(len(states) - 1, -1, -1):
            for arc in range(splits[states[i]], splits[states[i] + 1]):
                if backward[next_states[arc]] and not backward[states[i]]:
                    backward[states[i]] = again = True


@kernel
def _search_forward(splits, next_states, forward):
    stack = np.empty(len(forward), np.int32)
    top = 0
    for state in range(len(forward)):
        if forward[state]:
            stack[top] = state
            top += 1
    while top > 0:
        top -= 1
        for arc in range(splits[stack[top]], splits[stack[top] + 1]):
            to = next_states[arc]
            if not forward[to]:
                forward[to] = True
                stack[top] = to
                top += 1


@kernel
def _search_backward(splits, next_states, forward, backward):
    entering, sources = entering_states(splits, next_states)
    stack = np.flatnonzero(backward).astype(np.int32)
    stack = np.append(stack, np.empty(len(forward) - len(stack), np.int32))
    top = backward.sum()
    while top > 0:
        top -= 1
        state = stack[top]
        for k in range(entering[state], entering[state + 1]):
            if forward[sources[k]] and not backward[sources[k]]:
                backward[sources[k]] = True
                stack[top] = sources[k]
                top += 1


@kernel
def count_useful(useful, splits, next_states):
    """Numbers the useful states: int32 [num_states], −1 elsewhere; and int64 splits of the arcs between them."""
    number = np.full(len(useful), -1, np.int32)
    new_splits = np.zeros(useful.sum() + 1, np.int64)
    count = 0
    for state in range(len(useful)):
        if useful[state]:
            number[state] = count
            degree = 0
            for arc in range(splits[state], splits[state + 1]):
                degree += useful[next_states[arc]]
            new_splits[count + 1] = new_splits[count] + degree
            count += 1
    return number, new_splits


@kernel
def copy_useful(number, splits, targets, order, arcs, new_arcs):
    """Copies the arcs between numbered states.

    Args:
      number: int32 [num_states], −1 of those that are left out.
      order: int32 [num_arcs], where the labels and the cost of each arc stand; empty: in order.
      arcs: input labels, output labels and costs.
      new_arcs: input labels, output labels, targets and costs, written.
    """
    ilabels, olabels, costs = arcs
    il, ol, to, new_costs = new_arcs
    place = 0
    for state in range(len(number)):
        if number[state] >= 0:
            for arc in range(splits[state], splits[state + 1]):
                target = number[targets[arc]]
                if target >= 0:
                    at = order[arc] if len(order) else arc
                    il[place], ol[place], to[place], new_costs[place] = ilabels[at], olabels[at], target, costs[at]
                    place += 1


@kernel
def entering_states(splits, next_states):
    """Returns int64 [num_states + 1] and int32 [num_arcs]: the states from which arcs enter each state."""
    num_states = len(splits) - 1
    begins = np.zeros(num_states + 2, np.int64)  # while sources are written, that of each state stands one further on
    for to in next_states:
        begins[to + 2] += 1
    for state in range(num_states):
        begins[state + 2] += begins[state + 1]
    sources = np.empty(len(next_states), np.int32)
    for state in range(num_states):
        for arc in range(splits[state], splits[state + 1]):
            to = next_states[arc] + 1
            sources[begins[to]] = state
            begins[to] += 1
    return begins[:-1], sources


@kernel
def spread_potentials(start, splits, next_states, probabilities, finals, values, new, damping):
    """One step of the power method: the value of a state becomes what its arcs lead to.

    Args:
      probabilities, finals: float64, of arcs and final weights; a final weight leads back to the start.
      values: float64 [num_states], changed in place to unit length.
      new: float64 [num_states], scratch.

    Returns:
      The smallest and largest ratio of new to old value, damping taken off.
    """
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
