from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.lattice.lattice import Lattice, LatticeError
from hybrid.lattice.oracle import oracle
from hybrid.lattice.paths import best_path, nbest
from hybrid.lattice.posteriors import arc_posteriors, frame_posteriors, total_log_weight
from hybrid.lattice.prune import connect, prune

seeds = st.integers(0, 10**6)
fast = settings(max_examples=40, deadline=None)


def two_paths() -> Lattice:
    """Two frames; word 1 then 2 (graph -1, acoustic -10), or word 3 (graph -3, acoustic -6)."""
    arcs = [
        (0, 1, 5, 1, -0.5, -4.0), (1, 3, 6, 2, -0.5, -6.0), (0, 2, 7, 3, -2.0, -3.0), (2, 3, 7, 0, -1.0, -3.0),
    ]  # fmt: skip
    finals = np.full((2, 4), -np.inf)
    finals[:, 3] = 0.0
    return Lattice.from_arcs(4, 0, [np.array(c) for c in zip(*arcs)], finals)


def test_best_path_by_hand() -> None:
    lattice = two_paths()
    path = best_path(lattice, 1.0)
    assert path is not None and path.word_ids.tolist() == [3] and path.transition_ids.tolist() == [7, 7]
    assert (path.graph_score, path.acoustic_score, path.score(1.0)) == (-3.0, -6.0, -9.0)
    path = best_path(lattice, 0.1)
    assert path is not None and path.word_ids.tolist() == [1, 2] and path.word_frames.tolist() == [0, 1]
    path = best_path(lattice, 0.1, word_insertion_penalty=2.0)
    assert path is not None and path.word_ids.tolist() == [3]
    assert (lattice.num_frames, lattice.depth) == (2, 2.0)
    assert arc_posteriors(lattice, 1.0)[1] == pytest.approx(1 / (1 + np.exp(-2.0)))


@fast
@given(
    seed=seeds, scale=st.sampled_from([0.125, 1.0]), lm=st.sampled_from([0.5, 1.0]), penalty=st.sampled_from([0.0, 0.5])
)
def test_best_and_nbest_equal_enumeration(random_lattice, brute, seed, scale, lm, penalty) -> None:
    lattice = random_lattice(seed)
    all_paths, score = brute
    best: dict[tuple, float] = {}
    for arcs in all_paths(lattice):
        words = tuple(w for w in lattice.word_ids[arcs].tolist() if w)
        best[words] = max(best.get(words, -np.inf), score(lattice, arcs, scale, lm, penalty))
    ranked = sorted(best.values(), reverse=True)
    found = nbest(lattice, 5, scale, lm, penalty)
    assert [score(lattice, p.arcs.tolist(), scale, lm, penalty) for p in found] == pytest.approx(ranked[:5])
    assert len({tuple(p.word_ids) for p in found}) == len(found) == min(5, len(ranked))
    first = best_path(lattice, scale, lm, penalty)
    assert first is not None and score(lattice, first.arcs.tolist(), scale, lm, penalty) == pytest.approx(ranked[0])
    near = nbest(lattice, 5, scale, lm, penalty, beam=1.0)
    assert len(near) == len([x for x in ranked[:5] if x >= ranked[0] - 1.0])


@fast
@given(seed=seeds, beam=st.sampled_from([0.0, 1.0, 3.0, 20.0]))
def test_prune_keeps_exactly_the_paths_within_the_beam(random_lattice, brute, seed, beam) -> None:
    lattice = random_lattice(seed)
    all_paths, score = brute

    def signatures(of: Lattice, paths: list[list[int]]) -> set:
        return {(tuple(of.transition_ids[p]), tuple(of.word_ids[p]), score(of, p, 1.0)) for p in paths}

    paths = all_paths(lattice)
    top = max(score(lattice, p, 1.0) for p in paths)
    pruned = prune(lattice, beam, 1.0)
    kept = signatures(pruned, all_paths(pruned))
    assert signatures(lattice, [p for p in paths if score(lattice, p, 1.0) >= top - beam]) <= kept
    assert kept <= signatures(lattice, paths)
    # every arc that is left lies on a path within the beam
    used = {a for p in all_paths(pruned) if score(pruned, p, 1.0) >= top - beam for a in p}
    assert used == set(range(pruned.num_arcs))


