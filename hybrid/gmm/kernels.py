"""Inner loops of the Gaussian mixtures, compiled by numba.

Scores come from one matrix product per utterance; what numpy cannot do at speed is the sum over
the components of each pdf, whose number differs from pdf to pdf, and the E-step.
Reassociation is allowed so that dot products use vector instructions; the order is fixed by the
shapes alone, so that the same input gives the same digits whatever the number of jobs.
"""

from __future__ import annotations

import math

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["accumulate_frames", "component_posteriors_frames", "log_sum_components"]

FAST = {"reassoc", "contract", "nsz", "arcp"}
TILE = 128  # frames worked on at a time: the tile stays in the first-level cache


@kernel(fastmath=FAST, inline="always")
def _exp(x):
    """exp(x) for x ≤ 0 in float32, to 2 units in the last place; written out so that loops over it use vectors."""
    x = x if x > np.float32(-87.0) else np.float32(-87.0)
    scaled = x * np.float32(1.4426950408889634)
    whole = np.floor(scaled + np.float32(0.5))
    r = x - whole * np.float32(0.693359375) + whole * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1.0)
    power = (np.int32(whole) + np.int32(127)) << np.int32(23)
    return p * np.int32(power).view(np.float32)


@kernel(fastmath=FAST, inline="always")
def _log(x):
    """log(x) for x ≥ 1 in float32, to 2 units in the last place; written out for the same reason."""
    exponent = (np.float32(x).view(np.int32) - np.int32(0x3F3504F3)) >> np.int32(23)
    m = np.int32(np.float32(x).view(np.int32) - (exponent << np.int32(23))).view(np.float32) - np.float32(1.0)
    y = np.float32(7.0376836292e-2)
    y = y * m - np.float32(1.1514610310e-1)
    y = y * m + np.float32(1.1676998740e-1)
    y = y * m - np.float32(1.2420140846e-1)
    y = y * m + np.float32(1.4249322787e-1)
    y = y * m - np.float32(1.6668057665e-1)
    y = y * m + np.float32(2.0000714765e-1)
    y = y * m - np.float32(2.4999993993e-1)
    y = y * m + np.float32(3.3333331174e-1)
    whole = np.float32(exponent)
    y = y * m * m * m + whole * np.float32(-2.12194440e-4) - np.float32(0.5) * m * m
    return m + y + whole * np.float32(0.693359375)


@kernel(fastmath=FAST)
def log_sum_components(components, splits, out):
    """Sums the components of each pdf in the log domain.

    Args:
      components: float32 [gaussian][frame], log of weight × density.
      splits: int64 [pdf + 1], first Gaussian of each pdf.
      out: float32 [frame][pdf], written.
    """
    frames = components.shape[1]
    best = np.empty(TILE, np.float32)
    total = np.empty(TILE, np.float32)
    for begin in range(0, frames, TILE):
        size = min(TILE, frames - begin)
        for pdf in range(len(splits) - 1):
            low, high = splits[pdf], splits[pdf + 1]
            for t in range(size):
                best[t] = components[low, begin + t]
                total[t] = np.float32(0.0)
            for g in range(low + 1, high):
                row = components[g, begin : begin + size]
                for t in range(size):
                    best[t] = row[t] if row[t] > best[t] else best[t]
            if high - low > 1:
                for g in range(low, high):
                    row = components[g, begin : begin + size]
                    for t in range(size):
                        total[t] += _exp(row[t] - best[t])
                for t in range(size):
                    best[t] += _log(total[t])
            for t in range(size):
                out[begin + t, pdf] = best[t]


@kernel(fastmath=FAST)
def _component_scores(x, low, high, gconsts, means_invvars, inv_vars, scores):
    """Writes log(weight × density) of Gaussians low to high for one frame; returns the log of their sum (float64)."""
    best = np.float64(-math.inf)
    for g in range(low, high):
        total = np.float32(0.0)
        for d in range(len(x)):
            total += x[d] * (means_invvars[g, d] - np.float32(0.5) * x[d] * inv_vars[g, d])
        score = np.float64(gconsts[g]) + np.float64(total)
        scores[g - low] = score
        if score > best:
            best = score
    total_prob = 0.0
    for i in range(high - low):
        total_prob += math.exp(scores[i] - best)
    return best + math.log(total_prob)


@kernel(fastmath=FAST)
def accumulate_frames(
    features,
    pdf_ids,
    frame_weights,
    stats_features,
    splits,
    gconsts,
    means_invvars,
    inv_vars,
    occupancy,
    sums,
    squares,
):
    """Adds the statistics of aligned frames; returns the sum of frame weight × log-likelihood.

    Args:
      features: float32 [frame][D], what the posteriors are computed from.
      pdf_ids: int32 [frame].
      frame_weights: float64 [frame].
      stats_features: float32 [frame][D'], what is summed; may be `features` itself.
      splits, gconsts, means_invvars, inv_vars: the model.
      occupancy: float64 [gaussian], added to.
      sums, squares: float64 [gaussian][D'], added to.
    """
    widest = 0
    for pdf in range(len(splits) - 1):
        widest = max(widest, splits[pdf + 1] - splits[pdf])
    scores = np.empty(widest, np.float64)
    log_likelihood = 0.0
    for t in range(len(pdf_ids)):
        low, high = splits[pdf_ids[t]], splits[pdf_ids[t] + 1]
        log_total = _component_scores(features[t], low, high, gconsts, means_invvars, inv_vars, scores)
        log_likelihood += frame_weights[t] * log_total
        for g in range(low, high):
            weight = frame_weights[t] * math.exp(scores[g - low] - log_total)
            if weight == 0.0:
                continue
            occupancy[g] += weight
            for d in range(stats_features.shape[1]):
                value = np.float64(stats_features[t, d])
                sums[g, d] += weight * value
                squares[g, d] += weight * value * value
    return log_likelihood


@kernel(fastmath=FAST)
def component_posteriors_frames(features, pdf_ids, splits, gconsts, means_invvars, inv_vars, offsets, posteriors):
    """Writes the posterior of each component of each frame's pdf; returns the sum of the log-likelihoods.

    Args:
      offsets: int64 [frame + 1], where each frame's posteriors begin.
      posteriors: float64 [offsets[-1]], written.
    """
    log_likelihood = 0.0
    for t in range(len(pdf_ids)):
        low, high = splits[pdf_ids[t]], splits[pdf_ids[t] + 1]
        row = posteriors[offsets[t] : offsets[t + 1]]
        log_total = _component_scores(features[t], low, high, gconsts, means_invvars, inv_vars, row)
        log_likelihood += log_total
        for i in range(high - low):
            row[i] = math.exp(row[i] - log_total)
    return log_likelihood
