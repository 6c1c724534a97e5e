"""Determinisation: one arc for each input, the same sums of weights, Kaldi's numbers."""

from __future__ import annotations

import kaldifst
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.formats.openfst import FstArrays, from_kaldifst, to_kaldifst
from hybrid.fst.det_star import NotDeterminizableError, determinize_star

INF = np.inf


@st.composite
def acyclic(draw, epsilons: bool) -> FstArrays:
    """An acceptor whose arcs go to states of higher number."""
    states = draw(st.integers(2, 6))
    labels, costs = st.integers(0 if epsilons else 1, 2), st.sampled_from([0.0, 0.5, 1.25, 2.0])
    arc = st.tuples(st.integers(0, states - 2), st.integers(1, 5), labels, costs)
    rows = [(s, min(s + d, states - 1), x, x, c) for s, d, x, c in draw(st.lists(arc, min_size=1, max_size=12))]
    source, to, il, ol, cost = (np.array(c) for c in zip(*rows))
    finals = draw(st.lists(st.sampled_from([INF, INF, 0.0, 0.75]), min_size=states - 1, max_size=states - 1))
    return FstArrays.from_arcs(0, source, il, ol, to, cost, np.array([*finals, 0.5]))


def kaldis(fst: FstArrays) -> FstArrays:
    graph = to_kaldifst(fst)
    kaldifst.determinize_star(graph, use_log=True)
    return from_kaldifst(graph)


def near(ours: FstArrays, theirs: FstArrays) -> bool:
    """The same states and arcs in the same order; costs to rounding."""
    names = ("row_splits", "ilabels", "olabels", "next_states")
    same = all(np.array_equal(getattr(ours, name), getattr(theirs, name)) for name in names)
    return same and all(np.allclose(getattr(ours, n), getattr(theirs, n), 0, 1e-5) for n in ("costs", "final_costs"))


@settings(max_examples=150, deadline=None)
@given(fst=acyclic(epsilons=True))
def test_keeps_every_sum_of_weights(strings, same_strings, fst):
    made = determinize_star(fst)
    same_strings(strings(made, True), strings(fst, True), 2e-3)
    pairs = list(zip(made.sources().tolist(), made.ilabels.tolist()))
    assert len(set(pairs)) == len(pairs) and made.ilabels.all()


@settings(max_examples=100, deadline=None)
@given(fst=acyclic(epsilons=False))
def test_is_kaldis_number_for_number(fst):
    assert near(determinize_star(fst), kaldis(fst))


SPOKEN = st.dictionaries(
    st.lists(st.integers(1, 3), max_size=4).map(tuple),
    st.tuples(st.lists(st.integers(1, 9), max_size=4).map(tuple), st.sampled_from([0.25, 1.0, 3.0]), st.integers(0, 4)),
    min_size=1,
    max_size=12,
)


def chains(table: dict) -> FstArrays:
    """A path for each input, which writes its output from a given arc on, what is left over on arcs without input."""
    arcs, finals = [], [INF]
    for xs, (ys, cost, delay) in table.items():
        state, inputs = 0, [*xs, 0]
        outputs = [0] * min(delay, len(inputs)) + list(ys)
        inputs += [0] * (len(outputs) - len(inputs))
        outputs += [0] * (len(inputs) - len(outputs))
        for x, y in zip(inputs, outputs):
            arcs.append((state, x, y, len(finals), cost))
            state, cost = len(finals), 0.0
            finals.append(INF)
        finals[-1] = 0.0
    source, il, ol, to, costs = (np.array(column) for column in zip(*arcs))
    return FstArrays.from_arcs(0, source, il, ol, to, costs, np.array(finals))


@settings(max_examples=150, deadline=None)
@given(table=SPOKEN)
def test_outputs_wait_until_they_are_sure(strings, same_strings, table):
    fst = chains(table)
    made = determinize_star(fst)
    same_strings(strings(made), strings(fst), 1e-4)
    assert near(made, kaldis(fst))


def test_sums_epsilon_ways_once():
    """1 leads to state 1 and to state 2, and from 1 epsilon leads to 2, which ends: two paths. Kaldi finds three."""
    fst = FstArrays(0, [0, 2, 3, 4, 4], [1, 1, 0, 0], [1, 1, 0, 0], [1, 2, 2, 3], [0.0] * 4, [INF] * 3 + [0.0])
    for made, paths in ((determinize_star(fst), 2), (kaldis(fst), 3)):
        total = made.costs.sum() + made.final_costs[np.isfinite(made.final_costs)].sum()
        assert total == pytest.approx(-np.log(paths), abs=1e-3)


def test_a_loop_of_epsilons_is_a_geometric_sum():
    fst = FstArrays(0, [0, 2], [0, 1], [0, 1], [0, 0], [np.log(2), 0.5], [0.0])
    made = determinize_star(fst, 10_000)
    assert made.final_costs[0] == pytest.approx(-np.log(2), abs=2e-3)
    assert made.costs[0] == pytest.approx(0.5 - np.log(2), abs=2e-3)


def test_more_than_there_was_room_for(strings):
    """3000 words of few phones, as in a lexicon, and long outputs; the tables grow several times."""
    rng = np.random.default_rng(7)
    table = {}
    for _ in range(3000):
        xs = tuple(rng.integers(1, 6, rng.integers(1, 12)).tolist())
        table[xs] = (tuple(rng.integers(1, 3000, rng.integers(0, 4)).tolist()), float(rng.random()), 0)
    fst = chains(table)
    assert near(determinize_star(fst), kaldis(fst))


def test_nothing():
    assert determinize_star(FstArrays.empty()).num_states == 0


def test_one_input_with_two_outputs():
    fst = FstArrays.from_arcs(0, [0, 0], [1, 1], [1, 2], [1, 1], [0, 0], np.array([INF, 0]))
    with pytest.raises(NotDeterminizableError, match="^L cannot be determinised: one input has two outputs$"):
        determinize_star(fst, what="L")
    apart = FstArrays.from_arcs(0, [0, 0], [1, 1], [1, 2], [1, 2], [0, 0], np.array([INF, 0, 0]))
    with pytest.raises(NotDeterminizableError, match="two outputs"):
        determinize_star(apart)


def test_the_limit():
    """Two words of one sound: what was said stays open for ever."""
    fst = FstArrays.from_arcs(0, [0, 0, 1, 2], [1, 1, 1, 1], [1, 2, 1, 2], [1, 2, 1, 2], [0.0] * 4, np.array([INF] * 3))
    with pytest.raises(NotDeterminizableError, match="^the FST cannot be determinised within 50 states$"):
        determinize_star(fst, 50)
    with pytest.raises(NotDeterminizableError, match="within 30 states"):
        loop = FstArrays(0, [0, 1], [0], [0], [0], [-1.0], [0.0])
        determinize_star(loop, 30)
