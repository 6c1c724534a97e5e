"""Alignment: one transition-id per frame, and what can be read off it: phones and words with times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybrid.hmm import TransitionModel
from hybrid.timing.segments import Segment, phone_segments
from hybrid.timing.word_alignment import WordAlignment

__all__ = ["Alignment"]


@dataclass(frozen=True, eq=False)
class Alignment:
    """The best path of one utterance.

    Attributes:
      transition_ids: int32 [T].
      word_ids: int32 [W], words on the path in order.
      word_frames: int32 [W], where the graph put out each word: within the word, but not its beginning.
      score: of the path, scales applied, natural log.
      frame_scores: float32 [T], unscaled acoustic scores along the path.
      retried: the first beam was too narrow.
    """

    transition_ids: np.ndarray
    word_ids: np.ndarray
    word_frames: np.ndarray
    score: float
    frame_scores: np.ndarray
    retried: bool = False

    @property
    def num_frames(self) -> int:
        """Frames of scores that the path covers."""
        return len(self.transition_ids)

    def phones(self, model: TransitionModel) -> list[Segment]:
        """Returns the phones, which tile the frames."""
        return phone_segments(self.transition_ids, model)

    def words(self, model: TransitionModel, word_alignment: WordAlignment) -> list[Segment]:
        """Returns words and pauses (label 0), which tile the frames."""
        return word_alignment.words(self.phones(model), self.word_ids.tolist())
