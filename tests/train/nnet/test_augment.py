"""What is done to training speech, against the same done to samples."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid.base.errors import InputError
from hybrid.data.audio import write_audio
from hybrid.data.noise import change_speed, reverberate, room_response
from hybrid.data.perturb import name_at_speed
from hybrid.feats.config import FeatureConfig
from hybrid.feats.extract import FeatureExtractor
from hybrid.train.nnet.augment import (
    augment_samples,
    generator_of,
    mask_features,
    num_samples_at,
    volume_offset,
)
from hybrid.train.nnet.config import AugmentConfig

RATE = 8000
SPEECH = (0.2 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)


@pytest.mark.parametrize("config", [
    FeatureConfig(sampling_rate=RATE), FeatureConfig(sampling_rate=RATE, use_energy=True),
    FeatureConfig(sampling_rate=RATE, kind="fbank"), FeatureConfig(sampling_rate=RATE, kind="fbank", use_energy=True),
])  # fmt: skip
def test_volume_is_an_offset_of_features(config) -> None:
    extract = FeatureExtractor(config)
    louder = extract(SPEECH * np.float32(1.7), RATE)
    np.testing.assert_allclose(extract(SPEECH, RATE) + volume_offset(config, 1.7), louder, atol=2e-3)


@pytest.mark.parametrize("speed", [0.9, 1.0, 1.1])
def test_length_at_a_speed_is_known_before(speed) -> None:
    for count in (7999, 8000, 8001):
        assert len(change_speed(SPEECH[:1].repeat(count), RATE, speed, RATE)) == num_samples_at(
            count, RATE, speed, RATE
        )
    assert name_at_speed("u", speed) == ("u" if speed == 1.0 else f"sp{speed}-u")


def test_a_room_keeps_length_power_and_time() -> None:
    response = room_response(RATE, 0.3, np.random.default_rng(1))
    wet = reverberate(SPEECH, response)
    assert len(wet) == len(SPEECH)
    assert np.sum(wet**2) == pytest.approx(np.sum(SPEECH.astype(np.float64) ** 2))
    lag = np.argmax(np.correlate(wet, SPEECH, "full")) - (len(SPEECH) - 1)
    assert lag == 0


def test_files_of_noise_and_rooms_are_used(tmp_path) -> None:
    write_audio(tmp_path / "noise" / "hum.wav", 0.5 * np.sin(np.arange(3000) * 0.4), RATE)
    write_audio(tmp_path / "rooms" / "hall.wav", np.eye(1, 400, 10)[0] * 0.5, RATE)
    config = AugmentConfig(noise_share=1.0, snr_low=10, snr_high=10, noise_dir=str(tmp_path / "noise"),
                           reverb_share=1.0, rir_dir=str(tmp_path / "rooms"))  # fmt: skip
    out = augment_samples(SPEECH, RATE, 1.0, RATE, config, np.random.default_rng(0))
    assert out.dtype == np.float32 and len(out) == len(SPEECH) and np.abs(out).max() <= 1
    ratio = np.sum(SPEECH.astype(float) ** 2) / np.sum((out - SPEECH).astype(float) ** 2)
    assert 10 * np.log10(ratio) == pytest.approx(10, abs=1.0)


def test_a_folder_without_recordings_is_told(tmp_path) -> None:
    config = AugmentConfig(noise_share=1.0, noise_dir=str(tmp_path))
    with pytest.raises(InputError, match="holds no recordings. Wanted a folder with .wav"):
        augment_samples(SPEECH, RATE, 1.0, RATE, config, np.random.default_rng(0))


def test_what_is_drawn_follows_from_seed_epoch_and_name() -> None:
    draw = [generator_of(1, 2, name).random() for name in ("a", "b", "a")]
    assert draw[0] == draw[2] != draw[1]
    assert generator_of(1, 3, "a").random() != draw[0]


def test_masks_are_as_wide_as_allowed() -> None:
    features = np.random.default_rng(0).standard_normal((50, 20)).astype(np.float32)
    config = AugmentConfig(freq_masks=1, freq_width=4, time_masks=1, time_width=30)
    for seed in range(20):
        changed = mask_features(features, config, np.random.default_rng(seed)) != features
        columns, rows = changed.all(axis=0).sum(), changed.all(axis=1).sum()
        assert columns <= 4 and rows <= 10  # a fifth of the chunk
    assert mask_features(features, AugmentConfig(), np.random.default_rng(0)) is features


@pytest.mark.parametrize("settings, text", [
    ({"speeds": ()}, "speeds: wanted at least one, and none twice"),
    ({"speeds": (3.0,)}, "speeds is 3, wanted 0.5 to 2"),
    ({"volume_low": 2.0}, "volume_low is 2, more than volume_high"),
    ({"noise_share": 1.5}, "noise_share is 1.5, wanted 0 to 1"),
])  # fmt: skip
def test_settings_that_are_refused(settings, text) -> None:
    with pytest.raises(ValueError, match=text):
        AugmentConfig(**settings)
