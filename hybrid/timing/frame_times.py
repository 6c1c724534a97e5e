"""When a frame begins: the one convention of boundaries, and Kaldi's where it is wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

__all__ = ["FrameTimes", "TimedModel"]


class TimedModel(Protocol):
    """What is asked of a model: seconds per frame of scores, and from frame number × shift to the boundary."""

    @property
    def frame_shift(self) -> float:
        """Seconds per frame of scores."""

    @property
    def boundary_lag(self) -> float:
        """Seconds from a frame's number × shift to the middle between its window and the one before it."""


@dataclass(frozen=True)
class FrameTimes:
    """Seconds of the boundaries between frames.

    A boundary lies in the middle between the windows of the two frames it parts: frame number × shift + lag, where
    lag is (window − shift) / 2, 7.5 ms with the usual windows. Kaldi's boundaries have no lag. A recording begins at 0
    in both.

    Attributes:
      shift: seconds from one frame of scores to the next.
      lag: seconds; above −shift / 2.

    Raises:
      ValueError: shift is not positive, or lag is out of its range.
    """

    shift: float
    lag: float = 0.0

    def __post_init__(self) -> None:
        if not (self.shift > 0 and -self.shift < self.lag < float("inf")):
            raise ValueError(
                f"frames of {self.shift} s with boundaries {self.lag} s later: wanted shift > 0, lag > -shift"
            )

    @classmethod
    def of(cls, model: TimedModel, kaldi: bool = False) -> FrameTimes:
        """Returns the times of a model's frames: in the middle between windows, or Kaldi's."""
        return cls(model.frame_shift, 0.0 if kaldi else model.boundary_lag)

    @property
    def convention(self) -> str:
        """One line that tells it, for the headers of files."""
        if self.lag == 0.0:
            return f"frame x {self.shift:g} s"
        return f"middle between windows, frame x {self.shift:g} s {self.lag * 1000:+g} ms"

    def boundary(self, frame: float) -> float:
        """Returns the seconds from the start of a recording to the boundary in front of a frame, or an expected one."""
        return frame * self.shift + self.lag if frame > 0 else 0.0

    def clock(self, frames: int, start: float, end: float | None = None, first: int = 0) -> Callable[[float], float]:
        """Returns the seconds of each boundary of an utterance, frame 0 … `frames`, or of an expected one between.

        Args:
          start, end: of the utterance in its recording, seconds; without an end it ends with its last frame.
          first: number of its first frame in the audio that was made into frames with it: 0 where that begins with it.
        """
        begin = self.boundary(first)
        last = start + self.boundary(first + frames) - begin if end is None else end

        def time(frame: float) -> float:
            if frame <= 0:
                return start
            return last if frame >= frames else min(start + self.boundary(first + frame) - begin, last)

        return time
