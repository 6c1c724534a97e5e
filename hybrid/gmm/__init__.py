"""Gaussian mixtures: models, EM, mixing up, and the acoustic model made of them."""

from hybrid.gmm.accumulate import GmmStats, accumulate, component_posteriors
from hybrid.gmm.acoustic import GmmAcousticModel
from hybrid.gmm.am_diag_gmm import AmDiagGmm
from hybrid.gmm.diag_gmm import DiagGmm
from hybrid.gmm.mix import MixConfig, mix_down, mix_up
from hybrid.gmm.update import UpdateConfig, UpdateReport, update

__all__ = [
    "AmDiagGmm",
    "DiagGmm",
    "GmmAcousticModel",
    "GmmStats",
    "MixConfig",
    "UpdateConfig",
    "UpdateReport",
    "accumulate",
    "component_posteriors",
    "mix_down",
    "mix_up",
    "update",
]
