"""Laws of graph operations: the weight of every accepted string stays, held against walking all paths."""

from __future__ import annotations

from dataclasses import replace

import kaldifst
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import HybridError
from hybrid.formats.openfst import FstArrays, from_kaldifst, to_kaldifst
from hybrid.fst.equivalence import randomly_equivalent, string_cost
from hybrid.fst.ops import (
    connect,
    is_deterministic,
    log_sums,
    number_rows,
    replace_symbols,
    stochasticity,
)
from hybrid.fst.push import push_special
from hybrid.fst.remove_eps_local import remove_eps_local


@st.composite
def acyclic(draw: st.DrawFn, labels: int = 3, acceptor: bool = False, epsilons: bool = True) -> FstArrays:
    """Arcs lead to higher states only, so all paths can be walked."""
    first = 0 if epsilons else 1
    states = draw(st.integers(2, 6))
    arcs = draw(
        st.lists(
            st.tuples(
                st.integers(0, states - 2),
                st.integers(1, states - 1),
                st.integers(first, labels),
                st.integers(first, labels),
                st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0]),
            ),
            min_size=1,
            max_size=10,
        )
    )
    rows = [(s, min(s + d, states - 1), x, x if acceptor else y, c) for s, d, x, y, c in arcs]
    source, to, il, ol, cost = (np.array(c) for c in zip(*rows))
    finals = draw(st.lists(st.sampled_from([np.inf, np.inf, 0.0, 0.75]), min_size=states - 1, max_size=states - 1))
    return FstArrays.from_arcs(0, source, il, ol, to, cost, np.array([*finals, 0.5]))


@settings(max_examples=60, deadline=None)
@given(first=acyclic(), second=acyclic())
def test_composition_keeps_every_weight(strings, same_strings, first, second):
    left = to_kaldifst(first)
    kaldifst.arcsort(left, "olabel")
    composed = from_kaldifst(kaldifst.compose(left, to_kaldifst(second)))
    expected: dict = {}
    for (xs, ys), cost in strings(first).items():
        for (ys2, zs), cost2 in strings(second).items():
            if ys == ys2:
                expected[xs, zs] = min(expected.get((xs, zs), np.inf), cost + cost2)
    same_strings(strings(composed), expected)


@settings(max_examples=60, deadline=None)
@given(fst=acyclic())
def test_minimisation_keeps_every_weight(strings, same_strings, fst):
    graph = to_kaldifst(fst)
    kaldifst.minimize_encoded(graph)
    same_strings(strings(from_kaldifst(graph)), strings(fst), 5e-3)  # it rounds weights to 1/1024


@settings(max_examples=100, deadline=None)
@given(fst=acyclic())
def test_local_epsilon_removal_keeps_every_weight_and_adds_nothing(strings, same_strings, fst):
    made = remove_eps_local(fst)
    same_strings(strings(made), strings(fst))
    assert made.num_arcs <= fst.num_arcs and made.num_states <= fst.num_states


@settings(max_examples=60, deadline=None)
@given(fst=acyclic())
def test_pushing_keeps_every_weight_and_evens_the_states(strings, same_strings, fst):
    trimmed = connect(fst)
    made = push_special(trimmed)
    same_strings(strings(made), strings(fst), 1e-3)
    low, high = stochasticity(made)
    assert high - low < 2e-3


@settings(max_examples=60, deadline=None)
@given(fst=acyclic())
def test_connect_is_kaldifsts(strings, fst):
    graph = to_kaldifst(fst)
    kaldifst.connect(graph)
    made = connect(fst)
    assert (made.num_states, made.num_arcs) == (graph.num_states, from_kaldifst(graph).num_arcs)
    assert strings(made) == strings(fst)


@pytest.mark.parametrize("length", [60, 20_000])  # few states that sweeps leave over, and many
@pytest.mark.parametrize("forwards", [True, False])
def test_connect_where_numbers_run_against_the_arcs(forwards, length):
    """More sweeps than are made would be needed, whichever way they go; dead ends and unreached states go."""
    order = np.random.default_rng(3).permutation(length) if forwards else np.arange(length)[::-1]
    number = np.append(order, [length, length + 1])  # two more: one leads into the chain, one nowhere
    source, to = [*number[:-3], number[-2], number[20]], [*number[1:-2], number[0], number[-1]]
    finals = np.full(length + 2, np.inf)
    finals[number[-3]] = 0
    labels = np.arange(len(source)) + 1
    made = connect(FstArrays.from_arcs(number[0], source, labels, labels, to, 0 * labels, finals))
    assert (made.num_states, made.num_arcs) == (length, length - 1)


def test_epsilon_chain_by_hand():
    # 0 --1:0/1--> 1 --0:7/2--> 2 (final 0.5): one arc 1:7/3 is left.
    fst = FstArrays(0, [0, 1, 2, 2], [1, 0], [0, 7], [1, 2], [1.0, 2.0], [np.inf, np.inf, 0.5])
    made = remove_eps_local(fst)
    assert (made.num_states, made.ilabels.tolist(), made.olabels.tolist()) == (2, [1], [7])
    assert made.costs.tolist() == [3.0] and made.final_costs.tolist() == [np.inf, 0.5]


