"""Training graphs made ready: scales, lookups, shortest paths."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid.align.alignment_graph import (
    AlignmentGraph,
    careful_graph,
    least_frames,
    scaled_transition_scores,
    shortest_arcs,
)
from hybrid.base.errors import InputError, MismatchError
from hybrid.formats.openfst import FstArrays
from hybrid.graph.training import transition_costs


def test_scales_by_hand(transition_model):
    # phones 2 and 3: every state stays with 0.75 (the first of Kaldi's default) or leaves with 0.25
    scores = scaled_transition_scores(transition_model, 1.0, 0.1)
    loop = transition_model.is_self_loop
    stay, leave = transition_model.log_probs[loop][-1], np.log1p(-np.exp(transition_model.log_probs[loop][-1]))
    assert scores[0] == 0.0
    assert scores[loop][-1] == pytest.approx(0.1 * stay, abs=1e-6)
    assert scores[~loop][-1] == pytest.approx(0.1 * leave, abs=1e-6)
    assert scaled_transition_scores(transition_model, 1.0, 1.0)[1:] == pytest.approx(transition_model.log_probs[1:])


def test_scales_are_those_of_graphs(transition_model):
    assert scaled_transition_scores(transition_model, 0.8, 0.1) == pytest.approx(
        -transition_costs(transition_model, 0.8, 0.1), abs=1e-6
    )


def test_arcs_find_their_pdfs(transition_model, linear_graph):
    fst = linear_graph([1, 3])
    graph = AlignmentGraph.make(fst, transition_model, np.zeros(transition_model.num_transition_ids + 1))
    assert graph.pdf_ids.tolist() == [0, 3, 4]
    assert graph.pdf_ids[graph.columns].tolist() == transition_model.pdf_ids[fst.ilabels].tolist()


def test_transition_ids_of_another_model_are_refused(transition_model, linear_graph):
    fst = linear_graph([2])
    wrong = FstArrays.from_arcs(
        0, fst.sources(), fst.ilabels + 100, fst.olabels, fst.next_states, fst.costs, fst.final_costs
    )
    with pytest.raises(
        MismatchError, match=r"transition-id 1\d\d lies beyond the model's \d+. Compile the graphs with"
    ):
        AlignmentGraph.make(wrong, transition_model, np.zeros(transition_model.num_transition_ids + 1))


def test_arcs_without_a_transition_id_are_refused(transition_model):
    fst = FstArrays.from_arcs(0, [0, 1, 1], [1, 0, 2], [0] * 3, [1, 2, 2], [0.0] * 3, [np.inf, np.inf, 0.0])
    wanted = (
        r"^a.fst: 1 of 3 arcs have no transition-id, the first leaves state 1; wanted one on every arc\. Compile the "
        r"graphs with hybrid\.graph\.training, or remove the epsilons of their input side\.$"
    )
    with pytest.raises(InputError, match=wanted):
        AlignmentGraph.make(fst, transition_model, np.zeros(transition_model.num_transition_ids + 1), "a.fst")


@pytest.mark.parametrize("finals", [None, [np.inf]])
def test_a_graph_that_accepts_nothing_is_refused(transition_model, finals):
    none = np.zeros(0)
    fst = (
        FstArrays.empty() if finals is None else FstArrays.from_arcs(0, none, none, none, none, none, np.array(finals))
    )
    with pytest.raises(InputError, match="accepts nothing. Check that every word has a pronunciation"):
        AlignmentGraph.make(fst, transition_model, np.zeros(transition_model.num_transition_ids + 1))


def test_shortest_path(linear_graph):
    fst = linear_graph([1, 2, 3])
    assert least_frames(fst) == 5
    assert [int(fst.next_states[a]) for a in shortest_arcs(fst)] == [1, 2, 3, 4, 5]


def test_arcs_without_input_take_no_frame():
    fst = FstArrays.from_arcs(0, [0, 0, 1, 2], [1, 0, 2, 3], [0] * 4, [1, 2, 3, 3], [0.0] * 4, [np.inf] * 3 + [0.0])
    assert least_frames(fst) == 1
    assert shortest_arcs(fst) == [1, 3]


def test_nothing_is_shortest_where_no_end_is_reached():
    fst = FstArrays.from_arcs(0, [0], [1], [0], [0], [0.0], [np.inf])
    assert shortest_arcs(fst) is None
    assert least_frames(fst) == -1
    assert least_frames(FstArrays.empty()) == -1


def test_a_careful_graph_accepts_the_same_at_the_same_cost(linear_graph):
    fst = linear_graph([2, 3], final_cost=0.5)
    twice, origin, extra = careful_graph(fst)
    assert twice.num_states == 2 * fst.num_states
    assert np.array_equal(twice.ilabels, fst.ilabels[origin])
    assert twice.costs == pytest.approx(fst.costs[origin] + extra)
    assert np.isfinite(twice.final_costs).sum() == 1
    again = np.flatnonzero((twice.sources() < fst.num_states) & (twice.next_states >= fst.num_states))
    assert extra[again].tolist() == [0.5]
