"""The E-step: the compiled loop equals its readable reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.gmm import AmDiagGmm, GmmStats, accumulate, component_posteriors
from hybrid.gmm.stats import accumulate_reference


def world(seed: int, sizes: tuple[int, ...] = (2, 1, 4), dim: int = 3, frames: int = 40):
    random = np.random.RandomState(seed)
    count = sum(sizes)
    weights = np.concatenate([np.full(n, 1 / n) for n in sizes])
    splits = np.concatenate([[0], np.cumsum(sizes)])
    model = AmDiagGmm.from_normal(splits, weights, random.randn(count, dim), 0.3 + random.rand(count, dim))
    return model, random.randn(frames, dim).astype(np.float32), random.randint(0, len(sizes), frames)


def test_one_gaussian_by_hand():
    model = AmDiagGmm.flat(2, np.zeros(1), np.ones(1))
    stats = GmmStats.zeros(model)
    accumulate(stats, model, np.array([[1.0], [3.0], [5.0]]), np.array([0, 1, 1]))
    assert stats.occupancy.tolist() == [1.0, 2.0]
    assert stats.sums[:, 0].tolist() == [1.0, 8.0]
    assert stats.squares[:, 0].tolist() == [1.0, 34.0]
    assert stats.log_likelihood_per_frame == pytest.approx(-0.5 * np.log(2 * np.pi) - (1 + 9 + 25) / 6, abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(1, 5))
def test_fast_equals_readable(seed, sizes, dim):
    model, x, ids = world(seed, tuple(sizes), dim)
    fast, slow = GmmStats.zeros(model), GmmStats.zeros(model)
    accumulate(fast, model, x, ids)
    accumulate_reference(slow, model, x, ids)
    for name in ("occupancy", "sums", "squares", "log_likelihood", "frames"):
        assert getattr(fast, name) == pytest.approx(getattr(slow, name), rel=1e-4, abs=1e-4)
    assert fast.occupancy.sum() == pytest.approx(len(x))


def test_adding_up_parts_is_adding_up_data():
    model, x, ids = world(1)
    whole, first, second = (GmmStats.zeros(model) for _ in range(3))
    accumulate(whole, model, x, ids)
    accumulate(first, model, x[:15], ids[:15])
    accumulate(second, model, x[15:], ids[15:])
    first += second
    assert first.sums == pytest.approx(whole.sums)
    assert first.frames == whole.frames


def test_weights_of_frames_count_them():
    model, x, ids = world(2)
    twice, weighted = GmmStats.zeros(model), GmmStats.zeros(model)
    accumulate(twice, model, np.concatenate([x, x]), np.concatenate([ids, ids]))
    accumulate(weighted, model, x, ids, frame_weights=np.full(len(x), 2.0))
    assert weighted.squares == pytest.approx(twice.squares)
    assert weighted.log_likelihood == pytest.approx(twice.log_likelihood)


def test_other_features_can_be_summed():
    model, x, ids = world(3)
    stats, plain = GmmStats.zeros(model, dim=2), GmmStats.zeros(model)
    accumulate(stats, model, x, ids, stats_features=2 * x[:, :2])
    accumulate(plain, model, x, ids)
    assert stats.sums == pytest.approx(2 * plain.sums[:, :2])
    assert stats.occupancy == pytest.approx(plain.occupancy)


def test_posteriors_are_those_of_the_statistics():
    model, x, ids = world(4)
    gaussians, posteriors, total = component_posteriors(model, x, ids)
    stats = GmmStats.zeros(model)
    accumulate(stats, model, x, ids)
    assert np.bincount(gaussians, posteriors, minlength=model.num_gaussians) == pytest.approx(stats.occupancy)
    assert total == pytest.approx(stats.log_likelihood)
    sizes = np.diff(model.row_splits)[ids]
    assert np.add.reduceat(posteriors, np.concatenate([[0], np.cumsum(sizes)[:-1]])) == pytest.approx(np.ones(len(x)))


@pytest.mark.parametrize(
    ("x", "ids", "message"),
    [
        (np.zeros((2, 4)), [0, 0], "for a model of 3 dimensions"),
        (np.zeros((2, 3)), [0], "1 pdf ids for 2 frames"),
        (np.zeros((2, 3)), [0, 3], "pdf ids 0 to 3 for a model of 3 pdfs"),
        (np.zeros((2, 3)), [-1, 0], "pdf ids -1 to 0 for a model of 3 pdfs"),
    ],
)
def test_what_does_not_fit_is_refused(x, ids, message):
    model, _, _ = world(0)
    with pytest.raises(ValueError, match=message):
        accumulate(GmmStats.zeros(model), model, x, np.array(ids))
