"""AmDiagGmm and DiagGmm: densities, scores by matrix product, files."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.formats.tensors import load_arrays, save_arrays
from hybrid.gmm import AmDiagGmm, DiagGmm


def random_model(seed: int, sizes: tuple[int, ...], dim: int) -> AmDiagGmm:
    random = np.random.RandomState(seed)
    count = sum(sizes)
    weights = np.concatenate([random.dirichlet(np.ones(n)) + 1e-3 for n in sizes])
    splits = np.concatenate([[0], np.cumsum(sizes)])
    weights /= np.add.reduceat(weights, splits[:-1])[np.repeat(np.arange(len(sizes)), sizes)]
    return AmDiagGmm.from_normal(splits, weights, random.randn(count, dim), np.exp(random.randn(count, dim)))


def test_one_gaussian_by_hand():
    gmm = DiagGmm.from_normal(np.array([1.0]), np.array([[1.0, 2.0]]), np.array([[1.0, 4.0]]))
    # -½ (2 log 2π + log 4 + (2-1)²/1 + (0-2)²/4)
    wanted = -0.5 * (2 * math.log(2 * math.pi) + math.log(4) + 1 + 1)
    assert gmm.log_likelihood(np.array([[2.0, 0.0]]))[0] == pytest.approx(wanted, abs=1e-6)


def test_two_components_by_hand():
    gmm = AmDiagGmm.from_normal([0, 2], np.array([0.25, 0.75]), np.array([[0.0], [2.0]]), np.array([[1.0], [1.0]]))
    density = (0.25 + 0.75 * math.exp(-2)) / math.sqrt(2 * math.pi)
    assert gmm.log_likelihoods(np.zeros((1, 1)))[0, 0] == pytest.approx(math.log(density), abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 7))
def test_matrix_product_equals_the_densities_of_single_mixtures(seed, sizes, dim):
    model = random_model(seed, tuple(sizes), dim)
    x = np.random.RandomState(seed).randn(150, dim).astype(np.float32)
    scores = model.log_likelihoods(x)
    for pdf in range(model.num_pdfs):
        assert scores[:, pdf] == pytest.approx(model.pdf(pdf).log_likelihood(x), abs=2e-4)
    some = np.array([model.num_pdfs - 1, 0])
    assert model.log_likelihoods(x, some) == pytest.approx(scores[:, some], abs=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 6))
def test_mass_sums_to_one(seed, count):
    random = np.random.RandomState(seed)
    weights = random.dirichlet(np.ones(count)) + 1e-4
    gmm = AmDiagGmm.from_normal(
        [0, count], weights / weights.sum(), random.randn(count, 1), 0.1 + random.rand(count, 1)
    )
    grid = np.linspace(-12, 12, 20001)[:, None]
    mass = np.exp(gmm.log_likelihoods(grid)[:, 0].astype(np.float64)).sum() * (grid[1, 0] - grid[0, 0])
    assert mass == pytest.approx(1.0, abs=1e-4)


def test_far_away_frames_stay_finite():
    model = random_model(0, (3, 1), 4)
    assert np.isfinite(model.log_likelihoods(np.full((2, 4), 1e6))).all()


def test_a_boost_raises_scores_by_its_logarithm():
    model = random_model(1, (2, 3), 3)
    x = np.random.RandomState(0).randn(5, 3)
    difference = model.boosted([1], 1.25).log_likelihoods(x) - model.log_likelihoods(x)
    assert difference[:, 1] == pytest.approx(np.full(5, math.log(1.25)), abs=1e-5)
    assert not difference[:, 0].any()
    assert model.boosted([1], 1.0) is model


def test_parameters_survive_saving(tmp_path):
    model = random_model(2, (2, 1, 4), 5)
    save_arrays(tmp_path / "m.safetensors", model.arrays())
    again = AmDiagGmm.from_arrays(load_arrays(tmp_path / "m.safetensors")[0])
    assert again.content_hash() == model.content_hash()
    assert np.array_equal(again.gconsts, model.gconsts)
    put_together = AmDiagGmm.from_pdfs([model.pdf(p) for p in range(3)])
    assert put_together.content_hash() == model.content_hash()


def test_no_frames_give_no_rows():
    assert random_model(3, (1, 2), 3).log_likelihoods(np.zeros((0, 3))).shape == (0, 2)


@pytest.mark.parametrize(
    ("weights", "variances", "splits", "message"),
    [
        ([1.0, 0.0], [[1.0], [1.0]], [0, 2], "weight 0.0 of Gaussian 1; wanted more than 0"),
        ([0.5, np.nan], [[1.0], [1.0]], [0, 2], "weights hold NaN or infinity"),
        ([0.5, 0.5], [[1.0], [-1.0]], [0, 2], "inverse variance -1.0; wanted more than 0"),
        ([0.5, 0.5], [[1.0], [1.0]], [0, 1], "row_splits do not give each pdf at least one of the 2 Gaussians"),
        ([0.5, 0.5], [[1.0], [1.0]], [0, 2, 2], "row_splits do not give each pdf at least one of the 2 Gaussians"),
    ],
)
def test_unusable_parameters_are_refused(weights, variances, splits, message):
    with pytest.raises(ValueError, match=message):
        AmDiagGmm(np.array(splits), np.array(weights), np.zeros((2, 1)), np.array(variances))


def test_features_of_another_dimension_are_refused():
    with pytest.raises(ValueError, match=r"features of shape \(4, 3\) for a model of 2 dimensions"):
        random_model(0, (1,), 2).log_likelihoods(np.zeros((4, 3)))


def test_a_missing_array_is_named():
    arrays = random_model(0, (1,), 2).arrays()
    del arrays["weights"]
    with pytest.raises(ValueError, match="array 'weights' of a GMM is missing"):
        AmDiagGmm.from_arrays(arrays)
