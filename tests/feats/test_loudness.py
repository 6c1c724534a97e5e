"""Speech is told from hum, tones, noise and babble by its movement, at every level and length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hybrid.data.audio import read_audio
from hybrid.feats.loudness import Loudness, LoudnessStream, has_speech, measure_loudness
from hybrid.feats.vad import VadConfig, find_speech

RATE = 16000


def loudness(samples: np.ndarray, rate: int = RATE) -> Loudness:
    return measure_loudness([(np.asarray(samples, np.float32), rate)], 25.0, 10.0)


def is_speech(samples: np.ndarray, rate: int = RATE) -> bool:
    found = loudness(samples, rate)
    return has_speech(found.energies, found.bands, found.pitch)


def syllables(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """Voiced sounds of changing pitch that come and go some four times a second, and pauses."""
    random = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    rises = np.interp(t, np.arange(0, seconds + 0.125, 0.125), random.permutation(np.resize([0, 1, 0.3], 1000))[
        : len(np.arange(0, seconds + 0.125, 0.125))])  # fmt: skip
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * t)
    voice = sum(np.sin(2 * np.pi * k * np.cumsum(pitch) / rate) / k for k in range(1, 25))
    return 0.1 * voice * np.exp(6 * (rises - 1)) + 1e-4 * random.standard_normal(len(t))


def noise(kind: str, seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    random, count = np.random.default_rng(seed), int(seconds * rate)
    t = np.arange(count) / rate
    if kind == "hum":
        return sum(np.sin(2 * np.pi * 50 * k * t + k) / k for k in range(1, 8)) + 0.01 * random.standard_normal(count)
    if kind == "tone":
        return np.sin(2 * np.pi * 440 * t)
    spectrum = np.fft.rfft(random.standard_normal(count))
    return np.fft.irfft(spectrum / np.maximum(1, np.arange(len(spectrum))) ** {"white": 0, "pink": 0.5}[kind], count)


@pytest.mark.parametrize("level", [-60, -40, -20])
@pytest.mark.parametrize("kind", ["hum", "tone", "white", "pink"])
def test_noise_is_no_speech(kind: str, level: int) -> None:
    for number, (seconds, rate) in enumerate([(0.6, RATE), (2.0, 8000), (12.0, RATE)]):
        samples = noise(kind, seconds, rate, number)
        samples *= 10 ** (level / 20) / np.sqrt(np.mean(samples**2))
        samples = np.round(samples * 32768) / 32768
        assert not is_speech(samples, rate)
        for within in (0.0, 60.0):
            assert find_speech(loudness(samples, rate), whole_within=within) == []
        assert find_speech(loudness(samples, rate), VadConfig(said=False), 60.0) != []


def test_what_moves_as_speech_is_speech() -> None:
    for seconds in (0.2, 1.0, 3.0, 20.0):
        for level in (1.0, 0.1):
            assert is_speech(syllables(seconds) * level)
    assert is_speech(syllables(6.0) + 0.02 * noise("white", 6.0))
    late = np.concatenate([0.001 * noise("white", 20.0), syllables(1.5), 0.001 * noise("white", 8.0)])
    assert is_speech(late)  # a short command in a long recording


def test_nothing_and_digital_silence() -> None:
    for samples in (np.zeros(0), np.zeros(50), np.zeros(RATE), np.full(RATE, 1 / 32768), np.full(RATE, -1 / 32768)):
        found = loudness(samples)
        assert (found.end - found.begin, len(found.energies), found.total) == (0, 0, len(samples))
        assert find_speech(found, whole_within=30.0) == find_speech(found) == []
    assert not has_speech(np.zeros(0, np.float32), np.zeros((0, 6), np.float32), np.zeros(0, np.float32))


def test_silence_at_the_ends_is_cut_off_to_the_sample() -> None:
    speech = syllables(4.0).astype(np.float32)
    speech[0] = speech[-1] = 0.01
    plain = loudness(speech)
    for before, behind in ((1, 0), (0, 12345), (160000, 7), (RATE * 40, RATE * 40)):
        samples = np.concatenate([np.zeros(before, np.float32), speech, np.zeros(behind, np.float32)])
        found = loudness(samples)
        assert (found.begin, found.end, found.total) == (before, before + len(speech), len(samples))
        assert np.array_equal(found.energies, plain.energies) and np.array_equal(found.bands, plain.bands)
        (span,) = find_speech(found, whole_within=30.0)
        assert round(span.start * RATE) == before and round(span.end * RATE) == before + len(speech)
        cut = [(s.start - before / RATE, s.end - before / RATE) for s in find_speech(found)]
        np.testing.assert_allclose(cut, [(s.start, s.end) for s in find_speech(plain)])


def test_how_audio_is_divided_changes_nothing() -> None:
    samples = np.concatenate([np.zeros(5000), syllables(2.0), np.zeros(3000)]).astype(np.float32)
    whole = loudness(samples)
    for size in (1, 37, 399, 4001):
        blocks = [(samples[at : at + size], RATE) for at in range(0, len(samples), size)][:20000]
        if size == 1:
            blocks = [(samples[at : at + 1], RATE) for at in range(6000)] + [(samples[6000:], RATE)]
        found = measure_loudness(blocks, 25.0, 10.0)
        assert (found.begin, found.end, found.total) == (whole.begin, whole.end, whole.total)
        assert np.array_equal(found.energies, whole.energies) and np.array_equal(found.bands, whole.bands)


def test_a_stream_hears_what_the_whole_has() -> None:
    parts = [noise("white", 4.0) * 0.01, syllables(3.0), noise("white", 80.0) * 0.01]
    samples = np.concatenate(parts).astype(np.float32)
    for step in (80, 1000):
        stream = LoudnessStream(RATE)
        for begin in range(0, 7 * RATE, step):
            stream.advance(samples[begin : min(begin + step, 7 * RATE)])
        assert not stream.has_speech(0.0, 3.5) and stream.has_speech(3.0, 7.0) and stream.has_speech(6.99, 7.2)
        for begin in range(7 * RATE, len(samples), max(step, RATE)):
            stream.advance(samples[begin : begin + max(step, RATE)])
        assert not stream.has_speech(70.0, 80.0) and stream.has_speech(80.0, 90.0) is False
    assert stream.has_speech(0.0, 3.5)  # forgotten: nobody knows


def test_pitch_is_the_part_of_a_frame_that_repeats_itself() -> None:
    t = np.arange(RATE) / RATE
    voice = sum(np.sin(2 * np.pi * 130 * k * t) / k for k in range(1, 20))
    assert np.median(loudness(0.1 * voice).pitch) > 0.95
    assert np.median(loudness(0.1 * noise("white", 1.0)).pitch) < 0.5


@pytest.mark.real
def test_real_speech_is_speech_and_babble_of_it_is_not(corpora: Path) -> None:
    files = sorted((corpora / "LibriSpeech" / "test-other").rglob("*.flac"))[::2]
    files.append(corpora / "LibriSpeech" / "dev-clean" / "1272" / "135031" / "1272-135031-0005.flac")  # 4.6 s, no pause
    files += sorted((corpora / "fsdd" / "recordings").glob("*.wav"))[::40]
    sounds = [read_audio(file) for file in files]
    assert all(is_speech(*sound) for sound in sounds)
    voices = [np.resize(samples, 6 * RATE) for samples, rate in sounds if rate == RATE and len(samples) > 6 * RATE]
    voices = [voice / np.sqrt(np.mean(voice**2)) for voice in voices]
    babble = [sum(np.roll(v, k * n * 7919) for k, v in enumerate(voices[n::2][:8])) for n in range(4)]
    heard = [is_speech(one * 10 ** (level / 20) / 3) for one in babble for level in (-60, -20)]
    assert sum(heard) <= 2  # now and then one voice stands out
