"""Linear maps of features (LDA, MLLT, fMLLR) as objects that know what they apply to and compose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybrid.base.content import ByContent
from hybrid.base.errors import InputError, quote

__all__ = ["LinearTransform"]


@dataclass(frozen=True, eq=False)
class LinearTransform(ByContent):
    """y = A x (+ b).

    Attributes:
      name: e.g. "lda", "lda+mllt"; names of composed transforms are joined by "+".
      matrix: float32 [out][in], or [out][in + 1] with the offset b as the last column.
      input_dim: in.
    """

    name: str
    matrix: np.ndarray
    input_dim: int

    def __post_init__(self) -> None:
        # In rows, as a file gives it back: BLAS rounds a product with columns in another way.
        matrix = np.ascontiguousarray(self.matrix, np.float32)
        if matrix.ndim != 2 or matrix.shape[1] not in (self.input_dim, self.input_dim + 1):
            raise InputError.at(
                f"transform '{quote(self.name)}'",
                f"has shape {matrix.shape}, wanted [out][{self.input_dim}] or [out][{self.input_dim + 1}]",
                "Use the transform of this model.",
            )
        if not np.isfinite(matrix).all():
            raise InputError.at(f"transform '{quote(self.name)}'", "holds NaN or infinity", "Estimate it again.")
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)

    @property
    def dim(self) -> int:
        """Values per frame that come out."""
        return self.matrix.shape[0]

    @property
    def is_affine(self) -> bool:
        """Whether there is an offset."""
        return self.matrix.shape[1] == self.input_dim + 1

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Applies the map to float32 [T][in]; returns float32 [T][out].

        Raises:
          InputError: features of another dimension.
        """
        if features.ndim != 2 or features.shape[1] != self.input_dim:
            raise InputError.at(
                f"transform '{quote(self.name)}'",
                f"was made for features of dimension {self.input_dim}, found {features.shape[-1]}",
                "Use the transform of this model and these features.",
            )
        out = np.asarray(features, np.float32) @ self.matrix[:, : self.input_dim].T
        return out + self.matrix[:, self.input_dim] if self.is_affine else out

    def then(self, other: "LinearTransform") -> "LinearTransform":
        """Returns the map that applies this one and then the other.

        Raises:
          InputError: this one's output is not the other's input.
        """
        if other.input_dim != self.dim:
            raise InputError.at(
                f"transform '{quote(other.name)}'",
                f"takes dimension {other.input_dim}, '{quote(self.name)}' gives {self.dim}",
            )
        first = self.matrix.astype(np.float64)
        linear = other.matrix[:, : self.dim].astype(np.float64)
        product = linear @ first
        if other.is_affine:
            offset = other.matrix[:, self.dim].astype(np.float64)
            if self.is_affine:
                product[:, -1] += offset
            else:
                product = np.concatenate([product, offset[:, None]], axis=1)
        return LinearTransform(f"{self.name}+{other.name}", product.astype(np.float32), self.input_dim)
