"""Neighbouring frames as further values: deltas and splicing, equal to Kaldi's `add-deltas` and `splice-feats`."""

from __future__ import annotations

import numpy as np

__all__ = ["add_deltas", "delta_scales", "splice"]


def delta_scales(order: int, window: int) -> list[np.ndarray]:
    """Returns for each order 0 … `order` the weights of the frames around t, float32 [2 · order · window + 1].

    Order 1 is the regression slope Σ j x[t+j] / Σ j² (Furui, 1986); each further order repeats it.
    """
    slope = np.arange(-window, window + 1, dtype=np.float64)
    slope /= np.square(slope).sum()
    scales = [np.ones(1)]
    for _ in range(order):
        scales.append(np.convolve(scales[-1], slope))
    return [scale.astype(np.float32) for scale in scales]


def _padded(features: np.ndarray, left: int, right: int) -> np.ndarray:
    """Repeats the first frame `left` times before, the last one `right` times after."""
    if not len(features):
        return np.zeros((left + right, features.shape[1]), np.float32)
    return np.concatenate([np.repeat(features[:1], left, axis=0), features, np.repeat(features[-1:], right, axis=0)])


def add_deltas(features: np.ndarray, order: int = 2, window: int = 2) -> np.ndarray:
    """Appends slopes of order 1 … `order`.

    Args:
      features: float32 [T][D].
      window: frames on each side that a slope sees.

    Returns:
      float32 [T][D · (order + 1)].
    """
    features = np.asarray(features, np.float32)
    total, dim = features.shape
    scales = delta_scales(order, window)
    reach = order * window
    padded = _padded(features, reach, reach)
    out = np.empty((total, dim * (order + 1)), np.float32)
    out[:, :dim] = features
    for i, scale in enumerate(scales[1:], start=1):
        half = len(scale) // 2
        part = np.zeros((total, dim), np.float32)
        for j, weight in enumerate(scale):
            if weight != 0:
                begin = reach + j - half
                part += weight * padded[begin : begin + total]
        out[:, i * dim : (i + 1) * dim] = part
    return out


def splice(features: np.ndarray, left: int, right: int) -> np.ndarray:
    """Puts `left` frames before and `right` frames after into each frame, oldest first; ends are repeated.

    Args:
      features: float32 [T][D].

    Returns:
      float32 [T][D · (left + 1 + right)].
    """
    features = np.asarray(features, np.float32)
    total = len(features)
    padded = _padded(features, left, right)
    return np.concatenate([padded[i : i + total] for i in range(left + 1 + right)], axis=1)
