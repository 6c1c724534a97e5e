"""Energy-based voice activity: which frames are speech, and where a long recording may be cut.

Frames are speech where their log energy passes a threshold that follows the recording's mean (Kaldi's `compute-vad`)
and, since noisy recordings never fall below that one, the span between its quiet and its loud frames; neighbours vote.
What does not move as speech does (`hybrid.feats.loudness`) is no speech, however loud. Audio is read in stretches; only
eight numbers per frame are kept, 12 MB per hour.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from hybrid.base.ranges import COUNT, NATURAL, Range, check_fields
from hybrid.feats.loudness import FLOOR, Loudness, frames_of, has_speech, log_energy, measure_loudness

__all__ = [
    "TimeSpan",
    "VadConfig",
    "cut_at_pauses",
    "find_speech",
    "listen",
    "log_energies",
    "segment_file",
    "speech_frames",
    "speech_threshold",
]

AROUND = 1.5  # seconds on each side of a segment that are heard with it


@dataclass(frozen=True)
class TimeSpan:
    """A stretch of a recording, in seconds."""

    start: float
    end: float

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.end - self.start


@dataclass(frozen=True)
class VadConfig:
    """Threshold of speech and shape of segments; times in seconds.

    Attributes:
      threshold, mean_scale: a frame is speech if its log energy is above
        `threshold + mean_scale · mean log energy`; 5 and 0.5 are Kaldi's.
      span_scale: and above this part of the way from the quiet frames (10th percentile) to the loud ones (95th), if
        these lie `min_span` nats apart; 0 leaves Kaldi's threshold alone.
      context, proportion: and if that holds for this part of the `context` frames on each side.
      said: what does not move as speech does is left out; without it, whatever is loud enough is speech.
      padding: kept on each side of speech.
      min_pause: shorter pauses do not separate segments.
      max_length: longer segments are cut at their longest pause, or else where it is quietest.
    """

    threshold: float = field(default=5.0, metadata={"help": "constant part of the threshold on log energy"})
    mean_scale: float = field(default=0.5, metadata={"help": "part of the mean log energy in the threshold"})
    span_scale: float = field(default=0.3, metadata={"help": "least part of the way from quiet to loud frames"})
    min_span: float = field(default=3.0, metadata={"help": "nats between quiet and loud frames for that to count"})
    context: int = field(default=5, metadata={"help": "frames on each side that vote"})
    proportion: float = field(default=0.6, metadata={"help": "part of the votes that makes speech"})
    said: bool = field(default=True, metadata={"help": "leave out what does not move as speech does"})
    padding: float = field(default=0.2, metadata={"help": "seconds kept before and after speech"})
    min_pause: float = field(default=0.5, metadata={"help": "seconds of silence that separate segments"})
    min_speech: float = field(default=0.1, metadata={"help": "seconds; shorter bursts are dropped"})
    max_length: float = field(default=30.0, metadata={"help": "seconds; longer segments are cut"})
    frame_length: float = field(default=25.0, metadata={"help": "ms"})
    frame_shift: float = field(default=10.0, metadata={"help": "ms"})

    def __post_init__(self) -> None:
        check_fields(
            self,
            context=Range(0, 10_000),
            max_length=COUNT,
            padding=NATURAL,
            min_pause=NATURAL,
            min_speech=NATURAL,
            frame_length=Range(0, 10_000, above=True),
        )
        if self.context < 0 or not 0 < self.proportion < 1:
            raise ValueError(f"context {self.context}, proportion {self.proportion}: wanted >= 0 and in (0, 1)")
        if not 0 <= self.span_scale < 1:
            raise ValueError(f"span_scale is {self.span_scale}, wanted 0 to 1")
        if self.max_length < 1 or min(self.padding, self.min_pause, self.min_speech) < 0:
            raise ValueError("max_length: wanted at least 1 s; padding, min_pause, min_speech: 0 or more")
        if not 0 < self.frame_shift <= self.frame_length:
            raise ValueError("frame_shift: wanted more than 0 and at most frame_length")


def log_energies(blocks: Iterable[tuple[np.ndarray, int]], config: VadConfig | None = None) -> np.ndarray:
    """Computes each frame's log energy (samples as 16-bit integers, mean of the frame removed).

    Args:
      blocks: consecutive (float32 [n] in [-1, 1], rate), as `hybrid.data.audio.audio_blocks` yields; how the audio
        is divided changes nothing.

    Returns:
      float32 [frames]; frames that lie inside the audio only.
    """
    config = config or VadConfig()
    parts: list[np.ndarray] = []
    rest = np.zeros(0, np.float32)
    for block, rate in blocks:
        length = max(1, int(rate * 0.001 * config.frame_length))
        shift = max(1, int(rate * 0.001 * config.frame_shift))
        rest = np.concatenate([rest, np.asarray(block, np.float32)])
        found = [log_energy(frames) for frames in frames_of(rest, length, shift)]
        rest = rest[shift * sum(map(len, found)) :]
        parts += found
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def speech_threshold(energies: np.ndarray, config: VadConfig) -> float:
    """Returns the log energy above which a frame of this recording is loud enough for speech.

    Args:
      energies: float [T], natural log of each frame's energy, T > 0.
    """
    sounding = energies[energies > np.log(FLOOR)]
    energies = sounding if len(sounding) else energies  # digital silence says nothing about the recording
    fixed = config.threshold + config.mean_scale * float(np.mean(energies, dtype=np.float64))
    quiet, loud = np.quantile(energies, [0.1, 0.95])
    if config.span_scale == 0 or loud - quiet < config.min_span:
        return fixed
    return max(fixed, float(quiet + config.span_scale * (loud - quiet)))


def speech_frames(energies: np.ndarray, config: VadConfig | None = None) -> np.ndarray:
    """Decides frame by frame.

    Args:
      energies: float32 [frames].

    Returns:
      bool [frames]; all False for silence.
    """
    config = config or VadConfig()
    if not len(energies):
        return np.zeros(0, bool)
    loud = energies > speech_threshold(energies, config)
    votes = np.concatenate([[0], np.cumsum(loud)])
    t = np.arange(len(loud))
    begin, end = np.maximum(t - config.context, 0), np.minimum(t + config.context + 1, len(loud))
    return votes[end] - votes[begin] >= config.proportion * (end - begin)


def _runs(speech: np.ndarray) -> list[tuple[int, int]]:
    """Returns [begin, end) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], speech.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2])]


