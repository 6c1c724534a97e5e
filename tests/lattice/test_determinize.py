"""Determinisation: the best path of each word sequence, by enumeration, beside Kaldi's, and under a limit."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from hybrid.lattice.archive import read_lattices
from hybrid.lattice.compact import CompactLattice, expand
from hybrid.lattice.determinize import determinize, determinize_compact
from hybrid.lattice.determinize_kernels import determinize_arcs
from hybrid.lattice.heap import pop, push, sort
from hybrid.lattice.lattice import Lattice
from hybrid.lattice.paths import nbest
from hybrid.lattice.strings import FULL, agreement, depth, extended, is_less, new_tree, nodes_used, same, spell
from hybrid.lattice.trim import from_rows

from .conftest import all_paths, path_score


def best_of_words(lattice: Lattice, scale: float) -> dict[tuple[int, ...], tuple[float, tuple[int, ...]]]:
    """Of each word sequence the best score and its alignment, by enumeration."""
    found: dict[tuple[int, ...], tuple[float, tuple[int, ...]]] = {}
    for arcs in all_paths(lattice):
        ids, words = lattice.transition_ids[arcs], lattice.word_ids[arcs]
        entry = path_score(lattice, arcs, scale), tuple(ids[ids != 0].tolist())
        key = tuple(words[words != 0].tolist())
        if key not in found or entry[0] > found[key][0]:
            found[key] = entry
    return found


def is_deterministic(compact: CompactLattice) -> bool:
    pairs = list(zip(compact.sources.tolist(), compact.word_ids.tolist()))
    return len(set(pairs)) == len(pairs) and 0 not in compact.word_ids


def phones_of(transition_ids: int) -> np.ndarray:
    """Every third transition-id begins a phone."""
    ids = np.arange(transition_ids)
    return np.where(ids % 3 == 1, ids, 0).astype(np.int32)


@pytest.mark.parametrize("phones", [False, True])
def test_by_enumeration(random_lattice, phones) -> None:
    for seed in range(500):
        lattice = random_lattice(seed, frames=2 + seed % 4, width=2 + seed % 3)
        wanted = best_of_words(lattice, 0.5)
        starts = phones_of(int(lattice.transition_ids.max(initial=0)) + 1) if phones else None
        for beam in (1e9, 4.0):
            found = determinize(lattice, beam, 0.5, phone_starts=starts)
            assert found.beam == beam and is_deterministic(found.lattice)
            best = max((score for score, _ in wanted.values()), default=0.0)
            inside = {words for words, (score, _) in wanted.items() if score >= best - beam}
            got = best_of_words(expand(found.lattice), 0.5)
            assert inside <= set(got), seed
            for words, (score, ids) in got.items():
                assert score <= wanted[words][0] + 1e-5  # a path of the lattice, and within the beam the best one
                if words in inside:
                    assert score == pytest.approx(wanted[words][0], abs=1e-5)
                    assert len(ids) == len(wanted[words][1])


def test_alignment_of_the_best_path() -> None:
    # two ways to say word 1: the better one's alignment stays; word 2 shares their first frame
    arcs = [
        (0, 0, 0, 1, 2, 3), (1, 2, 3, 4, 4, 4), (7, 8, 9, 5, 6, 6),
        (1, 1, 2, 0, 0, 0), (-1.0, -2.0, -3.0, 0.0, 0.0, 0.0), np.zeros(6),
    ]  # fmt: skip
    finals = np.full((2, 5), -np.inf)
    finals[:, 4] = 0.0
    compact = determinize(Lattice.from_arcs(5, 0, [np.array(a) for a in arcs], finals), 100.0, 1.0).lattice
    spelt = {
        int(w): (compact.string(a).tolist(), float(compact.graph_scores[a])) for a, w in enumerate(compact.word_ids)
    }
    assert {w: s[1] for w, s in spelt.items()} == {1: -1.0, 2: -3.0}
    words = best_of_words(expand(compact), 1.0)
    assert words == {(1,): (-1.0, (7, 5)), (2,): (-3.0, (9, 6))}


def test_histories_of_different_cost_meet() -> None:
    """Words 3 and 4 may follow 1 and 2; after 2, which costs 5, word 4 lies outside the beam, yet in the lattice."""
    arcs = [
        (0, 0, 0, 0, 1, 2), (1, 2, 1, 2, 3, 3), (5, 5, 5, 5, 6, 6),
        (1, 1, 2, 2, 3, 4), (0.0, -2, -5, -7, 0, 0), np.zeros(6),
    ]  # fmt: skip
    finals = np.full((2, 4), -np.inf)
    finals[:, 3] = 0.0
    lattice = Lattice.from_arcs(4, 0, [np.array(a) for a in arcs], finals)
    found = determinize(lattice, 6.0, 1.0).lattice
    assert (found.num_states, len(found.sources)) == (3, 4)
    assert {words: score for words, (score, _) in best_of_words(expand(found), 1.0).items()} == {
        (1, 3): 0.0, (1, 4): -2.0, (2, 3): -5.0, (2, 4): -7.0
    }  # fmt: skip
    assert best_of_words(expand(determinize(lattice, 4.0, 1.0).lattice), 1.0).keys() == {(1, 3), (1, 4)}


def test_a_limit_shrinks_the_beam(random_lattice) -> None:
    shrunk = 0
    for seed in range(60):
        lattice = random_lattice(seed, frames=7, width=4, words=6)
        wanted = best_of_words(lattice, 0.5)
        found = determinize(lattice, 50.0, 0.5, max_elements=40)
        got = best_of_words(expand(found.lattice), 0.5)
        best = max(score for score, _ in wanted.values())
        shrunk += found.beam < 50.0
        assert {words for words, (score, _) in wanted.items() if score > best - found.beam + 1e-5} <= set(got)
    assert shrunk > 20


def test_empty_and_wrong() -> None:
    assert expand(determinize(Lattice.empty(), 5.0, 1.0).lattice).is_empty
    with pytest.raises(ValueError, match="determinisation beam -1 is negative"):
        determinize(Lattice.empty(), -1, 1.0)


@pytest.mark.peer
def test_equals_kaldi(peers: Path) -> None:
    folder = peers / "lattices"
    rows = [
        line.split() for line in gzip.decompress((folder / "transitions.txt.gz").read_bytes()).decode().splitlines()
    ]
    names = sorted({row[1] for row in rows})
    starts = np.zeros(max(int(row[0]) for row in rows) + 1, np.int32)
    for row in rows:
        if row[2] == "0" and row[4] == "0":
            starts[int(row[0])] = 1 + names.index(row[1])
    theirs = dict(read_lattices(folder / "raw_lat_det.clat.txt.gz"))
    scale, beam = 0.083333, 6.0
    count = 0
    for utterance, lattice in read_lattices(folder / "raw_lat.ark.gz"):
        ours = expand(determinize(lattice, beam, scale, phone_starts=starts).lattice)
        found, wanted = (
            {tuple(p.word_ids.tolist()): p.score(scale) for p in nbest(one, 10_000, scale, beam=beam)}
            for one in (ours, theirs[utterance])
        )
        assert found.keys() == wanted.keys()
        assert all(found[words] == pytest.approx(wanted[words], rel=1e-5) for words in wanted)
        count += len(found)
    assert count == 167


@pytest.mark.parametrize("factor", [1, 40_000_000])
def test_labels_of_phones_and_words_past_an_int32(random_lattice, factor) -> None:
    """Phone ids so large that pairs of a phone and a word do not fit the kernel's labels are numbered first."""
    for seed in range(40):
        lattice = random_lattice(seed, frames=4, width=3)
        starts = phones_of(int(lattice.transition_ids.max(initial=0)) + 1)
        wanted = determinize(lattice, 8.0, 0.5, phone_starts=starts).lattice
        large = (starts.astype(np.int64) * factor % 2_000_000_011).astype(np.int32)
        found = determinize(lattice, 8.0, 0.5, phone_starts=large).lattice
        assert best_of_words(expand(found), 0.5).keys() == best_of_words(expand(wanted), 0.5).keys()


