"""Long lists by how they sound: distances against brute force, costs learnt from what was confused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm.biasing.phone_costs import PhoneCosts
from lm.biasing.phrase_filter import PhraseFilter

PHONES = "ABCD"
SOUND = st.lists(st.sampled_from(PHONES), min_size=1, max_size=5)
COSTS = PhoneCosts.even(PHONES)


def nearest_stretch(phrase: list[str], heard: list[str]) -> float:
    """The readable twin: every stretch of what was heard."""
    stretches = [heard[i:j] for i in range(len(heard) + 1) for j in range(i, len(heard) + 1)]
    return min(COSTS.distance(phrase, stretch) for stretch in stretches) / len(phrase)


@settings(max_examples=60, deadline=None)
@given(phrases=st.lists(SOUND, min_size=1, max_size=6), heard=st.lists(st.sampled_from(PHONES), max_size=6))
def test_distances_are_those_of_the_nearest_stretch(phrases, heard) -> None:
    names = [f"w{number}" for number in range(len(phrases))]
    found = PhraseFilter.of([(name,) for name in names], {n: [p] for n, p in zip(names, phrases)}, COSTS)
    wanted = np.array([nearest_stretch(phrase, heard) for phrase in phrases])
    wanted[wanted > 0.5 + 1e-6] = np.inf
    assert found.distances(heard) == pytest.approx(wanted, abs=1e-5)


def test_several_ways_and_words_without_any() -> None:
    spoken = {"peter": [("P", "IY1"), ("P", "AA0")], "new": [("N", "UW1")], "york": [("Y", "AO1")]}
    costs = PhoneCosts.even({phone for ways in spoken.values() for way in ways for phone in way})
    found = PhraseFilter.of([("peter",), ("new", "york"), ("nguyen",), ("york", "nguyen")], spoken, costs)
    assert found.unspoken == (2, 3)
    assert found.keep([["N", "UW0", "Y", "AO2", "P", "AA1"]], 10) == [0, 1]
    assert found.keep([["N", "UW", "Y", "IY"]], 1) == [1]
    assert found.keep([["N"]], 10) == []


def test_costs_are_learnt() -> None:
    pairs = [(["A", "B", "C"], ["A", "D", "C"])] * 8 + [(["A", "B", "C"], ["A", "B", "C"])] * 8 + [(["C", "A"], ["C"])]
    learnt = PhoneCosts.learnt(PHONES, pairs)
    b, c, d = (learnt.ids[phone] for phone in "BCD")
    assert learnt.costs[b, d] < learnt.costs[b, c] and learnt.costs[b, b] == 0
    assert learnt.distance(["A", "B"], ["A", "D"]) < learnt.distance(["A", "C"], ["A", "D"])


def test_a_word_of_twenty_thousand_is_kept() -> None:
    rng = np.random.default_rng(0)
    letters = [chr(65 + k) for k in range(20)]
    spoken = {f"w{n}": [tuple(rng.choice(letters, rng.integers(3, 11)))] for n in range(20_000)}
    costs = PhoneCosts.even(letters)
    found = PhraseFilter.of([(word,) for word in spoken], spoken, costs)
    heard = [*rng.choice(letters, 50), *spoken["w77"][0], *rng.choice(letters, 50)]
    found.distances(heard[:3])
    assert 77 in found.keep([heard], 200)


@settings(max_examples=40, deadline=None)
@given(phrases=st.lists(SOUND, min_size=1, max_size=6), heard=st.lists(st.sampled_from(PHONES), max_size=6))
def test_distances_from_the_whole(phrases, heard) -> None:
    names = [f"w{number}" for number in range(len(phrases))]
    found = PhraseFilter.of([(name,) for name in names], {n: [p] for n, p in zip(names, phrases)}, COSTS)
    wanted = np.array([COSTS.distance(phrase, heard) / len(phrase) for phrase in phrases])
    wanted[wanted > 0.5 + 1e-6] = np.inf
    assert found.distances(heard, whole=True) == pytest.approx(wanted, abs=1e-5)