def cut_at_pauses(
    speech: np.ndarray, energies: np.ndarray, total: float, config: VadConfig | None = None
) -> list[TimeSpan]:
    """Turns decisions into segments that begin and end in pauses, none longer than `max_length`.

    Args:
      speech: bool [frames].
      energies: float32 [frames], to find the quietest place in a stretch without pause.
      total: length of the recording, seconds.

    Returns:
      Segments in order, not overlapping; none if there is no speech.
    """
    config = config or VadConfig()
    shift = config.frame_shift / 1000
    bursts = [run for run in _runs(speech) if (run[1] - run[0]) * shift >= config.min_speech]
    groups: list[list[tuple[int, int]]] = []
    for run in bursts:
        if groups and (run[0] - groups[-1][-1][1]) * shift < config.min_pause:
            groups[-1].append(run)
        else:
            groups.append([run])
    pad = round(config.padding / shift)
    limit = round(config.max_length / shift)
    last = len(speech)
    pieces: list[tuple[int, int]] = []
    for i, group in enumerate(groups):
        # padding reaches at most to the middle of the pause to the neighbour
        before = (groups[i - 1][-1][1] + group[0][0]) // 2 if i else 0
        after = (group[-1][1] + groups[i + 1][0][0]) // 2 if i + 1 < len(groups) else last
        begin, end = max(group[0][0] - pad, before), min(group[-1][1] + pad, after)
        pieces += _divide(begin, end, speech, energies, limit)
    return [TimeSpan(begin * shift, total if end >= last else min(end * shift, total)) for begin, end in pieces]


def _divide(begin: int, end: int, speech: np.ndarray, energies: np.ndarray, limit: int) -> list[tuple[int, int]]:
    """Cuts [begin, end) until no piece is longer than `limit` frames."""
    pieces = []
    while end - begin > limit:
        low = begin + limit // 4
        pauses = [(a + low, b + low) for a, b in _runs(~speech[low : begin + limit])]
        if pauses:
            a, b = max(pauses, key=lambda pause: (pause[1] - pause[0], pause[0]))
            cut = (a + b) // 2
        else:
            width = min(20, limit // 8 + 1)
            smooth = np.convolve(energies[low : begin + limit], np.ones(width) / width, mode="valid")
            cut = low + int(np.argmin(smooth)) + width // 2
        cut = min(max(cut, begin + 1), begin + limit)
        pieces.append((begin, cut))
        begin = cut
    return [*pieces, (begin, end)]


def listen(path: str | os.PathLike, config: VadConfig | None = None, channel: int = 0) -> Loudness:
    """Measures the loudness of a file of any length, in bounded memory.

    Args:
      channel: from 0, or -1 for the mean of all.

    Raises:
      InputError: the file cannot be read.
    """
    from hybrid.data.audio import audio_blocks

    config = config or VadConfig()
    return measure_loudness(audio_blocks(path, channel=channel), config.frame_length, config.frame_shift)


def find_speech(loudness: Loudness, config: VadConfig | None = None, whole_within: float = 0.0) -> list[TimeSpan]:
    """Finds the segments of speech of a recording.

    Args:
      whole_within: seconds; what is not longer, without digital silence at its ends, is one segment or none.

    Returns:
      Segments in order, not overlapping, seconds in the recording; none where nothing is said.
    """
    config = config or VadConfig()
    energies, bands, pitch = loudness.energies, loudness.bands, loudness.pitch
    offset = loudness.begin / loudness.rate
    if loudness.end <= loudness.begin:
        return []
    if loudness.duration <= whole_within:
        is_speech = not config.said or not len(energies) or has_speech(energies, bands, pitch)
        return [TimeSpan(offset, loudness.end / loudness.rate)] if is_speech else []
    around, frames = round(AROUND * 1000 / config.frame_shift), 1000 / config.frame_shift
    found = []
    for span in cut_at_pauses(speech_frames(energies, config), energies, loudness.duration, config):
        first, last = max(0, round(span.start * frames) - around), round(span.end * frames) + around
        if not config.said or has_speech(energies[first:last], bands[first:last], pitch[first:last]):
            found.append(TimeSpan(offset + span.start, offset + span.end))
    return found


def segment_file(path: str | os.PathLike, config: VadConfig | None = None, channel: int = 0) -> list[TimeSpan]:
    """Finds the segments of speech of a file of any length; see `listen` and `find_speech`."""
    return find_speech(listen(path, config, channel), config)
