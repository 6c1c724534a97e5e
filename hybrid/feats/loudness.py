"""Loudness of a recording frame by frame, as a whole and in bands; and whether it has the shape of speech.

Speech is told from noise by its movement. Its energy rises and falls by several nats within seconds, its bands do so
together, since one mouth drives them all; hum, tones and steady noise hardly move, and in the babble of many voices the
bands move, but each by itself. All is relative to the recording: its level does not matter.

Digital silence (no sample beyond one step of 16 bits) says nothing about a recording: at its ends it is cut off, to the
sample, and elsewhere its frames are left out of account.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

__all__ = ["FLOOR", "Loudness", "frames_of", "has_speech", "log_energy", "measure_loudness"]

FLOOR = np.float32(1.0)  # energy of a frame of digital silence, samples as 16-bit integers
LEAST = np.float32(1.5 / 32768)  # samples up to this are digital silence
EDGES = (200, 500, 900, 1400, 2000, 2800, 3800)  # of the bands, Hz
SMOOTH, LAG, WINDOW, SHORT, LONG = 5, 10, 300, 100, 450  # frames
WIDE = (2.5, 3.5)  # nats between quiet and loud frames that babble does not reach in 2 seconds, and in 4 and more
SPAN, MOVEMENT = 1.2, 0.4  # nats; less is hum or noise
QUIET = 0.4  # of the range from the quietest to the loud frames: what is below at the ends is not speech
TOGETHER = (1.6, 1.8)  # span over movement of the bands, as WIDE: less is babble


@dataclass(frozen=True, eq=False)
class Loudness:
    """What a recording sounds like, frame by frame.

    Attributes:
      energies: float32 [T], natural log of each frame's energy, samples as 16-bit integers.
      bands: float32 [T][B], the same of each band.
      begin, end: samples before and behind which there is digital silence only; the first frame starts at `begin`.
      total, rate: samples in all, and in a second.
    """

    energies: np.ndarray
    bands: np.ndarray
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
    """Measures audio of any length; 28 bytes per frame are kept.

    Args:
      blocks: consecutive (float32 [n], rate), as `hybrid.data.audio.audio_blocks` yields; how the audio is divided
        changes nothing.
      frame_length, frame_shift: ms.
    """
    energies, bands = [np.zeros(0, np.float32)], [np.zeros((0, len(EDGES) - 1), np.float32)]
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
            energies.append(log_energy(frames))
            bands.append(_bands(frames, rate))
            done += len(frames) * shift
        rest = rest[done:]
    begin = max(begin, 0)
    length, shift = (max(1, int(rate * 0.001 * ms)) for ms in (frame_length, frame_shift))
    inside = max(0, 1 + (end - begin - length) // shift)
    return Loudness(np.concatenate(energies)[:inside], np.concatenate(bands)[:inside], begin, end, total, rate)


def _bands(frames: np.ndarray, rate: int) -> np.ndarray:
    """Log energies in bands, float32 [n][B]; those beyond half the rate stay at the floor."""
    centred = (frames - frames.mean(axis=1, keepdims=True)).astype(np.float32) * np.hanning(frames.shape[1]).astype(
        np.float32
    )
    power = np.square(np.abs(np.fft.rfft(centred, axis=1)))
    edges = np.searchsorted(np.fft.rfftfreq(frames.shape[1], 1 / rate), EDGES)
    sums = np.stack([power[:, a:b].sum(axis=1) for a, b in zip(edges, edges[1:])], axis=1)
    return np.log(np.maximum(sums, FLOOR)).astype(np.float32)


def has_speech(energies: np.ndarray, bands: np.ndarray) -> bool:
    """Tells whether a stretch may be speech: some three seconds of it move as speech does.

    What is too short to tell is taken for speech unless it is steady.

    Args:
      energies, bands: of the stretch, see `Loudness`.
    """
    sounding = energies > np.log(FLOOR)
    energies, bands = _smooth(energies[sounding]), _smooth(bands[sounding])
    if not len(energies):
        return False
    bands = bands[:, bands.max(axis=0) > np.log(FLOOR)]
    inside = _without_quiet_ends(energies)
    if inside.stop - inside.start >= LONG:  # how loud the room is before somebody or something begins is no movement
        energies, bands = energies[inside], bands[inside]
    last = max(0, len(energies) - WINDOW)
    places = [*range(0, last, WINDOW // 2), last]
    wide, together = (float(np.interp(len(energies), (200, 400), bounds)) for bounds in (WIDE, TOGETHER))
    return any(_moves_as_speech(energies[a : a + WINDOW], bands[a : a + WINDOW], wide, together) for a in places)


def _without_quiet_ends(energies: np.ndarray) -> slice:
    """Returns where energies first and last lie in the upper part of their range."""
    low, high = energies.min(), np.quantile(energies, 0.95)
    loud = np.flatnonzero(energies >= low + QUIET * (high - low))
    return slice(int(loud[0]), int(loud[-1]) + 1)


def _moves_as_speech(energies: np.ndarray, bands: np.ndarray, wide: float, together: float) -> bool:
    low, high = np.quantile(energies, [0.1, 0.95])
    span = float(high - low)
    lag = min(LAG, len(bands) // 2)
    movement = float(np.abs(bands[lag:] - bands[:-lag]).mean()) if lag and bands.size else 0.0
    if len(energies) < SHORT:
        return len(energies) < SHORT // 4 or span >= SPAN or movement >= MOVEMENT
    return span >= wide or (span >= SPAN and movement >= MOVEMENT and span >= together * movement)


def _smooth(values: np.ndarray) -> np.ndarray:
    """Running means of SMOOTH frames along the first axis."""
    width = min(SMOOTH, len(values))
    if width < 2:
        return values
    sums = np.cumsum(np.concatenate([np.zeros((1, *values.shape[1:])), values]), axis=0)
    return (sums[width:] - sums[:-width]) / width