@fast
@given(seed=seeds, scale=st.sampled_from([0.1, 1.0]))
def test_posteriors_sum_to_one_on_each_frame(random_lattice, brute, seed, scale) -> None:
    lattice = random_lattice(seed)
    all_paths, score = brute
    frames, _, posteriors = frame_posteriors(lattice, scale)
    assert np.bincount(frames, weights=posteriors) == pytest.approx(np.ones(lattice.num_frames))
    totals = [score(lattice, p, scale) for p in all_paths(lattice)]
    assert total_log_weight(lattice, scale) == pytest.approx(np.logaddexp.reduce(totals))


def distance(a: list[int], b: list[int]) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row, old = [i], row
        for j, y in enumerate(b, 1):
            row.append(min(old[j] + 1, row[-1] + 1, old[j - 1] + (x != y)))
    return row[-1]


@fast
@given(seed=seeds, reference=st.lists(st.integers(1, 4), max_size=5))
def test_oracle_equals_enumeration(random_lattice, brute, seed, reference) -> None:
    lattice = random_lattice(seed)
    hypotheses = [[w for w in lattice.word_ids[p].tolist() if w] for p in brute[0](lattice)]
    found = oracle(lattice, reference)
    assert found.errors == min(distance(h, reference) for h in hypotheses)
    assert found.errors == distance(found.word_ids.tolist(), reference)
    assert found.errors == found.insertions + found.deletions + found.substitutions
    assert found.insertions - found.deletions == len(found.word_ids) - len(reference)


def test_empty_lattice_has_no_paths() -> None:
    empty = Lattice.empty()
    assert empty.is_empty and best_path(empty, 0.1) is None and nbest(empty, 3, 0.1) == []
    assert prune(empty, 1.0, 0.1).is_empty and arc_posteriors(empty, 0.1).size == 0
    assert (empty.depth, empty.num_frames, oracle(empty, [1, 2]).deletions) == (0.0, 0, 2)
    assert total_log_weight(empty, 0.1) == -np.inf


def test_connect_removes_dead_ends() -> None:
    arcs = [(0, 1, 1, 0, -1.0, 0.0), (0, 2, 1, 0, -1.0, 0.0), (3, 1, 1, 0, -1.0, 0.0)]
    finals = np.full((2, 4), -np.inf)
    finals[:, 1] = 0.0
    lattice = Lattice.from_arcs(4, 0, [np.array(c) for c in zip(*arcs)], finals)
    assert lattice.num_states == 3
    assert (connect(lattice).num_states, connect(lattice).num_arcs) == (2, 1)


def test_states_are_put_in_order() -> None:
    arcs = [(2, 0, 1, 3, -1.0, -2.0), (1, 2, 2, 4, -3.0, -4.0)]
    finals = np.full((2, 3), -np.inf)
    finals[:, 0] = -0.5, 0.0
    lattice = Lattice.from_arcs(3, 1, [np.array(c) for c in zip(*arcs)], finals)
    assert lattice.next_states.tolist() == [1, 2] and lattice.word_ids.tolist() == [4, 3]
    assert lattice.state_frames.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("arcs", "message"),
    [
        ([(0, 1, 1, 0, 0.0, 0.0), (1, 0, 1, 0, 0.0, 0.0)], "the lattice has a cycle"),
        ([(0, 7, 1, 0, 0.0, 0.0)], "a state is out of range (there are 2)"),
        ([(0, 1, -4, 0, 0.0, 0.0)], "a negative transition-id or word"),
        ([(0, 1, 1, 0, np.nan, 0.0)], "graph_scores hold NaN or +inf"),
    ],
)
def test_what_is_no_lattice(arcs: list[tuple], message: str) -> None:
    finals = np.zeros((2, 2))
    with pytest.raises(LatticeError) as caught:
        Lattice.from_arcs(2, 0, [np.array(c) for c in zip(*arcs)], finals)
    assert str(caught.value) == message


def test_paths_of_different_lengths_cannot_meet() -> None:
    arcs = [(0, 1, 1, 0, 0.0, 0.0), (0, 1, 0, 2, 0.0, 0.0)]
    finals = np.full((2, 2), 0.0)
    lattice = Lattice.from_arcs(2, 0, [np.array(c) for c in zip(*arcs)], finals)
    with pytest.raises(LatticeError, match="paths of different lengths meet in state 1"):
        _ = lattice.state_frames


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="0 best paths were asked for"):
        nbest(two_paths(), 0, 0.1)
    with pytest.raises(ValueError, match="pruning beam -1.0 is negative"):
        prune(two_paths(), -1.0, 0.1)
