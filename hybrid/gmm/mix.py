"""Mixing up and down: how many Gaussians each pdf gets, splitting the heaviest, merging the closest."""

from __future__ import annotations

import heapq

import numpy as np

from hybrid.gmm.am_diag_gmm import AmDiagGmm
from hybrid.gmm.config import MixConfig

__all__ = ["merge_gaussians", "mix_down", "mix_up", "split_gaussians", "split_targets"]


def split_targets(occupancy: np.ndarray, target: int, config: MixConfig | None = None) -> np.ndarray:
    """Shares out `target` Gaussians: each goes to the pdf with the largest occupancy^power per Gaussian.

    Args:
      occupancy: float64 [num_pdfs], frames of each pdf.
      target: wanted sum; fewer are given out where min_count forbids more.

    Returns:
      int64 [num_pdfs], at least 1 each.
    """
    config = config or MixConfig()
    occupancy = np.asarray(occupancy, dtype=np.float64)
    counts = np.ones(len(occupancy), dtype=np.int64)
    share = occupancy**config.power
    queue = [(-share[pdf], pdf) for pdf in range(len(occupancy)) if occupancy[pdf] > 0]
    heapq.heapify(queue)
    given = len(counts)
    while given < target and queue:
        _, pdf = heapq.heappop(queue)
        if (counts[pdf] + 1) * config.min_count >= occupancy[pdf]:
            continue  # too little data: never split again
        counts[pdf] += 1
        given += 1
        heapq.heappush(queue, (-share[pdf] / counts[pdf], pdf))
    return counts


def split_gaussians(
    weights: np.ndarray,
    means: np.ndarray,
    variances: np.ndarray,
    target: int,
    perturb_factor: float,
    random: np.random.RandomState,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Splits the heaviest Gaussian of one mixture in two until there are `target`.

    Args:
      weights, means, variances: float64 [M], [M][D], [M][D].
    """
    w, mu, var = list(weights), list(means), list(variances)
    while len(w) < target:
        heaviest = int(np.argmax(w))
        step = perturb_factor * random.standard_normal(mu[0].shape) * np.sqrt(var[heaviest])
        w[heaviest] = w[heaviest] / 2
        w.append(w[heaviest])
        mu.append(mu[heaviest] + step)
        mu[heaviest] = mu[heaviest] - step
        var.append(var[heaviest])
    return np.array(w), np.array(mu), np.array(var)


def mix_up(
    model: AmDiagGmm, occupancy: np.ndarray, target: int, config: MixConfig | None = None, seed: int = 0
) -> AmDiagGmm:
    """Raises the number of Gaussians towards `target`, by occupancy; no pdf loses any.

    Args:
      occupancy: float64 [num_pdfs].
      target: Gaussians of the whole model.
      seed: of the perturbation; the same seed gives the same model.
    """
    config = config or MixConfig()
    sizes = np.diff(model.row_splits)
    targets = np.maximum(split_targets(occupancy, target, config), sizes)
    if np.array_equal(targets, sizes):
        return model
    random = np.random.RandomState(seed)
    parts = []
    for pdf in range(model.num_pdfs):
        rows = slice(model.row_splits[pdf], model.row_splits[pdf + 1])
        part = (model.weights[rows].astype(np.float64), model.means[rows], model.variances[rows])
        parts.append(split_gaussians(*part, int(targets[pdf]), config.perturb_factor, random))
    splits = np.concatenate([[0], np.cumsum(targets)])
    return AmDiagGmm.from_normal(splits, *(np.concatenate([p[i] for p in parts]) for i in range(3)))


def mix_down(model: AmDiagGmm, occupancy: np.ndarray, target: int, config: MixConfig | None = None) -> AmDiagGmm:
    """Lowers the number of Gaussians towards `target`, by occupancy; no pdf gains any."""
    sizes = np.diff(model.row_splits)
    targets = np.minimum(split_targets(occupancy, target, config), sizes)
    parts = []
    for pdf in range(model.num_pdfs):
        rows = slice(model.row_splits[pdf], model.row_splits[pdf + 1])
        part = (model.weights[rows].astype(np.float64), model.means[rows], model.variances[rows])
        parts.append(merge_gaussians(*part, int(targets[pdf])))
    splits = np.concatenate([[0], np.cumsum(targets)])
    return AmDiagGmm.from_normal(splits, *(np.concatenate([p[i] for p in parts]) for i in range(3)))


def merge_gaussians(
    weights: np.ndarray, means: np.ndarray, variances: np.ndarray, target: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Merges, pair by pair, the two Gaussians whose union loses the least likelihood, until `target` are left."""
    weights, means, variances = weights.copy(), means.copy(), variances.copy()
    while len(weights) > max(1, target):
        pair = weights[:, None] + weights
        a = (weights[:, None] / pair)[:, :, None]
        mean = a * means[:, None] + (1 - a) * means
        second = a * (variances + means**2)[:, None] + (1 - a) * (variances + means**2)
        logdet = np.log(variances).sum(axis=1)
        loss = pair * np.log(second - mean**2).sum(axis=2) - (weights[:, None] * logdet[:, None] + weights * logdet)
        loss[np.tril_indices(len(weights))] = np.inf
        i, j = divmod(int(np.argmin(loss)), len(weights))
        weights[i], means[i], variances[i] = pair[i, j], mean[i, j], (second - mean**2)[i, j]
        keep = np.arange(len(weights)) != j
        weights, means, variances = weights[keep], means[keep], variances[keep]
    return weights, means, variances
