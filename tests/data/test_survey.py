"""What is noted of a recording: silent channels, channels that cancel, empty bands, warnings of the decoder."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hybrid.data.audio import probe_audio, read_audio, resample
from hybrid.data.decoder_noise import decoder_warnings
from hybrid.data.survey import survey, tell_notes


def noise(seconds: float = 2.0, rate: int = 16000, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(int(seconds * rate))).astype(np.float32)


def notes_of(path: Path, samples: np.ndarray, rate: int = 16000, channel: int = -1, wanted: int = 16000) -> list[str]:
    soundfile.write(path, samples, rate)
    return survey(path, probe_audio(path), channel, wanted)


def test_a_silent_channel_is_told(tmp_path: Path) -> None:
    path, loud = tmp_path / "a.wav", noise()
    for quiet in (np.zeros_like(loud), loud * 1e-3):
        both = np.stack([loud, quiet], axis=1)
        assert notes_of(path, both) == ["channel 1 of 2 is silent beside channel 0"]
        assert notes_of(path, both, channel=1)[0] == "channel 1, which is used, is silent beside channel 0"
    assert notes_of(path, np.stack([loud, loud * 0.1], axis=1)) == []
    three = np.stack([loud * 0, loud * 0, loud], axis=1)
    assert notes_of(path, three) == ["channel 0, 1 of 3 is silent beside channel 2"]


def test_channels_that_cancel_each_other(tmp_path: Path) -> None:
    path, one = tmp_path / "a.flac", noise()
    found = notes_of(path, np.stack([one, -one * 0.99], axis=1))
    assert len(found) == 1 and found[0].startswith("its channels cancel each other in their mean (")
    assert notes_of(path, np.stack([one, -one * 0.99], axis=1), channel=0) == []
    assert notes_of(path, np.stack([one, noise(seed=1)], axis=1)) == []


@pytest.mark.parametrize("rate", [2000, 4000, 8000, 11025])
def test_nothing_above_the_rate_that_audio_once_had(tmp_path: Path, rate: int) -> None:
    path, once = tmp_path / "a.wav", noise(3.0, rate)
    found = notes_of(path, once, rate)
    assert found == [
        f"nothing above {round(rate / 2, -2):.0f} Hz (sampled at {rate} Hz), where audio of 16000 Hz is wanted"
    ]
    hidden = notes_of(path, resample(once, rate, 16000))
    assert len(hidden) == 1 and hidden[0].endswith("Hz, where audio of 16000 Hz is wanted")
    assert float(hidden[0].split()[2]) == pytest.approx(rate / 2, abs=600)
    assert notes_of(path, once, rate, wanted=rate) == []


def test_wide_and_short_audio_is_not_suspected(tmp_path: Path) -> None:
    t = np.arange(32000) / 16000
    sloping = np.cumsum(noise()) * 0.05  # 6 dB an octave
    for samples in (
        noise(),
        sloping - sloping.mean(),
        noise(0.05),
        np.zeros(32000),
        0.1 * np.sin(2 * np.pi * 7000 * t),
    ):
        assert notes_of(tmp_path / "a.wav", np.asarray(samples, np.float32)) == []
    assert notes_of(tmp_path / "a.wav", noise(3.0, 44100), 44100, wanted=16000) == []


def test_the_decoders_warnings_are_counted_and_not_printed(tmp_path: Path, capfd) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "a.mp3"
    soundfile.write(path, noise(4.0), 16000, format="MP3")
    whole = path.read_bytes()
    assert survey(path, probe_audio(path)) == [] and decoder_warnings(path) == 0
    junk = np.random.default_rng(0).integers(0, 256, 300, np.uint8).tobytes()
    path.write_bytes(whole[:9000] + junk + whole[9000:])
    found = survey(path, probe_audio(path), rate=16000)
    count = decoder_warnings(path)
    assert count > 0 and f"its decoder gave {count} warnings; parts may be damaged" in found
    assert len(read_audio(path)[0]) > 60000
    os.write(2, b"of others\n")
    assert capfd.readouterr().err == "of others\n"


def test_notes_are_told_by_kind(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        tell_notes({"a": ["x", "y"], "b": ["x"], "c\x1b": ["z"]}, logging.getLogger("test"))
    assert [record.getMessage() for record in caplog.records] == ["a and 1 more: x", "a: y", "c\\x1b: z"]


@pytest.mark.real
def test_real_speech(corpora: Path) -> None:
    wide = sorted((corpora / "LibriSpeech" / "train-clean-100").rglob("*.flac"))[:20]
    narrow = sorted((corpora / "LibriSpeech" / "dev-clean").rglob("*.flac"))[:5]
    assert [survey(file, probe_audio(file)) for file in wide] == [[]] * 20
    for file in narrow:  # decoded from mp3
        (note,) = survey(file, probe_audio(file))
        assert note in {f"nothing above {f} Hz, where audio of 16000 Hz is wanted" for f in (5500, 5600, 5700)}
