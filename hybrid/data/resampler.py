"""Another sampling rate for audio that comes in pieces: what `hybrid.data.audio.resample` gives for the whole."""

from __future__ import annotations

import math

import numpy as np

from hybrid.data.audio import resample

__all__ = ["StreamResampler"]


class StreamResampler:
    """Changes the rate of a stream with the polyphase filter of `resample`; exact but for rounding."""

    def __init__(self, source: int, target: int) -> None:
        """Takes both rates in Hz."""
        self.source, self.target = source, target
        divisor = math.gcd(source, target)
        self._up, self._down = target // divisor, source // divisor
        # scipy's filter has 10 · max(up, down) taps on each side at the rate source · up.
        reach = -(-10 * max(self._up, self._down) // self._up) + 1
        self._reach = -(-reach // self._down) * self._down  # a multiple, so that phases stay in step
        self._samples = np.zeros(0, np.float32)
        self._first = self._done = 0  # input samples dropped; input samples whose output was given

    def advance(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        """Takes in float32 [N] (may be empty), returns the output samples that are known now; all of them if `last`."""
        if self.source == self.target:
            return samples
        self._samples = np.concatenate([self._samples, np.asarray(samples, np.float32)])
        known = self._first + len(self._samples)
        ready = known if last else max(self._done, (known - self._reach) // self._down * self._down)
        if ready == self._done or not len(self._samples):
            return np.zeros(0, np.float32)
        out = resample(self._samples, self.source, self.target)
        begin = (self._done - self._first) * self._up // self._down
        end = len(out) if last else (ready - self._first) * self._up // self._down
        drop = max(0, ready - self._reach - self._first)
        self._samples, self._first, self._done = self._samples[drop:].copy(), self._first + drop, ready
        return out[begin:end]
