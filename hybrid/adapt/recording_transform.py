"""A recording's own transform, estimated from searches of it: what `hybrid gmm decode-fmllr` does, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hybrid.adapt.lattice_stats import LatticeStats, basis_of, gmm_of, next_transform
from hybrid.adapt.two_pass import narrow
from hybrid.decode.system import System
from hybrid.feats.vad import TimeSpan
from hybrid.gmm.acoustic import GmmAcousticModel
from hybrid.gmm.adapt_config import AdaptConfig, FmllrConfig
from hybrid.gmm.fmllr import FmllrStats
from hybrid.model.recording import Recording
from hybrid.search.retry import search_with_retries

__all__ = ["adapts", "transform_of"]


def adapts(system: System) -> bool:
    """Whether a system's model was trained on features adapted to each speaker, by fMLLR."""
    model = system.model
    return model.speaker_independent is not None and isinstance(model.acoustic_model, GmmAcousticModel)


def transform_of(
    system: System, recording: Recording, chunks: Sequence[TimeSpan], config: AdaptConfig | None = None,
    fmllr: FmllrConfig | None = None,
) -> np.ndarray | None:  # fmt: skip
    """Estimates the transform of a recording's speaker, in two searches that are narrower than the last one.

    Args:
      recording: opened with the system's model. chunks: of it.

    Returns:
      float32 [D][D + 1]; None where there is no frame.
    """
    config, fmllr = config or AdaptConfig(), fmllr or FmllrConfig()
    model, transform = system.model, None
    basis, dim = basis_of(model), gmm_of(model).dim
    for first in (True, False):
        widths = (
            (config.si_beam, config.si_max_active) if first else (config.first_beam_adapted, config.first_max_active)
        )
        searcher = system.searcher.with_config(narrow(system.config, *widths))
        scorer = model.unadapted if first else replace(model, speaker_independent=None)
        counting = LatticeStats(system.config.scale, system.silence_phones, first, config)
        stats = FmllrStats.zeros(dim)
        for chunk in chunks:
            features = recording.features(chunk.start, chunk.end, transform)
            if len(features):
                (result,) = search_with_retries(searcher, [scorer.scores(features)], retry=system.spec.retry)
                stats += counting.of(model, result.require(recording.path).lattice, features)
        if not stats.beta:
            return transform
        transform, _ = next_transform(stats, transform, fmllr, basis)
    return transform
