"""What stands between a mouth and a microphone: additive noise at a given ratio, speed, level, echoes of a room."""

from __future__ import annotations

import numpy as np

from hybrid.base.errors import quote

__all__ = ["NOISES", "add_noise", "babble", "change_speed", "coloured", "hum", "mix_at", "reverberate", "room_response"]

NOISES = ("white", "pink", "brown", "hum", "babble")
_EXPONENTS = {"white": 0.0, "pink": 1.0, "brown": 2.0}  # power falls as 1 / f^exponent


def coloured(count: int, rate: int, kind: str, generator: np.random.Generator) -> np.ndarray:
    """Makes Gaussian noise whose power falls with frequency (flat below 50 Hz); float64 [count]."""
    spectrum = np.fft.rfft(generator.standard_normal(max(count, 2)))
    frequencies = np.maximum(np.fft.rfftfreq(max(count, 2), 1.0 / rate), 50.0)
    return np.fft.irfft(spectrum * frequencies ** (-_EXPONENTS[kind] / 2), max(count, 2))[:count]


def hum(count: int, rate: int, generator: np.random.Generator) -> np.ndarray:
    """Makes mains hum with its harmonics (50 or 60 Hz) over a little pink noise; float64 [count]."""
    base = float(generator.choice([50.0, 60.0]))
    times = np.arange(count) / rate
    total = 0.3 * coloured(count, rate, "pink", generator) / 0.1
    total /= max(float(np.std(total)), 1e-9)
    for harmonic in range(1, 9):
        phase = generator.uniform(0, 2 * np.pi)
        total = total + np.sin(2 * np.pi * base * harmonic * times + phase) * 2.0 / harmonic
    return total


def babble(count: int, bed: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Takes a stretch of many voices at once out of a longer recording of them; float64 [count]."""
    if not len(bed):
        raise ValueError("babble needs a recording of voices")
    start = int(generator.integers(len(bed)))
    return np.take(np.asarray(bed, np.float64), np.arange(start, start + count), mode="wrap")


def _power(samples: np.ndarray, rate: int) -> float:
    """Mean power of the louder half of 20 ms frames, so that pauses do not count as speech."""
    size = max(1, rate // 50)
    frames = samples[: len(samples) // size * size].reshape(-1, size) if len(samples) >= size else samples[None]
    powers = np.sort((frames.astype(np.float64) ** 2).mean(axis=1))
    return float(powers[len(powers) // 2 :].mean())


def add_noise(
    samples: np.ndarray, rate: int, kind: str, snr_db: float, generator: np.random.Generator, bed: np.ndarray
) -> np.ndarray:
    """Adds noise of one kind.

    Args:
      samples: float [N] in [-1, 1].
      kind: one of NOISES.
      snr_db: power of the speech (without its pauses) over that of the noise.
      bed: recording of many voices, for babble.

    Returns:
      float64 [N]; not clipped.

    Raises:
      ValueError: an unknown kind.
    """
    if kind not in NOISES:
        raise ValueError(f"noise is '{quote(kind)}', wanted one of {', '.join(NOISES)}")
    count = len(samples)
    if kind == "hum":
        noise = hum(count, rate, generator)
    elif kind == "babble":
        noise = babble(count, bed, generator)
    else:
        noise = coloured(count, rate, kind, generator)
    return mix_at(samples, noise, rate, snr_db)


def mix_at(samples: np.ndarray, noise: np.ndarray, rate: int, snr_db: float) -> np.ndarray:
    """Adds noise of the same length, at a ratio to the speech without its pauses; float64 [N]."""
    power = float(np.mean(np.asarray(noise, np.float64) ** 2))
    if power <= 0:
        return np.asarray(samples, np.float64)
    return samples + noise * np.sqrt(_power(samples, rate) / power * 10.0 ** (-snr_db / 10.0))


def room_response(rate: int, seconds: float, generator: np.random.Generator) -> np.ndarray:
    """Makes the impulse response of a room: the direct sound, then noise that falls by 60 dB in `seconds`; float64 [n].

    Moorer (1979): late reverberation is exponentially decaying noise. Echoes begin a few milliseconds after the sound.
    """
    count = max(2, round(rate * seconds))
    times = np.arange(count) / rate
    tail = generator.standard_normal(count) * 10.0 ** (-3.0 * times / seconds)
    tail[: max(1, round(rate * generator.uniform(0.002, 0.01)))] = 0.0
    energy = float(np.sum(tail**2))
    response = tail * np.sqrt(10.0 ** (-generator.uniform(0.0, 10.0) / 10.0) / energy) if energy > 0 else tail
    response[0] = 1.0
    return response


def reverberate(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Plays samples in a room: same length, same power, and the strongest path in time with the dry sound.

    Args:
      samples: float [N]. response: float [n], the room's impulse response.

    Returns:
      float64 [N].
    """
    from scipy.signal import fftconvolve

    delay = int(np.argmax(np.abs(response)))
    wet = fftconvolve(np.asarray(samples, np.float64), np.asarray(response, np.float64))[delay : delay + len(samples)]
    before, after = float(np.sum(np.asarray(samples, np.float64) ** 2)), float(np.sum(wet**2))
    return wet * np.sqrt(before / after) if after > 0 else wet


def change_speed(samples: np.ndarray, rate: int, factor: float, target: int) -> np.ndarray:
    """Plays samples `factor` times as fast (pitch rises with it) and brings them to the rate `target`.

    Returns:
      float32 [about N · target / (rate · factor)].
    """
    from hybrid.data.audio import resample

    if not 0.5 <= factor <= 2.0:
        raise ValueError(f"speed is {factor:g}, wanted 0.5 to 2")
    return resample(samples, round(rate * factor), target)
