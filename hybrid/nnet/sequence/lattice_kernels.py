"""Both passes over one lattice with expected accuracies, compiled by numba; log domain, float64."""

from __future__ import annotations

import math

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["lattice_passes"]


@kernel
def _merge(weights, rights, state, weight, right):
    """Adds paths of total log weight `weight` and mean accuracy `right` to those at a state."""
    if weight == -np.inf:
        return
    old = weights[state]
    larger = max(old, weight)
    new = larger + math.log(math.exp(old - larger) + math.exp(weight - larger))
    rights[state] = rights[state] * math.exp(old - new) + right * math.exp(weight - new)
    weights[state] = new


@kernel
def lattice_passes(from_state, to_state, weights, accuracies, final):
    """Passes forward and backward over arcs sorted by source, each to a later state.

    Args:
      weights, accuracies: float64 [A], log weight and number of right frames of each arc. final: float64 [S].

    Returns:
      The log of the total weight, the expected accuracy, and per arc: posterior float64 [A], and the expected accuracy
      of the paths through it float64 [A]; nothing but zeros where no path is complete.
    """
    states, arcs = len(final), len(from_state)
    alpha, beta = np.full(states, -np.inf), final.copy()
    before, after = np.zeros(states), np.zeros(states)
    posteriors, through = np.zeros(arcs), np.zeros(arcs)
    alpha[0] = 0
    for a in range(arcs):
        s = from_state[a]
        _merge(alpha, before, to_state[a], alpha[s] + weights[a], before[s] + accuracies[a])
    for a in range(arcs - 1, -1, -1):
        s = to_state[a]
        _merge(beta, after, from_state[a], beta[s] + weights[a], after[s] + accuracies[a])
    total = beta[0]
    if -np.inf < total < np.inf:
        for a in range(arcs):
            log_posterior = alpha[from_state[a]] + weights[a] + beta[to_state[a]] - total
            if log_posterior > -np.inf:
                posteriors[a] = math.exp(log_posterior)
                through[a] = before[from_state[a]] + accuracies[a] + after[to_state[a]]
    return total, after[0], posteriors, through
