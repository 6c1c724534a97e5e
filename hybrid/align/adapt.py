"""Speaker adaptation of alignment, switched by the amount of data.

A model trained on adapted features (SAT) needs a transform for its speaker. With speech enough the first alignment,
by its speaker-independent twin, gives an fMLLR transform; with less the twin aligns alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from hybrid.align.config import AlignmentError
from hybrid.align.speech import TextAligner
from hybrid.gmm.acoustic import GmmAcousticModel
from hybrid.gmm.adapt_config import FmllrConfig
from hybrid.gmm.fmllr import FmllrStats, estimate_fmllr

__all__ = ["speaker_transform"]


def speaker_transform(
    aligner: TextAligner, texts: Sequence[tuple[str, Sequence[str]]], features: Mapping[str, np.ndarray]
) -> tuple[TextAligner, np.ndarray | None]:
    """Estimates the transform of one speaker.

    Args:
      texts: (utterance, words). features: of each utterance, without transform, float32 [T][D].

    Returns:
      The aligner to use and the speaker's transform float32 [D][D + 1], or None: the model needs none, or there is
      too little speech (then the aligner is that of the speaker-independent twin).
    """
    model = aligner.model
    twin, adapted = model.speaker_independent, model.acoustic_model
    if not isinstance(twin, GmmAcousticModel) or not isinstance(adapted, GmmAcousticModel):
        return aligner, None
    plain = aligner.with_model(replace(model, acoustic_model=twin, speaker_independent=None))
    transitions = model.transition_model
    silence = np.isin(transitions.phones, aligner.lexicon.lang.silence_phones)
    stats = FmllrStats.zeros(adapted.gmm.dim)
    quick = TextAligner(plain.model, plain.lexicon, replace(plain.config, confidence=False))
    for utterance, words in texts:
        rows = features[utterance]
        try:
            ids = quick.align(words, plain.model.scores(rows)).alignment.transition_ids
        except AlignmentError:
            continue
        weights = np.where(silence[ids], 0.0, 1.0)
        stats.accumulate(adapted.gmm, rows, transitions.pdf_ids[ids], weights, posterior_model=twin.gmm)
    if stats.beta < aligner.config.adapt_frames:
        return plain, None
    estimate = estimate_fmllr(stats, FmllrConfig(min_speaker_frames=aligner.config.adapt_frames))
    if estimate.reason:
        return plain, None
    return aligner, estimate.matrix.astype(np.float32)
