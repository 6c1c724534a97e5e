"""Flat start."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid.align.config import AlignmentError
from hybrid.align.equal import equal_align, seed_of
from hybrid.formats.openfst import FstArrays
from hybrid.timing.segments import phone_segments


def test_states_share_the_frames_evenly(transition_model, linear_graph):
    ids = equal_align(linear_graph([2, 3]), 11, seed=0)
    assert transition_model.pdf_ids[ids].tolist() == [1] * 3 + [2] * 3 + [3] * 3 + [4] * 2
    assert [(p.label, p.length) for p in phone_segments(ids, transition_model)] == [(2, 6), (3, 5)]


def test_as_many_frames_as_states(linear_graph, transition_model):
    ids = equal_align(linear_graph([2, 3]), 4, seed=0)
    assert transition_model.pdf_ids[ids].tolist() == [1, 2, 3, 4]


def test_the_seed_decides_between_ways(transition_model):
    # either phone 2's first transition or phone 3's, ending at once
    fst = FstArrays.from_arcs(0, [0, 0, 1, 2], [1, 2, 3, 4], [0] * 4, [1, 2, 1, 2], [0.0] * 4, [np.inf, 0.0, 0.0])
    found = {tuple(equal_align(fst, 3, seed)) for seed in range(20)}
    assert found == {(1, 3, 3), (2, 4, 4)}
    assert equal_align(fst, 3, 7).tolist() == equal_align(fst, 3, 7).tolist()
    assert seed_of("a") != seed_of("b")


def test_too_short_for_every_path(linear_graph):
    with pytest.raises(AlignmentError, match="^too short: 3 frames, the text needs at least 4$"):
        equal_align(linear_graph([2, 3]), 3, seed=0)


def test_a_short_utterance_takes_the_shortest_of_long_ways():
    # a loop of two states that random walks rarely leave at once
    fst = FstArrays.from_arcs(
        0, [0] + [1] * 9 + [2], [1] + [2] * 9 + [3], [0] * 11, [1] + [2] * 9 + [1], [0.0] * 11, [np.inf, 0.0, np.inf]
    )
    assert all(equal_align(fst, 1, seed).tolist() == [1] for seed in range(30))


def test_without_self_loops_no_time_can_be_filled():
    fst = FstArrays.from_arcs(0, [0], [1], [0], [1], [0.0], [np.inf, 0.0])
    assert equal_align(fst, 1, 0).tolist() == [1]
    with pytest.raises(AlignmentError, match="the path has no self-loops, so it cannot fill 2 frames"):
        equal_align(fst, 2, 0)


def test_an_empty_graph_is_refused():
    with pytest.raises(AlignmentError, match="the training graph accepts nothing"):
        equal_align(FstArrays.empty(), 5, 0)
