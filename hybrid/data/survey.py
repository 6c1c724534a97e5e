"""What a listener would notice about a recording before using it: channels, level, bandwidth.

Only the first minutes are looked at. Nothing here changes audio; each finding is one line for the user.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from logging import Logger

import numpy as np

from hybrid.base.errors import quote
from hybrid.data.audio import MIX, AudioInfo, audio_frames
from hybrid.data.decoder_noise import decoder_warnings

__all__ = ["survey", "tell_notes"]

SECONDS = 120.0  # looked at
SILENT = 40.0  # dB below the loudest channel
LOST = 20.0  # dB that a mixture may lie below its channels
CLIFF = 20.0  # dB between what lies below and above the end of a band
FFT = 1024


def survey(path: str | os.PathLike, info: AudioInfo, channel: int = MIX, rate: int = 0) -> list[str]:
    """Listens to a file.

    Args:
      info: of `probe_audio`.
      channel: that is going to be used; -1: the mean of all.
      rate: wanted, Hz; 0: the file's.

    Returns:
      Its notes: a header not to be believed, silent channels, channels that cancel each other, nothing above some
      frequency, warnings of the decoder.

    Raises:
      InputError: the file cannot be read.
    """
    power = np.zeros(info.channels)
    mixed, spectrum, frames = 0.0, np.zeros(FFT // 2 + 1), 0
    for block in audio_frames(path, 10.0, SECONDS):
        power += np.square(block, dtype=np.float64).sum(axis=0)
        frames += len(block)
        one = block.mean(axis=1) if channel == MIX else block[:, min(channel, info.channels - 1)]
        mixed += float(np.square(one, dtype=np.float64).sum())
        spectrum += _spectrum(one)
    notes = list(info.notes)
    if frames and power.max() > 0:
        notes += _of_channels(10 * np.log10(np.maximum(power / frames, 1e-20)), mixed / frames, channel)
    if frames >= info.rate or info.rate < rate:  # less says little about a band
        notes += _of_band(spectrum, info.rate, rate or info.rate)
    if warnings := decoder_warnings(path):
        notes.append(f"its decoder gave {warnings} warnings; parts may be damaged")
    return notes


def _spectrum(samples: np.ndarray) -> np.ndarray:
    """Sum of the power spectra of frames, float64 [FFT // 2 + 1]."""
    count = len(samples) // FFT
    if not count:
        return np.zeros(FFT // 2 + 1)
    frames = samples[: count * FFT].reshape(count, FFT) * np.hanning(FFT)
    return np.square(np.abs(np.fft.rfft(frames, axis=1))).sum(axis=0)


def _of_channels(levels: np.ndarray, mixed: float, channel: int) -> list[str]:
    """Notes on the levels of the channels, dB; `mixed` is the power of what is going to be used."""
    if len(levels) == 1:
        return []
    loud = int(levels.argmax())
    silent = [c for c in range(len(levels)) if levels[c] < levels[loud] - SILENT]
    notes = []
    if channel in silent:
        notes.append(f"channel {channel}, which is used, is silent beside channel {loud}")
    elif silent:
        names = ", ".join(map(str, silent))
        notes.append(f"channel {names} of {len(levels)} is silent beside channel {loud}")
    level = 10 * np.log10(max(mixed, 1e-20))
    if channel == MIX and level < levels[loud] - LOST:
        notes.append(f"its channels cancel each other in their mean ({levels[loud] - level:.0f} dB): choose one")
    return notes


def _of_band(spectrum: np.ndarray, rate: int, wanted: int) -> list[str]:
    """Notes where the band of a model for `wanted` Hz stays empty above some frequency."""
    top = min(_band_end(spectrum, rate), rate / 2)
    if top > 0.85 * wanted / 2:
        return []
    sampled = f" (sampled at {rate} Hz)" if rate < wanted else ""
    return [f"nothing above {round(top, -2):.0f} Hz{sampled}, where audio of {wanted} Hz is wanted"]


def _band_end(spectrum: np.ndarray, rate: int) -> float:
    """Returns the frequency above which the spectrum has fallen off a cliff and stays down; half the rate if none."""
    if not spectrum.any():
        return rate / 2
    level = 10 * np.log10(np.maximum(spectrum, spectrum.max() * 1e-14))
    step = max(1, round(250 / (rate / FFT)))
    level = np.convolve(np.pad(level, 2, mode="edge"), np.ones(5) / 5, mode="valid")
    highest_above = np.maximum.accumulate(level[::-1])[::-1]
    for k in range(2 * step, len(level) - 2 * step):
        if level[k - step : k].mean() - highest_above[k + step] >= CLIFF:
            return k * rate / FFT
    return rate / 2


def tell_notes(notes: Mapping[str, Sequence[str]], logger: Logger) -> None:
    """Warns of what was noted of files: a line for each kind of note, with one file as the example."""
    files: dict[str, list[str]] = {}
    for name, found in notes.items():
        for note in found:
            files.setdefault(note, []).append(name)
    for note, names in files.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        logger.warning("%s%s: %s", quote(names[0]), more, note)