def test_what_stays_keeps_its_share():
    # 0 --0:1--> 1, then 2:0 (p 3/4, joined) and 2:3 (p 1/4, cannot be joined): the arc keeps p 1/4.
    costs = -np.log([1.0, 0.75, 0.25])
    fst = FstArrays(0, [0, 1, 3, 3], [0, 2, 2], [1, 0, 3], [1, 2, 2], costs, [np.inf, np.inf, 0.0])
    made = remove_eps_local(fst)
    np.testing.assert_allclose(log_sums(made)[:-1], 0.0, atol=1e-6)
    np.testing.assert_allclose(np.exp(-made.costs), [0.25, 0.75, 1.0], atol=1e-6)


def test_long_chains_outgrow_the_first_room():
    length = 3000
    labels = np.zeros(length, np.int32)
    finals = np.append(np.full(length, np.inf), 0.0)
    splits = np.append(np.arange(length + 1), length)
    fst = FstArrays(0, splits, labels, labels, np.arange(1, length + 1), np.ones(length), finals)
    made = remove_eps_local(fst)
    assert made.num_states == 1 and made.final_costs.tolist() == [length]


def test_pushing_by_hand():
    # Two states, arcs 0→1 with 1/2, 1→0 with 1/4, final at 0 with 1/8: λ² = λ/8 + 1/8.
    fst = FstArrays(0, [0, 1, 2], [1, 2], [1, 2], [1, 0], -np.log([0.5, 0.25]), [-np.log(0.125), np.inf])
    made = push_special(fst, delta=1e-9)
    eigenvalue = (0.125 + np.sqrt(0.125**2 + 0.5)) / 2
    np.testing.assert_allclose(log_sums(made), np.log(eigenvalue), atol=1e-6)
    with pytest.raises(HybridError, match="no probability of going on"):
        push_special(FstArrays(0, [0, 1, 1], [1], [1], [1], [0.0], [0.0, np.inf]))


def test_small_operations():
    fst = FstArrays(0, [0, 2, 2], [5, 3], [1, 0], [1, 1], [0.5, 0.25], [np.inf, 0.0])
    assert replace_symbols(fst, [5, 9], 0).ilabels.tolist() == [0, 3]
    np.testing.assert_allclose(stochasticity(fst), (-np.log(np.exp(-0.5) + np.exp(-0.25)), 0.0), rtol=1e-6)
    assert is_deterministic(fst) and not is_deterministic(replace_symbols(fst, [5], 0))
    assert not is_deterministic(replace(fst, ilabels=np.array([3, 3])))
    assert connect(FstArrays(0, [0, 0], [], [], [], [], [np.inf])).num_states == 0
    assert connect(FstArrays.empty()).num_states == 0
    assert stochasticity(FstArrays.empty()) == (0.0, 0.0)
    certain = FstArrays(0, [0, 1, 1], [1], [1], [1], [0.0], [np.inf, 0.0])
    assert str(stochasticity(certain)) == "(0.0, 0.0)"  # reports show no −0
    assert remove_eps_local(FstArrays.empty()).num_states == push_special(FstArrays.empty()).num_states == 0


@settings(max_examples=40, deadline=None)
@given(fst=acyclic(), log=st.booleans())
def test_string_cost_is_the_walk_over_all_paths(strings, fst, log):
    for (xs, ys), cost in strings(fst, log).items():
        assert abs(string_cost(fst, np.array(xs, int), np.array(ys, int), log) - cost) < 1e-4
    assert string_cost(fst, np.array([99]), np.array([], int)) == np.inf


def test_random_equivalence_finds_differences():
    fst = FstArrays(0, [0, 2, 2], [5, 3], [1, 0], [1, 1], [0.5, 0.25], [np.inf, 0.0])
    other = FstArrays(0, [0, 2, 2], [5, 3], [1, 0], [1, 1], [0.5, 0.75], [np.inf, 0.0])
    assert randomly_equivalent(fst, fst) == ""
    assert "costs" in randomly_equivalent(fst, other)
    endless = FstArrays(0, [0, 1, 1], [1], [1], [0], [0.0], [np.inf, 0.0])
    assert "ended within" in randomly_equivalent(endless, endless, max_length=10)


@pytest.mark.peer
def test_pushing_and_epsilons_as_kaldi(peers, kaldi_bin, tmp_path):
    import subprocess

    from hybrid.formats.openfst import read_fst, write_fst

    fst = read_fst(peers / "lang_small" / "lang_nopos_prob" / "L.fst")
    write_fst(tmp_path / "a.fst", fst)
    for name in ("fstpushspecial", "fstrmepslocal"):
        subprocess.run([kaldi_bin / name, tmp_path / "a.fst", tmp_path / name], check=True)
    pushed = read_fst(tmp_path / "fstpushspecial")
    np.testing.assert_allclose(push_special(fst).costs, pushed.costs, atol=5e-3)
    ours, theirs = remove_eps_local(fst), read_fst(tmp_path / "fstrmepslocal")
    assert (ours.num_states, ours.num_arcs) == (theirs.num_states, theirs.num_arcs)
    assert randomly_equivalent(ours, theirs, max_length=60) == ""


@pytest.mark.parametrize("columns", [1, 2, 4])
def test_rows_are_numbered_as_numpy_numbers_them(columns):
    rows = np.random.default_rng(columns).integers(0, 9, (300, columns)).astype(np.int32)
    wanted, index = np.unique(rows, axis=0, return_inverse=True)
    first, number = number_rows(rows)
    assert (rows[first] == wanted).all() and (number == index.reshape(-1)).all()
    assert [len(some) for some in number_rows(rows[:0])] == [0, 0]
