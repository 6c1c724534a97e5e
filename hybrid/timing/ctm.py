"""CTM: one line per word or phone with its time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hybrid.timing.frame_times import FrameTimes
from hybrid.timing.segments import Segment

__all__ = ["TimedLabel", "ctm_header", "ctm_lines", "timed_labels"]


@dataclass(frozen=True)
class TimedLabel:
    """A word or phone in seconds; `label` is empty for a pause."""

    label: str
    start: float
    duration: float
    confidence: float | None = None

    @property
    def end(self) -> float:
        """Seconds."""
        return self.start + self.duration


def timed_labels(
    segments: Sequence[Segment],
    name: Callable[[int], str],
    times: FrameTimes,
    offset: float = 0.0,
    duration: float | None = None,
    first_frame: int = 0,
) -> list[TimedLabel]:
    """Turns frames into seconds; neighbours share their boundary, so that the result tiles the utterance.

    Args:
      segments: that tile the frames.
      name: word_id or phone_id → what to print.
      times: when frames begin.
      offset: of the utterance within its recording, seconds.
      duration: of the utterance, seconds; the last segment reaches to it (frames stop a little short of the end).
      first_frame: see `FrameTimes.clock`.
    """
    if not segments:
        return []
    end = None if duration is None else offset + max(duration, segments[-1].start * times.shift)
    time = times.clock(segments[-1].end, offset, end, first_frame)
    out = []
    for segment in segments:
        label = name(segment.label) if segment.label else ""
        out.append(TimedLabel(label, time(segment.start), time(segment.end) - time(segment.start)))
    return out


def ctm_header(times: FrameTimes) -> list[str]:
    """Returns the comment that tells the convention of boundaries; none where it is Kaldi's, whose CTMs have none."""
    return [] if times.lag == 0.0 else [f";; boundaries: {times.convention}"]


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
