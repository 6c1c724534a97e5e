"""The E-step: sufficient statistics of Gaussians from frames whose pdf is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybrid.gmm.am_diag_gmm import AmDiagGmm

__all__ = ["GmmStats", "accumulate", "accumulate_reference", "component_posteriors"]


@dataclass(eq=False)
class GmmStats:
    """Sufficient statistics for maximum likelihood; adding two is adding up their data.

    Attributes:
      occupancy: float64 [G], Σ posterior.
      sums: float64 [G][D], Σ posterior × x.
      squares: float64 [G][D], Σ posterior × x².
      log_likelihood: Σ frame weight × log-likelihood.
      frames: Σ frame weight.
    """

    occupancy: np.ndarray
    sums: np.ndarray
    squares: np.ndarray
    log_likelihood: float = 0.0
    frames: float = 0.0

    @classmethod
    def zeros(cls, model: AmDiagGmm, dim: int | None = None) -> GmmStats:
        """Returns empty statistics for a model (of features of `dim` columns, if not the model's own)."""
        shape = (model.num_gaussians, dim or model.dim)
        return cls(np.zeros(shape[0]), np.zeros(shape), np.zeros(shape))

    def __iadd__(self, other: GmmStats) -> GmmStats:
        self.occupancy += other.occupancy
        self.sums += other.sums
        self.squares += other.squares
        self.log_likelihood += other.log_likelihood
        self.frames += other.frames
        return self

    @property
    def log_likelihood_per_frame(self) -> float:
        """Natural log, of the features given their pdfs; 0 without frames."""
        return self.log_likelihood / self.frames if self.frames else 0.0

    def pdf_occupancy(self, model: AmDiagGmm) -> np.ndarray:
        """Returns the occupancy of each pdf: float64 [num_pdfs]."""
        return np.add.reduceat(self.occupancy, model.row_splits[:-1])


def _checked(model: AmDiagGmm, features: np.ndarray, pdf_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = np.ascontiguousarray(features, dtype=np.float32)
    ids = np.ascontiguousarray(pdf_ids, dtype=np.int32)
    if x.ndim != 2 or x.shape[1] != model.dim:
        raise ValueError(f"features of shape {x.shape} for a model of {model.dim} dimensions")
    if len(x) != len(ids):
        raise ValueError(f"{len(ids)} pdf ids for {len(x)} frames")
    if len(ids) and not 0 <= ids.min() <= ids.max() < model.num_pdfs:
        raise ValueError(f"pdf ids {ids.min()} to {ids.max()} for a model of {model.num_pdfs} pdfs")
    return x, ids


def accumulate(
    stats: GmmStats,
    model: AmDiagGmm,
    features: np.ndarray,
    pdf_ids: np.ndarray,
    frame_weights: np.ndarray | None = None,
    stats_features: np.ndarray | None = None,
) -> None:
    """Adds the statistics of aligned frames.

    Args:
      stats: added to.
      features: float32 [T][D], what posteriors are computed from.
      pdf_ids: int32 [T], the pdf of each frame.
      frame_weights: float64 [T]; None for 1.
      stats_features: float32 [T][D'], what is summed with these posteriors (Kaldi's "twofeats"); None for `features`.
    """
    from hybrid.gmm.kernels import accumulate_frames

    x, ids = _checked(model, features, pdf_ids)
    weights = np.ones(len(ids)) if frame_weights is None else np.ascontiguousarray(frame_weights, dtype=np.float64)
    y = x if stats_features is None else np.ascontiguousarray(stats_features, dtype=np.float32)
    if len(y) != len(x) or y.shape[1] != stats.sums.shape[1]:
        raise ValueError(f"statistics of features of shape {y.shape}; wanted ({len(x)}, {stats.sums.shape[1]})")
    stats.log_likelihood += accumulate_frames(
        x,
        ids,
        weights,
        y,
        model.row_splits,
        model.gconsts,
        model.means_invvars,
        model.inv_vars,
        stats.occupancy,
        stats.sums,
        stats.squares,
    )
    stats.frames += float(weights.sum())


def accumulate_reference(stats: GmmStats, model: AmDiagGmm, features: np.ndarray, pdf_ids: np.ndarray) -> None:
    """The readable reference of `accumulate`: posteriors γ_m(t) by Bayes' rule, then Σ γ, Σ γ x, Σ γ x²."""
    for x, pdf_id in zip(np.asarray(features, dtype=np.float64), pdf_ids):
        rows = slice(model.row_splits[pdf_id], model.row_splits[pdf_id + 1])
        scores = model.pdf(pdf_id).component_log_likelihoods(x[None])[0].astype(np.float64)
        log_total = np.logaddexp.reduce(scores)
        posterior = np.exp(scores - log_total)
        stats.occupancy[rows] += posterior
        stats.sums[rows] += posterior[:, None] * x
        stats.squares[rows] += posterior[:, None] * x * x
        stats.log_likelihood += log_total
        stats.frames += 1


def component_posteriors(
    model: AmDiagGmm, features: np.ndarray, pdf_ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Returns the posteriors of the components of each frame's pdf, for fMLLR, MLLR and MLLT.

    Returns:
      gaussians int64 [N] (rows of the model) and posteriors float64 [N], for frame 0's components, then frame 1's,
      …: frame t has as many as its pdf has Gaussians; and the sum of the frames' log-likelihoods.
    """
    from hybrid.gmm.kernels import component_posteriors_frames

    x, ids = _checked(model, features, pdf_ids)
    gaussians, offsets = model.rows_of(ids)
    posteriors = np.empty(int(offsets[-1]))
    parameters = (model.row_splits, model.gconsts, model.means_invvars, model.inv_vars)
    total = component_posteriors_frames(x, ids, *parameters, offsets, posteriors)
    return gaussians, posteriors, float(total)
