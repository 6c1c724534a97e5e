"""fMLLR statistics of an utterance from the posteriors of its lattice, and a transform from those of a speaker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hybrid.base.errors import InputError
from hybrid.gmm.acoustic import GmmAcousticModel
from hybrid.gmm.adapt_config import AdaptConfig, FmllrConfig
from hybrid.gmm.am_diag_gmm import AmDiagGmm
from hybrid.gmm.basis_fmllr import FmllrBasis, estimate_basis_fmllr
from hybrid.gmm.fmllr import FmllrEstimate, FmllrStats, compose_affine, estimate_fmllr, identity_transform
from hybrid.gmm.speaker_transforms import load_basis
from hybrid.lattice.lattice import Lattice
from hybrid.lattice.posteriors import frame_posteriors
from hybrid.lattice.prune import prune
from hybrid.model.folder import Model

__all__ = ["LatticeStats", "basis_of", "gmm_of", "next_transform"]


@dataclass(frozen=True)
class LatticeStats:
    """How lattices are counted.

    Attributes:
      acoustic_scale: of the search.
      silence_phones: phones that count little.
      first: lattices of the pass without transforms, whose posteriors of Gaussians are the speaker-independent model's.
    """

    acoustic_scale: float
    silence_phones: tuple[int, ...]
    first: bool
    config: AdaptConfig

    def of(self, model: Model, lattice: Lattice, features: np.ndarray) -> FmllrStats:
        """Returns the statistics of one utterance.

        Args:
          features: float32 [T][D], the transform in force applied.
        """
        gmm, posterior_model = gmm_of(model), None
        if self.first and isinstance(model.speaker_independent, GmmAcousticModel):
            posterior_model = model.speaker_independent.gmm
        transitions = model.transition_model
        silent = np.isin(transitions.phones, self.silence_phones)
        if not self.first:
            lattice = prune(lattice, self.config.posterior_beam, self.acoustic_scale)
        frames, ids, weights = frame_posteriors(lattice, self.acoustic_scale)
        weights = weights * np.where(silent[ids], self.config.silence_weight, 1.0)
        stats = FmllrStats.zeros(gmm.dim)
        inside = (frames < len(features)) & (weights > 1e-4)
        stats.accumulate(
            gmm, features, transitions.pdf_ids[ids[inside]], weights[inside], frames[inside],
            posterior_model=posterior_model,
        )  # fmt: skip
        return stats


def gmm_of(model: Model) -> AmDiagGmm:
    """Returns the Gaussians of a model.

    Raises:
      InputError: it is no GMM.
    """
    if not isinstance(model.acoustic_model, GmmAcousticModel):
        raise InputError.at(model.path, "holds no GMM, which fMLLR needs", "Name the folder of a GMM.")
    return model.acoustic_model.gmm


def basis_of(model: Model) -> FmllrBasis | None:
    """Returns the basis in a model's folder, for speakers with too little speech for a full transform."""
    file = None if model.path is None else Path(model.path) / "fmllr_basis.safetensors"
    if file is None or not file.exists():
        return None
    return load_basis(file, model.pipeline.dim, model.tree.content_hash())


def next_transform(
    stats: FmllrStats, before: np.ndarray | None, fmllr: FmllrConfig, basis: FmllrBasis | None = None
) -> tuple[np.ndarray, FmllrEstimate]:
    """Estimates a speaker's transform on top of the one in force.

    Returns:
      float32 [D][D + 1], and the estimate; who has too little speech for that too keeps what was in force.
    """
    if basis is not None and stats.beta < fmllr.min_speaker_frames:
        estimate, _ = estimate_basis_fmllr(stats, basis)
    else:
        estimate = estimate_fmllr(stats, fmllr)
    old = np.asarray(identity_transform(len(estimate.matrix)) if before is None else before, np.float64)
    return compose_affine(estimate.matrix, old).astype(np.float32), estimate
