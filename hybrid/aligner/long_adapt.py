"""Adaptation of a long recording: each piece with the transform of the speech around it.

The speaker-independent model has aligned all pieces. Each one is aligned again with an fMLLR transform estimated from
the pieces within a minute of it, so that a recording may hold one speaker or many; where that is not better, or there
is too little speech, the first alignment stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hybrid.adapt.speaker_stats import SpeakerStats, is_adaptive, speech_stats, transform_of
from hybrid.align.config import AlignmentError
from hybrid.aligner.text_aligner import AlignedWords, TextAligner
from hybrid.base.log import track
from hybrid.model.recording import Recording

__all__ = ["REACH", "Fitted", "adapt_pieces"]

REACH = 60.0  # seconds between the middle of a piece and that of another that speaks for it


@dataclass(frozen=True, eq=False)
class Fitted:
    """A piece of a recording, seconds, with its words and their alignment."""

    start: float
    end: float
    words: tuple[str, ...]
    aligned: AlignedWords

    @property
    def middle(self) -> float:
        """Seconds."""
        return (self.start + self.end) / 2


def adapt_pieces(aligner: TextAligner, recording: Recording, pieces: Sequence[Fitted]) -> list[Fitted]:
    """Aligns pieces anew, each with a transform of its own.

    Args:
      aligner: of the adapted model; a model without one of that kind leaves the pieces as they are.
      recording: scored by its speaker-independent model.
      pieces: in the order of time, aligned by that model.
    """
    model = aligner.model
    if not is_adaptive(model):
        return list(pieces)
    silence = aligner.lexicon.lang.silence_phones
    known: dict[int, SpeakerStats] = {}
    out: list[Fitted] = []
    for piece in track(pieces, "adapting"):
        near = [i for i, other in enumerate(pieces) if abs(other.middle - piece.middle) <= REACH]
        known = {i: known[i] if i in known else _stats(aligner, recording, pieces[i]) for i in near}
        total = speech_stats(model, silence)
        for stats in known.values():
            total += stats
        matrix, _ = transform_of(total, aligner.config.adapt_frames, model.frame_shift)
        out.append(piece if matrix is None else _again(aligner, recording, piece, matrix))
    return out


def _stats(aligner: TextAligner, recording: Recording, piece: Fitted) -> SpeakerStats:
    features = recording.features(piece.start, piece.end)
    silence = aligner.lexicon.lang.silence_phones
    return speech_stats(aligner.model, silence, [(features, piece.aligned.alignment.transition_ids)])


def _again(aligner: TextAligner, recording: Recording, piece: Fitted, matrix: np.ndarray) -> Fitted:
    """Returns the piece as the adapted model aligns it, or as it was where that model is less sure of it."""
    scores = aligner.model.scores(recording.features(piece.start, piece.end, matrix))
    try:
        aligned = aligner.align(piece.words, scores, piece.start, piece.end - piece.start)
    except AlignmentError:
        return piece
    return replace(piece, aligned=aligned) if aligned.confidence >= piece.aligned.confidence else piece
