"""Samples in, static features out: MFCC and log mel energies equal to Kaldi's.

`hybrid.feats.lhotse_reference` is the readable reference, made of lhotse's layers; this is the fast one.
"""

from __future__ import annotations

import zlib

import numpy as np

from hybrid.base.errors import InputError
from hybrid.feats.config import FeatureConfig
from hybrid.feats.filters import cosine_matrix, mel_filters, window_shape

__all__ = ["FeatureExtractor"]

SCALE = np.float32(32768.0)  # Kaldi's samples are 16-bit integers, ours lie in [-1, 1]
CHUNK = 512  # frames under way at once: what fits a core's cache
LANES = 16  # rows are padded to a multiple, so that each goes through the FFT's vector code wherever it stands


class FeatureExtractor:
    """Computes static features; equal settings always give equal bits.

    Davis and Mermelstein (1980) as in Kaldi's `feature-mfcc` and `feature-fbank`: frames, mean removal, preemphasis,
    window, power spectrum, mel filters, logarithm, and for MFCC cosine transform and liftering.
    """

    def __init__(self, config: FeatureConfig) -> None:
        if config.kind == "other":
            raise InputError.at(
                "audio", "cannot be made into these features, which come from elsewhere", "Give features: --feats."
            )
        self.config = config
        self._window = window_shape(config)
        self._starts, self._widths, self._weights = mel_filters(config)
        self._cosine = cosine_matrix(config) if config.kind == "mfcc" else None

    @property
    def dim(self) -> int:
        """Values per frame."""
        return self.config.dim

    def __call__(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Extracts the features of one utterance.

        Args:
          samples: float32 [N] in [-1, 1], one channel.
          rate: of the samples, Hz.

        Returns:
          float32 [T][dim]; T is 0 for audio shorter than one frame.

        Raises:
          InputError: wrong rate, more than one channel, or samples that are no finite numbers.
        """
        scaled, config = self.scaled(samples, rate), self.config
        if config.dither > 0:
            noise = np.random.default_rng(zlib.crc32(scaled.tobytes()))
            scaled = scaled + np.float32(config.dither) * noise.standard_normal(scaled.size, np.float32)
        return self.frames(scaled, 0, config.num_frames(scaled.size))

    def scaled(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Checks samples and returns them as 16-bit integers would be, float32 [N]; see `__call__`."""
        config = self.config
        samples = np.asarray(samples)
        if rate != config.sampling_rate:
            raise InputError.at(
                "samples",
                f"have a rate of {rate} Hz, the features want {config.sampling_rate} Hz",
                "Resample the audio, or set sampling_rate.",
            )
        if samples.ndim != 1:
            raise InputError.at("samples", f"have shape {samples.shape}, wanted one channel [N]", "Choose a channel.")
        if samples.size and not np.isfinite(samples.sum(dtype=np.float64)):
            raise InputError.at("samples", "hold NaN or infinity", "Mend the audio.")
        return np.ascontiguousarray(samples, np.float32) * SCALE

    def frames(self, scaled: np.ndarray, start: int, number: int, offset: int = 0) -> np.ndarray:
        """Computes frames `start` to `start + number` of a recording.

        Args:
          scaled: float32 [N], its samples from `offset` on, as 16-bit integers; all that the frames look at.

        Returns:
          float32 [number][dim]; a frame's bits do not depend on the others.
        """
        from scipy.fft import rfft

        from hybrid.feats.kernel import cosine_transform, cut_frames, log_mel

        config = self.config
        out = np.empty((number, config.dim), np.float32)
        rows = min(CHUNK, -(-number // LANES) * LANES)
        frames = np.zeros((rows, config.fft_length), np.float32)
        energy = np.empty(rows, np.float32)
        mel = np.empty((rows, config.num_mel_bins), np.float32)
        for first in range(0, number, CHUNK):
            count = min(CHUNK, number - first)
            cut_frames(
                scaled,
                offset,
                start + first,
                count,
                config.window_length,
                config.window_shift,
                config.snip_edges,
                config.remove_dc_offset,
                np.float32(config.preemphasis),
                self._window,
                config.raw_energy,
                frames,
                energy,
            )
            used = -(-count // LANES) * LANES
            spectra = rfft(frames[:used], axis=1).view(np.float32)
            log_mel(spectra, used, self._starts, self._widths, self._weights, mel)
            part = out[first : first + count]
            offset = config.dim - config.num_mel_bins if self._cosine is None else 0
            if self._cosine is None:
                part[:, offset:] = mel[:count]
            else:
                cosine_transform(mel, count, self._cosine, part)
            if config.use_energy:
                floor = max(config.energy_floor, float(np.finfo(np.float32).eps))
                part[:, 0] = np.log(np.maximum(energy[:count], np.float32(floor)))
        return out
