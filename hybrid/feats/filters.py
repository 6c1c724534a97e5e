"""Tables of feature extraction: windows, mel filters, cosine transform, lifter (Kaldi's definitions)."""

from __future__ import annotations

import numpy as np

from hybrid.feats.config import FeatureConfig

__all__ = ["cosine_matrix", "lifter", "mel", "mel_centres", "mel_filters", "window_shape"]


def window_shape(config: FeatureConfig) -> np.ndarray:
    """Returns the window, float32 [window_length]; "povey" is a Hann window to the power 0.85."""
    n = config.window_length
    phase = 2 * np.pi * np.arange(n) / (n - 1)
    hann = 0.5 - 0.5 * np.cos(phase)
    shapes = {
        "povey": lambda: hann**0.85,
        "hanning": lambda: hann,
        "hamming": lambda: 0.54 - 0.46 * np.cos(phase),
        "rectangular": lambda: np.ones(n),
        "blackman": lambda: 0.42 - 0.5 * np.cos(phase) + 0.08 * np.cos(2 * phase),
        "sine": lambda: np.sin(0.5 * phase),
    }
    return np.asarray(shapes[config.window](), np.float32)


def mel(frequency: np.ndarray | float) -> np.ndarray:
    """Returns frequencies (Hz) on the mel scale, float64."""
    return 1127.0 * np.log(1.0 + np.asarray(frequency, np.float64) / 700.0)


def _mel_grid(config: FeatureConfig) -> tuple[float, float]:
    """Returns where the first filter begins, and the distance of two centres, mel."""
    low, high = float(mel(config.low_freq)), float(mel(config.top_freq))
    return low, (high - low) / (config.num_mel_bins + 1)


def mel_centres(config: FeatureConfig) -> np.ndarray:
    """Returns the centres of the mel filters, float64 [filters], Hz."""
    low, step = _mel_grid(config)
    return np.asarray(700.0 * np.expm1((low + step * np.arange(1, config.num_mel_bins + 1)) / 1127.0))


def mel_filters(config: FeatureConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns triangular filters, equally spaced and overlapping by half on the mel scale.

    Filter j rises from the centre of its left neighbour to its own and falls to that of its right neighbour; the
    FFT bin at half the sampling rate belongs to no filter.

    Returns:
      starts, widths: int64 [filters], first FFT bin with a positive weight and how many follow on.
      weights: float32 [filters][widest], zero after each filter's width.

    Raises:
      ValueError: a filter is so narrow that no FFT bin falls into it.
    """
    bins = config.fft_length // 2
    points = mel(np.arange(bins) * config.sampling_rate / config.fft_length)
    low, step = _mel_grid(config)
    left = low + step * np.arange(config.num_mel_bins)[:, None]
    weights = np.minimum((points - left) / step, (left + 2 * step - points) / step)
    inside = (points > left) & (points < left + 2 * step)
    if not inside.any(axis=1).all():
        number = int(np.argmin(inside.any(axis=1)))
        raise ValueError(
            f"mel filter {number + 1} of {config.num_mel_bins} holds no FFT bin; use fewer num_mel_bins "
            f"or a longer frame_length ({config.fft_length} points now)"
        )
    starts = np.argmax(inside, axis=1)
    widths = inside.sum(axis=1)
    table = np.zeros((config.num_mel_bins, int(widths.max())), np.float32)
    for j, (start, width) in enumerate(zip(starts, widths)):
        table[j, :width] = weights[j, start : start + width]
    return starts.astype(np.int64), widths.astype(np.int64), table


def lifter(config: FeatureConfig) -> np.ndarray:
    """Returns the scale of each cepstrum, 1 + L/2 sin(πi/L), float64 [num_ceps]; ones without liftering."""
    if config.cepstral_lifter == 0:
        return np.ones(config.num_ceps)
    angle = np.pi * np.arange(config.num_ceps) / config.cepstral_lifter
    return 1.0 + 0.5 * config.cepstral_lifter * np.sin(angle)


def cosine_matrix(config: FeatureConfig) -> np.ndarray:
    """Returns the orthonormal type-II cosine transform with the lifter folded in, float32 [filters][num_ceps]."""
    n = config.num_mel_bins
    j, c = np.arange(n)[:, None], np.arange(config.num_ceps)[None, :]
    matrix = np.sqrt(2.0 / n) * np.cos(np.pi / n * (j + 0.5) * c)
    matrix[:, 0] = np.sqrt(1.0 / n)
    return np.asarray(matrix * lifter(config), np.float32)
