import numpy as np
import pytest
from scipy.linalg import eigh

from hybrid.base.errors import HybridError
from hybrid.gmm.lda import LdaConfig, LdaStats, estimate_lda


def make(seed=0, frames=400, dim=5, classes=4):
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, frames)
    mix = random.normal(size=(dim, dim))
    x = (random.normal(size=(frames, dim)) + 2 * random.normal(size=(classes, dim))[labels]) @ mix + 3
    return x, labels


def collect(x, labels, classes=4, weights=None):
    stats = LdaStats.zeros(classes, x.shape[1])
    stats.accumulate(x, labels, weights)
    return stats


def test_equals_generalised_eigenvectors_of_scipy():
    x, labels = make()
    within = np.zeros((5, 5))
    between = np.zeros((5, 5))
    for c in range(4):
        part = x[labels == c]
        within += (part - part.mean(0)).T @ (part - part.mean(0)) / len(x)
        shift = part.mean(0) - x.mean(0)
        between += len(part) / len(x) * np.outer(shift, shift)
    values, vectors = eigh(between, within)
    result = estimate_lda(collect(x, labels), LdaConfig(dim=3))
    np.testing.assert_allclose(result.eigenvalues, values[::-1], atol=1e-10)
    for row, wanted in zip(result.matrix, vectors.T[::-1]):
        np.testing.assert_allclose(np.abs(row), np.abs(wanted), rtol=1e-6, atol=1e-8)
        assert row[np.abs(row).argmax()] > 0


def test_within_class_covariance_becomes_identity_and_between_diagonal():
    stats = collect(*make(1))
    full = estimate_lda(stats, LdaConfig(dim=2)).full
    within, between, _ = stats.covariances()
    np.testing.assert_allclose(full @ within @ full.T, np.eye(5), atol=1e-9)
    projected = full @ between @ full.T
    np.testing.assert_allclose(projected, np.diag(np.diag(projected)), atol=1e-9)


def test_offset_moves_the_mean_to_zero():
    x, labels = make(2)
    matrix = estimate_lda(collect(x, labels), LdaConfig(dim=2, remove_offset=True)).matrix
    moved = x @ matrix[:, :5].T + matrix[:, 5]
    np.testing.assert_allclose(moved.mean(0), 0, atol=1e-9)


def test_statistics_of_parts_add_up_and_weights_count():
    x, labels = make(3)
    whole = collect(x, labels)
    parts = collect(x[:150], labels[:150])
    parts += collect(x[150:], labels[150:])
    np.testing.assert_allclose(parts.scatter, whole.scatter, rtol=1e-12)
    twice = collect(x, labels, weights=np.where(labels == 0, 0.0, 2.0))
    kept = labels > 0
    once = collect(x[kept], labels[kept])
    np.testing.assert_allclose(twice.scatter, 2 * once.scatter, rtol=1e-12)
    np.testing.assert_allclose(twice.counts, 2 * once.counts)
    np.testing.assert_allclose(twice.sums, 2 * once.sums, rtol=1e-12)


def test_two_classes_separate_one_direction_and_say_so(caplog):
    x, labels = make(4, classes=2)
    result = estimate_lda(collect(x, labels, 2), LdaConfig(dim=3))
    assert result.matrix.shape == (3, 5)
    assert result.eigenvalues[0] > 0.1 and np.allclose(result.eigenvalues[1:], 0, atol=1e-9)
    assert "2 classes separate at most 1 of 3 dimensions" in caplog.text


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x, y: (x, np.zeros_like(y)), "LDA: 1 class with frames; wanted at least 2"),
        (lambda x, y: (x[:4], np.arange(4)), "LDA: 4 frames for features of 5 dimensions; wanted more frames"),
        (lambda x, y: (x[:, [0, 1, 2, 3, 3]], y), "covariance within classes is singular (1 of 5 directions"),
    ],
)
def test_bad_input(change, message):
    x, labels = change(*make(5))
    with pytest.raises(HybridError) as error:
        estimate_lda(collect(x, labels), LdaConfig(dim=2))
    assert message in str(error.value)


def test_more_dimensions_than_there_are():
    with pytest.raises(HybridError, match="9 dimensions wanted from features of 5"):
        estimate_lda(collect(*make()), LdaConfig(dim=9))


def test_shapes_are_checked():
    stats = LdaStats.zeros(4, 5)
    with pytest.raises(ValueError, match="labels 0 to 7 for 4 classes"):
        stats.accumulate(np.zeros((2, 5)), np.array([0, 7]))
    with pytest.raises(ValueError, match="NaN"):
        stats.accumulate(np.full((2, 5), np.nan), np.array([0, 1]))
