"""AmDiagGmm: the mixtures of all pdfs of a context tree, kept in flat arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hybrid.base.errors import quote
from hybrid.gmm.diag_gmm import DiagGmm, Gaussians, check_gaussians

__all__ = ["AmDiagGmm"]

FRAMES_AT_ONCE = 4096  # bounds the memory of the matrix product for long recordings


@dataclass(frozen=True, eq=False)
class AmDiagGmm(Gaussians):
    """One DiagGmm per pdf_id; the Gaussians of pdf `p` are rows `row_splits[p]` to `row_splits[p + 1]`.

    Attributes:
      row_splits: int64 [num_pdfs + 1]; every pdf has at least one Gaussian.
      weights: float32 [G], positive; they sum to one within a pdf (unless boosted).
      means_invvars: float32 [G][D], mean over variance.
      inv_vars: float32 [G][D], one over variance.
    """

    row_splits: np.ndarray
    weights: np.ndarray
    means_invvars: np.ndarray
    inv_vars: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "row_splits", np.ascontiguousarray(self.row_splits, dtype=np.int64))
        for name in ("weights", "means_invvars", "inv_vars"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=np.float32))
        check_gaussians(self.weights, self.means_invvars, self.inv_vars)
        splits = self.row_splits
        if len(splits) < 2 or splits[0] != 0 or splits[-1] != len(self.weights) or (np.diff(splits) < 1).any():
            raise ValueError(f"row_splits do not give each pdf at least one of the {len(self.weights)} Gaussians")

    @classmethod
    def from_normal(
        cls, row_splits: np.ndarray, weights: np.ndarray, means: np.ndarray, variances: np.ndarray
    ) -> AmDiagGmm:
        """Builds the model from weights [G], means [G][D] and variances [G][D]."""
        inverse = 1.0 / np.asarray(variances, dtype=np.float64)
        return cls(row_splits, np.asarray(weights), np.asarray(means, dtype=np.float64) * inverse, inverse)

    @classmethod
    def from_pdfs(cls, pdfs: Sequence[DiagGmm]) -> AmDiagGmm:
        """Puts single mixtures together; pdf_id is the place in the sequence."""
        splits = np.concatenate([[0], np.cumsum([g.num_gaussians for g in pdfs])])
        parts = [np.concatenate([getattr(g, n) for g in pdfs]) for n in ("weights", "means_invvars", "inv_vars")]
        return cls(splits, *parts)

    @classmethod
    def flat(cls, num_pdfs: int, mean: np.ndarray, variance: np.ndarray) -> AmDiagGmm:
        """Builds a flat start: every pdf is the one Gaussian of all data."""
        row = np.ones((num_pdfs, 1))
        return cls.from_normal(np.arange(num_pdfs + 1), np.ones(num_pdfs), row * mean, row * variance)

    @property
    def num_pdfs(self) -> int:
        """How many mixtures there are."""
        return len(self.row_splits) - 1

    @cached_property
    def gaussian_pdfs(self) -> np.ndarray:
        """int32 [G], the pdf_id that each Gaussian belongs to."""
        return np.repeat(np.arange(self.num_pdfs, dtype=np.int32), np.diff(self.row_splits))

    @cached_property
    def matrix(self) -> np.ndarray:
        """float32 [G][2D]: what [x, x²] is multiplied by."""
        return np.concatenate([self.means_invvars, np.float32(-0.5) * self.inv_vars], axis=1)

    def pdf(self, pdf_id: int) -> DiagGmm:
        """Returns one mixture."""
        rows = slice(self.row_splits[pdf_id], self.row_splits[pdf_id + 1])
        return DiagGmm(self.weights[rows], self.means_invvars[rows], self.inv_vars[rows])

    def log_likelihoods(self, features: np.ndarray, pdf_ids: np.ndarray | None = None) -> np.ndarray:
        """Scores frames by one matrix product on [x, x²].

        Args:
          features: float32 [T][D].
          pdf_ids: which pdfs to score (sorted or not); None for all.

        Returns:
          float32 [T][len(pdf_ids) or num_pdfs], natural logs.

        Raises:
          ValueError: the features have another number of columns than the model.
        """
        from hybrid.gmm.kernels import log_sum_components

        x = np.ascontiguousarray(features, dtype=np.float32)
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise ValueError(f"features of shape {x.shape} for a model of {self.dim} dimensions")
        matrix, gconsts, splits = self.matrix, self.gconsts, self.row_splits
        if pdf_ids is not None:
            rows, splits = self.rows_of(np.asarray(pdf_ids))
            matrix, gconsts = matrix[rows], gconsts[rows]
        out = np.empty((len(x), len(splits) - 1), np.float32)
        for begin in range(0, len(x), FRAMES_AT_ONCE):
            part = x[begin : begin + FRAMES_AT_ONCE]
            components = matrix @ np.concatenate([part, part * part], axis=1).T
            components += gconsts[:, None]
            log_sum_components(components, splits, out[begin : begin + FRAMES_AT_ONCE])
        return out

    def rows_of(self, pdf_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the Gaussians of some pdfs, in their order, and where each pdf's begin."""
        sizes = np.diff(self.row_splits)[pdf_ids]
        splits = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        shift = np.repeat(self.row_splits[pdf_ids] - splits[:-1], sizes)
        return np.arange(splits[-1]) + shift, splits

    def boosted(self, pdf_ids: Sequence[int] | np.ndarray, factor: float) -> AmDiagGmm:
        """Returns a model that likes some pdfs (those of silence) `factor` times as much.

        Its weights do not sum to one there; it is for alignment only (Kaldi's gmm-boost-silence).
        """
        if factor == 1.0:
            return self
        if not factor > 0:
            raise ValueError(f"a boost of {factor}; wanted more than 0")
        weights = self.weights.copy()
        weights[np.isin(self.gaussian_pdfs, np.asarray(pdf_ids, dtype=np.int64))] *= np.float32(factor)
        return AmDiagGmm(self.row_splits, weights, self.means_invvars, self.inv_vars)

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the parameters by name, as the model folder stores them."""
        return {name: getattr(self, name) for name in ("row_splits", "weights", "means_invvars", "inv_vars")}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> AmDiagGmm:
        """Builds the model from what `arrays` returned.

        Raises:
          ValueError: an array is missing or does not fit the others.
        """
        wanted = ("row_splits", "weights", "means_invvars", "inv_vars")
        missing = [name for name in wanted if name not in arrays]
        if missing:
            raise ValueError(
                f"array '{quote(missing[0])}' of a GMM is missing (found {', '.join(sorted(arrays)) or 'none'})"
            )
        return cls(*(arrays[name] for name in wanted))

    def content_hash(self) -> str:
        """Returns the sha256 of the parameters."""
        digest = hashlib.sha256()
        for name, array in self.arrays().items():
            digest.update(f"{name}{array.shape}{array.dtype}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()
