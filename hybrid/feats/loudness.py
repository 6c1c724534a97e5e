"""Loudness of a recording frame by frame, as a whole and in bands; and whether it has the shape of speech.

Speech is told from noise by its movement. Its energy rises and falls by several nats within seconds, its bands do so
together, since one mouth drives them all; hum, tones and steady noise hardly move, and in the babble of many voices the
bands move, but each by itself, and no pitch is clear. All is relative to the recording: its level does not matter.

Digital silence (no sample beyond one step of 16 bits) says nothing about a recording: at its ends it is cut off, to the
sample, and elsewhere its frames are left out of account.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

__all__ = ["FLOOR", "LEAST", "Loudness", "LoudnessStream", "frames_of", "has_speech", "log_energy", "measure_loudness"]

FLOOR = np.float32(1.0)  # energy of a frame of digital silence, samples as 16-bit integers
LEAST = np.float32(1.5 / 32768)  # samples up to this are digital silence
EDGES = (200, 500, 900, 1400, 2000, 2800, 3800)  # of the bands, Hz
SMOOTH, LAG, WINDOW, SHORT, LONG = 5, 10, 300, 100, 450  # frames
VOICE = (80.0, 400.0)  # Hz
VOICED = 0.7  # of the energy, from which on a frame that repeats itself is voiced
CLEAR, UNCLEAR = 0.7, 0.2  # voiced part of the loud frames: one voice, whatever else; no voice
BRIEF, BRIEF_SPAN, BRIEF_CLEAR = 60, 2.2, 0.6  # frames, nats and voiced part of less than SHORT frames of speech
WIDE = (2.5, 3.5)  # nats between quiet and loud frames that babble does not reach in 2 seconds, and in 4 and more
SPAN, MOVEMENT = 1.2, 0.4  # nats; less is hum or noise
QUIET = 0.4  # of the range from the quietest to the loud frames: what is below at the ends is not speech
LONGEST = 60.0  # seconds that a stream keeps
TOGETHER = (1.6, 1.8)  # span over movement of the bands, as WIDE: less is babble


@dataclass(frozen=True, eq=False)
class Loudness:
    """What a recording sounds like, frame by frame.

    Attributes:
      energies: float32 [T], natural log of each frame's energy, samples as 16-bit integers.
      bands: float32 [T][B], the same of each band.
      pitch: float32 [T], the part of each frame's energy that is a voice's: the peak of its autocorrelation.
      begin, end: samples before and behind which there is digital silence only; the first frame starts at `begin`.
      total, rate: samples in all, and in a second.
    """

    energies: np.ndarray
    bands: np.ndarray
    pitch: np.ndarray
    begin: int
    end: int
    total: int
    rate: int

    @property
    def duration(self) -> float:
        """Seconds between the silences at the ends."""
        return (self.end - self.begin) / self.rate


def frames_of(samples: np.ndarray, length: int, shift: int) -> Iterator[np.ndarray]:
    """Yields the frames that lie inside samples, float64 [n][length] of 16-bit size, some thousand at a time."""
    count = 1 + (len(samples) - length) // shift if len(samples) >= length else 0
    if not count:
        return
    frames = np.lib.stride_tricks.sliding_window_view(samples, length)[::shift][:count]
    for begin in range(0, count, 4096):
        yield frames[begin : begin + 4096].astype(np.float64) * 32768.0


def log_energy(frames: np.ndarray) -> np.ndarray:
    """Returns the log energy of frames float64 [n][length], their means removed: float32 [n]."""
    energy = np.square(frames).sum(axis=1) - np.square(frames.sum(axis=1)) / frames.shape[1]
    return np.log(np.maximum(energy, FLOOR)).astype(np.float32)


def measure_loudness(blocks: Iterable[tuple[np.ndarray, int]], frame_length: float, frame_shift: float) -> Loudness:
    """Measures audio of any length; 32 bytes per frame are kept.

    Args:
      blocks: consecutive (float32 [n], rate), as `hybrid.data.audio.audio_blocks` yields; how the audio is divided
        changes nothing.
      frame_length, frame_shift: ms.
    """
    parts = [_nothing()]
    rest = np.zeros(0, np.float32)
    begin, end, total, rate = -1, 0, 0, 1
    for block, rate in blocks:
        length, shift = (max(1, int(rate * 0.001 * ms)) for ms in (frame_length, frame_shift))
        loud = np.flatnonzero(np.abs(block) > LEAST)
        if len(loud):
            end = total + int(loud[-1]) + 1
        if begin < 0 and len(loud):
            begin = total + int(loud[0])
            rest = np.asarray(block[loud[0] :], np.float32)
        elif begin >= 0:
            rest = np.concatenate([rest, np.asarray(block, np.float32)])
        total += len(block)
        done = 0
        for frames in frames_of(rest, length, shift):
            parts.append(_measured(frames, rate))
            done += len(frames) * shift
        rest = rest[done:]
    begin = max(begin, 0)
    length, shift = (max(1, int(rate * 0.001 * ms)) for ms in (frame_length, frame_shift))
    inside = max(0, 1 + (end - begin - length) // shift)
    energies, bands, pitch = (np.concatenate(part)[:inside] for part in zip(*parts))
    return Loudness(energies, bands, pitch, begin, end, total, rate)


Measured = tuple[np.ndarray, np.ndarray, np.ndarray]  # energies, bands, pitch


def _nothing() -> Measured:
    return np.zeros(0, np.float32), np.zeros((0, len(EDGES) - 1), np.float32), np.zeros(0, np.float32)


def _measured(frames: np.ndarray, rate: int) -> Measured:
    return log_energy(frames), _bands(frames, rate), _pitch(frames, rate)


class LoudnessStream:
    """Loudness of audio that comes in pieces; of its last LONGEST seconds, memory does not grow."""

    def __init__(self, rate: int, frame_length: float = 25.0, frame_shift: float = 10.0) -> None:
        """Starts with nothing heard.

        Args:
          frame_length, frame_shift: ms.
        """
        self._rate, self._seconds = rate, frame_shift / 1000
        self._length, self._shift = (max(1, int(rate * 0.001 * ms)) for ms in (frame_length, frame_shift))
        self._rest = np.zeros(0, np.float32)
        self._dropped = 0  # frames
        self._kept = _nothing()

    def advance(self, samples: np.ndarray) -> None:
        """Takes in samples, float32 [N] in [-1, 1]; forgets what lay LONGEST seconds back before them."""
        over = max(0, len(self._kept[0]) - round(LONGEST / self._seconds))
        self._dropped += over
        parts = [(self._kept[0][over:], self._kept[1][over:], self._kept[2][over:])]
        self._rest = np.concatenate([self._rest, np.asarray(samples, np.float32)])
        done = 0
        for frames in frames_of(self._rest, self._length, self._shift):
            parts.append(_measured(frames, self._rate))
            done += len(frames) * self._shift
        energies, bands, pitch = (np.concatenate(part) for part in zip(*parts))
        self._kept, self._rest = (energies, bands, pitch), self._rest[done:]

    def has_speech(self, start: float, end: float) -> bool:
        """Tells whether a stretch may be speech, as `has_speech` does; what is forgotten counts as speech.

        Args:
          start, end: seconds since the beginning.
        """
        first, last = (round(time / self._seconds) - self._dropped for time in (start, end))
        energies, bands, pitch = (values[max(first, 0) : max(last, 0)] for values in self._kept)
        return not len(energies) or first < 0 < self._dropped or has_speech(energies, bands, pitch)


def _bands(frames: np.ndarray, rate: int) -> np.ndarray:
    """Log energies in bands, float32 [n][B]; those beyond half the rate stay at the floor."""
    centred = (frames - frames.mean(axis=1, keepdims=True)).astype(np.float32) * np.hanning(frames.shape[1]).astype(
        np.float32
    )
    power = np.square(np.abs(np.fft.rfft(centred, axis=1)))
    edges = np.searchsorted(np.fft.rfftfreq(frames.shape[1], 1 / rate), EDGES)
    sums = np.stack([power[:, a:b].sum(axis=1) for a, b in zip(edges, edges[1:])], axis=1)
    return np.log(np.maximum(sums, FLOOR)).astype(np.float32)


def _pitch(frames: np.ndarray, rate: int) -> np.ndarray:
    """Greatest part of a frame's energy that comes again after a voice's period, float32 [n] (Boersma, 1993)."""
    length = frames.shape[1]
    first, last = max(1, int(rate / VOICE[1])), min(length - 1, int(rate / VOICE[0]))
    if first >= last:
        return np.zeros(len(frames), np.float32)
    window = np.hanning(length).astype(np.float32)
    size = 1 << (2 * length - 1).bit_length()
    centred = (frames - frames.mean(axis=1, keepdims=True)).astype(np.float32) * window
    again, own = (np.fft.irfft(np.square(np.abs(np.fft.rfft(x, size)))) for x in (centred, window))
    found = again[:, first:last] / np.maximum(again[:, :1], FLOOR) * (own[0] / own[first:last])
    return found.max(axis=1).astype(np.float32)


def has_speech(energies: np.ndarray, bands: np.ndarray, pitch: np.ndarray) -> bool:
    """Tells whether a stretch may be speech: some three seconds of it move as speech does.

    What is too short to tell is taken for speech unless it is steady.

    Args:
      energies, bands, pitch: of the stretch, see `Loudness`.
    """
    sounding = energies > np.log(FLOOR)
    energies, bands, voiced = _smooth(energies[sounding]), _smooth(bands[sounding]), pitch[sounding] > VOICED
    if not len(energies):
        return False
    voiced = voiced[(len(voiced) - len(energies)) // 2 :][: len(energies)]
    bands = bands[:, bands.max(axis=0) > np.log(FLOOR)]
    inside = _without_quiet_ends(energies)
    if inside.stop - inside.start >= LONG:  # how loud the room is before somebody or something begins is no movement
        energies, bands, voiced = energies[inside], bands[inside], voiced[inside]
    last = max(0, len(energies) - WINDOW)
    places = [*range(0, last, WINDOW // 2), last]
    wide, together = (float(np.interp(len(energies), (200, 400), bounds)) for bounds in (WIDE, TOGETHER))
    return any(
        _moves_as_speech(energies[a : a + WINDOW], bands[a : a + WINDOW], voiced[a : a + WINDOW], wide, together)
        for a in places
    )


def _without_quiet_ends(energies: np.ndarray) -> slice:
    """Returns where energies first and last lie in the upper part of their range."""
    low, high = energies.min(), np.quantile(energies, 0.95)
    loud = np.flatnonzero(energies >= low + QUIET * (high - low))
    return slice(int(loud[0]), int(loud[-1]) + 1)


def _moves_as_speech(energies: np.ndarray, bands: np.ndarray, voiced: np.ndarray, wide: float, together: float) -> bool:
    low, high = np.quantile(energies, [0.1, 0.95])
    span = float(high - low)
    lag = min(LAG, len(bands) // 2)
    movement = float(np.abs(bands[lag:] - bands[:-lag]).mean()) if lag and bands.size else 0.0
    if len(energies) < BRIEF:
        return len(energies) < SHORT // 4 or span >= SPAN or movement >= MOVEMENT
    if span < SPAN or movement < MOVEMENT:
        return False
    clear = float(voiced[energies >= np.median(energies)].mean())
    if len(energies) < SHORT:
        return span >= BRIEF_SPAN or clear >= BRIEF_CLEAR
    alike = span >= wide or span >= together * movement
    return clear >= CLEAR or span >= 1.5 * wide or (alike and clear >= UNCLEAR)


def _smooth(values: np.ndarray) -> np.ndarray:
    """Running means of SMOOTH frames along the first axis."""
    width = min(SMOOTH, len(values))
    if width < 2:
        return values
    sums = np.cumsum(np.concatenate([np.zeros((1, *values.shape[1:])), values]), axis=0)
    return (sums[width:] - sums[:-width]) / width
