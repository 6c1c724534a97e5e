"""Voice activity: pauses found by hand-made audio, segments that tile speech, bounded length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from hybrid.feats.vad import VadConfig, cut_at_pauses, log_energies, segment_file, speech_frames

RATE = 8000


def bursts(*pairs: tuple[float, float], total: float, level: float = 0.2) -> np.ndarray:
    """Noise between the given seconds, faint noise elsewhere, float32 [N]."""
    random = np.random.default_rng(0)
    samples = random.standard_normal(int(total * RATE)) * 0.0005
    for begin, end in pairs:
        span = slice(int(begin * RATE), int(end * RATE))
        samples[span] = random.standard_normal(span.stop - span.start) * level
    return samples.astype(np.float32)


def segments(samples: np.ndarray, config: VadConfig | None = None) -> list[tuple[float, float]]:
    energies = log_energies([(samples, RATE)], config)
    found = cut_at_pauses(speech_frames(energies, config), energies, len(samples) / RATE, config)
    return [(segment.start, segment.end) for segment in found]


def test_two_bursts_are_two_segments_with_padding() -> None:
    found = segments(bursts((1, 2), (4, 5.5), total=7))
    np.testing.assert_allclose(found, [(0.8, 2.2), (3.8, 5.7)], atol=0.08)


def test_short_pauses_do_not_separate() -> None:
    assert len(segments(bursts((1, 2), (2.3, 3), total=5))) == 1


def test_silence_and_nothing() -> None:
    assert segments(np.zeros(RATE, np.float32)) == []
    assert segments(np.zeros(10, np.float32)) == []
    assert len(log_energies([])) == 0


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=8))
def test_how_audio_is_divided_changes_nothing(sizes: list[int]) -> None:
    samples = bursts((0.2, 0.6), total=1.5)
    whole = log_energies([(samples, RATE)])
    parts, at = [], 0
    for size in sizes:
        parts.append((samples[at : at + size], RATE))
        at += size
    parts.append((samples[at:], RATE))
    np.testing.assert_array_equal(log_energies(parts), whole)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_segments_are_in_order_short_enough_and_cover_all_long_bursts(seed: int, limit: int) -> None:
    random = np.random.default_rng(seed)
    speech = np.repeat(random.random(60) < 0.6, random.integers(1, 60, 60))
    energies = np.where(speech, 20, 8) + random.standard_normal(len(speech))
    config = VadConfig(max_length=limit, min_speech=0.1)
    found = cut_at_pauses(speech, energies, len(speech) / 100, config)
    last = 0.0
    covered = np.zeros(len(speech), bool)
    for segment in found:
        assert last <= segment.start + 1e-9 and 0 < segment.duration <= limit + 1e-9
        last = segment.end
        covered[round(segment.start * 100) : round(segment.end * 100)] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[0], speech.astype(int), [0]])))
    for begin, end in zip(edges[::2], edges[1::2]):
        assert end - begin < 10 or covered[begin:end].all()


def test_a_file_is_read_in_stretches(tmp_path: Path) -> None:
    samples = bursts((10, 20), (40, 75), total=90)
    soundfile.write(tmp_path / "long.flac", np.stack([samples, samples], axis=1), RATE)
    found = segment_file(tmp_path / "long.flac", VadConfig(max_length=20, said=False), channel=-1)
    assert found[0].start == pytest.approx(9.8, abs=0.1) and found[-1].end == pytest.approx(75.2, abs=0.1)
    assert len(found) >= 3 and max(segment.duration for segment in found) <= 20
    with pytest.raises(InputError, match="audio file is missing"):
        segment_file(tmp_path / "absent.wav")


@pytest.mark.real
def test_pauses_of_a_noisy_recording(corpora: Path) -> None:
    found = segment_file(corpora / "smoke_english" / "audio" / "jfk" / "jfk.flac", channel=-1)
    assert 3 <= len(found) <= 7 and found[0].start < 0.5 and found[-1].end > 10


def test_bad_settings() -> None:
    for bad in ({"context": -1}, {"max_length": 0.5}, {"frame_shift": 0.0}, {"span_scale": 1.0}):
        with pytest.raises(ValueError, match="wanted|max_length"):
            VadConfig(**bad)
