"""Basis fMLLR: for little data, a transform that is a weighted sum of a few learnt directions (Povey and Yao, 2012)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybrid.base.errors import HybridError
from hybrid.gmm.adapt_config import BasisConfig
from hybrid.gmm.fmllr import FmllrEstimate, FmllrStats, fmllr_objective, identity_transform

__all__ = ["BasisConfig", "BasisTrainer", "FmllrBasis", "estimate_basis_fmllr"]


@dataclass(frozen=True, eq=False)
class FmllrBasis:
    """Directions in the space of transforms, the most useful first.

    Attributes:
      bases: float64 [N][D][D + 1].
      eigenvalues: float64 [N], what a step along each gains on average.
    """

    bases: np.ndarray
    eigenvalues: np.ndarray

    def __post_init__(self) -> None:
        if self.bases.ndim != 3 or self.bases.shape[2] != self.bases.shape[1] + 1:
            raise ValueError(f"fMLLR bases of shape {self.bases.shape}; wanted [N][D][D + 1]")


class BasisTrainer:
    """Collects what speakers of the training set would like to change, and finds common directions."""

    def __init__(self, dim: int) -> None:
        self._total = FmllrStats.zeros(dim)
        self._scatter = np.zeros((dim * (dim + 1), dim * (dim + 1)))
        self.speakers = 0

    def add(self, stats: FmllrStats) -> None:
        """Adds one speaker (or utterance): the gradient of the auxiliary function at the identity."""
        if stats.beta <= 0:
            return
        start = identity_transform(stats.dim)
        slope = stats.beta * start + stats.linear - np.einsum("di,dij->dj", start, stats.scatters)
        flat = slope.reshape(-1)
        self._scatter += np.outer(flat, flat / stats.beta)
        self._total += stats
        self.speakers += 1

    def estimate(self, num_bases: int = 200) -> FmllrBasis:
        """Returns the directions, after whitening by the average curvature of the auxiliary function.

        Raises:
          HybridError: no speakers.
        """
        if not self.speakers:
            raise HybridError("basis fMLLR: no speaker with speech; wanted training data. Check the alignments")
        dim = self._total.dim
        size = dim * (dim + 1)
        curvature = np.zeros((dim, dim + 1, dim, dim + 1))
        index = np.arange(dim)
        curvature[index, :, index, :] = self._total.scatters / self._total.beta
        for i in range(dim):  # − second derivative of log |det A| at the identity
            curvature[i, index, index, i] += 1.0
        flat = curvature.reshape(size, size)
        values, vectors = np.linalg.eigh((flat + flat.T) / 2)
        whiten = vectors / np.sqrt(np.maximum(values, 1e-6 * values[-1]))
        gains, directions = np.linalg.eigh(whiten.T @ self._scatter @ whiten)
        useful = int((gains > 1e-8 * gains[-1]).sum())  # no more than speakers
        chosen = np.argsort(-gains, kind="stable")[: min(num_bases, useful)]
        bases = (whiten @ directions[:, chosen]).T.reshape(-1, dim, dim + 1)
        return FmllrBasis(bases, gains[chosen] / self.speakers)


def estimate_basis_fmllr(
    stats: FmllrStats, basis: FmllrBasis, config: BasisConfig | None = None
) -> tuple[FmllrEstimate, np.ndarray]:
    """Maximises fMLLR's auxiliary function over [I 0] + Σ c_n B_n, by Newton's method with step halving.

    Returns:
      The estimate and the coefficients float64 [n]; n = min(N, size_scale × frames).
    """
    config = config or BasisConfig()
    matrix = identity_transform(stats.dim)
    size = min(len(basis.bases), int(config.size_scale * stats.beta))
    if stats.beta < config.min_count or size == 0:
        reason = f"{stats.beta:.0f} frames of speech, fewer than {config.min_count:.0f}"
        return FmllrEstimate(matrix, 0.0, stats.beta, (), reason), np.zeros(0)
    bases = basis.bases[:size]
    scatters = stats.scatters
    bent = np.einsum("ndi,dij->ndj", bases, scatters).reshape(size, -1)
    quadratic = bent @ bases.reshape(size, -1).T
    linear = bases.reshape(size, -1) @ stats.linear.reshape(-1) - bent @ matrix.reshape(-1)
    coefficients = np.zeros(size)
    objectives = [fmllr_objective(matrix, stats, scatters)]
    for _ in range(config.num_sweeps):
        turned = np.linalg.solve(matrix[:, :-1], bases[:, :, :-1])
        slope = stats.beta * np.trace(turned, axis1=1, axis2=2) + linear - quadratic @ coefficients
        curvature = quadratic + stats.beta * (turned.reshape(size, -1) @ turned.transpose(0, 2, 1).reshape(size, -1).T)
        values, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
        # near 1 per frame in the whitened space; a negative one would send Newton to a saddle
        step = vectors @ ((vectors.T @ slope) / np.maximum(np.abs(values), 0.05 * stats.beta))
        for halvings in range(20):
            moved = coefficients + step * 0.5**halvings
            candidate = identity_transform(stats.dim) + np.tensordot(moved, bases, 1)
            score = fmllr_objective(candidate, stats, scatters)
            if score >= objectives[-1] and np.linalg.det(candidate[:, :-1]) > 0:
                coefficients, matrix = moved, candidate
                objectives.append(score)
                break
        else:
            break
        if objectives[-1] - objectives[-2] < 1e-9 * stats.beta:
            break
    scaled = tuple(score / stats.beta for score in objectives)
    return FmllrEstimate(matrix, scaled[-1] - scaled[0], stats.beta, scaled), coefficients
