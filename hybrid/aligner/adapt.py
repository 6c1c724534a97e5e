"""Speaker adaptation of alignment, switched by the amount of data.

A model trained on adapted features (SAT) needs a transform for its speaker. With speech enough the first alignment,
by its speaker-independent model, gives an fMLLR transform; with less that model aligns alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hybrid.adapt.speaker_stats import is_adaptive, speech_stats, transform_of
from hybrid.align.config import AlignmentError
from hybrid.aligner.text_aligner import TextAligner

__all__ = ["Adaptation", "speaker_transform"]


@dataclass(frozen=True, eq=False)
class Adaptation:
    """How one speaker is aligned.

    Attributes:
      aligner: of the adapted model, or of its speaker-independent model.
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
    if not is_adaptive(model):
        return Adaptation(aligner)
    plain = aligner.with_model(model.unadapted)
    quick = TextAligner(plain.model, plain.lexicon, replace(plain.config, confidence=False))
    pieces = []
    for utterance, words in texts:
        rows = features[utterance]
        try:
            ids = quick.align(words, plain.model.scores(rows)).alignment.transition_ids
        except AlignmentError:
            continue
        pieces.append((rows, ids))
    stats = speech_stats(model, aligner.lexicon.lang.silence_phones, pieces)
    matrix, reason = transform_of(stats, aligner.config.adapt_frames, model.frame_shift)
    return Adaptation(plain, None, f"aligned without adaptation ({reason})") if reason else Adaptation(aligner, matrix)
