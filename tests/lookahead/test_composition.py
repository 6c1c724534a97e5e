"""Composition while searching: the language, scores and best paths of the graph compiled statically, and its errors."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from hybrid.decode.graph_lm import make_lookahead_searcher
from hybrid.formats.openfst import FstArrays
from hybrid.fst.equivalence import randomly_equivalent
from hybrid.fst.ops import connect
from hybrid.graph.config import GraphConfig
from hybrid.graph.decoding import DecodingGraph, compile_decoding_graph
from hybrid.lattice.oracle import oracle
from hybrid.lattice.paths import best_path
from hybrid.lookahead import tree
from hybrid.lookahead.compose_kernels import Source, begin_composed, compose_states
from hybrid.lookahead.composed import FREE
from hybrid.lookahead.numbered_grammar import language_of
from hybrid.search.choose import make_searcher
from hybrid.search.composed_graph import lexicon_of
from hybrid.search.config import SearchConfig
from hybrid.search.engines.lookahead import LookaheadSearcher
from hybrid.search.graph import SearchGraph
from lm.config import EstimateConfig
from lm.estimate import estimate_from_sentences
from lm.grammar_fst import ngram_to_fst
from tests.graph.conftest import grammar, lang, models, straight_models  # noqa: F401  (fixtures)
from tests.lookahead.twin import compose

CONFIG = GraphConfig(transition_scale=1.0, self_loop_scale=0.1)
MODELS = ("mono", "biphone", "triphone", "chain")
WORDS = ("A", "SEA", "SEE", "SEED", "SEEDS", "ADS")
NARROW = SearchConfig(acoustic_scale=1.0)
WIDE = SearchConfig(beam=200.0, lattice_beam=25.0, max_active=100_000, acoustic_scale=1.0)


def lm_of(lang, sentences: list[str], order: int) -> FstArrays:  # noqa: F811
    model, _ = estimate_from_sentences([s.split() for s in sentences] * 2, EstimateConfig(order=order))
    return ngram_to_fst(model, lang.words)


def source_of(graph: DecodingGraph, lm: FstArrays, model) -> Source:
    alone = lexicon_of(SearchGraph.from_fst(graph.fst, model.pdf_ids, model.num_pdfs), graph.word_cost)
    return Source(alone, language_of(lm, graph.words["#0"], alone.word_numbers))


def whole(source: Source) -> FstArrays:
    """The composition with every state that can be met."""
    composed, seen = begin_composed(source), 0
    while seen < composed.counts[0]:
        states = np.arange(seen, composed.counts[0], dtype=np.int32)
        seen = int(composed.counts[0])
        composed = compose_states(source, composed, 2 * states)
    states, arcs = composed.counts.tolist()
    bounds = composed.bounds[: 4 * states].reshape(-1, 4).astype(np.int64)
    assert (bounds != FREE).all() and (bounds[:, 2] == bounds[:, 3]).all()
    order = np.concatenate([np.arange(b, e) for b, _, e, _ in bounds.tolist()])
    sources = np.repeat(np.arange(states), bounds[:, 2] - bounds[:, 0])
    rows, scores = (rows[: 3 * arcs].reshape(-1, 3)[order] for rows in (composed.arcs, composed.scores))
    return FstArrays.from_arcs(
        0, sources, composed.transition_ids[order], np.maximum(composed.word_ids, 0)[order],
        rows[:, 0].astype(np.int64) // 2, -scores[:, 2], -composed.final_scores[: 2 * states : 2],
    )  # fmt: skip


def check_language(lang, model, lm: FstArrays, seed: int = 0) -> None:  # noqa: F811
    """Composed while searching, by the twin and statically: one weighted language."""
    graph = compile_decoding_graph(lang, None, model, None, CONFIG)
    ours = connect(whole(source_of(graph, lm, model)))
    twin = connect(compose(graph.fst, graph.word_cost, lm, lang.words["#0"]))
    static = compile_decoding_graph(lang, lm, model, None, CONFIG).fst
    assert not randomly_equivalent(ours, twin, 60, 1e-4, seed)
    assert not randomly_equivalent(ours, static, 60, 2e-3, seed)


@pytest.mark.parametrize("name", MODELS)
def test_the_language_of_the_static_graph(lang, models, grammar, name):  # noqa: F811
    check_language(lang, models[name], grammar)


@pytest.mark.parametrize("name", ("triphone", "chain"))
def test_words_are_counted_where_a_state_has_many_arcs(lang, models, monkeypatch, name):  # noqa: F811
    monkeypatch.setattr(tree, "WIDE", 2)
    lm = lm_of(lang, ["A SEED", "SEE A SEA", "SEEDS", "A A SEEDS ADS", "SEA ADS", "SEE"], 3)
    check_language(lang, models[name], lm)


spoken = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join), min_size=1, max_size=5)


@pytest.mark.parametrize("name", ("chain", "triphone"))
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(sentences=spoken, order=st.integers(1, 4))
def test_the_language_with_any_model(lang, straight_models, name, sentences, order):  # noqa: F811
    check_language(lang, straight_models[name], lm_of(lang, sentences, order), order)


@pytest.mark.parametrize("name", ("mono", "triphone", "chain"))
def test_the_best_paths_and_lattices_of_the_static_graph(lang, models, name):  # noqa: F811
    model = models[name]
    lm = lm_of(lang, ["A SEED", "SEE A SEA", "SEEDS", "A A SEEDS ADS", "SEA ADS", "SEE"], 3)
    graph = compile_decoding_graph(lang, None, model, None, CONFIG)
    static = make_searcher("native", compile_decoding_graph(lang, lm, model, None, CONFIG).fst, model, WIDE)
    ours = make_lookahead_searcher("native", graph, model, WIDE, lm)
    reference = make_searcher("reference", whole(source_of(graph, lm, model)), model, WIDE)
    rng = np.random.default_rng(1)
    for frames in (12, 20, 27):
        scores = (2.0 * rng.normal(size=(frames, model.num_pdfs))).astype(np.float32)
        wanted, twin, found = (s.search([scores])[0].lattice for s in (static, reference, ours))
        best, own = best_path(wanted, 1.0), best_path(found, 1.0)
        assert own.word_ids.tolist() == best.word_ids.tolist()
        assert abs(own.score(1.0) - best.score(1.0)) < 1e-4 * abs(best.score(1.0)) + 0.02
        assert abs(own.score(1.0) - best_path(twin, 1.0).score(1.0)) < 1e-3
        for sentence in (["SEE", "A"], ["SEEDS"], ["A", "SEED", "ADS"]):
            words = [lang.words[w] for w in sentence]
            assert oracle(found, words).errors == oracle(wanted, words).errors


def test_what_was_composed_serves_the_next_utterance(lang, models, grammar):  # noqa: F811
    """Results do not depend on it; two streams at once have a composition each."""
    model = models["triphone"]
    graph = compile_decoding_graph(lang, None, model, None, CONFIG)
    searcher = make_lookahead_searcher("auto", graph, model, NARROW, grammar)
    assert isinstance(searcher, LookaheadSearcher)
    rng = np.random.default_rng(2)
    first, second = (rng.normal(size=(n, model.num_pdfs)).astype(np.float32) for n in (15, 25))
    alone = make_lookahead_searcher("native", graph, model, NARROW, grammar, like=searcher)
    wanted = [alone.search([scores])[0].lattice for scores in (second, first)]
    one, other = searcher.open(), searcher.open()
    one.advance(first[:7])
    other.advance(second)
    one.advance(first[7:])
    assert one.partial().num_frames == 15 and one.memory > 0
    found = [other.finish().lattice, one.finish().lattice]
    for ours, theirs in zip(found, wanted):
        assert np.array_equal(ours.word_ids, theirs.word_ids) and np.array_equal(ours.graph_scores, theirs.graph_scores)
    lent = searcher.lend()
    assert lent.counts[1] > 0 and len(searcher._kept) == 1
    assert searcher.with_config(SearchConfig(beam=8.0, acoustic_scale=1.0)).lend() is not lent


def test_indices_lie_within_their_arrays():
    """Pointers that kernels are lent check none; plain Python does."""
    wanted = "test_words_are_counted_where_a_state_has_many_arcs and chain"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-W",
        "ignore",
        "-p",
        "no:cacheprovider",
        __file__,
        "-k",
        wanted,
    ]
    result = subprocess.run(command, env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def acceptor(arcs, finals) -> FstArrays:
    sources, labels, targets = (np.array(column) for column in zip(*arcs))
    return FstArrays.from_arcs(0, sources, labels, labels, targets, np.zeros(len(arcs)), np.array(finals))


@pytest.mark.parametrize(
    "arcs, finals, message",
    [
        ([(0, 1, 0)], [np.inf], "G: the grammar accepts nothing. Look at the text or file that it was made from."),
        (
            [(0, 0, 1), (0, 1, 1)],
            [np.inf, 0],
            "G: state 0 has an arc that reads nothing; wanted a deterministic grammar.",
        ),
        ([(0, 1, 1), (0, 1, 0)], [0, 0], "G: state 0 has two arcs of one word; wanted a deterministic grammar."),
        ([(0, 9, 1), (0, 9, 0)], [0, 0], "G: state 0 has two back-off arcs; wanted a deterministic grammar."),
        ([(0, 9, 1), (1, 9, 0)], [0, 0], "G: its back-off arcs lead round in a circle."),
        (
            [(0, 8, 1)],
            [np.inf, 0],
            "G: no sentence begins with a word of the graph. Give a model of the graph's words.",
        ),
    ],
)
def test_grammars_that_cannot_be_taken(arcs, finals, message):
    with pytest.raises(InputError) as error:
        language_of(acceptor(arcs, finals), 9, np.array([0, 1, 2], np.int32))
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("engine", ("torch", "k2", "reference"))
def test_other_engines_say_that_they_cannot(lang, models, grammar, engine):  # noqa: F811
    graph = compile_decoding_graph(lang, None, models["mono"], None, CONFIG)
    with pytest.raises(InputError) as error:
        make_lookahead_searcher(engine, graph, models["mono"], NARROW, grammar)
    assert str(error.value) == (
        f"engine: '{engine}' does not compose a graph with a language model while it searches. Use the engine native, "
        "or compile the graph with its grammar."
    )
