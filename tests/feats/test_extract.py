"""Static features: hand-worked values, laws, the lhotse reference, Kaldi's programs, bad input."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from hybrid.feats.config import FeatureConfig
from hybrid.feats.extract import FeatureExtractor
from hybrid.feats.filters import cosine_matrix, lifter, mel_filters, window_shape
from hybrid.feats.lhotse_reference import LhotseExtractor
from hybrid.formats.kaldi_io import read_matrices


def speech_like(samples: int, seed: int = 0) -> np.ndarray:
    """Coloured noise on a 16-bit grid, float32 [N] in [-1, 1]."""
    random = np.random.default_rng(seed)
    noise = np.convolve(random.standard_normal(samples + 8), [1, 1.5, 1, 0.5, 0.2], "same")[:samples]
    return np.round(noise * 2000).astype(np.float32) / np.float32(32768)


def test_log_energy_by_hand() -> None:
    config = FeatureConfig(
        use_energy=True, remove_dc_offset=False, preemphasis=0, window="rectangular", sampling_rate=8000
    )
    samples = np.full(200, 3 / 32768, np.float32)
    found = FeatureExtractor(config)(samples, 8000)
    assert found.shape == (1, 13)
    assert found[0, 0] == pytest.approx(np.log(200 * 9), abs=1e-5)


def test_impulse_has_a_flat_spectrum() -> None:
    """Of a lone impulse in a rectangular window, each filter's energy is the sum of its weights times the square."""
    config = FeatureConfig(kind="fbank", remove_dc_offset=False, preemphasis=0, window="rectangular")
    samples = np.zeros(400, np.float32)
    samples[100] = 1000 / 32768
    found = FeatureExtractor(config)(samples, 16000)
    np.testing.assert_allclose(found[0], np.log(mel_filters(config)[2].sum(axis=1) * 1e6), atol=1e-4)


def test_tables_by_hand() -> None:
    config = FeatureConfig()
    window = window_shape(config)
    assert window[0] == 0 and window[200] == pytest.approx(
        (0.5 - 0.5 * np.cos(2 * np.pi * 200 / 399)) ** 0.85, abs=1e-6
    )
    assert lifter(config)[:3] == pytest.approx([1, 1 + 11 * np.sin(np.pi / 22), 1 + 11 * np.sin(2 * np.pi / 22)])
    plain = FeatureConfig(num_ceps=23, cepstral_lifter=0)
    matrix = cosine_matrix(plain).astype(np.float64)
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(23), atol=1e-6)
    starts, widths, weights = mel_filters(FeatureConfig(high_freq=5500))
    assert starts[0] >= 1 and starts[-1] + widths[-1] - 1 < 5500 / 31.25
    assert 0 < weights.max() <= 1


@pytest.mark.parametrize(("samples", "snip", "frames"), [(399, True, 0), (400, True, 1), (559, True, 1), (560, True, 2),
                                                         (79, False, 0), (80, False, 1), (240, False, 2)])  # fmt: skip
def test_number_of_frames(samples: int, snip: bool, frames: int) -> None:
    config = FeatureConfig(snip_edges=snip)
    assert config.num_frames(samples) == frames
    assert FeatureExtractor(config)(speech_like(samples), 16000).shape == (frames, 13)


@settings(max_examples=15, deadline=None)
@given(st.integers(400, 30000), st.integers(0, 3000), st.integers(0, 40))
def test_padding_and_position_change_no_bit(length: int, padding: int, skipped: int) -> None:
    extract = FeatureExtractor(FeatureConfig())
    samples = speech_like(length, length)
    alone = extract(samples, 16000)
    padded = extract(np.concatenate([samples, speech_like(padding, 1)]), 16000)
    assert (padded[: len(alone)] == alone).all()
    later = extract(samples[160 * skipped :], 16000)
    assert (later == alone[skipped:]).all()


CONFIGS = [
    FeatureConfig(),
    FeatureConfig(high_freq=5500),
    FeatureConfig(use_energy=True, high_freq=-400),
    FeatureConfig(use_energy=True, raw_energy=False, energy_floor=1.0),
    FeatureConfig(snip_edges=False, num_ceps=20, num_mel_bins=40, cepstral_lifter=0),
    FeatureConfig(window="hamming", preemphasis=0, remove_dc_offset=False),
    FeatureConfig(window="blackman", frame_length=32, frame_shift=8),
    FeatureConfig(window="hanning", low_freq=100, num_ceps=13),
    FeatureConfig(window="rectangular"),
]


