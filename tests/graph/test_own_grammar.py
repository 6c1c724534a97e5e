"""hybrid.graph.own_grammar: a grammar, an n-gram model and garbage as one acceptor that can be determinised with L."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid.formats.openfst import FstArrays
from hybrid.graph.own_grammar import MixtureConfig, garbage_ids, garbage_word, mixed_grammar
from lexicon.symbols import SymbolTable
from lm.grammar.automaton import automaton_of
from lm.grammar.jsgf import parse_jsgf
from lm.grammar.values import GARBAGE, Grammar

WORDS = SymbolTable(("<eps>", "a", "b", "c", GARBAGE, "#0", garbage_word("P"), garbage_word("Q")))
# a unigram model of a and b behind a start state whose only way is #0
NGRAM = FstArrays(0, [0, 1, 3], [5, 1, 2], [0, 1, 2], [1, 1, 1], -np.log([1.0, 0.3, 0.3]), [np.inf, -np.log(0.4)])
# P or Q at first, Q behind #0; then P or Q or the end
PHONES = FstArrays(
    0, [0, 2, 4], [6, 5, 6, 7], [6, 0, 6, 7], [1, 1, 1, 1], -np.log([0.5, 0.5, 0.4, 0.4]), [np.inf, -np.log(0.2)]
)


def mixed(text: str, ngram: FstArrays | None = None, phones: FstArrays | None = None, **settings: float) -> FstArrays:
    file = parse_jsgf(f"#JSGF V1.0;\ngrammar g;\n{text}", "g.gram")
    automaton = automaton_of(Grammar("g", file.rules, file.roots, "g.gram"))
    return mixed_grammar(automaton, ngram, phones, WORDS, MixtureConfig(**settings))


def paths(fst: FstArrays, words: str) -> list[float]:
    """The probabilities of all ways to read words, `#0` read as nothing."""
    found, stack = [], [(fst.start, tuple(WORDS[w] for w in words.split()), 0.0)]
    while stack:
        state, rest, cost = stack.pop()
        if not rest and np.isfinite(fst.final_costs[state]):
            found.append(float(np.exp(-cost - fst.final_costs[state])))
        for arc in range(fst.row_splits[state], fst.row_splits[state + 1]):
            label, to = int(fst.ilabels[arc]), int(fst.next_states[arc])
            if label == WORDS["#0"]:
                stack.append((to, rest, cost + fst.costs[arc]))
            elif rest[:1] == (label,):
                stack.append((to, rest[1:], cost + fst.costs[arc]))
    return sorted(found)


def is_determinisable(fst: FstArrays) -> bool:
    """Whether no state has two arcs of one label."""
    pairs = list(zip(fst.sources().tolist(), fst.ilabels.tolist()))
    return len(pairs) == len(set(pairs))


def test_a_grammar_beside_an_ngram_model() -> None:
    fst = mixed("public <s> = a b*;", NGRAM, grammar_weight=0.75)
    assert paths(fst, "a b") == pytest.approx([0.25 * 0.3 * 0.3 * 0.4, 0.75 * 0.25], rel=1e-3)
    assert paths(fst, "b a") == pytest.approx([0.25 * 0.3 * 0.3 * 0.4], rel=1e-3)
    assert is_determinisable(fst)


def test_a_grammar_that_comes_back_to_its_start_pays_once() -> None:
    fst = mixed("public <s> = c*;", NGRAM, grammar_weight=0.5)
    assert paths(fst, "c c") == pytest.approx([0.5 * 0.125], rel=1e-3)


def test_garbage_is_any_phones_by_their_model() -> None:
    p, q = garbage_word("P"), garbage_word("Q")
    fst = mixed("public <s> = a;", NGRAM, PHONES, grammar_weight=0.5, garbage=0.2)
    assert paths(fst, f"{p} {q}") == pytest.approx([0.2 * 0.5 * 0.4 * 0.2], rel=1e-3)
    assert paths(fst, q) == pytest.approx([0.2 * 0.5 * 0.4 * 0.2], rel=1e-3)
    assert sum(paths(fst, "a")) == pytest.approx(0.4 + 0.4 * 0.3 * 0.4, rel=1e-3)
    assert is_determinisable(fst)
    spoken = fst.olabels[np.isin(fst.ilabels, [WORDS[p], WORDS[q]])]
    assert set(spoken.tolist()) == {WORDS[GARBAGE]} and garbage_ids(WORDS) == {4, 6, 7}


def test_an_ngram_model_stands_behind_the_ways_that_stay_apart() -> None:
    """`a` is behind #0 twice already: the model comes after it."""
    fst = mixed("public <s> = <x> b | <y> c; <x> = /9/ a <x> | /1/ <NULL>; <y> = /1/ a <y> | /9/ <NULL>;", NGRAM)
    assert is_determinisable(fst)
    assert paths(fst, "a b") == pytest.approx([0.5 * 0.3 * 0.3 * 0.4, 0.25 * 0.09], rel=1e-3)
    assert paths(fst, "a c") == pytest.approx([0.25 * 0.09], rel=1e-3)


def test_settings_out_of_range() -> None:
    with pytest.raises(ValueError, match="garbage is 1.5, wanted 0 to 0.999"):
        MixtureConfig(garbage=1.5)
