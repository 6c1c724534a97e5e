"""Noise at a ratio, speed, level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.data.noise import NOISES, add_noise, babble, change_speed, coloured

RATE = 16000


def tone(seconds: float = 1.0) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * 440 * np.arange(int(RATE * seconds)) / RATE)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(NOISES), st.floats(-5, 40), st.integers(0, 3))
def test_ratio_is_what_was_asked(kind: str, snr_db: float, seed: int) -> None:
    speech = tone()
    bed = np.random.default_rng(9).standard_normal(5000)
    noisy = add_noise(speech, RATE, kind, snr_db, np.random.default_rng(seed), bed)
    found = 10 * np.log10(np.mean(speech**2) / np.mean((noisy - speech) ** 2))
    assert found == pytest.approx(snr_db, abs=0.1)


def test_pauses_do_not_count_as_speech() -> None:
    padded = np.concatenate([np.zeros(RATE // 2), tone(), np.zeros(RATE // 2)])
    noise = add_noise(padded, RATE, "white", 20.0, np.random.default_rng(0), np.zeros(0)) - padded
    assert 10 * np.log10(np.mean(tone() ** 2) / np.mean(noise**2)) == pytest.approx(20.0, abs=0.2)


def test_slopes() -> None:
    def octaves(kind: str) -> float:
        power = np.abs(np.fft.rfft(coloured(1 << 16, RATE, kind, np.random.default_rng(1)))) ** 2
        frequency = np.fft.rfftfreq(1 << 16, 1 / RATE)
        low, high = (power[(frequency > f) & (frequency < 2 * f)].mean() for f in (500, 2000))
        return float(np.log2(low / high) / 2)

    assert [round(octaves(kind)) for kind in ("white", "pink", "brown")] == [0, 1, 2]


def test_same_seed_same_noise_and_silence_stays_silent() -> None:
    pair = [add_noise(tone(), RATE, "pink", 10, np.random.default_rng(4), np.zeros(0)) for _ in range(2)]
    assert np.array_equal(*pair)
    assert not add_noise(np.zeros(100), RATE, "white", 10, np.random.default_rng(0), np.zeros(0)).any()
    assert add_noise(np.ones(3), RATE, "white", 10, np.random.default_rng(0), np.zeros(0)).shape == (3,)


def test_speed_shortens_and_raises() -> None:
    for factor in (0.9, 1.0, 1.1):
        played = change_speed(tone().astype(np.float32), RATE, factor, 8000)
        assert len(played) == pytest.approx(8000 / factor, abs=2)
        peak = np.argmax(np.abs(np.fft.rfft(played))) * 8000 / len(played)
        assert peak == pytest.approx(440 * factor, abs=2)


def test_errors() -> None:
    with pytest.raises(ValueError, match="noise is 'rain', wanted one of white, pink"):
        add_noise(tone(), RATE, "rain", 10, np.random.default_rng(0), np.zeros(0))
    with pytest.raises(ValueError, match="babble needs a recording"):
        babble(10, np.zeros(0), np.random.default_rng(0))
    with pytest.raises(ValueError, match="speed is 3, wanted 0.5 to 2"):
        change_speed(tone(), RATE, 3.0, RATE)
