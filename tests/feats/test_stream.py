"""Features of a stream: those of the whole recording, however it is cut."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from hybrid.data.audio import resample
from hybrid.data.resampler import StreamResampler
from hybrid.feats.cmvn import CmvnConfig, CmvnStats
from hybrid.feats.config import FeatureConfig
from hybrid.feats.extract import FeatureExtractor
from hybrid.feats.online_cmvn import OnlineCmvn, OnlineCmvnConfig
from hybrid.feats.pipeline import FeaturePipeline
from hybrid.feats.stream import FeatureStream, StaticStream
from hybrid.feats.transform import LinearTransform

RATE = 8000
RATES = [(16000, 8000), (8000, 16000), (44100, 16000), (11025, 8000)]


def noise(count: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).normal(size=count)).astype(np.float32)


def in_pieces(advance, samples: np.ndarray, sizes: list[int]) -> np.ndarray:
    parts, at, k = [], 0, 0
    while at < len(samples):
        size = sizes[k % len(sizes)]
        parts.append(advance(samples[at : at + size]))
        at, k = at + size, k + 1
    parts.append(advance(np.zeros(0, np.float32), last=True))
    return np.concatenate(parts)


sizes = st.lists(st.sampled_from([1, 3, 80, 333, 1600, 12800]), min_size=1, max_size=3).filter(lambda s: max(s) > 50)


@settings(max_examples=40, deadline=None)
@given(count=st.integers(0, 6000), cuts=sizes, snip=st.booleans(), kind=st.sampled_from(["mfcc", "fbank"]))
def test_static_frames_are_those_of_the_whole(count, cuts, snip, kind) -> None:
    config = FeatureConfig(kind=kind, sampling_rate=RATE, snip_edges=snip)
    extractor, samples = FeatureExtractor(config), noise(count)
    stream = StaticStream(extractor)
    assert np.array_equal(in_pieces(stream.advance, samples, cuts), extractor(samples, RATE))


def test_static_frames_come_as_soon_as_they_are_known() -> None:
    config = FeatureConfig(sampling_rate=RATE)
    stream = StaticStream(FeatureExtractor(config))
    assert len(stream.advance(noise(199))) == 0 and len(stream.advance(noise(1))) == 1
    assert len(stream.advance(noise(79))) == 0 and len(stream.advance(noise(1))) == 1
    for _ in range(100):
        stream.advance(noise(800))
    assert len(stream._samples) < 2000


@pytest.mark.parametrize("settings_", [
    {},
    {"delta_order": 2},
    {"splice_left": 3, "splice_right": 4},
    {"delta_order": 1, "splice_left": 1, "splice_right": 0},
])  # fmt: skip
@pytest.mark.parametrize("chunk", [1, 7, 160])
def test_features_of_a_known_speaker_are_those_of_the_whole(settings_, chunk) -> None:
    config, samples = FeatureConfig(sampling_rate=RATE), noise(20000, 1)
    stats = CmvnStats.of(FeatureExtractor(config)(noise(30000, 2), RATE))
    pipeline = FeaturePipeline(config, CmvnConfig(norm_vars=True), **settings_)
    matrix = np.random.default_rng(3).normal(size=(5, pipeline.dim)).astype(np.float32)
    pipeline = pipeline.with_transforms(LinearTransform("lda", matrix, pipeline.dim))
    speaker = np.random.default_rng(4).normal(size=(5, 6)).astype(np.float32)
    whole = pipeline.from_samples(samples, RATE, stats, speaker)
    stream = FeatureStream(pipeline, RATE, stats, speaker_transform=speaker)
    found = in_pieces(stream.advance, samples, [chunk * config.window_shift])
    assert found.shape == whole.shape and stream.frames == len(whole)
    assert np.allclose(found, whole, rtol=1e-5, atol=1e-5)


def test_an_unknown_speaker_is_normalised_by_the_running_mean() -> None:
    config, samples = FeatureConfig(sampling_rate=RATE), noise(40000, 5)
    cmvn = CmvnConfig(prior_mean=(1.0,) * 13, prior_var=(2.0,) * 13)
    pipeline, online = FeaturePipeline(config, cmvn), OnlineCmvnConfig(window=50, prior_frames=20)
    found = in_pieces(FeatureStream(pipeline, online=online).advance, samples, [777])
    static = FeatureExtractor(config)(samples, RATE).astype(np.float64)
    for t in (0, 10, 29, 30, 49, 50, 300):
        window = static[max(0, t - 49) : t + 1]
        prior = min(20, 50 - len(window))
        mean = (window.sum(axis=0) + prior * 1.0) / (len(window) + prior)
        assert found[t] == pytest.approx(static[t] - mean, rel=1e-4, abs=1e-4)
    again = in_pieces(FeatureStream(pipeline, online=online).advance, samples, [80, 4000])
    assert np.array_equal(found, again)


def test_earlier_statistics_of_a_speaker_help_an_utterance_that_starts() -> None:
    frames = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    speaker = CmvnStats.of(np.full((10, 4), 5.0, np.float32))
    prior = CmvnConfig(prior_mean=(1.0,) * 4, prior_var=(1.0,) * 4, norm_vars=True)
    out = OnlineCmvn(prior, OnlineCmvnConfig(window=100, speaker_frames=4, prior_frames=8), speaker).advance(frames)
    data = np.concatenate([frames[:1].astype(np.float64), np.full((4, 4), 5.0)])
    mean = (data.sum(axis=0) + 8 * 1.0) / 13
    square = (np.square(data).sum(axis=0) + 8 * 2.0) / 13
    assert out[0] == pytest.approx((frames[0] - mean) / np.sqrt(square - mean**2), rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(0, 5000),
    cuts=sizes,
    rates=st.sampled_from([(16000, 8000), (8000, 16000), (44100, 16000), (11025, 8000)]),
)
def test_resampling_in_pieces(count, cuts, rates) -> None:
    samples = noise(count)
    found = in_pieces(StreamResampler(*rates).advance, samples, cuts)
    assert np.allclose(found, resample(samples, *rates) if count else np.zeros(0), atol=1e-6)
    assert len(found) == (len(resample(samples, *rates)) if count else 0)


def test_a_stream_of_another_rate() -> None:
    config = FeatureConfig(sampling_rate=RATE)
    pipeline = FeaturePipeline(config, CmvnConfig(kind="none"), delta_order=2)
    samples = noise(44100)
    whole = pipeline.from_samples(samples, 44100)
    found = in_pieces(FeatureStream(pipeline, 44100).advance, samples, [4410])
    assert np.allclose(found, whole, atol=1e-3) and found.shape == whole.shape


def test_what_a_stream_cannot_do_is_said() -> None:
    config = FeatureConfig(sampling_rate=RATE)
    centred = FeaturePipeline(config, CmvnConfig(kind="sliding"))
    with pytest.raises(InputError, match=r"CMVN: this model normalises by a window around each frame.*whole record"):
        FeatureStream(centred)
    stream = FeatureStream(dataclasses.replace(centred, cmvn=CmvnConfig()))
    with pytest.raises(InputError, match="samples: hold NaN or infinity. Mend the audio."):
        stream.advance(np.array([0.0, np.nan], np.float32))
    with pytest.raises(InputError, match=r"samples: have shape \(2, 2\), wanted \[N\]"):
        stream.advance(np.zeros((2, 2), np.float32))
    assert stream.frames == 0
    with pytest.raises(ValueError, match="window is 0, wanted at least 1"):
        OnlineCmvnConfig(window=0)
