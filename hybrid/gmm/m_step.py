"""The M-step: maximum-likelihood estimates with variance floors, and removal of starved Gaussians."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybrid.gmm.am_diag_gmm import AmDiagGmm
from hybrid.gmm.config import UpdateConfig
from hybrid.gmm.stats import GmmStats

__all__ = ["UpdateReport", "auxiliary", "update"]


@dataclass(frozen=True, eq=False)
class UpdateReport:
    """What an update did.

    Attributes:
      frames: occupancy that the estimate rests on.
      auxiliary_gain: rise of the auxiliary function per frame; not negative unless floors acted.
      floored_variances: how many variances were floored.
      floored_gaussians: how many Gaussians had a floored variance.
      removed: how many Gaussians were removed.
      starved_pdfs: pdf ids whose last Gaussian had too little data and was kept as it was.
      pdf_occupancy: float64 [num_pdfs].
    """

    frames: float
    auxiliary_gain: float
    floored_variances: int
    floored_gaussians: int
    removed: int
    starved_pdfs: tuple[int, ...]
    pdf_occupancy: np.ndarray


def auxiliary(model: AmDiagGmm, stats: GmmStats) -> float:
    """Returns EM's auxiliary function: Σ_m γ_m E[log w_m N(x; μ_m, σ²_m)]."""
    linear = (stats.sums * model.means_invvars).sum()
    quadratic = (stats.squares * model.inv_vars).sum()
    return float(stats.occupancy @ model.gconsts.astype(np.float64) + linear - 0.5 * quadratic)


def update(model: AmDiagGmm, stats: GmmStats, config: UpdateConfig | None = None) -> tuple[AmDiagGmm, UpdateReport]:
    """Estimates weights, means and variances anew.

    A Gaussian with at most `min_gaussian_occupancy` frames or `min_gaussian_weight` of its pdf is removed; the
    last one of a pdf is kept with its old mean and variance (Kaldi's MleDiagGmmUpdate).

    Args:
      stats: from `accumulate` with the same model.

    Raises:
      ValueError: the statistics are of another model, or not finite.
    """
    config = config or UpdateConfig()
    if stats.sums.shape != model.inv_vars.shape:
        raise ValueError(f"statistics of shape {stats.sums.shape} for Gaussians of shape {model.inv_vars.shape}")
    if not (np.isfinite(stats.sums).all() and np.isfinite(stats.squares).all()):
        raise ValueError("statistics hold NaN or infinity; check the features for NaN")
    pdfs, counts = model.gaussian_pdfs, np.diff(model.row_splits)
    occupancy = stats.occupancy
    totals = stats.pdf_occupancy(model)
    share = np.where(totals[pdfs] > 0, occupancy / np.maximum(totals[pdfs], 1e-300), 1.0 / counts[pdfs])
    enough = (occupancy > config.min_gaussian_occupancy) & (share > config.min_gaussian_weight)

    means, variances = model.means.copy(), model.variances.copy()
    means[enough] = stats.sums[enough] / occupancy[enough, None]
    variances[enough] = stats.squares[enough] / occupancy[enough, None] - means[enough] ** 2
    floored = (variances < config.min_variance) & enough[:, None]
    variances[floored] = config.min_variance
    weights = np.where(enough, share, np.maximum(share, max(config.min_gaussian_weight, 1e-30)))

    keep, starved = _kept(enough, model, config)
    splits = np.concatenate([[0], np.cumsum(np.bincount(pdfs[keep], minlength=model.num_pdfs))])
    kept_weights = weights[keep]
    kept_weights /= np.add.reduceat(kept_weights, splits[:-1])[pdfs[keep]]
    new = AmDiagGmm.from_normal(splits, kept_weights, means[keep], variances[keep])
    everything = AmDiagGmm.from_normal(model.row_splits, weights, means, variances)
    gain = auxiliary(everything, stats) - auxiliary(model, stats)
    report = UpdateReport(
        frames=float(occupancy.sum()),
        auxiliary_gain=gain / max(float(occupancy.sum()), 1e-300),
        floored_variances=int(floored.sum()),
        floored_gaussians=int(floored.any(axis=1).sum()),
        removed=int((~keep).sum()),
        starved_pdfs=starved,
        pdf_occupancy=totals,
    )
    return new, report


def _kept(enough: np.ndarray, model: AmDiagGmm, config: UpdateConfig) -> tuple[np.ndarray, tuple[int, ...]]:
    """Returns which Gaussians stay, and the pdfs none of whose Gaussians had enough data."""
    last = model.row_splits[1:] - 1
    hungry = ~np.logical_or.reduceat(enough, model.row_splits[:-1])
    starved = tuple(int(p) for p in np.flatnonzero(hungry))
    if not config.remove_low_count_gaussians:
        return np.ones_like(enough), starved
    keep = enough.copy()
    keep[last[hungry]] = True
    return keep, starved
