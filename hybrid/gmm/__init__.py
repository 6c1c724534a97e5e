"""Gaussian mixtures: models, EM, mixing up, and the acoustic model made of them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybrid.gmm.acoustic import GmmAcousticModel
    from hybrid.gmm.am_diag_gmm import AmDiagGmm
    from hybrid.gmm.config import MixConfig, UpdateConfig
    from hybrid.gmm.diag_gmm import DiagGmm
    from hybrid.gmm.m_step import UpdateReport, update
    from hybrid.gmm.mix import mix_down, mix_up
    from hybrid.gmm.stats import GmmStats, accumulate, component_posteriors

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

# imported when first used, so that looking up settings costs nothing
_MODULES = {
    "AmDiagGmm": "hybrid.gmm.am_diag_gmm",
    "DiagGmm": "hybrid.gmm.diag_gmm",
    "GmmAcousticModel": "hybrid.gmm.acoustic",
    "GmmStats": "hybrid.gmm.stats",
    "MixConfig": "hybrid.gmm.config",
    "UpdateConfig": "hybrid.gmm.config",
    "UpdateReport": "hybrid.gmm.m_step",
    "accumulate": "hybrid.gmm.stats",
    "component_posteriors": "hybrid.gmm.stats",
    "mix_down": "hybrid.gmm.mix",
    "mix_up": "hybrid.gmm.mix",
    "update": "hybrid.gmm.m_step",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
