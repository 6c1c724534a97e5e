"""fMLLR: an affine transform of one speaker's features that makes them likelier under the model.

Gales (1998), "Maximum likelihood linear transformations for HMM-based speech recognition", section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from hybrid.gmm.adapt_config import FmllrConfig
from hybrid.gmm.am_diag_gmm import AmDiagGmm
from hybrid.gmm.stats import component_posteriors

__all__ = [
    "FmllrConfig",
    "FmllrEstimate",
    "FmllrStats",
    "compose_affine",
    "estimate_fmllr",
    "fmllr_objective",
    "fmllr_sweep_reference",
    "identity_transform",
    "invert_all",
]

_WORST_CONDITION = 1e6
_FRAMES_AT_ONCE = 512  # float32 sums stay this short; totals are float64


def identity_transform(dim: int) -> np.ndarray:
    """Returns float64 [D][D + 1] that changes nothing."""
    return np.eye(dim, dim + 1)


def compose_affine(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Returns the transform [D][D + 1] that applies `first` and then `second`."""
    dim = len(first)
    product = second[:, :dim] @ first
    product[:, dim] += second[:, dim]
    return product


@cache
def _triangle(dim: int) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(dim + 1)


@dataclass(eq=False)
class FmllrStats:
    """What a transform is estimated from, x⁺ = [x; 1]; adding two is adding up their data.

    Attributes:
      beta: Σ posterior.
      linear: float64 [D][D + 1], K = Σ γ μ/σ² x⁺ᵀ.
      packed: float64 [D][(D+1)(D+2)/2], upper triangles of G_d = Σ γ/σ²_d x⁺ x⁺ᵀ.
    """

    beta: float
    linear: np.ndarray
    packed: np.ndarray

    @classmethod
    def zeros(cls, dim: int) -> FmllrStats:
        """Returns statistics of nothing."""
        return cls(0.0, np.zeros((dim, dim + 1)), np.zeros((dim, (dim + 1) * (dim + 2) // 2)))

    def __iadd__(self, other: FmllrStats) -> FmllrStats:
        self.beta += other.beta
        self.linear += other.linear
        self.packed += other.packed
        return self

    @property
    def dim(self) -> int:
        """Values per frame."""
        return len(self.linear)

    @property
    def scatters(self) -> np.ndarray:
        """float64 [D][D + 1][D + 1]: G_d."""
        full = np.zeros((self.dim, self.dim + 1, self.dim + 1))
        rows, columns = _triangle(self.dim)
        full[:, rows, columns] = self.packed
        full[:, columns, rows] = self.packed
        return full

    def accumulate_terms(
        self, features: np.ndarray, precisions: np.ndarray, scaled_means: np.ndarray, occupancy: float
    ) -> None:
        """Adds frames whose Gaussians have been summed up already.

        Args:
          features: float [T][D].
          precisions: float64 [T][D], Σ_j γ_j(t) / σ²_j.
          scaled_means: float64 [T][D], Σ_j γ_j(t) μ_j / σ²_j.
          occupancy: Σ_t,j γ_j(t).
        """
        x = np.concatenate([np.asarray(features, np.float32), np.ones((len(features), 1), np.float32)], axis=1)
        weights = precisions.astype(np.float32)
        self.beta += occupancy
        self.linear += scaled_means.T @ x.astype(np.float64)
        products = np.empty((min(len(x), _FRAMES_AT_ONCE), self.packed.shape[1]), np.float32)
        for begin in range(0, len(x), _FRAMES_AT_ONCE):
            part = x[begin : begin + _FRAMES_AT_ONCE]
            at = 0
            for column in range(self.dim + 1):
                size = self.dim + 1 - column
                np.multiply(part[:, column : column + 1], part[:, column:], out=products[: len(part), at : at + size])
                at += size
            self.packed += weights[begin : begin + _FRAMES_AT_ONCE].T @ products[: len(part)]

    def accumulate(
        self,
        model: AmDiagGmm,
        features: np.ndarray,
        pdf_ids: np.ndarray,
        weights: np.ndarray | None = None,
        frames: np.ndarray | None = None,
        posterior_model: AmDiagGmm | None = None,
        posterior_features: np.ndarray | None = None,
    ) -> None:
        """Adds frames with hard (alignment) or soft (lattice) posteriors of pdfs.

        Args:
          model: whose Gaussians the features shall fit.
          features: float32 [T][D], not transformed, or already transformed by the transform to be composed with.
          pdf_ids: int [N], one entry per (frame, pdf) with posterior.
          weights: float [N], the posteriors; None for 1. Entries of weight 0 are left out.
          frames: int [N], ascending, the frame of each entry; None for one entry per frame.
          posterior_model: where the posteriors of Gaussians within a pdf come from, if not `model`; it must
            match it Gaussian by Gaussian (Kaldi's alignment model).
          posterior_features: float32 [T][D] for `posterior_model`; None for `features`.
        """
        pdfs = np.asarray(pdf_ids, np.int32)
        entry_weights = np.ones(len(pdfs)) if weights is None else np.asarray(weights, np.float64)
        where = np.arange(len(pdfs)) if frames is None else np.asarray(frames)
        used = entry_weights > 0
        pdfs, entry_weights, where = pdfs[used], entry_weights[used], where[used]
        if not len(pdfs):
            return
        source = posterior_model or model
        if posterior_model is not None and not np.array_equal(posterior_model.row_splits, model.row_splits):
            raise ValueError("the model of the posteriors does not match the model Gaussian by Gaussian")
        seen = features if posterior_features is None else posterior_features
        gaussians, posteriors, _ = component_posteriors(source, np.asarray(seen)[where], pdfs)
        sizes = np.diff(model.row_splits)[pdfs]
        posteriors = posteriors * np.repeat(entry_weights, sizes)
        kept, columns = np.unique(where, return_inverse=True)
        precisions, scaled_means = _sum_gaussians(
            model, np.repeat(columns.reshape(-1), sizes), gaussians, posteriors, len(kept)
        )
        self.accumulate_terms(np.asarray(features)[kept], precisions, scaled_means, float(posteriors.sum()))


def _sum_gaussians(
    model: AmDiagGmm, frames: np.ndarray, gaussians: np.ndarray, posteriors: np.ndarray, num_frames: int
) -> tuple[np.ndarray, np.ndarray]:
    from scipy.sparse import csr_matrix

    weights = csr_matrix((posteriors, (frames, gaussians)), shape=(num_frames, model.num_gaussians))
    return weights @ model.inv_vars.astype(np.float64), weights @ model.means_invvars.astype(np.float64)


@dataclass(frozen=True, eq=False)
class FmllrEstimate:
    """A speaker's transform.

    Attributes:
      matrix: float64 [D][D + 1].
      gain: rise of the auxiliary function per frame; 0 where the identity was kept.
      frames: Σ posterior.
      objectives: per frame, at the start and after each sweep.
      reason: why the identity was kept, or empty.
    """

    matrix: np.ndarray
    gain: float
    frames: float
    objectives: tuple[float, ...] = ()
    reason: str = ""


def fmllr_objective(matrix: np.ndarray, stats: FmllrStats, scatters: np.ndarray | None = None) -> float:
    """Returns β log |det A| + tr(K Wᵀ) − ½ Σ_d w_d G_d w_dᵀ for W = [A b]."""
    scatters = stats.scatters if scatters is None else scatters
    quadratic = np.einsum("di,dij,dj->", matrix, scatters, matrix)
    return float(stats.beta * np.linalg.slogdet(matrix[:, :-1])[1] + (stats.linear * matrix).sum() - 0.5 * quadratic)


def estimate_fmllr(
    stats: FmllrStats, config: FmllrConfig | None = None, start: np.ndarray | None = None
) -> FmllrEstimate:
    """Maximises the auxiliary function row by row, each row in closed form given the others.

    Args:
      start: float64 [D][D + 1]; the identity where not given.

    Returns:
      The transform; the start itself where there is too little data or the statistics are singular.
    """
    config = config or FmllrConfig()
    matrix = identity_transform(stats.dim) if start is None else np.array(start, np.float64)
    if stats.beta < max(config.min_speaker_frames, 1e-8):
        reason = f"{stats.beta:.0f} frames of speech, fewer than {config.min_speaker_frames:.0f}"
        return FmllrEstimate(matrix, 0.0, stats.beta, (), reason)
    scatters = stats.scatters
    inverses = invert_all(scatters)
    if inverses is None:
        return FmllrEstimate(matrix, 0.0, stats.beta, (), "statistics are singular (features do not vary enough)")
    from hybrid.gmm.transform_kernels import fmllr_sweep

    objectives = [fmllr_objective(matrix, stats, scatters) / stats.beta]
    for _ in range(config.num_sweeps):
        fmllr_sweep(matrix, inverses, stats.linear, stats.beta)
        objectives.append(fmllr_objective(matrix, stats, scatters) / stats.beta)
    return FmllrEstimate(matrix, objectives[-1] - objectives[0], stats.beta, tuple(objectives))


def invert_all(matrices: np.ndarray) -> np.ndarray | None:
    """Inverts positive matrices float64 [N][D][D]; None where one is singular, or nearly so.

    That is: where its condition, after scaling to a unit diagonal, is beyond what float32 products can tell.
    """
    diagonal = np.einsum("ndd->nd", matrices)
    if not np.isfinite(matrices).all() or (diagonal <= 0).any():
        return None
    scale = 1.0 / np.sqrt(diagonal)
    scaled = matrices * scale[:, :, None] * scale[:, None, :]
    try:
        inverses = np.linalg.inv(scaled)
    except np.linalg.LinAlgError:
        return None
    condition = np.abs(scaled).sum(axis=1).max(axis=1) * np.abs(inverses).sum(axis=1).max(axis=1)
    if not np.isfinite(condition).all() or condition.max() > _WORST_CONDITION:
        return None
    return inverses * scale[:, :, None] * scale[:, None, :]


def fmllr_sweep_reference(matrix: np.ndarray, inverses: np.ndarray, linear: np.ndarray, beta: float) -> None:
    """The readable reference of `fmllr_sweep`: inverts A anew for every row."""
    for d in range(len(matrix)):
        matrix[d] = _best_row(matrix, d, inverses[d], linear[d], beta)


def _best_row(matrix: np.ndarray, d: int, inverse: np.ndarray, linear: np.ndarray, beta: float) -> np.ndarray:
    """Returns the row that maximises the auxiliary function given the others: (α c + k) G⁻¹.

    c holds the row's cofactors and 0 for the offset, and α the better root of α² cG⁻¹c + α cG⁻¹k = β.
    """
    cofactors = np.append(np.linalg.inv(matrix[:, :-1])[:, d], 0.0)
    projected = inverse @ cofactors
    square, cross = projected @ cofactors, projected @ linear
    root = np.sqrt(cross * cross + 4 * square * beta)
    alphas = np.array([-cross + root, -cross - root]) / (2 * square)
    scores = beta * np.log(np.abs(alphas * square + cross)) - 0.5 * alphas**2 * square
    return inverse @ (alphas[np.argmax(scores)] * cofactors + linear)
