"""Lattices of phones: by hand, and beside the phones of alignments."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid.align.convert import phone_runs
from hybrid.chain.phone_lattice import phone_ways, phones_of_lattice
from hybrid.formats.openfst import FstArrays
from hybrid.hmm import HmmTopology, TransitionModel
from hybrid.lattice.lattice import Lattice
from hybrid.tree import ContextTree


@pytest.fixture(scope="module")
def model() -> TransitionModel:
    topology = HmmTopology.kaldi_default([2, 3], [1], 2, 1)
    return TransitionModel(topology, ContextTree.monophone([[1], [2], [3]], topology.pdf_class_counts()))


def spoken(model: TransitionModel, *phones: tuple[int, int]) -> list[int]:
    """Returns transition-ids of (phone, frames): the last state's self-loops take what is more than its states."""
    ids: list[int] = []
    for phone, frames in phones:
        states = [int(s) + 1 for s in np.flatnonzero(model.tuples[:, 0] == phone)]
        ids += [model.transition_id_of(s, 1) for s in states]
        ids += [int(model.self_loops[states[-1]])] * (frames - len(states))
    return ids


def lattice_of(rows: list[tuple[int, int, int, float]], finals: list[int]) -> Lattice:
    """Builds a lattice of (from, transition-id, to, score)."""
    states = 1 + max(max(row[0], row[2]) for row in rows)
    sources, ids, to, scores = (np.array(column) for column in zip(*sorted(rows)))
    ends = np.full(states, -np.inf)
    ends[finals] = 0.0
    splits = np.searchsorted(sources, np.arange(states + 1))
    return Lattice(
        splits, to, ids, np.zeros(len(rows)), scores, np.zeros(len(rows)), ends, np.where(ends == 0, 0, ends)
    )


def side_by_side(ways: list[list[int]], scores: list[float], epsilon: bool = False) -> Lattice:
    """Builds the lattice of some ways, of which each has states of its own but for the start and the end."""
    rows, state, end = [], 0, 10_000
    for ids, score in zip(ways, scores):
        at = 0
        for place, transition_id in enumerate([0, *ids] if epsilon else ids):
            to = end if place == len(ids) - 1 + epsilon else (state := state + 1)
            rows.append((at, transition_id, to, score if place == 0 else 0.0))
            at = to
    return lattice_of([(a, i, state + 1 if t == end else t, s) for a, i, t, s in rows], [state + 1])


def ways_of(phones: FstArrays, times: np.ndarray) -> set[tuple[tuple[int, int, int], ...]]:
    """Returns every way as (phone, begin, end) …"""

    def walk(state: int):  # type: ignore[no-untyped-def]
        if np.isfinite(phones.final_costs[state]):
            yield ()
        for arc in range(int(phones.row_splits[state]), int(phones.row_splits[state + 1])):
            head = (int(phones.ilabels[arc]), *map(int, times[arc]))
            yield from ((head, *rest) for rest in walk(int(phones.next_states[arc])))

    return set(walk(phones.start))


@pytest.mark.parametrize("epsilon", [False, True])
def test_two_ways_by_hand(model, epsilon):
    lattice = side_by_side(
        [spoken(model, (1, 2), (2, 4), (3, 2)), spoken(model, (2, 5), (3, 3)), spoken(model, (2, 3), (3, 5))],
        [-1.0, -2.0, -3.0], epsilon,
    )  # fmt: skip
    first, second, third = ((1, 0, 2), (2, 2, 6), (3, 6, 8)), ((2, 0, 5), (3, 5, 8)), ((2, 0, 3), (3, 3, 8))
    assert ways_of(*phones_of_lattice(lattice, model)) == {first, second, third}
    assert ways_of(*phone_ways(lattice, model, 10.0, 1.0)) == {first, second}  # of 2 3 the best times
    assert ways_of(*phone_ways(lattice, model, 0.5, 1.0)) == {first}


def test_phones_of_one_way_are_those_of_an_alignment(model):
    rng = np.random.default_rng(0)
    for _ in range(10):
        ids = spoken(model, *((int(rng.integers(1, 4)), int(rng.integers(2, 5))) for _ in range(rng.integers(1, 6))))
        (way,) = ways_of(*phones_of_lattice(side_by_side([ids], [0.0]), model))
        phones, durations = phone_runs(np.array(ids), model)
        ends = np.cumsum(durations)
        assert way == tuple(zip(phones.tolist(), (ends - durations).tolist(), ends.tolist()))


def test_nothing_has_no_phones(model):
    phones, times = phones_of_lattice(Lattice.empty(), model)
    assert phones.start == -1 and len(times) == 0
