"""Digital silence within speech, as of a microphone that was muted, filled with what the recording has in its pauses.

Nobody's room is that silent: no model was trained on it, and a second of it moves the mean of cepstra by more than a
voice does. Runs of samples within one step of 16 bits, of PADDING seconds and more (of a stream: what follows the first
DELAY of them), become white noise at the level of the quietest stretch; all other samples stay as they are. Silence at
the ends of a file is cut off before that.
"""

from __future__ import annotations

import numpy as np

from hybrid.feats.loudness import LEAST

__all__ = ["PADDING", "Background", "filled"]

PADDING = 0.1  # seconds of digital silence that are no part of speech; less may be of a quiet recording
DELAY = 0.01  # seconds after which silence of a stream is filled; longer, and its frames would be heard as a noise
BLOCK = 0.1  # seconds over which a level is measured
LOWEST, USUAL, HIGHEST = (10 ** (-decibels / 20) for decibels in (70, 60, 45))  # of the noise
NOISE = np.random.default_rng(0).standard_normal(1 << 15).astype(np.float32)


class Background:
    """The filling of one stream; samples do not depend on how they are cut into chunks."""

    def __init__(self, rate: int) -> None:
        """Starts a stream of so many samples per second."""
        self._block, self._delay = max(1, round(BLOCK * rate)), round(DELAY * rate)
        self._level, self._quietest = USUAL, np.inf
        self._place = self._run = self._silent = 0  # samples so far; of the run at their end; silent ones of the block
        self._energy = 0.0  # of the block

    def noise(self, places: np.ndarray) -> np.ndarray:
        """Returns what silence at samples with these numbers is filled with, float32 [N]."""
        return NOISE[places % len(NOISE)] * np.float32(self._level)

    def advance(self, samples: np.ndarray) -> np.ndarray:
        """Returns the next samples, float32 [N], with their silence filled."""
        out = samples
        begin = 0
        while begin < len(samples):
            end = min(len(samples), begin + self._block - self._place % self._block)
            filled = self._piece(samples[begin:end])
            if filled is not None:
                out = samples.copy() if out is samples else out
                out[begin:end] = filled
            begin = end
        return out

    def _piece(self, samples: np.ndarray) -> np.ndarray | None:
        """Takes in samples of one block; returns them filled, None where nothing is to be."""
        silent = np.abs(samples) <= LEAST
        index = np.arange(len(samples))
        runs = index - np.maximum.accumulate(np.where(silent, -1 - self._run, index))  # silent samples up to each
        fill = runs > self._delay
        noise = self.noise(self._place + index) if fill.any() else None
        self._place += len(samples)
        self._run = int(runs[-1])
        self._silent += int(silent.sum())
        self._energy += float(np.square(samples, dtype=np.float64).sum())
        if self._place % self._block == 0:
            self._end_block()
        return None if noise is None else np.where(fill, noise, samples)

    def _end_block(self) -> None:
        """Takes the level of a block that is not silent, if none was quieter."""
        if 2 * self._silent < self._block:
            self._quietest = min(self._quietest, float(np.sqrt(self._energy / self._block)))
            self._level = float(np.clip(self._quietest, LOWEST, HIGHEST))
        self._silent, self._energy = 0, 0.0


def filled(samples: np.ndarray, rate: int) -> np.ndarray:
    """Returns a whole recording, float32 [N], its runs of silence filled at the level of its quietest stretch."""
    edges = np.flatnonzero(np.diff(np.abs(samples) <= LEAST, prepend=False, append=False))
    begins, ends = edges[::2], edges[1::2]
    long = ends - begins >= PADDING * rate
    if not long.any():
        return samples
    before, out = Background(rate), samples.copy()
    before.advance(samples)
    for begin, end in zip(begins[long], ends[long]):
        out[begin:end] = before.noise(np.arange(begin, end))
    return out
