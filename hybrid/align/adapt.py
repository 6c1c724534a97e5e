"""Speaker adaptation of alignment, switched by the amount of data.

A model trained on adapted features (SAT) needs a transform for its speaker. With speech enough the first alignment,
by its speaker-independent twin, gives an fMLLR transform; with less the twin aligns alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hybrid.align.config import AlignmentError
from hybrid.align.speech import TextAligner
from hybrid.gmm.acoustic import GmmAcousticModel
from hybrid.gmm.adapt_config import FmllrConfig
from hybrid.gmm.fmllr import FmllrStats, estimate_fmllr

__all__ = ["Adaptation", "speaker_transform", "speech_stats", "transform_of"]


@dataclass(frozen=True, eq=False)
class Adaptation:
    """How one speaker is aligned.

    Attributes:
      aligner: of the adapted model, or of its speaker-independent twin.
      transform: fMLLR, float32 [D][D + 1]; None where the model needs none or there is too little speech.
      note: one line where a model that wants a transform does without.
    """

    aligner: TextAligner
    transform: np.ndarray | None = None
    note: str = ""


def speaker_transform(
    aligner: TextAligner, texts: Sequence[tuple[str, Sequence[str]]], features: Mapping[str, np.ndarray]
) -> Adaptation:
    """Estimates the transform of one speaker.

    Args:
      texts: (utterance, words). features: of each utterance, without transform, float32 [T][D].
    """
    model = aligner.model
    twin, adapted = model.speaker_independent, model.acoustic_model
    if not isinstance(twin, GmmAcousticModel) or not isinstance(adapted, GmmAcousticModel):
        return Adaptation(aligner)
    plain = aligner.with_model(model.unadapted)
    stats = FmllrStats.zeros(adapted.gmm.dim)
    quick = TextAligner(plain.model, plain.lexicon, replace(plain.config, confidence=False))
    for utterance, words in texts:
        rows = features[utterance]
        try:
            ids = quick.align(words, plain.model.scores(rows)).alignment.transition_ids
        except AlignmentError:
            continue
        stats += speech_stats(aligner, rows, ids)
    matrix, reason = transform_of(aligner, stats)
    return Adaptation(plain, None, f"aligned without adaptation ({reason})") if reason else Adaptation(aligner, matrix)


def speech_stats(aligner: TextAligner, features: np.ndarray, transition_ids: np.ndarray) -> FmllrStats:
    """Returns what the transform is estimated from: the frames of speech of one alignment.

    Args:
      aligner: of a GMM with a speaker-independent twin.
      features: without transform, float32 [T][D]. transition_ids: int32 [T].
    """
    adapted, twin = aligner.model.acoustic_model, aligner.model.speaker_independent
    assert isinstance(adapted, GmmAcousticModel) and isinstance(twin, GmmAcousticModel)
    transitions = aligner.model.transition_model
    silence = np.isin(transitions.phones, aligner.lexicon.lang.silence_phones)
    stats = FmllrStats.zeros(adapted.gmm.dim)
    weights = np.where(silence[transition_ids], 0.0, 1.0)
    stats.accumulate(adapted.gmm, features, transitions.pdf_ids[transition_ids], weights, posterior_model=twin.gmm)
    return stats


def transform_of(aligner: TextAligner, stats: FmllrStats) -> tuple[np.ndarray | None, str]:
    """Returns the transform float32 [D][D + 1], or None and why there is none."""
    shift, wanted = aligner.model.frame_shift, aligner.config.adapt_frames
    if stats.beta < wanted:
        heard = f"{stats.beta * shift:.2f} s of speech, from {wanted * shift:.2f} s on a speaker is adapted to"
        return None, heard
    estimate = estimate_fmllr(stats, FmllrConfig(min_speaker_frames=wanted))
    return (None, estimate.reason) if estimate.reason else (estimate.matrix.astype(np.float32), "")
