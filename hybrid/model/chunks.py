"""Scores of utterances that come in chunks, for any model that states how far it looks to each side.

A stream keeps the frames of features that later scores look at. A chunk is scored together with them, in one batch over
all streams, and the frames whose context is complete are given out: the same as those of the whole utterance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hybrid.base.errors import InputError

if TYPE_CHECKING:
    import torch

    from hybrid.model.protocol import AcousticModel

__all__ = ["ScoreStream", "advance_streams", "require_pairs"]


class ScoreStream:
    """What is carried from one chunk of an utterance to the next.

    Attributes:
      frames: frames of scores given out.
      ended: its last chunk was taken in.
    """

    def __init__(self, model: AcousticModel) -> None:
        self._model = model
        self._kept = np.zeros((0, model.feature_dim), np.float32)
        self._first = 0  # number of the first frame of features kept, a multiple of the subsampling factor
        self.frames = 0
        self.ended = False

    def checked(self, chunk: np.ndarray) -> np.ndarray:
        """Returns a chunk as float32 [T][D].

        Raises:
          InputError: another dimension, or the stream has ended.
        """
        chunk = np.asarray(chunk, np.float32)
        if self.ended:
            raise InputError.at("stream", "has ended already", "Open another one for the next utterance.")
        if chunk.ndim != 2 or chunk.shape[1] != self._model.feature_dim:
            raise InputError.at("features", f"have shape {chunk.shape}, wanted [frames][{self._model.feature_dim}]")
        return chunk

    def take(self, chunk: np.ndarray, last: bool) -> tuple[np.ndarray, int, int]:
        """Takes in features float32 [T][D].

        Returns:
          The frames of features to be scored, and which frames of their scores are new: from, to.

        Raises:
          InputError: another dimension, or the stream has ended.
        """
        model = self._model
        kept = np.concatenate([self._kept, self.checked(chunk)])
        known, factor = self._first + len(kept), model.subsampling_factor
        ready = model.num_frames(known) if last else max(0, (known - 1 - model.right_context) // factor + 1)
        ready = max(ready, self.frames)
        begin, end = self.frames - self._first // factor, ready - self._first // factor
        needed = min(ready * factor - model.left_context, known)
        first = max(self._first, needed // factor * factor)
        self._kept, self._first = kept[first - self._first :].copy(), first
        self.frames, self.ended = ready, last
        return kept, begin, end


def require_pairs(streams: Sequence, chunks: Sequence, last: Sequence[bool] | None) -> None:
    """Raises InputError unless each stream has its chunk."""
    if len(streams) != len(chunks) or (last is not None and len(last) != len(streams)):
        raise InputError.at("streams", f"{len(streams)} streams but {len(chunks)} chunks", "Give each its own.")


def advance_streams(
    model: AcousticModel, streams: Sequence[ScoreStream], chunks: Sequence[np.ndarray],
    last: Sequence[bool] | None = None,
) -> list[torch.Tensor]:  # fmt: skip
    """Scores a chunk of each stream in one batch; see `AcousticModel.advance`."""
    import torch

    require_pairs(streams, chunks, last)
    taken = [s.take(c, bool(last and last[i])) for i, (s, c) in enumerate(zip(streams, chunks))]
    at_work = [i for i, (_, begin, end) in enumerate(taken) if end > begin]
    out = [torch.zeros(0, model.num_pdfs, device=model.device) for _ in streams]
    if not at_work:
        return out
    lengths = torch.tensor([len(taken[i][0]) for i in at_work])
    batch = torch.zeros(len(at_work), int(lengths.max()), model.feature_dim)
    for row, i in enumerate(at_work):
        batch[row, : lengths[row]] = torch.from_numpy(taken[i][0])
    scores, _ = model.scores(batch.to(model.device), lengths)
    for row, i in enumerate(at_work):
        out[i] = scores[row, taken[i][1] : taken[i][2]]
    return out
