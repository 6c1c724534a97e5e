"""Stretches of frames: phones of an alignment, and the words they make."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybrid.hmm import TransitionModel

__all__ = ["Segment", "phone_segments"]


@dataclass(frozen=True)
class Segment:
    """A phone or word on its frames.

    Attributes:
      label: phone_id or word_id; 0 for a pause between words.
      start: first frame.
      length: number of frames.
      phones: of a word: its phones.
    """

    label: int
    start: int
    length: int
    phones: tuple[Segment, ...] = ()

    @property
    def end(self) -> int:
        """The frame after the last."""
        return self.start + self.length


def phone_segments(transition_ids: np.ndarray, model: TransitionModel) -> list[Segment]:
    """Cuts transition-ids into phones.

    A phone ends with the arc into its final state and the self-loops that follow that arc (graphs put self-loops
    after the arc that enters a state).

    Raises:
      ValueError: an id is not one of the model's.
    """
    ids = np.asarray(transition_ids)
    if not len(ids):
        return []
    if ids.min() < 1 or ids.max() > model.num_transition_ids:
        raise ValueError(f"transition-ids {ids.min()} to {ids.max()} for a model of {model.num_transition_ids}")
    entering = np.flatnonzero(~model.is_self_loop[ids])
    begins = entering[1:][model.is_final[ids[entering[:-1]]]]
    starts = np.concatenate([[0], begins]).astype(int)
    lengths = np.diff(np.append(starts, len(ids)))
    phones = model.phones[ids[starts]]
    return [Segment(int(p), int(s), int(n)) for p, s, n in zip(phones, starts, lengths)]
