import numpy as np
import pytest

from hybrid.gmm.am_diag_gmm import AmDiagGmm
from hybrid.gmm.map_adapt import MapConfig, map_adapt
from hybrid.gmm.stats import GmmStats, accumulate


def make():
    return AmDiagGmm.from_normal(
        np.array([0, 2, 3]), np.array([0.5, 0.5, 1]), np.array([[0.0, 0], [4, 4], [9, 9]]), np.ones((3, 2))
    )


def test_hand_worked_mean():
    model = make()
    stats = GmmStats.zeros(model)
    stats.occupancy[0], stats.sums[0] = 30, [60, 30]
    adapted = map_adapt(model, stats, MapConfig(mean_tau=10))
    np.testing.assert_allclose(adapted.means[0], [60 / 40, 30 / 40], rtol=1e-6)
    np.testing.assert_allclose(adapted.means[1:], model.means[1:], rtol=1e-6)  # no data: as it was
    np.testing.assert_allclose(adapted.variances, model.variances)


def test_much_data_gives_maximum_likelihood_and_little_the_old_model():
    model, random = make(), np.random.default_rng(0)
    x = random.normal(size=(5000, 2)).astype(np.float32) * 2 + 9.5
    stats = GmmStats.zeros(model)
    accumulate(stats, model, x, np.ones(5000, np.int32))
    near = map_adapt(model, stats, MapConfig(mean_tau=1e-6, variances=True, variance_tau=1e-6))
    np.testing.assert_allclose(near.means[2], x.mean(0), rtol=1e-4)
    np.testing.assert_allclose(near.variances[2], x.var(0), rtol=1e-3)
    far = map_adapt(model, stats, MapConfig(mean_tau=1e12))
    np.testing.assert_allclose(far.means, model.means, atol=1e-5)


def test_weights_sum_to_one_and_follow_the_data():
    model = make()
    stats = GmmStats.zeros(model)
    stats.occupancy[:] = [90, 10, 5]
    adapted = map_adapt(model, stats, MapConfig(means=False, weights=True, weight_tau=10))
    np.testing.assert_allclose(adapted.weights, [95 / 110, 15 / 110, 1], rtol=1e-6)


def test_likelihood_of_the_new_data_rises():
    model, random = make(), np.random.default_rng(1)
    x = (random.normal(size=(200, 2)) + [1, 2]).astype(np.float32)
    pdfs = np.zeros(200, np.int32)
    stats = GmmStats.zeros(model)
    accumulate(stats, model, x, pdfs)
    adapted = map_adapt(model, stats, MapConfig(variances=True, weights=True))
    assert adapted.log_likelihoods(x)[:, 0].mean() > model.log_likelihoods(x)[:, 0].mean()


def test_errors():
    with pytest.raises(ValueError, match="mean_tau is 0, wanted more than 0"):
        MapConfig(mean_tau=0)
    with pytest.raises(ValueError, match="statistics of shape"):
        map_adapt(make(), GmmStats(np.zeros(1), np.zeros((1, 2)), np.zeros((1, 2))))
