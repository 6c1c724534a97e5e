"""MLLT, also called semi-tied covariances: one rotation in which diagonal covariances fit best (Gales, 1999)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from hybrid.base.errors import HybridError
from hybrid.gmm.am_diag_gmm import AmDiagGmm
from hybrid.gmm.fmllr import invert_all
from hybrid.gmm.stats import component_posteriors

__all__ = [
    "MlltEstimate",
    "MlltStats",
    "estimate_mllt",
    "mllt_objective",
    "mllt_sweep_reference",
    "transform_means",
]

_GAUSSIANS_AT_ONCE = 256  # bounds memory: each holds a D × D matrix


@cache
def _triangle(dim: int) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(dim)


@dataclass(eq=False)
class MlltStats:
    """What the transform is estimated from; adding two is adding up their data.

    Attributes:
      beta: Σ posterior.
      packed: float64 [D][D(D+1)/2], upper triangles of G_d = Σ_t,j γ_j(t) / σ²_jd (x − μ_j)(x − μ_j)ᵀ.
    """

    beta: float
    packed: np.ndarray

    @classmethod
    def zeros(cls, dim: int) -> MlltStats:
        """Returns statistics of nothing."""
        return cls(0.0, np.zeros((dim, dim * (dim + 1) // 2)))

    def __iadd__(self, other: MlltStats) -> MlltStats:
        self.beta += other.beta
        self.packed += other.packed
        return self

    @property
    def dim(self) -> int:
        """Values per frame."""
        return len(self.packed)

    @property
    def scatters(self) -> np.ndarray:
        """float64 [D][D][D]: G_d."""
        full = np.zeros((self.dim, self.dim, self.dim))
        rows, columns = _triangle(self.dim)
        full[:, rows, columns] = self.packed
        full[:, columns, rows] = self.packed
        return full

    def accumulate(
        self, model: AmDiagGmm, features: np.ndarray, pdf_ids: np.ndarray, weights: np.ndarray | None = None
    ) -> None:
        """Adds aligned frames; the more at once (many utterances), the faster.

        Args:
          features: float32 [T][D].
          pdf_ids: int [T].
          weights: float [T]; None for 1. Frames of weight 0 are left out.
        """
        x, pdfs = np.asarray(features, np.float32), np.asarray(pdf_ids, np.int32)
        frame_weights = np.ones(len(x)) if weights is None else np.asarray(weights, np.float64)
        order = np.argsort(pdfs, kind="stable")
        order = order[frame_weights[order] > 0]
        if not len(order):
            return
        x, pdfs, frame_weights = x[order], pdfs[order], frame_weights[order]
        _, posteriors, _ = component_posteriors(model, x, pdfs)
        x = x.astype(np.float64)
        starts = np.append(np.flatnonzero(np.r_[True, np.diff(pdfs) != 0]), len(pdfs))
        rows, columns = _triangle(self.dim)
        scatters: list[np.ndarray] = []
        gaussians: list[int] = []
        at = 0
        for begin, end in zip(starts[:-1], starts[1:]):
            first, last = model.row_splits[pdfs[begin]], model.row_splits[pdfs[begin] + 1]
            size = (end - begin) * (last - first)
            gammas = posteriors[at : at + size].reshape(end - begin, last - first) * frame_weights[begin:end, None]
            at += size
            for gaussian, gamma in zip(range(first, last), gammas.T):
                centred = (x[begin:end] - model.means[gaussian]) * np.sqrt(gamma)[:, None]
                scatters.append((centred.T @ centred)[rows, columns])
                gaussians.append(gaussian)
            if len(gaussians) >= _GAUSSIANS_AT_ONCE:
                self.packed += model.inv_vars[gaussians].T.astype(np.float64) @ np.stack(scatters)
                scatters, gaussians = [], []
            self.beta += float(gammas.sum())
        if gaussians:
            self.packed += model.inv_vars[gaussians].T.astype(np.float64) @ np.stack(scatters)


@dataclass(frozen=True, eq=False)
class MlltEstimate:
    """A semi-tied transform.

    Attributes:
      matrix: float64 [D][D]; features become matrix · x, means likewise.
      gain: rise of the objective per frame.
      objectives: per frame, before the first sweep and after each.
    """

    matrix: np.ndarray
    gain: float
    objectives: tuple[float, ...]


def mllt_objective(matrix: np.ndarray, beta: float, scatters: np.ndarray) -> float:
    """Returns β log |det A| − ½ Σ_d a_d G_d a_dᵀ."""
    quadratic = np.einsum("di,dij,dj->", matrix, scatters, matrix)
    return float(beta * np.linalg.slogdet(matrix)[1] - 0.5 * quadratic)


def estimate_mllt(stats: MlltStats, num_sweeps: int = 200, tolerance: float = 1e-9) -> MlltEstimate:
    """Maximises the objective row by row, each row in closed form given the others (Gales, 1999, eq. 21).

    Row d becomes c G_d⁻¹ √(β / c G_d⁻¹ cᵀ), with c the cofactors of row d; the objective never falls.

    Args:
      num_sweeps: at most so many passes over the rows.
      tolerance: stop when a sweep gains less per frame.

    Raises:
      HybridError: too few frames, or statistics that are singular.
    """
    dim = stats.dim
    if stats.beta <= dim:
        raise HybridError(
            f"MLLT: {stats.beta:.0f} frames for {dim} dimensions; wanted more frames than dimensions. Use more data"
        )
    scatters = stats.scatters
    inverses = invert_all(scatters)
    if inverses is None:
        raise HybridError("MLLT: the statistics of a dimension are singular. Use more data or fewer dimensions")
    from hybrid.gmm.transform_kernels import mllt_sweep

    matrix = np.eye(dim)
    objectives = [mllt_objective(matrix, stats.beta, scatters) / stats.beta]
    for _ in range(num_sweeps):
        mllt_sweep(matrix, inverses, stats.beta)
        objectives.append(mllt_objective(matrix, stats.beta, scatters) / stats.beta)
        if objectives[-1] - objectives[-2] < tolerance:
            break
    return MlltEstimate(matrix, objectives[-1] - objectives[0], tuple(objectives))


def mllt_sweep_reference(matrix: np.ndarray, inverses: np.ndarray, beta: float) -> None:
    """The readable reference of `mllt_sweep`: inverts the matrix anew for every row."""
    for d in range(len(matrix)):
        cofactors = np.linalg.inv(matrix)[:, d]
        row = inverses[d] @ cofactors
        matrix[d] = row * np.sqrt(beta / (row @ cofactors))


def transform_means(model: AmDiagGmm, matrix: np.ndarray) -> AmDiagGmm:
    """Moves the means of all Gaussians into the new space; variances and weights stay (Kaldi's gmm-transform-means).

    Args:
      matrix: [D'][D], or [D'][D + 1] with an offset, D' = D.
    """
    dim = model.dim
    if matrix.shape not in ((dim, dim), (dim, dim + 1)):
        raise ValueError(f"a transform of shape {matrix.shape} for means of {dim} dimensions")
    means = model.means @ matrix[:, :dim].T
    if matrix.shape[1] == dim + 1:
        means = means + matrix[:, dim]
    return AmDiagGmm.from_normal(model.row_splits, model.weights, means, model.variances)