@pytest.mark.parametrize("config", [*CONFIGS, FeatureConfig(kind="fbank", num_mel_bins=40, use_energy=True)])
def test_equals_the_lhotse_reference(config: FeatureConfig) -> None:
    for seed, length in ((1, 16000), (2, 700)):
        samples = speech_like(length, seed)
        fast, reference = FeatureExtractor(config)(samples, 16000), LhotseExtractor(config)(samples, 16000)
        assert fast.shape == reference.shape
        np.testing.assert_allclose(fast, reference, atol=2e-3)


def kaldi_options(config: FeatureConfig) -> list[str]:
    pairs = {
        "sample-frequency": config.sampling_rate, "num-ceps": config.num_ceps, "num-mel-bins": config.num_mel_bins,
        "low-freq": config.low_freq, "high-freq": config.high_freq, "cepstral-lifter": config.cepstral_lifter,
        "use-energy": config.use_energy, "raw-energy": config.raw_energy, "energy-floor": config.energy_floor,
        "frame-length": config.frame_length, "frame-shift": config.frame_shift,
        "preemphasis-coefficient": config.preemphasis, "remove-dc-offset": config.remove_dc_offset,
        "window-type": config.window, "snip-edges": config.snip_edges, "dither": 0,
    }  # fmt: skip
    return [f"--{name}={str(value).lower()}" for name, value in pairs.items()]


def kaldi_mfcc(folder: Path, tmp_path: Path, config: FeatureConfig, waves: dict[str, np.ndarray]) -> dict:
    lines = []
    for name, samples in waves.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, config.sampling_rate, "PCM_16")
        lines.append(f"{name} {tmp_path / name}.wav\n")
    (tmp_path / "wav.scp").write_text("".join(lines))
    command = [str(folder / "compute-mfcc-feats"), *kaldi_options(config)]
    subprocess.run(
        [*command, f"scp:{tmp_path / 'wav.scp'}", f"ark:{tmp_path / 'k.ark'}"], check=True, capture_output=True
    )
    return dict(read_matrices(tmp_path / "k.ark"))


@pytest.mark.peer
@pytest.mark.parametrize("config", [*CONFIGS, FeatureConfig(window="sine"), FeatureConfig(num_ceps=1)])
def test_equals_kaldi_on_noise(kaldi_bin: Path, tmp_path: Path, config: FeatureConfig) -> None:
    waves = {"a": speech_like(16000, 3), "short": speech_like(450, 4), "odd": speech_like(7777, 5)}
    theirs = kaldi_mfcc(kaldi_bin, tmp_path, config, waves)
    for name, samples in waves.items():
        ours = FeatureExtractor(config)(samples, 16000)
        assert len(ours) == len(theirs[name])
        np.testing.assert_allclose(ours, theirs[name].reshape(ours.shape), atol=1e-3)


@pytest.mark.peer
@pytest.mark.real
@pytest.mark.parametrize("high_freq", [0.0, 5500.0])
def test_equals_kaldi_on_speech(kaldi_bin: Path, corpora: Path, tmp_path: Path, high_freq: float) -> None:
    """To 1e-3 where Kaldi's own float32 sums are that exact: faint frames differ more, ours no more than Kaldi's."""
    files = sorted((corpora / "LibriSpeech" / "train-clean-100").glob("*/*/*.flac"))[:400:80]
    waves = {path.stem: soundfile.read(path, dtype="float32")[0] for path in files}
    config = FeatureConfig(high_freq=high_freq)
    theirs = kaldi_mfcc(kaldi_bin, tmp_path, config, waves)
    extract = FeatureExtractor(config)
    errors = np.concatenate([np.abs(extract(x, 16000) - theirs[name]).max(axis=1) for name, x in waves.items()])
    assert np.quantile(errors, 0.99) < 1e-3
    exact = np.concatenate([double_precision_mfcc(x, config) for x in waves.values()])
    ours = np.concatenate([extract(x, 16000) for x in waves.values()])
    peer = np.concatenate([theirs[name] for name in waves])
    assert np.abs(ours - exact).max() <= max(1e-3, 1.5 * np.abs(peer - exact).max())


