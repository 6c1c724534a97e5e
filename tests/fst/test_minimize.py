"""Minimisation: its readable reference, kaldifst's states and arcs, and the costs of paths."""

import kaldifst
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.formats.openfst import FstArrays, from_kaldifst, to_kaldifst
from hybrid.fst import minimize_kernels as kernels
from hybrid.fst.arc_hashes import numbered
from hybrid.fst.equivalence import randomly_equivalent
from hybrid.fst.minimize import minimize_encoded, minimize_encoded_reference, quantize
from hybrid.fst.ops import connect


def random_fst(seed: int, loops: bool) -> FstArrays:
    """Few labels and costs, so that many states go on alike; several arcs of a state may have one label."""
    random = np.random.default_rng(seed)
    states = int(random.integers(2, 40))
    source, to = random.integers(0, states, (2, int(states * random.uniform(1, 4))))
    if not loops:
        source, to = np.minimum(source, to), np.maximum(source, to)
        source, to = source[source < to], to[source < to]
    ilabels = random.integers(0, random.integers(1, 4), len(source))
    olabels = random.integers(0, 2, len(source))
    costs = 0.5 * random.integers(0, 2, len(source)) + 2e-4 * random.random(len(source))
    finals = np.where(random.random(states) < 0.3, 0.5, np.inf)
    finals[-1] = 0
    return FstArrays.from_arcs(0, source, ilabels, olabels, to, costs, finals)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_the_reference_and_kaldifst_find_the_same_states(seed, loops):
    fst = random_fst(seed, loops)
    ours = minimize_encoded(fst)
    assert ours.equals(minimize_encoded_reference(fst))
    graph = to_kaldifst(fst)
    kaldifst.connect(graph)
    kaldifst.minimize_encoded(graph)
    theirs = from_kaldifst(graph)
    assert (ours.num_states, ours.num_arcs) == (theirs.num_states, theirs.num_arcs)
    if ours.num_states:
        assert not randomly_equivalent(ours, theirs, 10, 1e-4, max_length=200)
        assert not randomly_equivalent(ours, quantize(connect(fst)), 10, 1e-4, max_length=200)
    assert minimize_encoded(ours).equals(ours)


def test_by_hand():
    """Two ways to one end, alike but for 0.0003 nats, become one; the third costs more and stays."""
    fst = FstArrays.from_arcs(
        0, [0, 0, 0, 1, 2, 3], [1, 2, 3, 4, 4, 4], [0] * 6, [1, 2, 3, 4, 4, 4], [0, 0, 0, 0.5, 0.5003, 0.6],
        [np.inf] * 4 + [0],
    )  # fmt: skip
    small = minimize_encoded(fst)
    assert (small.num_states, small.num_arcs, small.start) == (4, 5, 0)
    assert small.next_states.tolist() == [1, 1, 2, 3, 3]
    assert small.costs.tolist() == [0, 0, 0, 0.5, 614 / 1024]


def test_arcs_that_fall_together_stay_once():
    """Arcs with one label to two states that become one; nine more make the state one of many arcs."""
    for more in (0, 9):
        source, labels, to = [0, 0, 1, 2, *[0] * more], [1, 1, 5, 5, *range(6, 6 + more)], [1, 2, 3, 3, *[3] * more]
        fst = FstArrays.from_arcs(0, source, labels, labels, to, np.zeros(len(to)), [np.inf, np.inf, np.inf, 0])
        small = minimize_encoded(fst)
        assert (small.num_states, small.num_arcs) == (3, 2 + more)
        assert small.ilabels.tolist() == [1, *range(6, 6 + more), 5]


def test_one_arc_is_the_same_as_several_alike():
    """A state with two arcs that look alike and lead to equal states is one with one of them, that could be a chain."""
    fst = FstArrays.from_arcs(
        0, [0, 0, 1, 2, 2, 3, 4, 5], [1, 2, 5, 5, 5, 6, 6, 6], [0] * 8, [1, 2, 3, 4, 5, 6, 6, 6], np.zeros(8),
        [np.inf] * 6 + [0],
    )  # fmt: skip
    small = minimize_encoded(fst)
    assert small.equals(minimize_encoded_reference(fst))
    assert (small.num_states, small.num_arcs) == (4, 4)


def test_numbers_of_many_hashes():
    """More than one table takes: equal ones have one number, which knows its first and how many there are."""
    keys = np.random.default_rng(0).integers(0, 50_000, 150_000).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    number, firsts, counts = numbered(keys)
    _, first, inverse, count = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    assert len(firsts) == len(first)
    assert (firsts[number] == first[inverse]).all() and (counts[number] == count[inverse]).all()


def test_a_loop_without_an_end_is_told():
    loop = FstArrays.from_arcs(0, [0, 0, 1, 2], [1, 2, 1, 1], [0] * 4, [1, 3, 2, 1], np.zeros(4), [np.inf] * 3 + [0])
    assert minimize_encoded(loop).num_states == 2
    with pytest.raises(ValueError, match="a loop of states that no path leaves"):
        minimize_encoded(loop, connected=True)


def test_a_long_chain_and_a_loop():
    """As many rounds as states: nothing merges in a chain; all states of a loop become one."""
    length = 3000
    chain = FstArrays.from_arcs(
        0, range(length), [1] * length, [1] * length, range(1, length + 1), np.zeros(length), [np.inf] * length + [0]
    )
    assert minimize_encoded(chain).equals(chain)
    states = np.arange(length)
    loop = FstArrays.from_arcs(
        0, states, 0 * states + 1, 0 * states + 1, (states + 1) % length, 0.5 + 0 * states, 0 * states
    )
    assert (minimize_encoded(loop).num_states, minimize_encoded(loop).next_states.tolist()) == (1, [0])


def test_nothing_and_useless_states():
    assert minimize_encoded(FstArrays.empty()).num_states == 0
    dead_end = FstArrays.from_arcs(0, [0, 0], [1, 2], [1, 2], [1, 2], [0, 0], [np.inf, 0, np.inf])
    assert (minimize_encoded(dead_end).num_states, minimize_encoded(dead_end).num_arcs) == (2, 1)


def test_costs_are_rounded_as_openfst_does():
    values = np.array([-0.3, -1e-5, 0.0, 0.00048, 0.00049, 7.7, 1e30, np.inf], np.float32)
    fst = FstArrays(0, [0, 8], [1] * 8, [1] * 8, [0] * 8, values, [0.1])
    graph = to_kaldifst(fst)
    kaldifst.minimize_encoded(graph)
    theirs = from_kaldifst(graph)
    assert sorted(set(quantize(fst).costs.tolist())) == sorted(theirs.costs.tolist())
    assert quantize(fst).final_costs.tolist() == theirs.final_costs.tolist()
    assert not np.signbit(quantize(fst).costs[1])


@pytest.mark.parametrize("bad", [0, 1])
def test_a_chance_hit_of_the_hash_is_found(monkeypatch, bad):
    """With a first hash that takes every state for the same, the check under another seed starts again."""
    true, calls = kernels.signatures, []

    def blind(states, classes, *rest):
        calls.append(int(rest[-1]))
        keys = true(states, classes, *rest)
        return np.zeros_like(keys) if rest[-1] < bad else keys

    fst = random_fst(5, True)
    expected = minimize_encoded(fst)
    monkeypatch.setattr(kernels, "signatures", blind)
    assert minimize_encoded(fst).equals(expected)
    assert (1 in calls) == bool(bad)
