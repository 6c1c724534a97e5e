import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import HybridError
from hybrid.gmm.am_diag_gmm import AmDiagGmm
from hybrid.gmm.fmllr import invert_all
from hybrid.gmm.mllt import MlltStats, estimate_mllt, mllt_objective, mllt_sweep_reference, transform_means
from hybrid.gmm.transform_kernels import mllt_sweep


def make(seed=0, dim=3, frames=500):
    random = np.random.default_rng(seed)
    model = AmDiagGmm.from_normal(
        np.array([0, 2, 5]),
        np.array([0.4, 0.6, 0.2, 0.3, 0.5]),
        random.normal(size=(5, dim)) * 3,
        random.uniform(0.5, 2, size=(5, dim)),
    )
    pdfs = random.integers(0, 2, frames)
    mix = np.eye(dim) + 0.5 * random.normal(size=(dim, dim))
    x = (model.means[model.row_splits[pdfs]] + random.normal(size=(frames, dim)) @ mix).astype(np.float32)
    return model, x, pdfs


def direct(model, x, pdfs, weights):
    dim = x.shape[1]
    scatters = np.zeros((dim, dim, dim))
    for frame, pdf, weight in zip(x.astype(np.float64), pdfs, weights):
        rows = range(model.row_splits[pdf], model.row_splits[pdf + 1])
        scores = model.pdf(pdf).component_log_likelihoods(frame[None].astype(np.float32))[0].astype(np.float64)
        gamma = np.exp(scores - np.logaddexp.reduce(scores)) * weight
        for j, row in enumerate(rows):
            centred = frame - model.means[row]
            for d in range(dim):
                scatters[d] += gamma[j] / model.variances[row, d] * np.outer(centred, centred)
    return scatters


def test_statistics_equal_their_definition():
    model, x, pdfs = make(frames=60)
    weights = np.random.default_rng(1).uniform(0, 2, 60) * (np.arange(60) % 5 > 0)
    stats = MlltStats.zeros(3)
    stats.accumulate(model, x, pdfs, weights)
    np.testing.assert_allclose(stats.scatters, direct(model, x, pdfs, weights), rtol=1e-4)
    assert stats.beta == pytest.approx(weights.sum(), rel=1e-6)


def test_statistics_of_parts_add_up():
    model, x, pdfs = make()
    whole, parts, rest = MlltStats.zeros(3), MlltStats.zeros(3), MlltStats.zeros(3)
    whole.accumulate(model, x, pdfs)
    parts.accumulate(model, x[:200], pdfs[:200])
    rest.accumulate(model, x[200:], pdfs[200:])
    parts += rest
    np.testing.assert_allclose(parts.packed, whole.packed, rtol=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_objective_never_falls_and_ends_where_nothing_gains(seed):
    model, x, pdfs = make(seed)
    stats = MlltStats.zeros(3)
    stats.accumulate(model, x, pdfs)
    result = estimate_mllt(stats, num_sweeps=3000, tolerance=0.0)
    assert (np.diff(result.objectives) > -1e-9).all() and result.gain >= 0
    scatters, random = stats.scatters, np.random.default_rng(seed)
    best = mllt_objective(result.matrix, stats.beta, scatters)
    for _ in range(10):
        moved = result.matrix + 1e-3 * random.normal(size=(3, 3))
        assert mllt_objective(moved, stats.beta, scatters) <= best + 1e-6 * stats.beta


def test_gradient_by_finite_differences_vanishes_at_the_optimum_and_shows_the_determinant():
    model, x, pdfs = make(7)
    stats = MlltStats.zeros(3)
    stats.accumulate(model, x, pdfs)
    scatters = stats.scatters
    random = np.random.default_rng(2)
    for matrix, tolerance in (
        (np.eye(3) + 0.2 * random.normal(size=(3, 3)), 1e-4),
        (estimate_mllt(stats).matrix, 1e-3),
    ):
        slope = np.zeros((3, 3))
        for i in range(3):
            for j in range(3):
                step = np.zeros((3, 3))
                step[i, j] = 1e-5
                slope[i, j] = (
                    mllt_objective(matrix + step, stats.beta, scatters)
                    - mllt_objective(matrix - step, stats.beta, scatters)
                ) / 2e-5
        determinant_term = stats.beta * np.linalg.inv(matrix).T
        quadratic_term = np.einsum("dij,dj->di", scatters, matrix)
        np.testing.assert_allclose(slope, determinant_term - quadratic_term, atol=tolerance * stats.beta)
    np.testing.assert_allclose(slope / stats.beta, 0, atol=1e-3)


def test_data_that_is_diagonal_already_needs_no_rotation():
    random = np.random.default_rng(0)
    model = AmDiagGmm.from_normal(np.array([0, 1]), np.ones(1), np.zeros((1, 2)), np.array([[1.0, 4.0]]))
    stats = MlltStats.zeros(2)
    stats.accumulate(model, (random.normal(size=(20000, 2)) * [1, 2]).astype(np.float32), np.zeros(20000, int))
    np.testing.assert_allclose(estimate_mllt(stats).matrix, np.eye(2), atol=0.03)


def test_transforming_means_and_features_together_keeps_distances():
    model, _, _ = make()
    moved = transform_means(model, np.hstack([2 * np.eye(3), np.ones((3, 1))]))
    np.testing.assert_allclose(moved.means, 2 * model.means + 1, rtol=1e-5)
    np.testing.assert_allclose(moved.variances, model.variances, rtol=1e-6)
    with pytest.raises(ValueError, match=r"shape \(2, 2\) for means of 3 dimensions"):
        transform_means(model, np.eye(2))


def test_too_little_data_is_said():
    model, x, pdfs = make()
    stats = MlltStats.zeros(3)
    with pytest.raises(HybridError, match="MLLT: 0 frames for 3 dimensions; wanted more frames"):
        estimate_mllt(stats)
    stats.accumulate(model, np.repeat(x[:1], 100, axis=0), np.zeros(100, int))
    with pytest.raises(HybridError, match="singular"):
        estimate_mllt(stats)


def test_fast_sweep_equals_the_readable_one():
    model, x, pdfs = make(3)
    stats = MlltStats.zeros(3)
    stats.accumulate(model, x, pdfs)
    inverses = invert_all(stats.scatters)
    slow, fast = np.eye(3), np.eye(3)
    for _ in range(3):
        mllt_sweep_reference(slow, inverses, stats.beta)
        mllt_sweep(fast, inverses, stats.beta)
        np.testing.assert_allclose(fast, slow, rtol=1e-9, atol=1e-12)
