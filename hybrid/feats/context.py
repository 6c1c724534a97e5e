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


def _frame(features: np.ndarray, shift: int) -> np.ndarray:
    """Returns the frames `shift` later; beyond an end, that end's frame again."""
    return features[np.clip(np.arange(len(features)) + shift, 0, max(len(features) - 1, 0))]


def add_deltas(features: np.ndarray, order: int = 2, window: int = 2) -> np.ndarray:
    """Appends slopes of order 1 … `order`.

    Args:
      features: float32 [T][D].
      window: frames on each side that a slope sees.

    Returns:
      float32 [T][D · (order + 1)].
    """
    features = np.asarray(features, np.float32)
    parts = [features]
    for scale in delta_scales(order, window)[1:]:
        half = len(scale) // 2
        total = np.zeros_like(features)
        for j, weight in enumerate(scale):
            if weight != 0:
                total += weight * _frame(features, j - half)
        parts.append(total)
    return np.concatenate(parts, axis=1)


def splice(features: np.ndarray, left: int, right: int) -> np.ndarray:
    """Puts `left` frames before and `right` frames after into each frame, oldest first; ends are repeated.

    Args:
      features: float32 [T][D].

    Returns:
      float32 [T][D · (left + 1 + right)].
    """
    features = np.asarray(features, np.float32)
    return np.concatenate([_frame(features, shift) for shift in range(-left, right + 1)], axis=1)
