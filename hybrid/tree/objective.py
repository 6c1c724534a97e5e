"""The likelihood of data under one diagonal Gaussian, from its sufficient statistics."""

from __future__ import annotations

import numpy as np

__all__ = ["VARIANCE_FLOOR", "gaussian_objective"]

VARIANCE_FLOOR = 0.01  # for features whose variance is near 1; Kaldi's default


def gaussian_objective(moments: np.ndarray, variance_floor: float = VARIANCE_FLOOR) -> np.ndarray:
    """Returns the log-likelihood of data under the likeliest Gaussian with variances of at least the floor.

    −½ n Σ_d (log 2π v_d + σ²_d / v_d), where σ² is the variance of the data and v = max(σ², floor). Above the floor
    the last term is 1; below, less: it tells data narrower than the floor from data as wide as it, so that splitting
    and merging count what is won in such dimensions too. No data scores 0.

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
    variances = moments[..., 1 + dim :] / safe - means * means
    floored = np.maximum(variances, variance_floor)
    scores = -0.5 * counts * (np.log(2 * np.pi * floored) + variances / floored).sum(axis=-1)
    return np.where(counts > 0, scores, 0.0)
