import numpy as np
import pytest

from hybrid.base.errors import HybridError
from hybrid.gmm.am_diag_gmm import AmDiagGmm
from hybrid.gmm.m_step import auxiliary
from hybrid.gmm.mllr import MllrConfig, RegressionTree, estimate_mllr
from hybrid.gmm.stats import GmmStats, accumulate


def make(seed=0, pdfs=12, dim=2):
    random = np.random.default_rng(seed)
    centres = np.where(np.arange(pdfs)[:, None] % 2 == 0, -6.0, 6.0)  # two families of sounds
    means = centres + random.normal(size=(pdfs, dim)) * [1, 2]
    return AmDiagGmm.from_normal(np.arange(pdfs + 1), np.ones(pdfs), means, random.uniform(0.5, 1.5, size=(pdfs, dim)))


def speaker(model, transforms, frames=6000, seed=1):
    """Frames of a speaker whose even and odd pdfs are moved by different transforms."""
    random = np.random.default_rng(seed)
    pdfs = random.integers(0, model.num_pdfs, frames).astype(np.int32)
    extended = np.concatenate([model.means, np.ones((model.num_pdfs, 1))], axis=1)
    moved = np.stack([transforms[p % 2] @ extended[p] for p in range(model.num_pdfs)])
    x = moved[pdfs] + random.normal(size=(frames, model.dim)) * np.sqrt(model.variances[pdfs])
    stats = GmmStats.zeros(model)
    accumulate(stats, model, x.astype(np.float32), pdfs)
    return stats


TRANSFORMS = np.array([[[1.1, 0.1, 0.5], [0, 0.9, -0.3]], [[0.8, 0, 0.2], [0.2, 1.2, 1.0]]])


def test_classes_find_the_families():
    model = make()
    tree = RegressionTree.build(model, np.full(12, 100.0), MllrConfig(max_classes=2))
    assert tree.num_classes == 2
    assert len({tree.classes[i] for i in range(0, 12, 2)}) == 1 and tree.classes[0] != tree.classes[1]


def test_silence_is_divided_off_first():
    tree = RegressionTree.build(make(), np.full(12, 100.0), MllrConfig(max_classes=3), silence_pdfs=[0, 1])
    assert tree.classes[0] == tree.classes[1]
    assert (tree.classes[2:] != tree.classes[0]).all()


def test_transforms_are_found_again():
    model = make()
    tree = RegressionTree.build(model, np.full(12, 100.0), MllrConfig(max_classes=2))
    stats = speaker(model, TRANSFORMS, frames=60000)
    found = estimate_mllr(model, stats, tree, MllrConfig(max_classes=2, min_count=500))
    for pdf in (0, 1):
        np.testing.assert_allclose(found.matrices[tree.classes[pdf]], TRANSFORMS[pdf], atol=0.15)
    assert found.gain > 0


def test_likelihood_rises_by_the_gain():
    model = make()
    tree = RegressionTree.build(model, np.full(12, 100.0), MllrConfig(max_classes=4))
    stats = speaker(model, TRANSFORMS)
    found = estimate_mllr(model, stats, tree, MllrConfig(max_classes=4, min_count=100))
    moved = found.apply(model, tree)
    gain = (auxiliary(moved, stats) - auxiliary(model, stats)) / stats.occupancy.sum()
    assert gain == pytest.approx(found.gain, rel=1e-3)


def test_rows_are_the_maximum():
    model = make()
    tree = RegressionTree.build(model, np.full(12, 100.0), MllrConfig(max_classes=1))
    stats = speaker(model, TRANSFORMS)
    found = estimate_mllr(model, stats, tree, MllrConfig(max_classes=1, min_count=100))
    best = auxiliary(found.apply(model, tree), stats)
    random = np.random.default_rng(0)
    for _ in range(10):
        other = type(found)(found.matrices + 0.01 * random.normal(size=found.matrices.shape), found.nodes, 0.0)
        assert auxiliary(other.apply(model, tree), stats) <= best + 1e-3


def test_little_data_falls_back_to_the_parent_and_then_to_the_identity():
    model = make()
    tree = RegressionTree.build(model, np.full(12, 100.0), MllrConfig(max_classes=2))
    stats = speaker(model, TRANSFORMS, frames=1500)
    shared = estimate_mllr(model, stats, tree, MllrConfig(min_count=1000))
    assert set(shared.nodes) == {0}
    np.testing.assert_array_equal(shared.matrices[0], shared.matrices[1])
    none = estimate_mllr(model, stats, tree, MllrConfig(min_count=1e6))
    assert set(none.nodes) == {-1}
    np.testing.assert_array_equal(none.matrices[0], np.eye(2, 3))


def test_things_that_do_not_belong_together():
    model = make()
    tree = RegressionTree.build(model, np.ones(12))
    with pytest.raises(HybridError, match="do not belong together"):
        estimate_mllr(make(pdfs=4), GmmStats.zeros(make(pdfs=4)), tree)
