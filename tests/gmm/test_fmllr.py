import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from hybrid.gmm.am_diag_gmm import AmDiagGmm
from hybrid.gmm.basis_fmllr import BasisConfig, BasisTrainer, estimate_basis_fmllr
from hybrid.gmm.fmllr import (
    FmllrConfig,
    FmllrStats,
    compose_affine,
    estimate_fmllr,
    fmllr_objective,
    fmllr_sweep_reference,
    identity_transform,
    invert_all,
)
from hybrid.gmm.transform_kernels import fmllr_sweep


def make(seed=0, dim=3, frames=800, speaker=True):
    random = np.random.default_rng(seed)
    model = AmDiagGmm.from_normal(
        np.array([0, 2, 3, 6]),
        np.array([0.4, 0.6, 1, 0.2, 0.3, 0.5]),
        random.normal(size=(6, dim)) * 2,
        random.uniform(0.5, 2, size=(6, dim)),
    )
    pdfs = random.integers(0, 3, frames)
    x = model.means[model.row_splits[pdfs]] + random.normal(size=(frames, dim))
    if speaker:
        x = (x - 0.5 * random.normal(size=dim)) @ (np.eye(dim) + 0.2 * random.normal(size=(dim, dim))).T
    return model, x.astype(np.float32), pdfs


def collect(model, x, pdfs, **options):
    stats = FmllrStats.zeros(model.dim)
    stats.accumulate(model, x, pdfs, **options)
    return stats


def log_likelihood_of(model, x, pdfs, matrix):
    moved = (x @ matrix[:, :-1].T + matrix[:, -1]).astype(np.float32)
    scores = model.log_likelihoods(moved)[np.arange(len(x)), pdfs].mean()
    return scores + np.linalg.slogdet(matrix[:, :-1])[1]


