"""Row-by-row estimation of transforms, compiled by numba.

When one row of A changes, its inverse changes by a matrix of rank one (Sherman and Morrison, 1950); the
cofactors of the next row, det A · A⁻ᵀ, are then at hand for D² operations in place of D³.
"""

from __future__ import annotations

import math

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["fmllr_sweep", "mllt_sweep"]


@kernel
def _replace_row(matrix, inverse, d, row):
    """Puts a row into `matrix` [D][≥ D] and keeps `inverse` [D][D] that of its first D columns."""
    dim = len(inverse)
    change = np.zeros(dim)
    for k in range(dim):
        delta = row[k] - matrix[d, k]
        for j in range(dim):
            change[j] += delta * inverse[k, j]
    scale = 1.0 / (1.0 + change[d])
    for i in range(dim):
        factor = inverse[i, d] * scale
        for j in range(dim):
            inverse[i, j] -= factor * change[j]
    for k in range(len(row)):
        matrix[d, k] = row[k]


@kernel
def fmllr_sweep(matrix, inverses, linear, beta):
    """Maximises fMLLR's auxiliary function in each row in turn, the others fixed; changes `matrix`.

    Row d becomes (α c + k) G⁻¹ with c its cofactors (0 for the offset) and α the better root of
    α² cG⁻¹c + α cG⁻¹k = β (Gales, 1998, eq. 58).

    Args:
      matrix: float64 [D][D + 1].
      inverses: float64 [D][D + 1][D + 1], G_d⁻¹.
      linear: float64 [D][D + 1].
      beta: frames.
    """
    dim = len(matrix)
    inverse = np.linalg.inv(matrix[:, :dim].copy())
    cofactors = np.zeros(dim + 1)
    for d in range(dim):
        cofactors[:dim] = inverse[:, d]
        projected = inverses[d] @ cofactors
        square = np.dot(projected, cofactors)
        cross = np.dot(projected, linear[d])
        root = math.sqrt(cross * cross + 4.0 * square * beta)
        best, alpha = -np.inf, 0.0
        for candidate in ((-cross + root) / (2.0 * square), (-cross - root) / (2.0 * square)):
            score = beta * math.log(abs(candidate * square + cross)) - 0.5 * candidate * candidate * square
            if score > best:
                best, alpha = score, candidate
        _replace_row(matrix, inverse, d, alpha * projected + inverses[d] @ linear[d])


@kernel
def mllt_sweep(matrix, inverses, beta):
    """Maximises the semi-tied objective in each row in turn, the others fixed; changes `matrix`.

    Row d becomes c G_d⁻¹ √(β / c G_d⁻¹ cᵀ) (Gales, 1999, eq. 21).

    Args:
      matrix: float64 [D][D].
      inverses: float64 [D][D][D], G_d⁻¹.
      beta: frames.
    """
    inverse = np.linalg.inv(matrix)
    for d in range(len(matrix)):
        cofactors = inverse[:, d].copy()
        row = inverses[d] @ cofactors
        _replace_row(matrix, inverse, d, row * math.sqrt(beta / np.dot(row, cofactors)))
