"""Phrases raised in the search: the same as searching the graph composed with the automaton, written out."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from hybrid.formats.openfst import FstArrays
from hybrid.search import raised_graph
from hybrid.search.choose import make_searcher
from hybrid.search.config import SearchConfig
from hybrid.search.engines.bias_kernels import compose_pairs
from hybrid.search.engines.native import NativeSearcher
from hybrid.search.engines.reference import ReferenceSearcher
from hybrid.search.graph import SearchGraph
from hybrid.search.raised_graph import BiasedGraph, raised
from lm.biasing.bias_automaton import BiasAutomaton, BiasPhrase

SCALE = 0.5
WORD = st.integers(1, 4)
PHRASE = st.builds(
    BiasPhrase,
    st.lists(WORD, min_size=1, max_size=3).map(tuple),
    st.sampled_from([-2.0, 0.0, 0.75, 3.0]),
    st.lists(WORD, max_size=1).map(tuple),
)
SINGLE = st.builds(BiasPhrase, WORD.map(lambda word: (word,)), st.sampled_from([-2.0, 0.75, 3.0]))


def composed(fst: FstArrays, automaton: BiasAutomaton) -> FstArrays:
    """The readable twin: the states of graph and automaton that can be reached, and arcs with what words gain."""
    number, queue, rows = {(fst.start, 0): 0}, [(fst.start, 0)], []
    for state, other in queue:
        for arc in range(fst.row_splits[state], fst.row_splits[state + 1]):
            word, cost, to = int(fst.olabels[arc]), fst.costs[arc], other
            if word:
                to, gain = automaton.step(other, word)
                cost = -np.float32(float(-cost) + gain)
            place = (int(fst.next_states[arc]), to)
            if place not in number:
                number[place] = len(number)
                queue.append(place)
            rows.append((number[state, other], fst.ilabels[arc], word, number[place], cost))
    finals = [-np.float32(float(-fst.final_costs[state]) + automaton.end(other)) for state, other in queue]
    return FstArrays.from_arcs(0, *map(np.array, zip(*rows)), np.array(finals))


def searchers(tools, fst: FstArrays, phrases: list[BiasPhrase], config: SearchConfig):
    """Of the composed graph; and of the graph with the phrases raised, native and reference."""
    graph = SearchGraph.from_fst(fst, tools.transition_pdfs, tools.num_pdfs)
    automaton = BiasAutomaton(phrases)
    whole = SearchGraph.from_fst(composed(fst, automaton), tools.transition_pdfs, tools.num_pdfs)
    lazy = raised(graph, automaton)
    return ReferenceSearcher(whole, config), NativeSearcher(lazy, config), ReferenceSearcher(lazy, config)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    phrases=st.one_of(st.lists(PHRASE, max_size=5), st.lists(SINGLE, min_size=1, max_size=3)),
    frames=st.integers(1, 60),
    beams=st.sampled_from([(3.0, 2.0), (8.0, 5.0), (30.0, 20.0)]),
    active=st.sampled_from([(0, 5), (0, 1000), (4, 1000)]),
)
def test_it_is_the_composition(tools, seed, phrases, frames, beams, active) -> None:
    fst, scores = tools.fst(seed, 12, 40), tools.scores(seed, frames)
    config = SearchConfig(*beams, active[1], active[0], SCALE)
    wanted, *found = (one.search([scores])[0] for one in searchers(tools, fst, phrases, config))
    for result in found:
        assert (result.status, result.limited_frames) == (wanted.status, wanted.limited_frames)
        assert tools.arcs_of(result.lattice) == tools.arcs_of(wanted.lattice)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), phrases=st.lists(PHRASE, min_size=1, max_size=5), share=st.floats(0.1, 1.0))
def test_streams_go_on_after_a_commit(tools, seed, phrases, share) -> None:
    fst, config = tools.fst(seed, 12, 40), SearchConfig(8.0, 3.0, 1000, 0, SCALE)
    streams = [one.open() for one in searchers(tools, fst, phrases, config)]
    scores, parts = tools.scores(seed, 120), []
    for begin in range(0, len(scores), 30):
        for stream in streams:
            stream.advance(scores[begin : begin + 30])
        wanted, *found = (stream.partial() for stream in streams)
        for now in found:
            assert now.word_ids.tolist() == wanted.word_ids.tolist()
            assert now.settled_frames == wanted.settled_frames and now.final_loss == wanted.final_loss
        parts.append([stream.commit(int(share * wanted.settled_frames)) for stream in streams])
    parts.append([stream.finish() for stream in streams])
    for whole, *others in parts:
        for other in others:
            assert (whole is None) == (other is None)
            if whole is not None:
                assert tools.arcs_of(other.lattice) == tools.arcs_of(whole.lattice)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), phrases=st.lists(PHRASE, max_size=4))
def test_it_is_the_same_on_lattices(tools, seed, phrases) -> None:
    """Where nothing is pruned, each path gains what its words are worth."""
    fst, scores = tools.fst(seed), tools.scores(seed + 1, 4)
    automaton = BiasAutomaton(phrases)
    graph = SearchGraph.from_fst(fst, tools.transition_pdfs, tools.num_pdfs)
    config = SearchConfig(1000.0, 1000.0, 10**6, 0, SCALE)
    plain, found = (
        NativeSearcher(one, config).search([scores])[0].lattice for one in (graph, raised(graph, automaton))
    )
    wanted = {k: v + automaton.score(list(k[1])) for k, v in tools.lattice_paths(plain, SCALE).items()}
    paths = tools.lattice_paths(found, SCALE)
    assert paths.keys() == wanted.keys()
    assert all(paths[k] == pytest.approx(wanted[k], rel=1e-5, abs=1e-4) for k in wanted)


@pytest.mark.parametrize("most", [1, 1 << 10])
def test_utterances_share_what_was_composed(tools, monkeypatch, most: int) -> None:
    """One after the other, side by side, and where there is no room for what they compose."""
    for name in ("MOST_PAIRS", "MOST_ARCS"):
        monkeypatch.setattr(raised_graph, name, most)
    graph = SearchGraph.from_fst(tools.fst(3, 12, 60), tools.transition_pdfs, tools.num_pdfs)
    automaton = BiasAutomaton([BiasPhrase((1, 2), 2.0), BiasPhrase((2, 3, 1), 3.0), BiasPhrase((4, 1), -1.0)])
    config, speech = SearchConfig(8.0, 5.0, 1000, 0, SCALE), [tools.scores(seed, 40) for seed in range(3)]
    alone = [NativeSearcher(raised(graph, automaton), config).search([one])[0] for one in speech]
    shared = NativeSearcher(raised(graph, automaton), config)
    streams = [shared.open() for _ in speech]
    for begin in (0, 20):
        for stream, one in zip(streams, speech):
            stream.advance(one[begin : begin + 20])
    for found in ([stream.finish() for stream in streams], shared.search(speech), shared.search(speech)):
        for wanted, result in zip(alone, found):
            assert tools.arcs_of(result.lattice) == tools.arcs_of(wanted.lattice)
    assert len(shared.graph._kept) == (3 if most > 1 else 0)


def test_a_boost_of_nothing_changes_nothing(tools) -> None:
    graph = SearchGraph.from_fst(tools.fst(1), tools.transition_pdfs, tools.num_pdfs)
    assert raised(graph, BiasAutomaton([BiasPhrase((1, 2), 0.0), BiasPhrase((3,), 0.0)])) is graph


def test_single_words_need_no_state_of_their_own(tools) -> None:
    graph = SearchGraph.from_fst(tools.fst(1, 12, 60), tools.transition_pdfs, tools.num_pdfs)
    single = raised(graph, BiasAutomaton([BiasPhrase((1,), 2.0), BiasPhrase((3,), -1.0)]))
    assert isinstance(single, SearchGraph) and single.arcs is not graph.arcs
    gains = (single.graph_scores - graph.graph_scores).round(5)
    assert set(zip(graph.word_ids.tolist(), gains.tolist())) == {(0, 0), (1, 2), (2, 0), (3, -1), (4, 0)}
    assert isinstance(raised(graph, BiasAutomaton([BiasPhrase((1, 2), 2.0)])), BiasedGraph)


@pytest.mark.parametrize("engine", ["torch", "k2"])
def test_other_engines_say_that_they_cannot(engine: str) -> None:
    with pytest.raises(InputError, match=f"'{engine}' cannot raise phrases while it searches. Choose native or ref"):
        make_searcher(engine, None, None, SearchConfig(), bias=BiasAutomaton([BiasPhrase((1,), 1.0)]))  # type: ignore[arg-type]


def test_tokens_without_a_phrase_cost_a_glance(tools) -> None:
    """Each token of each frame is looked at for pairs that are new: as fast as numpy reads the numbers."""
    graph = SearchGraph.from_fst(tools.fst(1, 12, 60), tools.transition_pdfs, tools.num_pdfs)
    biased = raised(graph, BiasAutomaton([BiasPhrase((1, 2), 2.0)]))
    assert isinstance(biased, BiasedGraph)
    pairs, states = biased.lend(), np.zeros(1 << 18, np.int32)

    def seconds(look: Callable[[], object]) -> float:
        spent = []
        for _ in range(6):
            begin = time.thread_time()
            look()
            spent.append(time.thread_time() - begin)
        return min(spent[1:])

    found = seconds(lambda: compose_pairs(biased.source, pairs, states))
    assert found < 20 * seconds(lambda: np.flatnonzero(states >= biased.source.first))