def test_statistics_equal_their_definition():
    model, x, pdfs = make(frames=50)
    linear, scatters = np.zeros((3, 4)), np.zeros((3, 4, 4))
    for frame, pdf in zip(x.astype(np.float64), pdfs):
        scores = model.pdf(pdf).component_log_likelihoods(frame[None].astype(np.float32))[0].astype(np.float64)
        extended = np.append(frame, 1)
        for gamma, row in zip(np.exp(scores - np.logaddexp.reduce(scores)), range(model.row_splits[pdf], 99)):
            linear += gamma * np.outer(model.means[row] / model.variances[row], extended)
            scatters += gamma * (1 / model.variances[row])[:, None, None] * np.outer(extended, extended)
    stats = collect(model, x, pdfs)
    np.testing.assert_allclose(stats.linear, linear, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(stats.scatters, scatters, rtol=1e-4, atol=1e-3)
    assert stats.beta == pytest.approx(50)


def test_soft_posteriors_add_up_to_hard_ones():
    model, x, pdfs = make(frames=40)
    hard = collect(model, x, pdfs)
    entries = np.repeat(np.arange(40), 2)
    soft = collect(model, x, np.repeat(pdfs, 2), weights=np.tile([0.25, 0.75], 40), frames=entries)
    np.testing.assert_allclose(soft.packed, hard.packed, rtol=1e-6)
    np.testing.assert_allclose(soft.linear, hard.linear, rtol=1e-6, atol=1e-9)
    left = collect(model, x[::2], pdfs[::2])
    masked = collect(model, x, pdfs, weights=(np.arange(40) % 2 == 0).astype(float))
    np.testing.assert_allclose(masked.packed, left.packed, rtol=1e-9)


def test_parts_add_up():
    model, x, pdfs = make()
    parts = collect(model, x[:300], pdfs[:300])
    parts += collect(model, x[300:], pdfs[300:])
    np.testing.assert_allclose(parts.packed, collect(model, x, pdfs).packed, rtol=1e-5, atol=1e-3)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_every_sweep_raises_the_objective(seed):
    stats = collect(*make(seed))
    result = estimate_fmllr(stats)
    assert (np.diff(result.objectives) > -1e-9).all() and result.gain > 0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_equals_a_numerical_optimiser(seed):
    stats = collect(*make(seed))
    scatters = stats.scatters

    def cost(flat):
        return -fmllr_objective(flat.reshape(3, 4), stats, scatters) / stats.beta

    result = estimate_fmllr(stats, FmllrConfig(num_sweeps=300))
    options = {"gtol": 1e-7, "maxiter": 5000}
    # the objective has several local optima, so the optimiser starts near the one that was found
    near = result.matrix + 0.02 * np.random.default_rng(seed).normal(size=(3, 4))
    found = minimize(cost, near.reshape(-1), method="BFGS", options=options)
    np.testing.assert_allclose(result.matrix, found.x.reshape(3, 4), atol=3e-4)


def test_the_gain_is_a_gain_of_likelihood():
    model, x, pdfs = make(4)
    result = estimate_fmllr(collect(model, x, pdfs))
    before = log_likelihood_of(model, x, pdfs, identity_transform(3))
    after = log_likelihood_of(model, x, pdfs, result.matrix)
    assert after - before >= result.gain - 1e-4  # EM: the likelihood gains at least what the auxiliary does


def test_second_transform_on_top_of_the_first_composes():
    model, x, pdfs = make(5)
    first = estimate_fmllr(collect(model, x, pdfs), FmllrConfig(num_sweeps=2)).matrix
    moved = (x @ first[:, :3].T + first[:, 3]).astype(np.float32)
    second = estimate_fmllr(collect(model, moved, pdfs)).matrix
    both = compose_affine(second, first)
    np.testing.assert_allclose(
        x @ both[:, :3].T + both[:, 3], moved @ second[:, :3].T + second[:, 3], rtol=1e-4, atol=1e-4
    )
    assert log_likelihood_of(model, x, pdfs, both) > log_likelihood_of(model, x, pdfs, first) - 1e-6


def test_a_speaker_with_one_second_of_speech_keeps_the_identity():
    result = estimate_fmllr(collect(*make(frames=100)))
    np.testing.assert_array_equal(result.matrix, identity_transform(3))
    assert result.reason == "100 frames of speech, fewer than 500" and result.gain == 0


def test_features_that_do_not_vary_keep_the_identity():
    model, x, pdfs = make()
    result = estimate_fmllr(collect(model, np.repeat(x[:1], 800, axis=0), pdfs))
    np.testing.assert_array_equal(result.matrix, identity_transform(3))
    assert "singular" in result.reason


def test_posterior_model_must_match():
    model, x, pdfs = make()
    other = AmDiagGmm.from_normal(np.array([0, 1]), np.ones(1), np.zeros((1, 3)), np.ones((1, 3)))
    with pytest.raises(ValueError, match="does not match"):
        collect(model, x, pdfs, posterior_model=other)


def speakers(count, frames):
    model, _, _ = make(0, speaker=False)
    for seed in range(count):
        random = np.random.default_rng(100 + seed)
        pdfs = random.integers(0, 3, frames)
        x = model.means[model.row_splits[pdfs]] + random.normal(size=(frames, 3))
        matrix = np.eye(3)
        matrix[0, 1] = 0.4 * random.normal()  # speakers differ in one direction and an offset only
        x = x @ matrix + np.array([random.normal(), 0, 0])
        yield collect(model, x.astype(np.float32), pdfs)


@pytest.fixture(scope="module")
def basis():
    trainer = BasisTrainer(3)
    for stats in speakers(20, 600):
        trainer.add(stats)
    return trainer.estimate()


def test_all_bases_reach_what_full_fmllr_reaches(basis):
    (stats,) = speakers(1, 5000)
    full = estimate_fmllr(stats, FmllrConfig(num_sweeps=100))
    found, coefficients = estimate_basis_fmllr(stats, basis, BasisConfig(num_sweeps=100))
    assert len(coefficients) == 12
    assert found.objectives[-1] == pytest.approx(full.objectives[-1], abs=1e-6)
    np.testing.assert_allclose(found.matrix, full.matrix, atol=1e-2)


def test_few_bases_gain_at_every_step_and_find_the_direction_of_the_speakers(basis):
    assert (np.diff(basis.eigenvalues) <= 0).all() and basis.eigenvalues[0] > 3 * basis.eigenvalues[3]
    for stats in speakers(3, 60):
        found, coefficients = estimate_basis_fmllr(stats, basis, BasisConfig(size_scale=0.05))
        assert len(coefficients) == 3
        assert (np.diff(found.objectives) >= 0).all() and found.gain > 0


def test_basis_with_next_to_no_data_keeps_the_identity(basis):
    (stats,) = speakers(1, 20)
    found, coefficients = estimate_basis_fmllr(stats, basis)
    np.testing.assert_array_equal(found.matrix, identity_transform(3))
    assert found.reason == "20 frames of speech, fewer than 50" and not len(coefficients)


def test_fast_sweep_equals_the_readable_one():
    stats = collect(*make(3))
    inverses = invert_all(stats.scatters)
    slow, fast = identity_transform(3), identity_transform(3)
    for _ in range(3):
        fmllr_sweep_reference(slow, inverses, stats.linear, stats.beta)
        fmllr_sweep(fast, inverses, stats.linear, stats.beta)
        np.testing.assert_allclose(fast, slow, rtol=1e-9, atol=1e-12)
