"""How training speech is varied: samples (speed, noise, rooms), and features (volume, SpecAugment).

Whatever is drawn depends on the seed, the epoch and the utterance alone, so that neither the number of processes nor an
interruption changes it.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from hybrid.base.errors import InputError
from hybrid.data.audio import read_audio
from hybrid.data.noise import add_noise, change_speed, mix_at, reverberate, room_response
from hybrid.feats.config import FeatureConfig
from hybrid.feats.filters import cosine_matrix
from hybrid.train.nnet.config import AugmentConfig
from hybrid.train.nnet.warp import MelView

__all__ = ["augment_samples", "generator_of", "mask_features", "num_samples_at", "require_recordings",
           "volume_offset"]  # fmt: skip

GENERATED = ("white", "pink", "brown", "hum")
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


def generator_of(seed: int, epoch: int, *names: str | int) -> np.random.Generator:
    """Returns the generator of all that is drawn for something in an epoch."""
    return np.random.default_rng([seed, epoch, *(n if isinstance(n, int) else zlib.crc32(n.encode()) for n in names)])


def num_samples_at(count: int, rate: int, speed: float, target: int) -> int:
    """Returns how many samples `change_speed` gives."""
    return -(-count * target // round(rate * speed))


def augment_samples(
    samples: np.ndarray, rate: int, speed: float, target: int, config: AugmentConfig, generator: np.random.Generator
) -> np.ndarray:
    """Changes speed and rate, plays the utterance in a room, and adds noise, as far as the draw says.

    Args:
      samples: float32 [N] in [-1, 1].
      target: rate wanted, Hz.

    Returns:
      float32 [M]; clipped to [-1, 1] as a recording would be.
    """
    if speed != 1.0 or rate != target:
        samples = change_speed(samples, rate, speed, target)
    if not config.changes_samples:
        return samples
    if generator.random() < config.reverb_share:
        samples = reverberate(samples, _response(target, config, generator))
    if generator.random() < config.noise_share:
        samples = _noisy(samples, target, config, generator)
    return np.clip(samples, -1.0, 1.0).astype(np.float32)


def _response(rate: int, config: AugmentConfig, generator: np.random.Generator) -> np.ndarray:
    if not config.rir_dir:
        return room_response(rate, generator.uniform(config.reverb_low, config.reverb_high), generator)
    files = _recordings(config.rir_dir)
    return _recording(files[generator.integers(len(files))], rate)


def _noisy(samples: np.ndarray, rate: int, config: AugmentConfig, generator: np.random.Generator) -> np.ndarray:
    snr_db = generator.uniform(config.snr_low, config.snr_high)
    if not config.noise_dir:
        kind = GENERATED[generator.integers(len(GENERATED))]
        return add_noise(samples, rate, kind, snr_db, generator, np.zeros(0))
    files = _recordings(config.noise_dir)
    noise = _recording(files[generator.integers(len(files))], rate)
    begin = int(generator.integers(len(noise)))
    return mix_at(samples, np.take(noise, np.arange(begin, begin + len(samples)), mode="wrap"), rate, snr_db)


def require_recordings(config: AugmentConfig) -> None:
    """Looks that the folders of noise and rooms hold recordings, where any are drawn from them.

    Raises:
      InputError: one is no folder, or holds none.
    """
    for folder, share in ((config.noise_dir, config.noise_share), (config.rir_dir, config.reverb_share)):
        if folder and share:
            _recordings(folder)


@lru_cache(maxsize=4)
def _recordings(folder: str) -> tuple[str, ...]:
    if not Path(folder).is_dir():
        raise InputError.at(folder, f"no such folder; wanted one with {', '.join(SUFFIXES)} files", "Correct the path.")
    files = sorted(str(p) for p in Path(folder).rglob("*") if p.suffix.lower() in SUFFIXES)
    if not files:
        raise InputError.at(folder, "holds no recordings", f"Wanted a folder with {', '.join(SUFFIXES)} files.")
    return tuple(files)


@lru_cache(maxsize=64)
def _recording(path: str, rate: int) -> np.ndarray:
    return read_audio(path, rate)[0]


def volume_offset(config: FeatureConfig, gain: float) -> np.ndarray:
    """Returns what multiplying the samples by `gain` adds to static features: float32 [dim].

    Exact but for frames so quiet that the floor under energies shows: log mel energies grow by 2 log(gain), cepstra by
    the cosine transform of that, which is all in C0.
    """
    more = np.float32(2.0 * np.log(gain))
    if config.kind == "mfcc":
        offset = np.full(config.num_mel_bins, more) @ cosine_matrix(config)
        offset[1:] = 0.0
    else:
        offset = np.full(config.dim, more)
    if config.use_energy:
        offset[0] = more
    return offset.astype(np.float32)


def mask_features(
    features: np.ndarray, config: AugmentConfig, generator: np.random.Generator, view: MelView | None
) -> np.ndarray:
    """SpecAugment without time warping (Park et al. 2019): masks are filled with the chunk's mean of each mel bin.

    Args:
      features: float32 [T][D]; not changed.
      view: wanted for masks over frequency.

    Returns:
      float32 [T][D].
    """
    if not config.freq_masks and not config.time_masks:
        return features
    frames, mean = len(features), features.mean(axis=0)
    out = features - mean
    for _ in range(config.freq_masks):
        assert view is not None
        bins = len(view.centres)
        width = int(generator.integers(0, min(config.freq_width, bins) + 1))
        begin = int(generator.integers(0, bins - width + 1))
        out = out @ view.without(begin, begin + width)
    for _ in range(config.time_masks):
        width = int(generator.integers(0, min(config.time_width, max(1, frames // 5)) + 1))
        begin = int(generator.integers(0, max(1, frames - width)))
        out[begin : begin + width] = 0.0
    return np.asarray(out + mean, np.float32)