def double_precision_mfcc(samples: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """The textbook in numpy, float64 throughout."""
    x = samples.astype(np.float64) * 32768
    length, shift = config.window_length, config.window_shift
    frames = np.stack([x[t * shift : t * shift + length] for t in range(config.num_frames(len(x)))])
    frames -= frames.mean(axis=1, keepdims=True)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    frames = (frames - config.preemphasis * before) * window_shape(config).astype(np.float64)
    power = np.abs(np.fft.rfft(frames, config.fft_length, axis=1)) ** 2
    filters = mel_filters(config)
    mel = np.stack([power[:, s : s + w] @ row[:w] for s, w, row in zip(*filters)], axis=1)
    return np.log(np.maximum(mel, 1.1920929e-07)) @ cosine_matrix(config).astype(np.float64)


@pytest.mark.peer
@pytest.mark.real
def test_filter_bank_equals_kaldi(kaldi_bin: Path, corpora: Path, tmp_path: Path) -> None:
    """All cepstra without lifter are an orthonormal transform of Kaldi's log mel energies: undone here."""
    path = corpora / "fsdd" / "recordings" / "3_jackson_7.wav"
    samples, rate = soundfile.read(path, dtype="float32")
    full = FeatureConfig(sampling_rate=rate, num_mel_bins=23, num_ceps=23, cepstral_lifter=0)
    cepstra = kaldi_mfcc(kaldi_bin, tmp_path, full, {"a": samples})["a"]
    theirs = cepstra @ cosine_matrix(full).T
    ours = FeatureExtractor(FeatureConfig(kind="fbank", sampling_rate=rate))(samples, rate)
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_silence_is_finite_and_empty_audio_has_no_frames() -> None:
    extract = FeatureExtractor(FeatureConfig(use_energy=True))
    silence = extract(np.zeros(1600, np.float32), 16000)
    assert silence.shape == (8, 13) and np.isfinite(silence).all()
    assert silence[0, 0] == pytest.approx(np.log(np.finfo(np.float32).eps), abs=1e-4)
    assert extract(np.zeros(0, np.float32), 16000).shape == (0, 13)


def test_dither_is_repeatable() -> None:
    extract = FeatureExtractor(FeatureConfig(dither=1.0))
    samples = speech_like(3000)
    assert (extract(samples, 16000) == extract(samples, 16000)).all()
    assert (extract(samples, 16000) != FeatureExtractor(FeatureConfig())(samples, 16000)).any()


def test_bad_samples_get_one_line() -> None:
    extract = FeatureExtractor(FeatureConfig())
    with pytest.raises(InputError, match="have a rate of 1 Hz, the features want 16000 Hz"):
        extract(np.zeros(100, np.float32), 1)
    with pytest.raises(InputError, match=r"have shape \(100, 2\), wanted one channel"):
        extract(np.zeros((100, 2), np.float32), 16000)
    with pytest.raises(InputError, match="hold NaN or infinity"):
        extract(np.array([0, np.nan] * 300, np.float32), 16000)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "plp"}, "kind is 'plp', wanted mfcc, fbank or other"),
        ({"sampling_rate": 1}, "sampling_rate is 1, wanted 100"),
        ({"num_ceps": 24}, r"num_ceps is 24, wanted 1 to num_mel_bins \(23\)"),
        ({"high_freq": 9000.0}, "mel filters from 20 to 9000 Hz, wanted 0 <= low < high <= 8000"),
        ({"frame_shift": 0.0}, "wanted 0 < shift <= length"),
        ({"window": "kaiser"}, "window is 'kaiser'"),
        ({"dither": -1.0}, "dither is -1, wanted at least 0"),
        ({"preemphasis": 2.0}, "preemphasis is 2, wanted 0 to 1"),
        ({"num_mel_bins": 2, "num_ceps": 2}, "num_mel_bins is 2, wanted 3 to 4096"),
    ],
)
def test_bad_settings(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FeatureConfig(**settings)


def test_too_many_filters_are_explained() -> None:
    with pytest.raises(ValueError, match="holds no FFT bin; use fewer num_mel_bins"):
        FeatureExtractor(FeatureConfig(kind="fbank", sampling_rate=8000, num_mel_bins=120))
