"""Composition: equal to kaldifst's, path by path."""

import kaldifst
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.formats.openfst import FstArrays, from_kaldifst, to_kaldifst
from hybrid.fst.compose import compose
from hybrid.fst.equivalence import randomly_equivalent


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6))
def test_any_transducers_equal_kaldifst(seed):
    """Several arcs with one label, silent arcs between writing ones, several final states."""
    random = np.random.default_rng(seed)

    def draw(lowest_input, size):
        states = int(random.integers(1, 8))
        source, to = random.integers(0, states, (2, size))
        labels = random.integers([[lowest_input], [0]], 3, (2, size))
        finals = np.where(random.random(states) < 0.5, random.random(states), np.inf)
        return FstArrays.from_arcs(0, source, *labels, to, random.random(size), finals)

    left, right = draw(0, 12), draw(1, 12)
    sorted_left = to_kaldifst(left)
    kaldifst.arcsort(sorted_left, "olabel")
    theirs = from_kaldifst(kaldifst.compose(sorted_left, to_kaldifst(right)))
    ours = compose(left, right)
    assert (ours.num_states, ours.num_arcs) == (theirs.num_states, theirs.num_arcs)
    if ours.num_states:
        assert not randomly_equivalent(ours, theirs, 10, 1e-4, max_length=200)


def test_unknown_labels_and_nothing():
    """An arc that reads what the left never writes leads nowhere and is trimmed."""
    h = FstArrays.from_arcs(0, [0, 1], [7, 8], [1, 0], [1, 0], [0.5, 0.25], [0, np.inf])
    clg = FstArrays.from_arcs(0, [0, 0], [1, 2], [4, 5], [1, 1], [2, 4], [np.inf, 0])
    graph = compose(h, clg)
    assert graph.ilabels.tolist() == [7, 8] and graph.olabels.tolist() == [4, 0]
    assert graph.costs.tolist() == [2.5, 0.25] and graph.next_states.tolist() == [1, 2]
    assert compose(h, FstArrays.empty()).num_states == 0
    with pytest.raises(ValueError, match="the right transducer has arcs without input labels"):
        compose(h, h.__class__.from_arcs(0, [0], [0], [1], [0], [0], [0]))


def test_many_states_outgrow_the_first_table():
    """One arc through an HMM of 3000 states in a row."""
    length = 3000
    source, to = np.arange(length), (np.arange(length) + 1) % length
    h = FstArrays.from_arcs(
        0, source, source + 1, [1] + [0] * (length - 1), to, 0 * source, [0] + [np.inf] * (length - 1)
    )
    clg = FstArrays.from_arcs(0, [0], [1], [9], [1], [0.5], [np.inf, 0])
    graph = compose(h, clg)
    assert graph.num_states == length + 1 and graph.ilabels.tolist() == list(range(1, length + 1))


def test_many_pairs_that_are_looked_for_outgrow_the_table():
    """A silent state entered in two ways is looked for; numbers of both sides are far apart and alike."""
    length = 400
    way, label = np.arange(length), np.tile(np.arange(1, 8), length)
    source, to = [*0 * way, *way + 1], [*way + 1, *np.roll(way, 1) % 3]
    inputs, outputs = [*way + 1, *way + 1], [*way % 7 + 1, *0 * way]
    h = FstArrays.from_arcs(0, source, inputs, outputs, to, np.zeros(2 * length), [0] + [np.inf] * length)
    source, to = np.repeat(way, 7), np.repeat((way * 37 + 1) % length, 7)
    clg = FstArrays.from_arcs(0, source, label, label, to, np.zeros(7 * length), 0 * way)
    left = to_kaldifst(h)
    kaldifst.arcsort(left, "olabel")
    theirs, ours = from_kaldifst(kaldifst.compose(left, to_kaldifst(clg))), compose(h, clg)
    assert ours.num_states > 20_000
    assert (ours.num_states, ours.num_arcs) == (theirs.num_states, theirs.num_arcs)
    assert not randomly_equivalent(ours, theirs, 10, 1e-4)
