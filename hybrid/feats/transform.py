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
      rejected: float32 [in - out] with as many columns, the directions that a projection leaves out; None where they
        are not known. Nothing here applies them: Kaldi's raw fMLLR and predictive SGMMs want them (`full.mat`).
    """

    name: str
    matrix: np.ndarray
    input_dim: int
    rejected: np.ndarray | None = None

    def __post_init__(self) -> None:
        # In rows, as a file gives it back: BLAS rounds a product with columns in another way.
        matrix, place = np.ascontiguousarray(self.matrix, np.float32), f"transform '{quote(self.name)}'"
        if matrix.ndim != 2 or matrix.shape[1] not in (self.input_dim, self.input_dim + 1):
            raise InputError.at(
                place,
                f"has shape {matrix.shape}, wanted [out][{self.input_dim}] or [out][{self.input_dim + 1}]",
                "Use the transform of this model.",
            )
        object.__setattr__(self, "matrix", _fixed(matrix, place))
        if self.rejected is not None:
            rejected, wanted = np.asarray(self.rejected), (self.input_dim - len(matrix), matrix.shape[1])
            if rejected.shape != wanted:
                raise InputError.at(
                    place, f"leaves out directions of shape {rejected.shape}, wanted {wanted}", "Estimate it again."
                )
            object.__setattr__(self, "rejected", _fixed(np.ascontiguousarray(rejected, np.float32), place))

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

        What this one leaves out stays known if the other leaves nothing out.

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
        affine = product.shape[1] > self.input_dim
        rejected = self.rejected if other.dim == self.dim and affine == self.is_affine else None
        return LinearTransform(f"{self.name}+{other.name}", product.astype(np.float32), self.input_dim, rejected)


def _fixed(matrix: np.ndarray, place: str) -> np.ndarray:
    """Returns a matrix of finite numbers, not to be written to; raises InputError for others."""
    if not np.isfinite(matrix).all():
        raise InputError.at(place, "holds NaN or infinity", "Estimate it again.")
    matrix.setflags(write=False)
    return matrix
