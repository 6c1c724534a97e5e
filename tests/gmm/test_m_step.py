"""The M-step: EM never lowers the likelihood; floors; starved Gaussians."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.gmm import AmDiagGmm, GmmStats, UpdateConfig, accumulate, update

EVERYTHING = UpdateConfig(min_gaussian_occupancy=0.0, min_gaussian_weight=0.0, min_variance=1e-6)


def statistics(model: AmDiagGmm, x: np.ndarray, ids: np.ndarray) -> GmmStats:
    stats = GmmStats.zeros(model)
    accumulate(stats, model, x, ids)
    return stats


def test_one_gaussian_becomes_mean_and_variance():
    model = AmDiagGmm.flat(1, np.zeros(2), np.ones(2))
    x = np.array([[1.0, 0.0], [3.0, 4.0]], dtype=np.float32)
    new, report = update(model, statistics(model, x, np.zeros(2, int)), EVERYTHING)
    assert new.means[0] == pytest.approx([2.0, 2.0])
    assert new.variances[0] == pytest.approx([1.0, 4.0])
    assert report.frames == 2
    assert report.auxiliary_gain > 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 3), st.integers(1, 4))
def test_em_never_lowers_the_likelihood(seed, components, pdfs, dim):
    random = np.random.RandomState(seed)
    x = np.concatenate([random.randn(40, dim) * 0.7 + 4 * random.randn(dim) for _ in range(4)]).astype(np.float32)
    ids = random.randint(0, pdfs, len(x))
    count = components * pdfs
    weights, variances = np.full(count, 1 / components), np.full((count, dim), 4.0)
    model = AmDiagGmm.from_normal(np.arange(pdfs + 1) * components, weights, random.randn(count, dim) * 3, variances)
    before = -np.inf
    for _ in range(8):
        stats = statistics(model, x, ids)
        assert stats.log_likelihood_per_frame >= before - 1e-4
        before = stats.log_likelihood_per_frame
        model, report = update(model, stats, EVERYTHING)
        assert report.auxiliary_gain > -1e-4
        assert np.add.reduceat(model.weights, model.row_splits[:-1]) == pytest.approx(np.ones(pdfs), abs=1e-5)


def test_variances_are_floored_and_counted():
    model = AmDiagGmm.flat(1, np.zeros(1), np.ones(1))
    new, report = update(model, statistics(model, np.ones((20, 1), np.float32), np.zeros(20, int)))
    assert new.variances[0, 0] == pytest.approx(0.001)
    assert (report.floored_variances, report.floored_gaussians) == (1, 1)


def test_a_starved_gaussian_is_removed_and_the_last_one_stays():
    # pdf 0: one Gaussian on the data, one far away; pdf 1: two Gaussians without data
    model = AmDiagGmm.from_normal([0, 2, 4], [0.5, 0.5, 0.3, 0.7], [[0.0], [100.0], [5.0], [6.0]], np.ones((4, 1)))
    x = np.random.RandomState(0).randn(50, 1).astype(np.float32)
    new, report = update(model, statistics(model, x, np.zeros(50, int)))
    assert np.diff(new.row_splits).tolist() == [1, 1]
    assert report.removed == 2
    assert report.starved_pdfs == (1,)
    assert new.means[1, 0] == pytest.approx(6.0)  # the last one, as it was
    assert new.weights.tolist() == [1.0, 1.0]


def test_a_starved_gaussian_can_stay():
    model = AmDiagGmm.from_normal([0, 2], [0.5, 0.5], [[0.0], [100.0]], np.ones((2, 1)))
    x = np.random.RandomState(0).randn(50, 1).astype(np.float32)
    new, report = update(model, statistics(model, x, np.zeros(50, int)), UpdateConfig(remove_low_count_gaussians=False))
    assert report.removed == 0
    assert new.means[1, 0] == pytest.approx(100.0)
    assert new.weights[1] == pytest.approx(1e-5, rel=1e-3)


def test_nan_in_statistics_is_refused():
    model = AmDiagGmm.flat(1, np.zeros(1), np.ones(1))
    stats = GmmStats(np.ones(1), np.full((1, 1), np.nan), np.ones((1, 1)))
    with pytest.raises(ValueError, match="statistics hold NaN or infinity; check the features for NaN"):
        update(model, stats)


def test_statistics_of_another_model_are_refused():
    model = AmDiagGmm.flat(2, np.zeros(1), np.ones(1))
    with pytest.raises(ValueError, match=r"statistics of shape \(1, 1\) for Gaussians of shape \(2, 1\)"):
        update(model, GmmStats(np.ones(1), np.ones((1, 1)), np.ones((1, 1))))


@pytest.mark.parametrize("bad", [{"min_variance": 0.0}, {"min_gaussian_occupancy": -1}, {"min_gaussian_weight": 1.0}])
def test_settings_check_themselves(bad):
    with pytest.raises(ValueError, match="min_"):
        UpdateConfig(**bad)
