"""H, C, L and G composed: as kaldifst composes them."""

from __future__ import annotations

import kaldifst
import numpy as np
import pytest

from hybrid.formats.openfst import FstArrays, from_kaldifst, to_kaldifst
from hybrid.fst.compose import compose
from hybrid.fst.det_star import determinize_star
from hybrid.fst.equivalence import randomly_equivalent
from hybrid.graph.h_transducer import h_transducer
from hybrid.graph.report import GraphReport
from hybrid.graph.stages import make_clg, make_lg


@pytest.mark.parametrize("name", ["mono", "biphone", "triphone", "chain"])
def test_equals_kaldifst(lang, models, grammar, name):
    model = models[name]
    lg = make_lg(lang.L_arrays(disambig=True), grammar, GraphReport())
    clg, context_ids = make_clg(lg, lang.disambig_phones, model.tree, GraphReport())
    h, _ = h_transducer(context_ids, model, 1.0)
    ours, theirs = compose(h, clg), from_kaldifst(kaldifst.compose(to_kaldifst(h), to_kaldifst(clg)))
    assert (ours.num_states, ours.num_arcs) == (theirs.num_states, theirs.num_arcs)
    assert not randomly_equivalent(ours, theirs, 50, 1e-4)


def test_lexicon_and_grammar_equal_kaldifst(lang, grammar):
    left = to_kaldifst(lang.L_arrays(disambig=True))
    kaldifst.arcsort(left, "olabel")
    theirs = from_kaldifst(kaldifst.compose(left, to_kaldifst(grammar)))
    ours = compose(lang.L_arrays(disambig=True), grammar)
    assert (ours.num_states, ours.num_arcs) == (theirs.num_states, theirs.num_arcs)
    assert not randomly_equivalent(ours, theirs, 50, 1e-4)


def test_determinisation_equals_kaldifst(lang, grammar):
    lg = compose(lang.L_arrays(disambig=True), grammar)
    graph = to_kaldifst(lg)
    kaldifst.determinize_star(graph, use_log=True)
    ours, theirs = determinize_star(lg), from_kaldifst(graph)
    assert np.array_equal(ours.row_splits, theirs.row_splits) and np.array_equal(ours.next_states, theirs.next_states)
    assert np.array_equal(ours.ilabels, theirs.ilabels) and np.array_equal(ours.olabels, theirs.olabels)
    assert np.allclose(ours.costs, theirs.costs, 0, 1e-5) and np.allclose(ours.final_costs, theirs.final_costs, 0, 1e-5)


def test_a_grammar_with_epsilons(lang):
    """The word after an arc that reads nothing is spoken as without it."""
    word = lang.words["SEEDS"]
    plain = FstArrays.from_arcs(0, [0, 1], [word, word], [word, word], [1, 2], [0.5, 0.25], [np.inf, np.inf, 0])
    apart = FstArrays.from_arcs(
        0, [0, 1, 2], [word, 0, word], [word, 0, word], [1, 2, 3], [0.25, 0.25, 0.25], [np.inf] * 3 + [0]
    )
    graphs = [make_lg(lang.L_arrays(disambig=True), g, GraphReport()) for g in (plain, apart)]
    assert not randomly_equivalent(*graphs, 20, 3e-3)
