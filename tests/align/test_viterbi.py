"""Viterbi: compiled kernels equal the readable reference, and exhaustive search on tiny graphs."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.align import viterbi
from hybrid.align.alignment_graph import AlignmentGraph, scaled_transition_scores
from hybrid.align.band import best_path_scored_on_demand
from hybrid.align.config import AlignConfig, AlignmentError
from hybrid.align.viterbi import best_path_reference
from hybrid.formats.openfst import FstArrays

USUAL = AlignConfig(acoustic_scale=0.1)
WIDE = AlignConfig(beam=1e6, retry_beam=0, acoustic_scale=1.0)


def viterbi_align(graph, scores, config=USUAL):
    return viterbi.viterbi_align(graph, scores, config)


@st.composite
def graphs(draw):
    """Random graphs with their costs, and scores."""
    random = np.random.RandomState(draw(st.integers(0, 2**31 - 1)))
    states, pdfs = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    arcs = draw(st.integers(1, 7))
    sources, targets = random.randint(0, states, arcs), random.randint(0, states, arcs)
    columns = random.randint(0, pdfs, arcs)
    finals = np.where(random.rand(states) < 0.5, random.rand(states), np.inf)
    finals[random.randint(states)] = 0.5
    order = np.argsort(sources, kind="stable")
    columns = columns[order].astype(np.int32)
    costs = np.round(random.randn(arcs), 3)
    fst = FstArrays.from_arcs(0, sources, np.zeros(arcs), random.randint(0, 3, arcs), targets, costs, finals)
    fst = dataclasses.replace(fst, ilabels=np.arange(1, arcs + 1, dtype=np.int32))
    graph = AlignmentGraph(fst, np.arange(pdfs, dtype=np.int32), columns, fst.costs.astype(np.float64))
    return graph, random.randn(draw(st.integers(1, 4)), pdfs).astype(np.float32)


def all_paths(graph: AlignmentGraph, scores: np.ndarray, state: int = 0, frame: int = 0) -> list[float]:
    """The cost of every path from a state and frame to the end, by brute force."""
    found = [float(graph.fst.final_costs[state])] if frame == len(scores) else []
    for arc in range(graph.fst.row_splits[state], graph.fst.row_splits[state + 1]):
        target, column = int(graph.fst.next_states[arc]), graph.columns[arc]
        if frame < len(scores):
            here = graph.costs[arc] - float(scores[frame, column])
            found += [here + rest for rest in all_paths(graph, scores, target, frame + 1)]
    return found


def run(kernel, graph, scores, config):
    fst = graph.fst
    return kernel(
        fst.start, fst.row_splits, graph.columns, graph.costs, fst.next_states, fst.final_costs, scores,
        config.acoustic_scale, config.beam, config.min_active,
    )  # fmt: skip


def best_path_in_band(*arguments):
    """The band with all scores at once."""
    *arrays, rows, scale, beam, min_active = arguments
    widths = scale, beam, min_active, max(1, len(rows))
    return best_path_scored_on_demand(*arrays, lambda b, e, c: rows[b:e, c], *rows.shape, *widths)[:2]


@settings(max_examples=80, deadline=None)
@given(graphs())
def test_equals_exhaustive_search(case):
    graph, scores = case
    best = min(all_paths(graph, scores), default=math.inf)
    path, cost = run(best_path_in_band, graph, scores, WIDE)
    assert cost == pytest.approx(best, abs=1e-5)
    assert len(path) == (len(scores) if math.isfinite(best) else 0)


@settings(max_examples=80, deadline=None)
@given(graphs(), st.floats(0.1, 3.0), st.integers(1, 3))
def test_the_band_equals_the_readable_reference_within_a_beam(case, beam, min_active):
    graph, scores = case
    config = AlignConfig(beam=beam, retry_beam=0, min_active=min_active, acoustic_scale=0.7)
    reference = best_path_reference(graph, scores, config)
    path, cost = run(best_path_in_band, graph, scores, config)
    assert math.isfinite(cost) == (reference is not None)
    if reference is not None:
        assert cost == pytest.approx(reference[1], abs=1e-9)
        assert graph.fst.start == 0
        at = 0
        for arc in path:  # a connected path
            assert graph.fst.row_splits[at] <= arc < graph.fst.row_splits[at + 1]
            at = int(graph.fst.next_states[arc])
        assert np.isfinite(graph.fst.final_costs[at])


@settings(max_examples=80, deadline=None)
@given(graphs(), st.floats(0.1, 3.0), st.integers(1, 4))
def test_scores_on_demand_are_those_that_matter(case, beam, at_once):
    graph, scores = case
    config = AlignConfig(beam=beam, retry_beam=0, min_active=1, acoustic_scale=0.7)
    path, cost = run(best_path_in_band, graph, scores, config)
    asked = []

    def score(begin, end, columns):
        asked.append((begin, end))
        assert columns.tolist() == sorted(set(columns.tolist()))
        return scores[begin:end, columns]

    def on_demand(*arguments):
        *arrays, rows, scale, beam, min_active = arguments
        return best_path_scored_on_demand(*arrays, score, len(rows), rows.shape[1], scale, beam, min_active, at_once)

    again, other_cost, along = run(on_demand, graph, scores, config)
    assert (again.tolist(), other_cost) == (path.tolist(), cost)
    assert along.tolist() == scores[np.arange(len(path)), graph.columns[path]].tolist()
    assert asked == [(b, min(b + at_once, len(scores))) for b in range(0, len(scores), at_once)]


def make(transition_model, fst) -> AlignmentGraph:
    return AlignmentGraph.make(fst, transition_model, scaled_transition_scores(transition_model, 1.0, 0.1))


def scores_of(model, graph: AlignmentGraph, pdfs: list[int], good: float = 0.0, bad: float = -50.0) -> np.ndarray:
    """Scores that want one pdf per frame."""
    return np.where(graph.pdf_ids[None] == np.array(pdfs)[:, None], good, bad).astype(np.float32)


def test_the_states_that_fit_are_found(transition_model, linear_graph):
    graph = make(transition_model, linear_graph([2, 3]))
    wanted = [1, 1, 1, 2, 3, 4, 4]
    alignment = viterbi_align(graph, scores_of(transition_model, graph, wanted))
    assert transition_model.pdf_ids[alignment.transition_ids].tolist() == wanted
    assert alignment.word_ids.tolist() == [2, 3]
    assert alignment.word_frames.tolist() == [0, 4]
    assert not alignment.retried
    assert alignment.frame_scores.tolist() == [0.0] * 7


def test_the_score_is_that_of_the_path(transition_model, linear_graph):
    graph = make(transition_model, linear_graph([2], final_cost=0.25))
    scores = np.random.RandomState(0).randn(6, 2).astype(np.float32)
    alignment = viterbi_align(graph, scores)
    transitions = scaled_transition_scores(transition_model, 1.0, 0.1)[alignment.transition_ids].sum()
    assert alignment.score == pytest.approx(transitions + 0.1 * alignment.frame_scores.sum() - 0.25, abs=1e-5)


def test_the_retry_beam_finds_what_the_beam_lost(transition_model):
    # two ways: a cheap one that never ends, a dear one that does
    fst = FstArrays.from_arcs(
        0, [0, 0, 1, 2], [1, 2, 1, 2], [0] * 4, [1, 2, 1, 2], [0.0, 5.0, 0.0, 0.0], [np.inf, np.inf, 0.0]
    )
    graph = AlignmentGraph(fst, np.arange(1), np.zeros(4, np.int32), fst.costs.astype(np.float64))
    scores = np.zeros((3, 1), np.float32)
    config = AlignConfig(beam=1.0, retry_beam=10.0, min_active=1, acoustic_scale=0.1)
    assert viterbi_align(graph, scores, config).retried
    with pytest.raises(
        AlignmentError, match=r"no final state reached within beam 1 \(3 frames, the text needs at least 1\)"
    ):
        viterbi_align(graph, scores, dataclasses.replace(config, retry_beam=0.0))


def test_careful_alignment_refuses_a_text_said_twice(transition_model, linear_graph):
    graph = make(transition_model, linear_graph([2, 3]))
    twice = scores_of(transition_model, graph, [1, 1, 2, 3, 4, 1, 1, 2, 3, 4], bad=-200.0)
    once = twice[:5]
    config = AlignConfig(careful=True, min_active=1, acoustic_scale=0.1)
    assert (
        viterbi_align(graph, once, config).transition_ids.tolist() == viterbi_align(graph, once).transition_ids.tolist()
    )
    assert viterbi_align(graph, twice).num_frames == 10
    with pytest.raises(AlignmentError, match="the text may not be what is said or the audio goes on after the text"):
        viterbi_align(graph, twice, config)


def test_one_frame_is_too_short(transition_model, linear_graph):
    graph = make(transition_model, linear_graph([2, 3]))
    with pytest.raises(AlignmentError, match="^too short: 1 frames, the text needs at least 4$"):
        viterbi_align(graph, np.zeros((1, 4), np.float32))


def test_no_frames(transition_model, linear_graph):
    with pytest.raises(AlignmentError, match="^has no frames$"):
        viterbi_align(make(transition_model, linear_graph([2])), np.zeros((0, 2), np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_score_is_named_with_its_place(transition_model, linear_graph, bad):
    graph = make(transition_model, linear_graph([2]))
    scores = np.zeros((6, 2), np.float32)
    scores[4, 1] = bad
    message = f"^score {bad} at frame 4, pdf {graph.pdf_ids[1]}; look at the features and the model$"
    with pytest.raises(AlignmentError, match=message):
        viterbi_align(graph, scores)


def test_an_impossible_pdf_is_a_score(transition_model, linear_graph):
    """As in search: a path through -inf is none; where others are left, the best of them is found."""
    graph = make(transition_model, linear_graph([2]))
    scores = np.zeros((6, 2), np.float32)
    first = np.arange(6) < 3
    scores[first, 1] = scores[~first, 0] = -np.inf  # the one way left: three frames of each pdf
    alignment = viterbi_align(graph, scores)
    columns = [graph.pdf_ids.tolist().index(p) for p in transition_model.pdf_ids[alignment.transition_ids]]
    assert columns == [0, 0, 0, 1, 1, 1]
    assert np.isfinite(alignment.score) and alignment.frame_scores.tolist() == [0.0] * 6
    _, cost = best_path_reference(graph, scores, USUAL)
    assert cost == pytest.approx(-alignment.score)
    for impossible in (scores[::-1], np.full((6, 2), -np.inf, np.float32)):
        with pytest.raises(AlignmentError, match="no final state reached"):
            viterbi_align(graph, impossible)


def test_scores_of_another_graph_are_refused(transition_model, linear_graph):
    with pytest.raises(ValueError, match=r"scores of shape \(5, 3\) for a graph of 2 pdfs"):
        viterbi_align(make(transition_model, linear_graph([2])), np.zeros((5, 3), np.float32))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"beam": 0.0}, "beam is 0, wanted more than 0"),
        ({"retry_beam": 5.0}, "retry_beam 5.0 is not wider than beam 10.0; use 0 for no retry"),
        ({"acoustic_scale": 0.0}, "acoustic_scale is 0, wanted more than 0"),
        ({"min_active": 0}, "min_active is 0, wanted at least 1"),
    ],
)
def test_settings_check_themselves(bad, message):
    with pytest.raises(ValueError, match=message):
        AlignConfig(**bad)
