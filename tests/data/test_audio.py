"""Reading audio: formats, channels, rates, stretches, and every way a file can be broken."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from hybrid.data.audio import AudioError, audio_blocks, probe_audio, read_audio, resample


def tone(length: int, rate: int = 8000, frequency: float = 440.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * frequency * np.arange(length) / rate)).astype(np.float32)


def with_rate(path: Path, rate: int) -> None:
    """Writes another sampling rate into a wav header."""
    data = bytearray(path.read_bytes())
    data[24:28] = struct.pack("<I", rate)
    path.write_bytes(data)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "aiff", "au", "w64", "caf"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(8000), 8000)
    info = probe_audio(path)
    assert (info.rate, info.channels, info.num_samples, info.duration) == (8000, 1, 8000, 1.0)
    samples, rate = read_audio(path)
    assert rate == 8000 and samples.dtype == np.float32
    np.testing.assert_allclose(samples, tone(8000), atol=0.05 if suffix == "ogg" else 1e-4)


def test_channels_and_stretches(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([np.full(100, 0.5), np.full(100, -0.25)], axis=1), 8000)
    assert read_audio(path, channel=0)[0][0] == 0.5
    assert read_audio(path, channel=1)[0][0] == -0.25
    assert read_audio(path, channel=-1)[0][0] == 0.125
    assert len(read_audio(path, start=30, count=20)[0]) == 20
    assert len(read_audio(path, start=30)[0]) == 70
    with pytest.raises(InputError, match=r"has 2 channel\(s\), wanted channel 2 \(from 0\)"):
        read_audio(path, channel=2)
    with pytest.raises(InputError, match=r"ends at 0.01 s, wanted a segment from 0.02 s"):
        read_audio(path, start=150)
    with pytest.raises(InputError, match="is cut short: 50 samples where 60 were promised"):
        read_audio(path, start=50, count=60)


@settings(max_examples=10, deadline=None)
@given(st.floats(0.001, 0.5))
def test_blocks_put_together_are_the_file(tmp_path_factory, seconds: float) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.mktemp("audio") / "a.wav"
    soundfile.write(path, tone(3001), 8000, "FLOAT")
    parts = [part for part, rate in audio_blocks(path, seconds)]
    assert (np.concatenate(parts) == read_audio(path)[0]).all()


def test_resampling_keeps_a_tone(tmp_path: Path) -> None:
    found = resample(tone(44100, 44100), 44100, 16000)
    assert found.shape == (16000,) and found.dtype == np.float32
    np.testing.assert_allclose(found[1000:-1000], tone(16000, 16000)[1000:-1000], atol=2e-3)
    soundfile.write(tmp_path / "a.wav", tone(44100, 44100), 44100, "FLOAT")
    assert (read_audio(tmp_path / "a.wav", 16000)[0] == found).all()


def test_broken_files_name_their_problem(tmp_path: Path) -> None:
    def problem(path: Path) -> tuple[str, str]:
        with pytest.raises(AudioError) as caught:
            probe_audio(path)
            read_audio(path)
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)
        return caught.value.problem, str(caught.value)

    assert problem(tmp_path / "absent.wav")[0] == "missing"
    (tmp_path / "empty.wav").touch()
    assert problem(tmp_path / "empty.wav")[0] == "empty"
    soundfile.write(tmp_path / "nothing.wav", np.zeros(0), 8000)
    assert problem(tmp_path / "nothing.wav") == (
        "empty", f"{tmp_path / 'nothing.wav'}: holds no samples. Leave it out, or record it again."
    )  # fmt: skip
    (tmp_path / "text.wav").write_text("this is no audio")
    assert problem(tmp_path / "text.wav")[0] == "unreadable"
    soundfile.write(tmp_path / "slow.wav", tone(100), 8000)
    with_rate(tmp_path / "slow.wav", 1)
    name, message = problem(tmp_path / "slow.wav")
    assert name == "rate" and "has a sampling rate of 1 Hz, wanted 1000 to 768000. Mend its header." in message


def test_truncated_wav_and_flac(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal(80000) * 0.1
    for suffix in ("wav", "flac"):
        path = tmp_path / f"a.{suffix}"
        soundfile.write(path, noise.clip(-1, 1), 8000)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(AudioError) as caught:
            read_audio(path)
        assert caught.value.problem == "truncated" and "cut short" in str(caught.value)
    with pytest.raises(InputError, match=r"is cut short: its last \d+ bytes are missing"):
        probe_audio(tmp_path / "a.wav")


def test_a_streamed_wav_header_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(800), 8000)
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert probe_audio(path).num_samples == 800
    assert len(read_audio(path)[0]) == 800


@pytest.mark.real
def test_every_odd_file_reads(corpora: Path) -> None:
    files = [p for p in (corpora / "smoke_english" / "audio").rglob("*") if p.suffix in (".wav", ".flac")]
    assert len(files) == 29
    for path in files:
        info = probe_audio(path)
        samples, rate = read_audio(path, 16000, channel=-1)
        assert rate == 16000 and len(samples) == -(-info.num_samples * 16000 // info.rate)
        assert np.isfinite(samples).all() and samples.std() > 0


@pytest.mark.parametrize("name", ["x" * 300 + ".wav", "a\0.wav"])
def test_names_that_no_file_can_have(tmp_path, name):
    with pytest.raises(AudioError, match="audio file is missing"):
        probe_audio(tmp_path / name)
