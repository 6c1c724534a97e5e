"""The two regressions of calibration: logistic by Newton's method, isotonic by pooling adjacent violators."""

from __future__ import annotations

import numpy as np

__all__ = ["fit_isotonic", "fit_logistic", "isotonic_reference", "sigmoid"]

MAX_STEPS = 50


def sigmoid(values: np.ndarray) -> np.ndarray:
    """Returns 1 / (1 + exp(−x)) without overflow."""
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1.0, small) / (1.0 + small)


def fit_logistic(inputs: np.ndarray, correct: np.ndarray, l2: float = 1.0) -> tuple[np.ndarray, float]:
    """Finds the weights with the largest penalised likelihood by iteratively reweighted least squares.

    Args:
      inputs: float64 [N][D], on like scales, for the penalty's sake.
      correct: bool [N].
      l2: half of it, times the squared weights, is taken from the log-likelihood; the bias is free but for 1e-3.

    Returns:
      Weights float64 [D], and the bias.
    """
    extended = np.concatenate([np.ones((len(inputs), 1)), inputs], axis=1)
    penalty = np.full(extended.shape[1], l2)
    penalty[0] = 1e-3
    weights = np.zeros(extended.shape[1])
    for _ in range(MAX_STEPS):
        chance = sigmoid(extended @ weights)
        slope = extended.T @ (correct - chance) - penalty * weights
        curve = (extended * (chance * (1.0 - chance))[:, None]).T @ extended + np.diag(penalty)
        step = np.linalg.solve(curve, slope)
        largest = np.abs(step).max()
        weights = weights + step * min(1.0, 5.0 / largest) if largest > 0 else weights
        if largest < 1e-9:
            break
    return weights[1:], float(weights[0])


def fit_isotonic(values: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finds the rising steps nearest to the outcomes by pooling adjacent violators.

    Args:
      values: float64 [N]. correct: bool [N].

    Returns:
      Knots and levels, float64 [B]: mean value and mean outcome of each pool, both rising; between them one
      interpolates. Pools of equal level are joined.
    """
    points, places = np.unique(values, return_inverse=True)
    weights = np.bincount(places, minlength=len(points)).astype(np.float64)
    sums = np.bincount(places, weights=correct, minlength=len(points))
    pools: list[tuple[float, float, float]] = []  # weight, sum of outcomes, sum of values
    for weight, total, value in zip(weights.tolist(), sums.tolist(), (weights * points).tolist()):
        while pools and pools[-1][1] * weight >= total * pools[-1][0]:
            last = pools.pop()
            weight, total, value = weight + last[0], total + last[1], value + last[2]
        pools.append((weight, total, value))
    table = np.array(pools).reshape(-1, 3)
    return table[:, 2] / table[:, 0], table[:, 1] / table[:, 0]


def isotonic_reference(values: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Returns the isotonic fit at each value, float64 [N], by its formula (Barlow et al., 1972).

    At each point the largest, over all beginnings to its left, of the smallest mean up to an end at its right.
    """
    points = np.unique(values)
    out = np.zeros(len(values))
    for i, point in enumerate(points):
        means = (
            min(correct[(values >= low) & (values <= high)].mean() for high in points[i:]) for low in points[: i + 1]
        )
        out[values == point] = max(means)
    return out
