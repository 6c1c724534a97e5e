"""Speaker transforms from aligned speech, for any model that was trained on adapted features.

The speaker-independent model aligns first; what is estimated from that alignment moves the features to the adapted one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hybrid.gmm.acoustic import GmmAcousticModel
from hybrid.gmm.adapt_config import FmllrConfig
from hybrid.gmm.fmllr import FmllrStats, estimate_fmllr
from hybrid.model.folder import Model

__all__ = ["SpeakerStats", "is_adaptive", "speech_stats", "transform_of"]

SpeakerStats = FmllrStats


def is_adaptive(model: Model) -> bool:
    """Tells whether a model wants features with a speaker's transform, and brings what estimates it."""
    return isinstance(model.acoustic_model, GmmAcousticModel) and isinstance(
        model.speaker_independent, GmmAcousticModel
    )


def speech_stats(
    model: Model, silence_phones: Sequence[int], pieces: Sequence[tuple[np.ndarray, np.ndarray]] = ()
) -> SpeakerStats:
    """Returns what a transform is estimated from: the frames of speech of some alignments.

    Args:
      model: `is_adaptive`.
      silence_phones: whose frames do not count.
      pieces: features without transform, float32 [T][D], and the transition-ids aligned with them, int32 [T].
    """
    adapted, first = model.acoustic_model, model.speaker_independent
    assert isinstance(adapted, GmmAcousticModel) and isinstance(first, GmmAcousticModel)
    transitions = model.transition_model
    silent = np.isin(transitions.phones, silence_phones)
    stats = FmllrStats.zeros(adapted.gmm.dim)
    for features, ids in pieces:
        weights = np.where(silent[ids], 0.0, 1.0)
        stats.accumulate(adapted.gmm, features, transitions.pdf_ids[ids], weights, posterior_model=first.gmm)
    return stats


def transform_of(stats: SpeakerStats, frames: float, frame_shift: float) -> tuple[np.ndarray | None, str]:
    """Estimates a transform.

    Args:
      frames: of speech, from which on a speaker is adapted to. frame_shift: seconds.

    Returns:
      float32 [D][D + 1], or None and why there is none.
    """
    if stats.beta < frames:
        heard = f"{stats.beta * frame_shift:.2f} s of speech"
        return None, f"{heard}, from {frames * frame_shift:.2f} s on a speaker is adapted to"
    estimate = estimate_fmllr(stats, FmllrConfig(min_speaker_frames=frames))
    return (None, estimate.reason) if estimate.reason else (estimate.matrix.astype(np.float32), "")
