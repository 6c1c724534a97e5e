"""What is done to training speech, against the same done to samples."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid.base.errors import InputError
from hybrid.data.audio import write_audio
from hybrid.data.noise import change_speed, reverberate, room_response
from hybrid.data.perturb import name_at_speed
from hybrid.data.trust import FILES_ONLY
from hybrid.feats.cmvn import CmvnConfig
from hybrid.feats.config import FeatureConfig
from hybrid.feats.extract import FeatureExtractor
from hybrid.feats.filters import cosine_matrix
from hybrid.train.nnet.augment import (
    augment_samples,
    generator_of,
    mask_features,
    num_samples_at,
    volume_offset,
)
from hybrid.train.nnet.config import AugmentConfig
from hybrid.train.nnet.tasks import audio_source
from hybrid.train.nnet.warp import MelView

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


@pytest.mark.parametrize("part", [{"noise_share": 0.5, "noise_dir": "{}"}, {"reverb_share": 0.5, "rir_dir": "{}"}])
def test_noise_and_rooms_that_are_not_there_are_told_before_any_audio_is_read(tmp_path, part) -> None:
    (tmp_path / "empty").mkdir()
    static, cmvn = FeatureConfig(), CmvnConfig()
    for name, text in (("nosuch", "no such folder; wanted one with .wav, .flac, .ogg, .mp3 files. Correct the path."),
                       ("empty", "holds no recordings. Wanted a folder with .wav")):  # fmt: skip
        folder = tmp_path / name
        config = AugmentConfig(**{k: v if k.endswith("share") else str(folder) for k, v in part.items()})
        with pytest.raises(InputError, match=f"^{folder}: {text}"):
            audio_source(tmp_path / "no_cuts", static, cmvn, config, FILES_ONLY)


def test_what_is_drawn_follows_from_seed_epoch_and_name() -> None:
    draw = [generator_of(1, 2, name).random() for name in ("a", "b", "a")]
    assert draw[0] == draw[2] != draw[1]
    assert generator_of(1, 3, "a").random() != draw[0]


def test_masks_are_as_wide_as_allowed() -> None:
    mel = FeatureConfig(kind="fbank", num_mel_bins=20)
    features = np.random.default_rng(0).standard_normal((50, 20)).astype(np.float32)
    config = AugmentConfig(freq_masks=1, freq_width=4, time_masks=1, time_width=30)
    for seed in range(20):
        masked = mask_features(features, config, np.random.default_rng(seed), MelView.of(mel))
        changed = ~np.isclose(masked, features, atol=1e-6)
        columns, rows = changed.all(axis=0).sum(), changed.all(axis=1).sum()
        assert columns <= 4 and rows <= 10  # a fifth of the chunk
    assert mask_features(features, AugmentConfig(), np.random.default_rng(0), None) is features


def test_masks_of_cepstra_are_those_of_their_mel_bins() -> None:
    mel = FeatureConfig(kind="fbank", num_mel_bins=40)
    cepstra = FeatureConfig(kind="mfcc", num_mel_bins=40, num_ceps=40)
    bins = np.random.default_rng(0).standard_normal((50, 40)).astype(np.float32)
    config, cosine = AugmentConfig(freq_masks=2, freq_width=8, time_masks=1), cosine_matrix(cepstra)
    masked = mask_features(bins, config, np.random.default_rng(1), MelView.of(mel))
    other = mask_features(bins @ cosine, config, np.random.default_rng(1), MelView.of(cepstra))
    assert not np.allclose(masked, bins)
    np.testing.assert_allclose(other, masked @ cosine, atol=1e-3)


@pytest.mark.parametrize("factor", [0.85, 0.95, 1.1, 1.2])
@pytest.mark.parametrize("kind", ["fbank", "mfcc"])
def test_a_warped_voice_has_its_peaks_where_the_factor_says(factor, kind) -> None:
    config = FeatureConfig(kind=kind, num_mel_bins=40, **({"num_ceps": 40} if kind == "mfcc" else {}))
    view = MelView.of(config)
    for peak in (600.0, 1500.0, 3000.0):
        spectrum = -(((view.centres - peak) / (0.2 * peak)) ** 2)
        moved = (spectrum @ view.from_mel) @ view.warp(factor) @ view.to_mel
        place = np.argmax(moved)
        width = view.centres[place + 1] - view.centres[place - 1]
        assert abs(view.centres[place] - factor * peak) < 0.75 * width
    np.testing.assert_allclose(view.warp(1.0), view.to_mel @ view.from_mel, atol=1e-6)


def test_warping_commutes_with_mean_normalisation() -> None:
    config = FeatureConfig(kind="mfcc", num_mel_bins=23, num_ceps=13)
    features = np.random.default_rng(0).standard_normal((30, 13)).astype(np.float32)
    matrix = MelView.of(config).warp(1.1)
    warped = features @ matrix
    np.testing.assert_allclose(warped - warped.mean(axis=0), (features - features.mean(axis=0)) @ matrix, atol=1e-4)


def test_warping_wants_mel_bins() -> None:
    with pytest.raises(ValueError, match="frame's energy"):
        MelView.of(FeatureConfig(use_energy=True))


@pytest.mark.parametrize("settings, text", [
    ({"speeds": ()}, "speeds: wanted at least one, and none twice"),
    ({"speeds": (3.0,)}, "speeds is 3, wanted 0.5 to 2"),
    ({"volume_low": 2.0}, "volume_low is 2, more than volume_high"),
    ({"warp_high": 0.9}, "warp_low is 1, more than warp_high"),
    ({"noise_share": 1.5}, "noise_share is 1.5, wanted 0 to 1"),
])  # fmt: skip
def test_settings_that_are_refused(settings, text) -> None:
    with pytest.raises(ValueError, match=text):
        AugmentConfig(**settings)
