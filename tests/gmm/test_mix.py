"""Mixing up and down."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.gmm import AmDiagGmm, MixConfig, mix_down, mix_up
from hybrid.gmm.mix import merge_gaussians, split_gaussians, split_targets


def test_shares_by_hand():
    # power 1: 600 and 300 frames; per Gaussian 600, 300 → 300, 300 → (tie: the first pdf) 200, 300 → 200, 150
    config = MixConfig(power=1.0)
    assert split_targets(np.array([600.0, 300.0]), 3, config).tolist() == [2, 1]
    assert split_targets(np.array([600.0, 300.0]), 4, config).tolist() == [3, 1]
    assert split_targets(np.array([600.0, 300.0]), 5, config).tolist() == [3, 2]


def test_too_little_data_is_not_split():
    # 2 × 20 ≥ 40: no second Gaussian; 2 × 20 < 41: one
    assert split_targets(np.array([40.0, 0.0]), 9).tolist() == [1, 1]
    assert split_targets(np.array([41.0, 0.0]), 9).tolist() == [2, 1]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=12), st.integers(1, 60))
def test_shares_keep_their_bounds(occupancy, target):
    counts = split_targets(np.array(occupancy), target)
    assert (counts >= 1).all()
    assert counts.sum() <= max(target, len(occupancy))
    assert all(n == 1 or n * 20 < frames for n, frames in zip(counts, occupancy))


def test_a_split_halves_the_heaviest():
    weights, means, variances = split_gaussians(
        np.array([0.7, 0.3]), np.zeros((2, 3)), np.ones((2, 3)), 3, 0.01, np.random.RandomState(0)
    )
    assert weights.tolist() == [0.35, 0.3, 0.35]
    assert means[0] == pytest.approx(-means[2])
    assert 0 < abs(means[0]).max() < 0.05
    assert not means[1].any()
    assert np.array_equal(variances, np.ones((3, 3)))


def model() -> AmDiagGmm:
    random = np.random.RandomState(1)
    return AmDiagGmm.from_normal([0, 1, 3], [1.0, 0.4, 0.6], random.randn(3, 2), 0.5 + random.rand(3, 2))


def test_mixing_up_is_repeatable_and_keeps_weights():
    occupancy = np.array([5000.0, 3000.0])
    first, again = (mix_up(model(), occupancy, 9, seed=3) for _ in range(2))
    assert first.num_gaussians == 9
    assert first.content_hash() == again.content_hash()
    assert mix_up(model(), occupancy, 9, seed=4).content_hash() != first.content_hash()
    assert np.add.reduceat(first.weights, first.row_splits[:-1]) == pytest.approx([1, 1])


def test_no_pdf_loses_by_mixing_up_nor_gains_by_mixing_down():
    occupancy = np.array([5000.0, 3000.0])
    assert np.diff(mix_up(model(), occupancy, 2).row_splits).tolist() == [1, 2]
    assert np.diff(mix_down(model(), occupancy, 2).row_splits).tolist() == [1, 1]
    assert np.diff(mix_down(model(), occupancy, 50).row_splits).tolist() == [1, 2]


def test_merging_keeps_mean_and_variance_of_the_mixture():
    weights, means, variances = np.array([0.2, 0.8]), np.array([[0.0], [5.0]]), np.array([[1.0], [2.0]])
    w, m, v = merge_gaussians(weights, means, variances, 1)
    assert w.tolist() == [1.0]
    assert m[0, 0] == pytest.approx(4.0)
    assert v[0, 0] == pytest.approx(0.2 * 1 + 0.8 * (2 + 25) - 16)


def test_the_closest_two_are_merged():
    means = np.array([[0.0], [10.0], [10.1]])
    w, m, _ = merge_gaussians(np.array([0.2, 0.4, 0.4]), means, np.ones((3, 1)), 2)
    assert w == pytest.approx([0.2, 0.8])
    assert m[:, 0] == pytest.approx([0.0, 10.05])


def test_settings_check_themselves():
    with pytest.raises(ValueError, match="power is -1, wanted 0 to 10"):
        MixConfig(power=-1)
