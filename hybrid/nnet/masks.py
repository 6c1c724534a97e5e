"""Which frames a frame may attend to: all of the utterance, some on each side, or its own chunk and some before it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hybrid.base.ranges import Range, check_fields

__all__ = ["Scope", "attention_mask"]


@dataclass(frozen=True)
class Scope:
    """How far attention reaches, in frames of the network; −1: to the utterance's end.

    Attributes:
      look_back, look_ahead: frames before and after a frame.
      chunk: frames of a chunk, whose frames see each other and no later ones; 0: no chunks. Chunks are counted from the
        utterance's first frame.
      left_chunks: chunks before its own that a frame sees.
    """

    look_back: int = -1
    look_ahead: int = -1
    chunk: int = 0
    left_chunks: int = -1

    def __post_init__(self) -> None:
        check_fields(self, look_back=Range(-1), look_ahead=Range(-1), chunk=Range(0), left_chunks=Range(-1))
        if self.chunk and (self.look_back != -1 or self.look_ahead != -1):
            raise ValueError("chunk is given beside look_back or look_ahead; wanted chunks (and left_chunks) or frames")
        if self.left_chunks != -1 and not self.chunk:
            raise ValueError(f"left_chunks is {self.left_chunks} without chunk; wanted the frames of a chunk")

    def sees(self, frame: int) -> tuple[int, int | None]:
        """Returns the first and the last frame that a frame sees; None: the utterance's last."""
        if self.chunk:
            own = frame // self.chunk
            first = 0 if self.left_chunks < 0 else max(0, (own - self.left_chunks) * self.chunk)
            return first, (own + 1) * self.chunk - 1
        return (
            0 if self.look_back < 0 else max(0, frame - self.look_back),
            None if self.look_ahead < 0 else frame + self.look_ahead,
        )


def attention_mask(lengths: Tensor, frames: int, scope: Scope, first: Tensor | None = None) -> Tensor:
    """Tells which frame may attend to which.

    Args:
      lengths: int64 [N], frames of each utterance.
      frames: T, frames of the batch.
      first: int64 [N], the number in its utterance of each row's first frame (pieces of streams); None: 0.

    Returns:
      bool [N][T][T], of the attending frame and the one attended to. Frames past an utterance's end are attended to by
      none.
    """
    t = torch.arange(frames, device=lengths.device)
    mask = (t[None] < lengths[:, None])[:, None, :]
    query, key = t[:, None], t[None, :]
    if scope.chunk:
        number = t[None] if first is None else t[None] + first[:, None]
        own = torch.div(number, scope.chunk, rounding_mode="floor")
        later = own[:, None, :] - own[:, :, None]
        mask = mask & (later <= 0)
        if scope.left_chunks >= 0:
            mask = mask & (later >= -scope.left_chunks)
    if scope.look_ahead >= 0:
        mask = mask & (key - query <= scope.look_ahead)[None]
    if scope.look_back >= 0:
        mask = mask & (query - key <= scope.look_back)[None]
    return mask.expand(lengths.shape[0], frames, frames)
