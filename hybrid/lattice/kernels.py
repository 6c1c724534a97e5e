"""Loops over the arcs of a lattice: order, frames, best scores, sums of scores, trimming.

All take compressed rows (`row_splits` int64 [S+1], `next_states` int32 [A]) of a top-sorted lattice that starts in
state 0, and sum in float64.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.base.log_math import log_add

__all__ = [
    "backward_max",
    "backward_sum",
    "forward_max",
    "forward_sum",
    "frames_of_states",
    "keep_arcs",
    "on_paths",
    "topological_order",
]

NEG_INF = -np.inf


@kernel
def topological_order(row_splits, next_states, start):
    """Orders the states reachable from `start` (Kahn, 1962).

    Returns:
      int64 [S] the reachable states in order, and how many there are; the count is -1 if there is a cycle.
    """
    num_states = len(row_splits) - 1
    reachable = np.zeros(num_states, np.bool_)
    stack = np.empty(num_states, np.int64)
    stack[0] = start
    reachable[start] = True
    depth = 1
    total = 1
    indegree = np.zeros(num_states, np.int64)
    while depth > 0:
        depth -= 1
        s = stack[depth]
        for a in range(row_splits[s], row_splits[s + 1]):
            d = next_states[a]
            indegree[d] += 1
            if not reachable[d]:
                reachable[d] = True
                total += 1
                stack[depth] = d
                depth += 1
    order = np.empty(num_states, np.int64)
    if indegree[start] > 0:
        return order, -1
    order[0] = start
    head, tail = 0, 1
    while head < tail:
        s = order[head]
        head += 1
        for a in range(row_splits[s], row_splits[s + 1]):
            d = next_states[a]
            indegree[d] -= 1
            if indegree[d] == 0:
                order[tail] = d
                tail += 1
    if tail != total:
        return order, -1
    return order, total


@kernel
def frames_of_states(row_splits, next_states, transition_ids):
    """Counts the transition-ids on the paths to each state.

    Returns:
      int32 [S]; the first state whose paths disagree, or -1.
    """
    num_states = len(row_splits) - 1
    frames = np.full(num_states, -1, np.int32)
    if num_states:
        frames[0] = 0
    for s in range(num_states):
        if frames[s] < 0:
            continue
        for a in range(row_splits[s], row_splits[s + 1]):
            d = next_states[a]
            f = frames[s] + (1 if transition_ids[a] != 0 else 0)
            if frames[d] < 0:
                frames[d] = f
            elif frames[d] != f:
                return frames, d
    return frames, -1


@kernel
def forward_max(row_splits, next_states, scores):
    """Returns float64 [S], the score of the best path from the start to each state."""
    num_states = len(row_splits) - 1
    alpha = np.full(num_states, NEG_INF)
    if num_states:
        alpha[0] = 0.0
    for s in range(num_states):
        for a in range(row_splits[s], row_splits[s + 1]):
            value = alpha[s] + scores[a]
            if value > alpha[next_states[a]]:
                alpha[next_states[a]] = value
    return alpha


@kernel
def backward_max(row_splits, next_states, scores, final_scores):
    """Returns float64 [S], the score of the best path from each state to the end, and its first arc (-1: it ends)."""
    num_states = len(row_splits) - 1
    beta = final_scores.astype(np.float64)
    best = np.full(num_states, -1, np.int64)
    for s in range(num_states - 1, -1, -1):
        for a in range(row_splits[s], row_splits[s + 1]):
            value = scores[a] + beta[next_states[a]]
            if value > beta[s]:
                beta[s] = value
                best[s] = a
    return beta, best


@kernel
def forward_sum(row_splits, next_states, scores):
    """Returns float64 [S], the log of the summed path weights from the start to each state."""
    num_states = len(row_splits) - 1
    alpha = np.full(num_states, NEG_INF)
    if num_states:
        alpha[0] = 0.0
    for s in range(num_states):
        for a in range(row_splits[s], row_splits[s + 1]):
            alpha[next_states[a]] = log_add(alpha[next_states[a]], alpha[s] + scores[a])
    return alpha


@kernel
def backward_sum(row_splits, next_states, scores, final_scores):
    """Returns float64 [S], the log of the summed path weights from each state to the end."""
    num_states = len(row_splits) - 1
    beta = final_scores.astype(np.float64)
    for s in range(num_states - 1, -1, -1):
        for a in range(row_splits[s], row_splits[s + 1]):
            beta[s] = log_add(beta[s], scores[a] + beta[next_states[a]])
    return beta


@kernel
def keep_arcs(row_splits, next_states, scores, alpha, beta, threshold):
    """Marks the arcs (bool [A]) and states (bool [S]) with a path through them of at least `threshold`."""
    num_states = len(row_splits) - 1
    arcs = np.zeros(len(next_states), np.bool_)
    states = np.zeros(num_states, np.bool_)
    for s in range(num_states):
        if alpha[s] == NEG_INF or beta[s] == NEG_INF or alpha[s] + beta[s] < threshold:
            continue
        states[s] = True
        for a in range(row_splits[s], row_splits[s + 1]):
            through = alpha[s] + scores[a] + beta[next_states[a]]
            arcs[a] = through >= threshold and through > NEG_INF
    return arcs, states


@kernel
def on_paths(row_splits, next_states, kept, ends):
    """Marks the arcs (bool [A]) and states (bool [S]) on a path of `kept` arcs from state 0 to one of the `ends`."""
    num_states = len(row_splits) - 1
    reached = np.zeros(num_states, np.bool_)
    reached[:1] = True
    for s in range(num_states):
        if reached[s]:
            for a in range(row_splits[s], row_splits[s + 1]):
                if kept[a]:
                    reached[next_states[a]] = True
    states, arcs = reached & ends, np.zeros(len(next_states), np.bool_)
    for s in range(num_states - 1, -1, -1):
        if reached[s]:
            for a in range(row_splits[s], row_splits[s + 1]):
                if kept[a] and states[next_states[a]]:
                    arcs[a] = states[s] = True
    return arcs, states