def test_strings_without_what_they_drop() -> None:
    tree, symbols = new_tree(8), np.array([3, 4, 5, 4, 5], np.int32)
    first = extended(tree, 0, symbols, 0, 3)  # 3 4 5
    other = extended(tree, extended(tree, 0, symbols, 0, 1), symbols, 3, 4)  # 3 4, of nodes of its own
    assert nodes_used(tree) == 6 and depth(tree, first) == 3 and depth(tree, other) == 2
    assert agreement(tree, first, other, 0) == 2
    assert is_less(tree, other, first, 0) and not is_less(tree, first, other, 0)
    longer = extended(tree, other, symbols, 0, 1)  # 3 4 3
    assert (
        is_less(tree, longer, first, 2) and not is_less(tree, first, longer, 2) and not is_less(tree, first, first, 0)
    )
    assert same(tree, first, 3, 0, 0) and not same(tree, first, 2, longer, 2) and not same(tree, first, 1, other, 1)
    out = np.zeros(4, np.int32)
    assert spell(tree, longer, 1, 3, out, 1) == 3 and out.tolist() == [0, 4, 3, 0]
    assert extended(tree, longer, symbols, 0, 2) == FULL == extended(tree, FULL, symbols, 0, 0)


def test_arrays_that_are_too_small_are_tried_larger(random_lattice, monkeypatch) -> None:
    calls = []

    def small(*arguments):
        calls.append(arguments[-2:])
        shrunk = (max(4, size // 256) for size in arguments[-2:])
        return determinize_arcs(*arguments[:-2], *shrunk)

    monkeypatch.setattr("hybrid.lattice.determinize.determinize_arcs", small)
    for seed in range(5):
        lattice = random_lattice(seed, frames=7, width=4, words=6)
        assert best_of_words(expand(determinize(lattice, 50.0, 0.5).lattice), 0.5) == best_of_words(lattice, 0.5)
    assert len(calls) > 10


def test_an_arc_that_ends_a_path_is_on_none() -> None:
    """Whatever the beam: with scores of -inf there is nothing to take off."""
    rows = [(0, 1, 1, -np.inf, 0.0, (7,)), (0, 1, 0, -np.inf, -1.0, (8,)), (0, 1, 2, -2.0, 0.0, (9,))]
    compact = from_rows(rows, {1: (0.0, 0.0, ())}, num_states=2)
    for beam in (1.0, np.inf):
        found = determinize_compact(compact, beam, 1.0).lattice
        assert found.word_ids.tolist() == [2] and found.graph_scores.tolist() == [-2.0]


def test_items_leave_a_heap_in_order() -> None:
    heap, rank = np.empty(50, np.int32), np.random.default_rng(0).integers(0, 9, 50).astype(float)
    for by in (None, rank):
        for size in range(50):
            push(heap, size, by, 49 - size)
        left = [int(pop(heap, size, by)) for size in range(50, 0, -1)]
        wanted = sorted(range(50), key=lambda item: (0.0 if by is None else rank[item], item))
        assert left == wanted
    sort(rank, heap, 50)
    assert heap.tolist() == wanted
