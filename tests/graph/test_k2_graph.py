"""The graph for k2: no epsilons, every string's weight kept, labels and range checks, the k2 object."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError, MismatchError
from hybrid.formats.openfst import FstArrays
from hybrid.search.engines.k2_graph import PreparedGraph, prepare_graph

PDFS = np.array([-1, 4, 2, 4], np.int32)  # of transition-ids 1, 2, 3


def unprepared(graph: PreparedGraph) -> FstArrays:
    """Back to transition-ids in, words out; an arc with several words becomes a row of arcs."""
    source, il, ol, to, cost = [], [], [], [], []
    states = graph.num_states
    for a in range(graph.num_arcs):
        words = graph.words_of(int(graph.word_ids[a])) or (0,)
        here = int(graph.sources[a])
        for k, word in enumerate(words):
            last = k == len(words) - 1
            source.append(here)
            il.append(int(graph.transition_ids[a]) if k == 0 else 0)
            ol.append(word)
            to.append(int(graph.next_states[a]) if last else states)
            cost.append(-float(graph.scores[a]) if k == 0 else 0.0)
            here = states
            states += not last
    finals = np.full(states, np.inf)
    finals[graph.num_states - 1] = 0.0
    return FstArrays.from_arcs(0, np.array(source), il, ol, to, cost, finals)


@st.composite
def graphs(draw: st.DrawFn) -> FstArrays:
    states = draw(st.integers(2, 7))
    arc = st.tuples(
        st.integers(0, states - 2),
        st.integers(1, states - 1),
        st.sampled_from([0, 0, 1, 2, 3]),
        st.sampled_from([0, 0, 7, 8]),
        st.sampled_from([0.0, 0.25, 0.5, 2.0]),
    )
    drawn = [(0, *draw(arc)[1:]), *draw(st.lists(arc, max_size=13))]  # a start without arcs is refused
    rows = [(s, min(s + d, states - 1), x, y, c) for s, d, x, y, c in drawn]
    source, to, il, ol, cost = (np.array(c) for c in zip(*rows))
    finals = draw(st.lists(st.sampled_from([np.inf, 0.75]), min_size=states - 1, max_size=states - 1))
    order = np.array(draw(st.permutations(range(states))))
    final = np.empty(states)
    final[order] = [*finals, 0.5]
    return FstArrays.from_arcs(int(order[0]), order[source], il, ol, order[to], cost, final)


@settings(max_examples=200, deadline=None)
@given(fst=graphs())
def test_every_string_keeps_its_weight(strings, same_strings, fst):
    expected = strings(fst)
    if not expected:
        return
    graph = prepare_graph(fst, PDFS, 5)
    same_strings(strings(unprepared(graph)), expected)
    assert graph.labels.min() == -1 and not (graph.labels == 0).any()
    assert (np.diff(graph.sources) >= 0).all()
    ends = graph.labels == -1
    assert ((graph.next_states == graph.num_states - 1) == ends).all() and (graph.transition_ids[ends] == 0).all()
    assert (graph.labels[~ends] == PDFS[graph.transition_ids[~ends]] + 1).all()


def test_arcs_into_dead_ends_are_dropped(strings, same_strings):
    # 0 --3--> 1 --2--> 2, where nothing leaves 2; 0 is final.
    fst = FstArrays(0, [0, 1, 2, 2], [3, 2], [0, 0], [1, 2], [0.0, 0.0], [0.75, np.inf, np.inf])
    same_strings(strings(unprepared(prepare_graph(fst, PDFS, 5))), {((), ()): 0.75})


def test_by_hand():
    # 0 --eps:7/1--> 1 --2:8/2--> 2 (final 0.5), and a loop 3:0/0.25 at 2.
    fst = FstArrays(0, [0, 1, 2, 3], [0, 2, 3], [7, 8, 0], [1, 2, 2], [1.0, 2.0, 0.25], [np.inf, np.inf, 0.5])
    graph = prepare_graph(fst, PDFS, 5)
    assert graph.num_states == 3
    rows = sorted(zip(graph.sources.tolist(), graph.labels.tolist(), graph.next_states.tolist(), graph.scores.tolist()))
    assert rows == [(0, 3, 1, -3.0), (1, -1, 2, -0.5), (1, 5, 1, -0.25)]
    assert graph.words_of(int(graph.word_ids[0])) == (7, 8)
    assert graph.words_of(0) == () and graph.words_of(8) == (8,)


def test_hclg_keeps_its_weights(lang, models, grammar, tmp_path):
    from hybrid.fst.equivalence import randomly_equivalent
    from hybrid.graph.decoding import DecodingGraph, compile_decoding_graph

    compile_decoding_graph(lang, grammar, models["mono"], tmp_path / "graph")
    fst = DecodingGraph.load(tmp_path / "graph").fst
    graph = prepare_graph(fst, models["mono"].pdf_ids, models["mono"].num_pdfs)
    assert graph.num_arcs < 1.5 * fst.num_arcs
    assert randomly_equivalent(unprepared(graph), fst, 40, max_length=200) == ""


def test_wrong_model():
    fst = FstArrays(0, [0, 1, 1], [3], [0], [1], [0.0], [np.inf, 0.0])
    with pytest.raises(
        MismatchError, match="G1: transition_id 3 lies outside 0–1. Compile the graph from this model's"
    ):
        prepare_graph(fst, PDFS[:2], 5, "G1")
    with pytest.raises(MismatchError, match="G1: pdf_id 4 lies outside 0–3"):
        prepare_graph(fst, PDFS, 4, "G1")


def test_graphs_that_cannot_be_used():
    with pytest.raises(InputError, match="the graph has no states"):
        prepare_graph(FstArrays.empty(), PDFS, 5)
    loop = FstArrays(0, [0, 1, 3], [0, 0, 1], [0, 7, 0], [1, 0, 1], [0.0, 0.0, 0.0], [np.inf, 0.0])
    with pytest.raises(InputError, match="state [01] lies on a cycle of input epsilons"):
        prepare_graph(loop, PDFS, 5)
    with pytest.raises(InputError, match="none of the 1 states is final: no utterance can end"):
        prepare_graph(FstArrays(0, [0, 1], [1], [0], [0], [0.0], [np.inf]), PDFS, 5)
    with pytest.raises(InputError, match="no way leads from the start to a final state. Compile the graph again; look"):
        prepare_graph(FstArrays(0, [0, 1, 1], [1], [0], [0], [0.0], [np.inf, 0.0]), PDFS, 5)


@pytest.mark.k2
def test_the_k2_object():
    fst = FstArrays(0, [0, 1, 2, 3], [0, 2, 3], [7, 0, 0], [1, 2, 2], [1.0, 2.0, 0.25], [np.inf, np.inf, 0.5])
    graph = prepare_graph(fst, PDFS, 5)
    fsa = graph.to_k2()
    assert fsa.shape[0] == 3 and fsa.num_arcs == 3
    assert fsa.labels.tolist() == graph.labels.tolist() and fsa.scores.tolist() == graph.scores.tolist()
    assert fsa.transition_ids.tolist() == graph.transition_ids.tolist()
    assert fsa.aux_labels.tolist() == graph.word_ids.tolist()
    assert fsa.properties & 1  # k2 finds it valid
