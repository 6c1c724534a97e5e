import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import HybridError
from hybrid.tree import ContextTree, TreeStats, accumulate_tree_stats, pdf_moments
from hybrid.tree.nodes import Leaf, Split
from hybrid.tree.stats import UNKNOWN


def utterance(seed, width=3, position=1, independent=()):
    random = np.random.default_rng(seed)
    phones = random.integers(1, 5, random.integers(1, 6))
    durations = random.integers(1, 5, len(phones))
    features = random.normal(size=(durations.sum(), 2))
    classes = random.integers(0, 3, len(features))
    stats = accumulate_tree_stats(features, phones, durations, classes, width, position, independent)
    return stats, features, phones, durations, classes


def test_hand_worked():
    features = np.array([[1.0], [2], [3], [4], [5]])
    stats = accumulate_tree_stats(features, [7, 8], [3, 2], np.array([0, 0, 1, 0, 0]))
    np.testing.assert_array_equal(stats.contexts, [[0, 7, 8], [0, 7, 8], [7, 8, 0]])
    np.testing.assert_array_equal(stats.pdf_classes, [0, 1, 0])
    np.testing.assert_allclose(stats.moments, [[2, 3, 5], [1, 3, 9], [2, 9, 41]])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10000), st.integers(1, 5), st.data())
def test_equals_a_dictionary_over_frames(seed, width, data):
    position = data.draw(st.integers(0, width - 1))
    stats, features, phones, durations, classes = utterance(seed, width, position, independent=(2,))
    wanted = {}
    frame = 0
    for place, (phone, duration) in enumerate(zip(phones, durations)):
        window = []
        for offset in range(-position, width - position):
            near = place + offset
            inside = 0 <= near < len(phones)
            window.append(UNKNOWN if phone == 2 and offset else (int(phones[near]) if inside else 0))
        for _ in range(duration):
            x = features[frame]
            entry = wanted.setdefault((*window, int(classes[frame])), np.zeros(5))
            entry += np.concatenate([[1], x, x * x])
            frame += 1
    assert [tuple(row) for row in stats.events.tolist()] == sorted(wanted)
    np.testing.assert_allclose(stats.moments, [wanted[k] for k in sorted(wanted)], rtol=1e-12)


def test_merging_is_adding_in_whatever_parts():
    parts = [utterance(seed)[0] for seed in range(6)]
    whole = TreeStats.merge(parts)
    paired = TreeStats.merge([TreeStats.merge(parts[:3]), TreeStats.merge(parts[3:])])
    np.testing.assert_array_equal(whole.events, paired.events)
    np.testing.assert_allclose(whole.moments, paired.moments, rtol=1e-12)
    assert whole.num_frames == sum(p.num_frames for p in parts)
    again = TreeStats.merge(parts)
    assert again.moments.tobytes() == whole.moments.tobytes()


def test_moments_of_pdfs():
    stats = TreeStats.merge([utterance(seed)[0] for seed in range(4)])
    tree = ContextTree(3, 1, Split(1, (1, 2), Leaf(1), Leaf(0)))
    moments = pdf_moments(stats, tree)
    inside = np.isin(stats.central_phones, [1, 2])
    np.testing.assert_allclose(moments[1], stats.moments[inside].sum(0))
    np.testing.assert_allclose(moments.sum(0), stats.moments.sum(0))
    with pytest.raises(HybridError, match="wanted statistics of the phones"):
        pdf_moments(stats, ContextTree(3, 1, ContextTree.monophone([(9,), (10,)], {9: 3, 10: 3}).root))


def test_empty_utterance_and_errors():
    stats = accumulate_tree_stats(np.zeros((0, 2)), [], [], np.zeros(0, int))
    assert stats.contexts.shape == (0, 3) and stats.dim == 2 and stats.num_frames == 0
    with pytest.raises(ValueError, match="3 frames, 3 pdf-classes, 1 phones over 2 frames"):
        accumulate_tree_stats(np.zeros((3, 2)), [1], [2], np.zeros(3, int))
    with pytest.raises(HybridError, match="not finite"):
        accumulate_tree_stats(np.full((1, 2), np.nan), [1], [1], np.zeros(1, int))
    with pytest.raises(ValueError, match="different context widths"):
        TreeStats.merge([utterance(0)[0], utterance(0, 5, 2)[0]])
    with pytest.raises(ValueError, match="no statistics"):
        TreeStats.merge([])
