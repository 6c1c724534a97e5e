"""The acceptor of a grammar holds the language that its rules define, weights too; parses give tags with words."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hybrid.formats.openfst import FstArrays
from lm.grammar.automaton import GrammarAutomaton, automaton_of
from lm.grammar.grammar_acceptor import acceptor
from lm.grammar.jsgf import parse_jsgf
from lm.grammar.parse import Tag, parse, stop_of
from lm.grammar.rules import estimate_arcs, findings
from lm.grammar.sentences import enumerate_language, facts_of, sample
from lm.grammar.values import NULL, VOID, Choice, Grammar, Ref, Repeat, Rule, Tagged, Together, Word, over

WORDS = "abc"
BACKOFF = 9


def grammar_of(*rules: Rule) -> Grammar:
    return Grammar("g", {rule.name: rule for rule in rules}, ("s",))


def jsgf(text: str) -> Grammar:
    file = parse_jsgf(f"#JSGF V1.0;\ngrammar g;\n{text}", "g.gram")
    return Grammar(file.name, file.rules, file.roots, "g.gram")


def compiled(automaton: GrammarAutomaton) -> FstArrays:
    return acceptor(automaton, {word: number for number, word in enumerate(WORDS, 1)}, BACKOFF)


def probability(fst: FstArrays, sentence: tuple[str, ...]) -> float:
    """The sum over all paths of the acceptor, `#0` read as nothing."""

    def behind(weights: np.ndarray) -> np.ndarray:
        sources, total = fst.sources(), weights.copy()
        while weights.any():
            arcs = (fst.ilabels == BACKOFF) & (weights[sources] > 0)
            passed = weights[sources] * arcs * np.exp(-fst.costs)
            weights = np.bincount(fst.next_states, passed, fst.num_states)
            total += weights
        return total

    weights = np.zeros(fst.num_states)
    weights[fst.start] = 1
    for word in sentence:
        weights = behind(weights)[fst.sources()] * (fst.ilabels == WORDS.index(word) + 1) * np.exp(-fst.costs)
        weights = np.bincount(fst.next_states, weights, fst.num_states)
    return float(behind(weights) @ np.exp(-fst.final_costs))


leaves = st.sampled_from([Word("a"), Word("b"), Word("c"), NULL, VOID, Ref("t")])
weight = st.sampled_from([0.0, 0.5, 1.0, 3.0])
nodes = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: Together(tuple(parts))),
        st.lists(st.tuples(weight, inner), min_size=1, max_size=3).map(lambda ways: Choice(tuple(ways))),
        st.builds(Repeat, inner, st.just(0), st.sampled_from([1, 2, None]), st.sampled_from([0.5, 0.25])),
        st.builds(Repeat, inner, st.just(1), st.sampled_from([1, 2, None]), st.sampled_from([0.5, 0.25])),
        st.builds(Tagged, inner, st.just("x=1")),
    ),
    max_leaves=6,
)
tails = st.sampled_from([Ref("s"), Ref("t"), Tagged(Ref("s"), "again"), Repeat(Ref("s"), 0, 1)])


@settings(max_examples=60, deadline=None)
@given(body=nodes, other=nodes, tail=tails)
@example(Choice(((1, Repeat(Word("a"), 0, None, 0.5)), (1, Together((Repeat(Word("a"), 0, None, 0.25), Word("b")))))),
         NULL, Ref("t"))  # fmt: skip
@example(Repeat(Repeat(Repeat(Word("a"), 0, 1))), Word("b"), Ref("s"))
def test_the_acceptor_is_the_language_of_the_rules(body, other, tail):
    """Every sentence of up to three words has the probability of all its parses; no other sentence has any."""

    def plain(node):
        return Word("c") if isinstance(node, Ref) else over(node, plain)

    grammar = grammar_of(Rule("s", Choice(((1, body), (2, Together((Word("b"), tail)))))), Rule("t", plain(other)))
    if "s" in findings(grammar).void:
        return
    automaton = automaton_of(grammar)
    assert len(automaton.sources) <= estimate_arcs(grammar)
    fst = compiled(automaton)
    wanted = enumerate_language(grammar, 3, 18)
    for length in range(4):
        for sentence in itertools.product(WORDS, repeat=length):
            assert probability(fst, sentence) == pytest.approx(wanted.get(sentence, 0.0), rel=2e-3, abs=1e-6), sentence
            assert (parse(automaton, sentence) is not None) == (sentence in wanted)
            assert (stop_of(automaton, sentence) is None) == (sentence in wanted)
    for _ in range(3):
        drawn = sample(automaton, np.random.default_rng(len(wanted)))
        assert drawn is None or parse(automaton, drawn) is not None


def test_where_no_deterministic_acceptor_exists_ways_stay_apart():
    automaton = automaton_of(
        jsgf("public <s> = <x> b | <y> c; <x> = /9/ a <x> | /1/ <NULL>; <y> = /1/ a <y> | /9/ <NULL>;")
    )
    fst = compiled(automaton)
    assert BACKOFF in fst.ilabels
    for state in range(fst.num_states):
        labels = fst.ilabels[fst.row_splits[state] : fst.row_splits[state + 1]].tolist()
        assert len(labels) == len(set(labels))
    assert probability(fst, ("a", "a", "b")) == pytest.approx(0.5 * 0.81 * 0.1, rel=1e-3)
    assert probability(fst, ("a", "a", "c")) == pytest.approx(0.5 * 0.01 * 0.9, rel=1e-3)


def test_the_graph_is_as_small_as_the_grammar():
    """A thousand names in a loop are a loop of a thousand arcs, however the rules are written."""
    names = " | ".join(f"n{i}" for i in range(1000))
    automaton = automaton_of(jsgf(f"public <s> = call <n> [and <n>]*; <n> = {names};"))
    fst = acceptor(automaton, automaton.word_numbers)
    assert (fst.num_states, fst.num_arcs) == (3, 1002)


def test_facts_of_a_hand_worked_grammar():
    """a | b c with even chances: two sentences, 1.5 words, one bit in a sentence of 2.5 symbols."""
    facts = facts_of(compiled(automaton_of(jsgf("public <s> = a | b c;"))))
    assert (facts.sentences, facts.words) == (2, pytest.approx(1.5, rel=1e-4))
    assert facts.perplexity == pytest.approx(2 ** (1 / 2.5), rel=1e-4)
    assert facts_of(compiled(automaton_of(jsgf("public <s> = a* b;")))).sentences is None


def test_tags_cover_the_words_that_they_stand_behind():
    automaton = automaton_of(jsgf("public <s> = a {x=1} (b [c] {y} | c) {z=2} {w};"))
    found = parse(automaton, ("a", "b", "c"))
    assert found is not None and found.rule == "s"
    assert sorted(found.tags, key=lambda t: t.text) == [
        Tag("w", 1, 3), Tag("x=1", 0, 1), Tag("y", 2, 3), Tag("z=2", 1, 3)
    ]  # fmt: skip
    assert Tag("y", 2, 2) in parse(automaton, ("a", "b")).tags
    assert found.log_probability == pytest.approx(math.log(0.25))


def test_the_more_probable_of_two_parses_gives_the_tags():
    automaton = automaton_of(jsgf("public <s> = /1/ a {rare=1} | /3/ a {often=1};"))
    assert [tag.text for tag in parse(automaton, ("a",)).tags] == ["often=1"]


def test_tags_of_a_recursion_end_with_it():
    automaton = automaton_of(jsgf("public <s> = a <r> {all} b; <r> = c | a <r> {rest};"))
    assert parse(automaton, tuple("aaacb")).tags == (Tag("all", 1, 4), Tag("rest", 2, 4), Tag("rest", 3, 4))


def test_a_stop_tells_what_could_have_followed():
    automaton = automaton_of(jsgf("public <s> = a (b | c) [b];"))
    assert stop_of(automaton, ("a", "b")) is None
    stop = stop_of(automaton, ("a", "a"))
    assert (stop.position, stop.wanted, stop.may_end) == (1, ("b", "c"), False)
    stop = stop_of(automaton, ("a", "c", "c"))
    assert (stop.position, stop.wanted, stop.may_end) == (2, ("b",), True)
    assert stop_of(automaton, ("a",)).position == 1
