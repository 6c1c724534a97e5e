"""Slots, votes and united lattices: each equals what enumeration of all alignments, or of all paths, gives."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from hybrid.combination.rover import RoverConfig, rover
from hybrid.combination.slots import align_slots, alignment_cost, best_words, combine_slots, network_slots, word_slots
from hybrid.combination.systems import combine_systems, retimed
from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.determinize import determinize
from hybrid.lattice.mbr import mbr_decode
from hybrid.lattice.trim import from_rows, no_paths, state_times
from tests.lattice.conftest import make_lattice
from tests.lattice.test_combine import enumerated
from tests.lattice.test_mbr import edit_distance

NOTHING = {"": 1.0}


def least_cost(first: list, second: list) -> float:
    """The least cost of an alignment, by its definition."""

    @lru_cache(None)
    def rest(i: int, j: int) -> float:
        ways = []
        if i < len(first):
            ways.append(alignment_cost(first[i], NOTHING) + rest(i + 1, j))
        if j < len(second):
            ways.append(alignment_cost(NOTHING, second[j]) + rest(i, j + 1))
        if i < len(first) and j < len(second):
            ways.append(alignment_cost(first[i], second[j]) + rest(i + 1, j + 1))
        return min(ways, default=0.0)

    return rest(0, 0)


def some_slots(random: np.random.Generator) -> list[dict[str, float]]:
    slots = []
    for _ in range(int(random.integers(0, 6))):
        words = random.choice(["", "a", "b", "c"], int(random.integers(1, 4)), replace=False).tolist()
        shares = random.dirichlet(np.ones(len(words))).tolist()
        slots.append(dict(zip(words, shares)))
    return slots


def test_alignment_by_brute_force() -> None:
    random = np.random.default_rng(0)
    for _ in range(1000):
        first, second = some_slots(random), some_slots(random)
        pairs = align_slots(first, second)
        assert [i for i, _ in pairs if i >= 0] == list(range(len(first)))
        assert [j for _, j in pairs if j >= 0] == list(range(len(second)))
        cost = sum(
            alignment_cost(NOTHING if i < 0 else first[i], NOTHING if j < 0 else second[j]) for i, j in pairs
        )  # fmt: skip
        assert cost == pytest.approx(least_cost(first, second), abs=1e-9)
        mixed = combine_slots([first, second], [1.0, 3.0])
        assert len(mixed) == len(pairs) and all(sum(slot.values()) == pytest.approx(1.0) for slot in mixed)


def test_of_plain_words_it_is_edit_distance() -> None:
    random = np.random.default_rng(1)
    for _ in range(300):
        rows = [random.choice(list("abc"), int(random.integers(0, 7))).tolist() for _ in range(2)]
        cost = least_cost(*(word_slots(row) for row in rows))
        assert cost == pytest.approx(edit_distance(*(tuple(map(ord, row)) for row in rows)))


def test_votes_by_hand() -> None:
    said = [["the", "cat", "sat"], ["the", "hat", "sat", "down"], ["a", "cat", "sat"]]
    assert [word for word, _ in rover(said)] == ["the", "cat", "sat"]
    assert [score for _, score in rover(said)] == pytest.approx([2 / 3, 2 / 3, 1.0])
    assert [w for w, _ in rover(said, [1, 3, 1])] == ["the", "hat", "sat", "down"]  # three votes of five
    sure = [[0.2, 0.2, 0.9], [0.9, 0.9, 0.9, 0.3], [0.2, 0.2, 0.9]]
    found = rover(said, None, sure, RoverConfig(votes=0.0, nothing=0.5))
    assert found == [("the", pytest.approx(0.55)), ("hat", 0.9), ("sat", pytest.approx(0.9))]
    assert rover([[], []]) == [] and rover([["a"]]) == [("a", 1.0)] and rover([[], ["a"]]) == []  # the first of equals


def test_networks_by_hand() -> None:
    one, two = [{"a": 0.6, "b": 0.4}, {"c": 0.3, "": 0.7}], [{"b": 0.9, "a": 0.1}]
    mixed = combine_slots([one, two], [1.0, 1.0])
    assert mixed == [{"a": pytest.approx(0.35), "b": pytest.approx(0.65)}, {"c": 0.15, "": pytest.approx(0.85)}]
    assert best_words(mixed) == (["b"], [pytest.approx(0.65)])
    assert best_words(combine_slots([one, two], [9.0, 1.0]))[0] == ["a"]
    assert combine_slots([[], []], [1, 1]) == [] and best_words([]) == ([], [])


def some(seed: int, frames: int = 3) -> CompactLattice:
    return determinize(make_lattice(seed, frames=frames, width=2), 1e9, 0.5).lattice


def shares(compact: CompactLattice, scale: float, lm_scale: float) -> dict[tuple[int, ...], float]:
    """Probability of each word sequence, by enumeration."""
    found: dict[tuple[int, ...], float] = {}
    for words, _, graph, acoustic in enumerated(compact):
        found[words] = found.get(words, 0.0) + np.exp(lm_scale * graph + scale * acoustic)
    total = sum(found.values())
    return {words: value / total for words, value in found.items()}


def test_systems_of_other_scales_and_clocks_by_enumeration() -> None:
    better = 0
    for seed in range(1000):
        first, second = some(seed, 3), some(seed + 5000, 5)
        united = combine_systems([first, second], [3.0, 1.0], [0.25, 0.5], [1.0, 2.0])
        wanted: dict[tuple[int, ...], float] = {}
        parts = shares(first, 0.25, 1.0), shares(second, 0.5, 2.0)
        for weight, part in zip((0.75, 0.25), parts):
            for words, value in part.items():
                wanted[words] = wanted.get(words, 0.0) + weight * value
        found = shares(united, 1.0, 1.0)
        assert found.keys() == wanted.keys()
        raw = dict.fromkeys(found, 0.0)
        for words, _, graph, acoustic in enumerated(united):
            raw[words] += np.exp(graph + acoustic)
        alone = [words for words in raw if (words in parts[0]) != (words in parts[1])]
        assert [raw[words] for words in alone] == pytest.approx([4 * wanted[words] for words in alone], rel=1e-4)
        assert all(raw[words] < 4.001 * wanted[words] for words in raw)  # of one arc that both have the better stays
        result = mbr_decode(united, 1.0)
        mine = tuple(result.word_ids.tolist())
        compared = [mine, *(found if seed % 10 == 0 else ())]
        expected = {w: sum(p * edit_distance(w, other) for other, p in found.items()) for w in compared}
        assert result.risk >= expected[mine] - 1e-3
        better += seed % 10 == 0 and expected[mine] <= min(expected.values()) + 1e-6
    assert better > 90  # the search is greedy, and its distance a bound


def test_another_clock_keeps_the_paths() -> None:
    for seed in range(200):
        compact = some(seed)
        moved = retimed(compact, 10)
        ours, theirs = ([(p[0], *p[2:]) for p in enumerated(each)] for each in (compact, moved))
        assert sorted(ours) == sorted(theirs) and {len(p[1]) for p in enumerated(moved)} == {10}
        assert np.all(np.diff(state_times(moved)[moved.sources] - state_times(moved)[moved.next_states]) <= 10)
    assert retimed(no_paths(), 5).start == -1


def test_one_system_alone_and_none() -> None:
    one = some(4)
    alone = combine_systems([one], [2.0], [0.5])
    assert mbr_decode(alone, 1.0).word_ids.tolist() == mbr_decode(one, 0.5).word_ids.tolist()
    assert combine_systems([no_paths(), one], [1, 1], [1, 0.5]).num_arcs == alone.num_arcs
    assert combine_systems([no_paths()], [1.0], [1.0]).start == -1
    network = mbr_decode(one, 0.5).network
    names = dict(enumerate("-abcdefgh"))
    words, values = best_words(network_slots(network, names))
    assert words == [names[w] for w in mbr_decode(one, 0.5).word_ids.tolist()]
    assert values == pytest.approx(mbr_decode(one, 0.5).confidences.tolist())


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"weights \[1.0\] for 2 systems: wanted one above 0 for each"):
        combine_slots([[], []], [1.0])
    with pytest.raises(ValueError, match=r"weights \[1.0, 0\] for 2 systems"):
        rover([[], []], [1.0, 0])
    with pytest.raises(ValueError, match="wanted a confidence for each word"):
        rover([["a"], []], None, [[], []])
    with pytest.raises(ValueError, match="2 acoustic scales for 1 lattices: wanted one for each"):
        combine_systems([some(1)], [1.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="votes is 2, wanted 0 to 1"):
        RoverConfig(2.0)
    assert from_rows([], {}, 0).start == -1
