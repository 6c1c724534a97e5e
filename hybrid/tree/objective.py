"""The likelihood of data under one diagonal Gaussian, from its sufficient statistics."""

from __future__ import annotations

import numpy as np

__all__ = ["VARIANCE_FLOOR", "gaussian_objective"]

VARIANCE_FLOOR = 0.01  # for features whose variance is near 1; Kaldi's default


def gaussian_objective(moments: np.ndarray, variance_floor: float = VARIANCE_FLOOR) -> np.ndarray:
    """Returns the log-likelihood of data under the Gaussian fitted to it by maximum likelihood.

    −½ n (Σ_d log σ²_d + D log 2π), the term −½ n D left out as it is the same for every way to split the
    same data. Variances are floored; no data scores 0.

    Args:
      moments: float64 [..., 1 + 2D]: count, sums, sums of squares.
      variance_floor: the least variance of a dimension.

    Returns:
      float64 [...].
    """
    dim = (moments.shape[-1] - 1) // 2
    counts = moments[..., 0]
    safe = np.where(counts > 0, counts, 1.0)[..., None]
    means = moments[..., 1 : 1 + dim] / safe
    variances = np.maximum(moments[..., 1 + dim :] / safe - means * means, variance_floor)
    scores = -0.5 * counts * (np.log(variances).sum(axis=-1) + dim * np.log(2 * np.pi))
    return np.where(counts > 0, scores, 0.0)
