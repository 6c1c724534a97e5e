import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.tree.cluster import cluster_bottom_up, cluster_top_down, split_in_two
from hybrid.tree.kernels import _objective
from hybrid.tree.objective import gaussian_objective


def points(seed, count, dim=2):
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        x = random.normal(size=(random.integers(3, 30), dim)) + 3 * random.normal(size=dim)
        rows.append(np.concatenate([[len(x)], x.sum(0), (x * x).sum(0)]))
    return np.array(rows)


def test_objective_is_the_likelihood_of_the_fitted_gaussian():
    x = np.random.default_rng(0).normal(size=(50, 3)) * [1, 2, 3]
    moments = np.concatenate([[50], x.sum(0), (x * x).sum(0)])
    densities = -0.5 * ((x - x.mean(0)) ** 2 / x.var(0) + np.log(2 * np.pi * x.var(0)))
    np.testing.assert_allclose(gaussian_objective(moments), densities.sum(), rtol=1e-10)
    assert gaussian_objective(np.zeros(7)) == 0


def test_objective_below_the_floor_is_the_likelihood_of_the_floored_gaussian():
    x = np.random.default_rng(1).normal(size=(40, 4)) * [0.02, 0.07, 0.3, 2] + [1, -2, 0, 3]
    floored = np.maximum(x.var(0), 0.01)
    assert (x.var(0) < 0.01).tolist() == [True, True, False, False] and x.var(0).min() > 1e-4
    moments = np.concatenate([[40], x.sum(0), (x * x).sum(0)])
    densities = -0.5 * ((x - x.mean(0)) ** 2 / floored + np.log(2 * np.pi * floored))
    np.testing.assert_allclose(gaussian_objective(moments), densities.sum(), rtol=1e-10)
    np.testing.assert_allclose(_objective(moments, 0.01), densities.sum(), rtol=1e-10)


def test_a_worked_example_of_the_floor():
    """Frames −0.1 and 0.1 (variance 0.01) under a floor of 0.04: a variance term of ¼ instead of 1."""
    moments = np.array([2.0, 0, 0.02])
    np.testing.assert_allclose(gaussian_objective(moments, 0.04), -(np.log(2 * np.pi * 0.04) + 0.25))
    apart = np.array([[1.0, -0.1, 0.01], [1.0, 0.1, 0.01]])  # each frame a Gaussian of its own wins the quarter
    np.testing.assert_allclose(gaussian_objective(apart, 0.04).sum() - gaussian_objective(moments, 0.04), 0.25)
    assert cluster_bottom_up(apart, np.zeros(2, int), threshold=0.24, variance_floor=0.04)[1] == 0
    np.testing.assert_allclose(cluster_bottom_up(apart, np.zeros(2, int), 0.26, variance_floor=0.04)[1], -0.25)
    side, gain = split_in_two(apart, variance_floor=0.04)
    np.testing.assert_allclose(gain, 0.25)
    assert side.sum() == 1


def test_bottom_up_merges_what_is_alike_within_groups():
    moments = points(0, 2)
    doubled = np.concatenate([moments, moments + 0])  # points 0 and 2 are equal, 1 and 3 too
    cluster, change = cluster_bottom_up(doubled, np.zeros(4, int), threshold=1e-6)
    assert cluster.tolist() == [2, 3, 2, 3] and abs(change) < 1e-6
    apart, _ = cluster_bottom_up(doubled, np.array([0, 0, 1, 1]), threshold=1e-6)
    assert apart.tolist() == [0, 1, 2, 3]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 7))
def test_bottom_up_takes_the_cheapest_merge_first(seed, count):
    moments = points(seed, count)
    cluster, change = cluster_bottom_up(moments, np.zeros(count, int), min_clusters=count - 1)
    scores = gaussian_objective(moments)
    losses = {
        (i, j): scores[i] + scores[j] - gaussian_objective(moments[i] + moments[j])
        for i, j in itertools.combinations(range(count), 2)
    }
    i, j = min(losses, key=lambda pair: losses[pair])
    assert cluster[i] == cluster[j] == j and len(set(cluster)) == count - 1
    np.testing.assert_allclose(-change, max(losses[i, j], 0), atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 8))
def test_two_way_split_equals_brute_force(seed, count):
    moments = points(seed, count)
    whole = gaussian_objective(moments.sum(0))
    best = max(
        gaussian_objective(moments[list(side)].sum(0))
        + gaussian_objective(np.delete(moments, list(side), axis=0).sum(0))
        for size in range(1, count)
        for side in itertools.combinations(range(count), size)
    )
    side, gain = split_in_two(moments, tries=20)
    assert gain <= best - whole + 1e-6
    assert gain >= 0.8 * (best - whole)  # local search; most often it is the best
    if 0 < side.sum() < count:
        reached = gaussian_objective(np.stack([moments[side].sum(0), moments[~side].sum(0)])).sum() - whole
        np.testing.assert_allclose(gain, reached, atol=1e-6)


def test_hierarchy_nests_and_reaches_every_point():
    moments = points(3, 9)
    clusters = cluster_top_down(moments)
    assert clusters[0] == tuple(range(9))
    assert {(p,) for p in range(9)} <= set(clusters)
    for a, b in itertools.combinations(map(set, clusters), 2):
        assert not a & b or a <= b or b <= a


def test_points_without_data_stay_together():
    moments = points(1, 3)
    moments[1:] = 0
    assert cluster_top_down(moments) == [(0, 1, 2)]
