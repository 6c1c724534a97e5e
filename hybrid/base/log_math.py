"""Sums of probabilities kept as logarithms, compiled by numba."""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["log_add"]


@kernel
def log_add(a, b):
    """Returns log(exp(a) + exp(b)); -inf is zero probability."""
    if a < b:
        a, b = b, a
    if b == -np.inf:
        return a
    return a + np.log1p(np.exp(b - a))
