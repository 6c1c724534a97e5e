"""The passes through a shared graph on CPU, compiled by numba: in the probability domain, sequences innermost.

An arc is one multiplication of vectors. Frames are scaled by the sum of the last one's forward probabilities.
"""

from __future__ import annotations

import math

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["shared_backward", "shared_forward"]

FAST = {"contract", "reassoc", "nsz", "arcp"}  # NaN and infinities keep their meaning


@kernel(fastmath=FAST, inline="always")
def _gather(total, first, last, rows, weights, vectors):
    """total = Σ weights[k] · vectors[rows[k]] over k from first to last, four arcs at a time."""
    width = total.shape[0]
    for n in range(width):
        total[n] = 0
    k = first
    while k + 4 <= last:
        r0, r1, r2, r3 = rows[k], rows[k + 1], rows[k + 2], rows[k + 3]
        w0, w1, w2, w3 = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        for n in range(width):
            total[n] += w0 * vectors[r0, n] + w1 * vectors[r1, n] + w2 * vectors[r2, n] + w3 * vectors[r3, n]
        k += 4
    while k < last:
        r0, w0 = rows[k], weights[k]
        for n in range(width):
            total[n] += w0 * vectors[r0, n]
        k += 1


@kernel(fastmath=FAST)
def _end(alpha, final, lengths, frame, end):
    """end[n] = Σ_s alpha[s, n] · final[s] for the sequences of `frame` frames."""
    ending = False
    for n in range(len(lengths)):
        if lengths[n] == frame:
            ending = True
            end[n] = 0
    if ending:
        for s in range(len(final)):
            for n in range(len(lengths)):
                if lengths[n] == frame:
                    end[n] += alpha[s, n] * final[s]


@kernel(fastmath=FAST)
def shared_forward(
    likelihoods, lengths, leak, initial, final, state_groups, group_pdf, group_initial, group_arcs, arc_from,
    arc_weight, inner, scales, leaks, end, log_scale,
):  # fmt: skip
    """Passes forward through a shared graph.

    Args:
      likelihoods: [T][P][N], 0 beyond a sequence's end. lengths: int64 [N]. leak: share of the mass that leaks.
      initial, …, arc_weight: see `GroupedArcs`; `final` with the leak after the last frame.
      inner: out, [T][G][N], what the arcs of each group bring to a frame before its likelihood.
      scales, leaks: out, [T][N], 1 / the sum of the forward probabilities, and the leak (0 where that sum is 0).
      end: out, [N], scaled sum over the final states. log_scale: out, float64 [N], log of all scales taken out.
    """
    frames, _, width = likelihoods.shape
    num_states = len(initial)
    alpha = np.empty((2, num_states, width), likelihoods.dtype)
    sums = np.zeros(width, likelihoods.dtype)
    log_scale[:] = 0
    for s in range(num_states):
        for n in range(width):
            alpha[0, s, n] = initial[s]
            sums[n] += initial[s]
    for t in range(frames):
        now, then = alpha[t % 2], alpha[(t + 1) % 2]
        _end(now, final, lengths, t, end)
        scale, leaking = scales[t], leaks[t]
        for n in range(width):
            scale[n], leaking[n] = 0, 0
            if sums[n] != 0:
                scale[n] = 1 / sums[n]
                leaking[n] = leak
            if t < lengths[n]:
                log_scale[n] += math.log(sums[n]) if sums[n] > 0 else -np.inf if sums[n] == 0 else np.nan
            sums[n] = 0
        for s in range(num_states):
            reached = then[s]
            reached[:] = 0
            for g in range(state_groups[s], state_groups[s + 1]):
                brought, likelihood, spread = inner[t, g], likelihoods[t, group_pdf[g]], group_initial[g]
                _gather(brought, group_arcs[g], group_arcs[g + 1], arc_from, arc_weight, now)
                for n in range(width):
                    brought[n] = brought[n] * scale[n] + spread * leaking[n]
                    reached[n] += brought[n] * likelihood[n]
            for n in range(width):
                sums[n] += reached[n]
    _end(alpha[frames % 2], final, lengths, frames, end)


@kernel(fastmath=FAST)
def shared_backward(
    likelihoods, lengths, final, group_to, group_pdf, group_initial, out_rows, out_group, out_weight,
    inner, scales, leaks, end, occupancy,
):  # fmt: skip
    """Passes backward and adds the posterior of each pdf to `occupancy` [T][P][N]; arguments as in `shared_forward`."""
    frames, _, width = likelihoods.shape
    num_groups, num_states = len(group_pdf), len(final)
    beta = np.zeros((num_states, width), likelihoods.dtype)
    later = np.empty((num_groups, width), likelihoods.dtype)
    leaked = np.empty(width, likelihoods.dtype)
    for t in range(frames - 1, -1, -1):
        for n in range(width):
            if lengths[n] == t + 1 and 0 < end[n] < np.inf:
                for s in range(num_states):
                    beta[s, n] = final[s] / end[n]
        leaked[:] = 0
        for g in range(num_groups):
            brought, likelihood, behind = inner[t, g], likelihoods[t, group_pdf[g]], beta[group_to[g]]
            onward, occupied, spread = later[g], occupancy[t, group_pdf[g]], group_initial[g]
            for n in range(width):
                onward[n] = likelihood[n] * behind[n]
                occupied[n] += onward[n] * brought[n]
                leaked[n] += onward[n] * spread
        scale, leaking = scales[t], leaks[t]
        for n in range(width):
            leaked[n] *= leaking[n]
        for s in range(num_states):
            before = beta[s]
            _gather(before, out_rows[s], out_rows[s + 1], out_group, out_weight, later)
            for n in range(width):
                before[n] = (before[n] + leaked[n]) * scale[n]
