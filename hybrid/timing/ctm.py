"""CTM: one line per word or phone with its time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hybrid.timing.segments import Segment

__all__ = ["TimedLabel", "ctm_lines", "timed_labels"]


@dataclass(frozen=True)
class TimedLabel:
    """A word or phone in seconds; `label` is empty for a pause."""

    label: str
    start: float
    duration: float
    confidence: float | None = None

    @property
    def end(self) -> float:
        return self.start + self.duration


def timed_labels(
    segments: Sequence[Segment],
    name: Callable[[int], str],
    frame_shift: float,
    offset: float = 0.0,
    duration: float | None = None,
) -> list[TimedLabel]:
    """Turns frames into seconds; neighbours share their boundary, so that the result tiles the utterance.

    Args:
      segments: that tile the frames.
      name: word_id or phone_id → what to print.
      frame_shift: seconds per frame of the alignment (the subsampling included).
      offset: of the utterance within its recording, seconds.
      duration: of the utterance, seconds; the last segment reaches to it (frames stop a little short of the end).
    """
    out = []
    for number, segment in enumerate(segments):
        start, end = segment.start * frame_shift, segment.end * frame_shift
        if number == len(segments) - 1 and duration is not None:
            end = max(duration, start)
        label = name(segment.label) if segment.label else ""
        out.append(TimedLabel(label, offset + start, end - start))
    return out


def ctm_lines(recording: str, labels: Iterable[TimedLabel], channel: str = "1", pauses: bool = False) -> list[str]:
    """Returns `recording channel start duration label [confidence]`; pauses only on request, as `<eps>`."""
    lines = []
    for item in labels:
        if item.label or pauses:
            confidence = "" if item.confidence is None else f" {item.confidence:.2f}"
            lines.append(
                f"{recording} {channel} {item.start:.2f} {item.duration:.2f} {item.label or '<eps>'}{confidence}"
            )
    return lines
