"""Linear discriminant analysis: the projection in which classes lie farthest apart.

Classes are pdfs of aligned frames, features are usually spliced (Haeb-Umbach and Ney, 1992).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybrid.base.errors import HybridError
from hybrid.base.log import get_logger
from hybrid.gmm.adapt_config import LdaConfig

__all__ = ["LdaConfig", "LdaEstimate", "LdaStats", "estimate_lda"]

_log = get_logger(__name__)


@dataclass(eq=False)
class LdaStats:
    """Count and sum of each class, and the scatter of all frames; adding two is adding up their data.

    Attributes:
      counts: float64 [class].
      sums: float64 [class][D].
      scatter: float64 [D][D], Σ x xᵀ.
    """

    counts: np.ndarray
    sums: np.ndarray
    scatter: np.ndarray

    @classmethod
    def zeros(cls, num_classes: int, dim: int) -> LdaStats:
        """Returns statistics of nothing."""
        return cls(np.zeros(num_classes), np.zeros((num_classes, dim)), np.zeros((dim, dim)))

    def __iadd__(self, other: LdaStats) -> LdaStats:
        self.counts += other.counts
        self.sums += other.sums
        self.scatter += other.scatter
        return self

    def accumulate(self, features: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Adds frames.

        Args:
          features: float [T][D].
          labels: int [T], class of each frame.
          weights: float [T]; None for 1. Frames of weight 0 (silence) are left out.

        Raises:
          ValueError: shapes do not agree, a label is out of range, or a value is not finite.
        """
        x, labels = np.asarray(features, np.float64), np.asarray(labels)
        if x.ndim != 2 or x.shape[1] != self.sums.shape[1] or len(labels) != len(x):
            raise ValueError(
                f"features of shape {x.shape} and {len(labels)} labels for {self.sums.shape[1]} dimensions"
            )
        if weights is not None:
            used = np.asarray(weights) > 0
            x, labels, weights = x[used], labels[used], np.asarray(weights, np.float64)[used]
        if not len(x):
            return
        if not 0 <= labels.min() <= labels.max() < len(self.counts):
            raise ValueError(f"labels {labels.min()} to {labels.max()} for {len(self.counts)} classes")
        if not np.isfinite(x).all():
            raise ValueError("features hold NaN or infinity")
        weighted = x if weights is None else x * weights[:, None]
        self.counts += np.bincount(labels, weights, len(self.counts))
        order = np.argsort(labels, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(labels[order]) != 0])
        self.sums[labels[order][starts]] += np.add.reduceat(weighted[order], starts, axis=0)
        self.scatter += x.T @ x if weights is None else weighted.T @ x

    def covariances(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the covariance within classes and between classes, float64 [D][D] each, and the mean [D]."""
        total = self.counts.sum()
        mean = self.sums.sum(axis=0) / total
        seen = self.counts > 0
        means = self.sums[seen] / self.counts[seen, None]
        between = (means * (self.counts[seen, None] / total)).T @ means - np.outer(mean, mean)
        within = self.scatter / total - np.outer(mean, mean) - between
        return (within + within.T) / 2, (between + between.T) / 2, mean


@dataclass(frozen=True, eq=False)
class LdaEstimate:
    """An LDA projection.

    Attributes:
      matrix: float64 [dim][D], or [dim][D + 1] with an offset.
      full: float64 [D][D] or [D][D + 1], all directions, the most discriminative first; `matrix` is its first rows.
      eigenvalues: float64 [D], between-class over within-class variance of each direction.
    """

    matrix: np.ndarray
    full: np.ndarray
    eigenvalues: np.ndarray


def estimate_lda(stats: LdaStats, config: LdaConfig) -> LdaEstimate:
    """Finds the directions with the largest ratio of between-class to within-class variance.

    Solves B v = λ W v. The covariance within classes becomes the identity. The sign of each row is chosen
    so that its largest entry is positive.

    Raises:
      HybridError: too few frames or classes, or features that do not vary independently.
    """
    dim = stats.scatter.shape[0]
    if config.dim > dim:
        raise HybridError(
            f"LDA: {config.dim} dimensions wanted from features of {dim}. Lower dim or splice more frames"
        )
    classes = int((stats.counts > 0).sum())
    if classes < 2:
        raise HybridError(f"LDA: {classes} class with frames; wanted at least 2. Use more data or a larger tree")
    if stats.counts.sum() <= dim:
        raise HybridError(
            f"LDA: {stats.counts.sum():.0f} frames for features of {dim} dimensions; wanted more frames than "
            f"dimensions. Use more data or splice fewer frames"
        )
    if classes - 1 < config.dim:
        _log.warning(
            "LDA: %d classes separate at most %d of %d dimensions; the rest are arbitrary directions",
            classes, classes - 1, config.dim,
        )  # fmt: skip
    within, between, mean = stats.covariances()
    variances, axes = np.linalg.eigh(within)
    if variances[0] <= 1e-10 * variances[-1]:
        raise HybridError(
            f"LDA: the covariance within classes is singular ({int((variances <= 1e-10 * variances[-1]).sum())} of "
            f"{dim} directions do not vary). Remove constant or repeated features, or use more data"
        )
    whiten = axes / np.sqrt(variances)
    eigenvalues, directions = np.linalg.eigh(whiten.T @ between @ whiten)
    full = (whiten @ directions[:, ::-1]).T
    full *= np.where(full[np.arange(dim), np.abs(full).argmax(axis=1)] < 0, -1.0, 1.0)[:, None]
    if config.remove_offset:
        full = np.concatenate([full, -(full @ mean)[:, None]], axis=1)
    return LdaEstimate(full[: config.dim], full, np.maximum(eigenvalues[::-1], 0.0))
