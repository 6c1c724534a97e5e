"""DiagGmm: one mixture of Gaussians with diagonal covariances, in exponential-family form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["DiagGmm", "Gaussians", "check_gaussians", "gaussian_constants"]


def check_gaussians(weights: np.ndarray, means_invvars: np.ndarray, inv_vars: np.ndarray) -> None:
    """Checks the parameters of Gaussians.

    Raises:
      ValueError: shapes differ, something is not finite, or a weight or variance is not positive.
    """
    if means_invvars.ndim != 2 or means_invvars.shape != inv_vars.shape or len(weights) != len(inv_vars):
        raise ValueError(
            f"{len(weights)} weights, means of shape {means_invvars.shape} and variances of shape {inv_vars.shape}; "
            "wanted one row of means and of variances for each weight"
        )
    for name, array in (("weights", weights), ("means", means_invvars), ("inverse variances", inv_vars)):
        if not np.isfinite(array).all():
            raise ValueError(f"{name} hold NaN or infinity")
    if (weights <= 0).any():
        raise ValueError(f"weight {weights.min()} of Gaussian {int(weights.argmin())}; wanted more than 0")
    if (inv_vars <= 0).any():
        raise ValueError(f"inverse variance {inv_vars.min()}; wanted more than 0")


def gaussian_constants(weights: np.ndarray, means_invvars: np.ndarray, inv_vars: np.ndarray) -> np.ndarray:
    """Returns log w - ½ Σ (log 2π - log(1/σ²) + μ²/σ²) of each Gaussian: float64 [M]."""
    inv = inv_vars.astype(np.float64)
    means = means_invvars.astype(np.float64)
    quadratic = (math.log(2 * math.pi) - np.log(inv) + means * means / inv).sum(axis=1)
    return np.log(weights.astype(np.float64)) - 0.5 * quadratic


class Gaussians:
    """Parameters of Gaussians with diagonal covariances, and what follows from them.

    Attributes:
      weights: float32 [M], positive.
      means_invvars: float32 [M][D], mean over variance.
      inv_vars: float32 [M][D], one over variance.
    """

    weights: np.ndarray
    means_invvars: np.ndarray
    inv_vars: np.ndarray

    @property
    def num_gaussians(self) -> int:
        """How many Gaussians there are, of all mixtures together."""
        return len(self.weights)

    @property
    def dim(self) -> int:
        """Values per frame."""
        return self.inv_vars.shape[1]

    @cached_property
    def means(self) -> np.ndarray:
        """float64 [M][D]."""
        return self.means_invvars.astype(np.float64) / self.inv_vars

    @cached_property
    def variances(self) -> np.ndarray:
        """float64 [M][D]."""
        return 1.0 / self.inv_vars.astype(np.float64)

    @cached_property
    def gconsts(self) -> np.ndarray:
        """float32 [M], what does not depend on the frame: log weight and the normaliser."""
        return gaussian_constants(self.weights, self.means_invvars, self.inv_vars).astype(np.float32)


@dataclass(frozen=True, eq=False)
class DiagGmm(Gaussians):
    """A mixture density  p(x) = Σ_m w_m N(x; μ_m, diag σ²_m).

    Attributes:
      weights: float32 [M], positive.
      means_invvars: float32 [M][D], mean over variance.
      inv_vars: float32 [M][D], one over variance.
    """

    weights: np.ndarray
    means_invvars: np.ndarray
    inv_vars: np.ndarray

    def __post_init__(self) -> None:
        for name in ("weights", "means_invvars", "inv_vars"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=np.float32))
        check_gaussians(self.weights, self.means_invvars, self.inv_vars)

    @classmethod
    def from_normal(cls, weights: np.ndarray, means: np.ndarray, variances: np.ndarray) -> DiagGmm:
        """Builds a mixture from weights [M], means [M][D] and variances [M][D]."""
        inverse = 1.0 / np.asarray(variances, dtype=np.float64)
        return cls(np.asarray(weights), np.asarray(means, dtype=np.float64) * inverse, inverse)

    def component_log_likelihoods(self, features: np.ndarray) -> np.ndarray:
        """Returns log(w_m N(x_t; m)) as float32 [T][M] for features float32 [T][D]."""
        x = np.asarray(features, dtype=np.float32)
        return x @ self.means_invvars.T - np.float32(0.5) * ((x * x) @ self.inv_vars.T) + self.gconsts

    def log_likelihood(self, features: np.ndarray) -> np.ndarray:
        """Returns log p(x_t) as float32 [T] for features float32 [T][D]."""
        components = self.component_log_likelihoods(features)
        best = components.max(axis=1)
        return best + np.log(np.exp(components - best[:, None]).sum(axis=1))
