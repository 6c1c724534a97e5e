"""MAP adaptation: move a model towards new data, each Gaussian as far as its data justify (Gauvain and Lee, 1994)."""

from __future__ import annotations

import numpy as np

from hybrid.gmm.adapt_config import MapConfig
from hybrid.gmm.am_diag_gmm import AmDiagGmm
from hybrid.gmm.stats import GmmStats

__all__ = ["MapConfig", "map_adapt"]


def map_adapt(model: AmDiagGmm, stats: GmmStats, config: MapConfig | None = None) -> AmDiagGmm:
    """Returns the model that maximises likelihood plus a prior centred on the old model.

    A mean becomes (Σ γ x + τ μ) / (Σ γ + τ), so that Gaussians without data stay where they were; variances
    and weights likewise.

    Args:
      stats: of the new data, accumulated with `model`.

    Raises:
      ValueError: statistics of another model.
    """
    config = config or MapConfig()
    if stats.sums.shape != model.inv_vars.shape:
        raise ValueError(f"statistics of shape {stats.sums.shape} for Gaussians of shape {model.inv_vars.shape}")
    occupancy = stats.occupancy[:, None]
    means, variances = model.means, model.variances
    weights = model.weights.astype(np.float64)
    if config.means:
        means = (stats.sums + config.mean_tau * means) / (occupancy + config.mean_tau)
    if config.variances:
        around = stats.squares - 2 * means * stats.sums + occupancy * means**2
        prior = config.variance_tau * (variances + (model.means - means) ** 2)
        variances = np.maximum((around + prior) / (occupancy + config.variance_tau), config.min_variance)
    if config.weights:
        pdfs = model.gaussian_pdfs
        counts = stats.occupancy + config.weight_tau * weights
        weights = counts / np.bincount(pdfs, counts)[pdfs]
    return AmDiagGmm.from_normal(model.row_splits, weights, means, variances)
