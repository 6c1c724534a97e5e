"""The readable reference of `hybrid.feats.extract`, made of lhotse's torch layers; slower, and used to check it.

What lhotse 1.33 does otherwise than Kaldi, and what is done about it here:

* Samples are taken in [-1, 1]: they are scaled to 16-bit integers first.
* Energy: `Wav2MFCC` assigns the log energies to `mfcc[:, 0]` of a [batch][frame][cepstrum] tensor, which is frame 0
  and not cepstrum 0 (an error in most cases): they are taken from the window layer and put in here.
* Energy is floored at `energy_floor` only, with 1e-15 added; Kaldi floors at the float epsilon too.
* With `snip_edges=False` audio much shorter than a frame is mirrored once, not as often as it takes: such audio is
  framed here.
* `cepstral_lifter=0` raises, and the lifter must be an integer: the table of `hybrid.feats.filters` is put in.
* The Blackman window is of period N, not N - 1: the table of `hybrid.feats.filters` is put in; there is no sine window.
* Dither is drawn per call: not supported here.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from hybrid.feats.config import FeatureConfig
from hybrid.feats.filters import lifter, window_shape

__all__ = ["LhotseExtractor"]


class LhotseExtractor:
    """Static features by `lhotse.features.kaldi.layers`, corrected to Kaldi's definitions."""

    def __init__(self, config: FeatureConfig) -> None:
        import torch
        from lhotse.features.kaldi.layers import Wav2LogFilterBank, Wav2MFCC

        if config.dither:
            raise ValueError("the reference does not dither")
        self.config = config
        common: dict[str, Any] = {
            "sampling_rate": config.sampling_rate,
            "frame_length": config.frame_length / 1000,
            "frame_shift": config.frame_shift / 1000,
            "remove_dc_offset": config.remove_dc_offset,
            "preemph_coeff": config.preemphasis,
            "snip_edges": True,
            "raw_energy": config.raw_energy,
            "use_energy": False,
            "low_freq": config.low_freq,
            "high_freq": config.high_freq,
            "num_filters": config.num_mel_bins,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if config.kind == "mfcc":
                layer: Any = Wav2MFCC(num_ceps=config.num_ceps, **common)
                layer._lifter.data = torch.from_numpy(lifter(config).astype(np.float32))
            else:
                layer = Wav2LogFilterBank(**common)
        layer.wav2win._window.data = torch.from_numpy(window_shape(config))
        layer.wav2win.return_log_energy = True
        layer.wav2win.energy_floor = max(config.energy_floor, float(np.finfo(np.float32).eps))
        self._layer = layer.eval()

    def __call__(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Extracts float32 [T][dim] from float32 [N] in [-1, 1]."""
        import torch

        config = self.config
        assert rate == config.sampling_rate
        frames = self._frames(np.asarray(samples, np.float32) * np.float32(32768))
        if not len(frames):
            return np.zeros((0, config.dim), np.float32)
        with torch.no_grad():
            windowed, energy = self._layer.wav2win._forward_strided(torch.from_numpy(frames)[None])
            features = self._layer._forward_strided(windowed, None)[0].numpy()
        if not config.use_energy:
            return features
        log_energy = energy[0].numpy()[:, None]
        return np.concatenate([log_energy, features[:, 1:] if config.kind == "mfcc" else features], axis=1)

    def _frames(self, scaled: np.ndarray) -> np.ndarray:
        """Returns the frames, float32 [T][window_length], mirrored at the ends where edges are not snipped."""
        config = self.config
        total = len(scaled)
        begin = np.arange(config.num_frames(total)) * config.window_shift
        if not config.snip_edges:
            begin += config.window_shift // 2 - config.window_length // 2
        at = begin[:, None] + np.arange(config.window_length)
        at = np.mod(at, 2 * total) if total else at
        return np.ascontiguousarray(scaled[np.where(at < total, at, 2 * total - 1 - at)])
