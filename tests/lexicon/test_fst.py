"""lexicon.lexicon_fst: L and L_disambig against brute force."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import product

import kaldifst
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.formats.openfst import FstArrays, to_kaldifst
from lexicon.disambig import assign_disambig
from lexicon.lexicon_fst import (
    PronunciationArrays,
    add_disambig_loops,
    lexicon_fst,
    lexicon_fst_with_silence_probs,
    word_pronunciations,
)
from lexicon.silence import SilenceProbs

LAW = settings(deadline=None, max_examples=25)
SIL, FIRST_PHONE, SIL_DISAMBIG, HASH0 = 1, 2, 90, 80
PROBS = SilenceProbs(0.7, 1.3, 0.6, 0.2)

# (word id, phones, probability); phones 1 (silence too), 2 and 3
ENTRIES = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple),
        st.sampled_from([1.0, 0.5, 0.25]),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda e: e[:2],
)


def arrays(entries: list[tuple], silence: list[tuple[float, float, float]] | None = None) -> PronunciationArrays:
    lengths = [len(phones) for _, phones, _ in entries]
    return PronunciationArrays(
        np.asarray([w for w, _, _ in entries], np.int32),
        np.concatenate([[0], np.cumsum(lengths)]),
        np.asarray([p for _, phones, _ in entries for p in phones], np.int32),
        np.log([probability for _, _, probability in entries]),
        None if silence is None else np.asarray(silence),
    )


def transduce(fst: FstArrays, phones: tuple[int, ...]) -> dict[tuple[int, ...], float]:
    """Returns word string → cost of its best path, by following every path (no epsilon cycles in L)."""
    best: dict[tuple[int, ...], float] = defaultdict(lambda: math.inf)

    def walk(state: int, read: int, said: tuple[int, ...], cost: float) -> None:
        if read == len(phones) and math.isfinite(fst.final_costs[state]):
            best[said] = min(best[said], cost + float(fst.final_costs[state]))
        for arc in range(fst.row_splits[state], fst.row_splits[state + 1]):
            label, word = int(fst.ilabels[arc]), int(fst.olabels[arc])
            if label == 0 or (read < len(phones) and phones[read] == label):
                out = (*said, word) if word else said
                walk(int(fst.next_states[arc]), read + (label != 0), out, cost + float(fst.costs[arc]))

    walk(fst.start, 0, (), 0.0)
    return dict(best)


def brute_force(entries: list[tuple], phones: tuple[int, ...], p: float) -> dict[tuple[int, ...], float]:
    """Returns the same from the definition: silence or none, then words, each followed by silence or none."""
    best: dict[tuple[int, ...], float] = defaultdict(lambda: math.inf)
    gap = {False: -math.log(1 - p), True: -math.log(p) if p else math.inf}

    def after_gap(read: int, said: tuple[int, ...], cost: float) -> None:
        if read == len(phones):
            best[said] = min(best[said], cost)
        for word, phone_string, probability in entries:
            if phones[read : read + len(phone_string)] == phone_string:
                before_gap(read + len(phone_string), (*said, word), cost - math.log(probability))

    def before_gap(read: int, said: tuple[int, ...], cost: float) -> None:
        after_gap(read, said, cost + gap[False])
        if p and phones[read : read + 1] == (SIL,):
            after_gap(read + 1, said, cost + gap[True])

    before_gap(0, (), 0.0)
    return dict(best)


def test_one_word_by_hand() -> None:
    fst = lexicon_fst(arrays([(7, (2, 3), 0.5)]), 0.25, SIL)
    arcs = zip(fst.sources(), fst.next_states, fst.ilabels, fst.olabels, fst.costs)
    skip, silence = -math.log(0.75), -math.log(0.25)
    wanted = [
        (0, 1, 0, 0, skip),
        (0, 2, 0, 0, silence),
        (1, 3, 2, 7, -math.log(0.5)),
        (2, 1, SIL, 0, 0.0),
        (3, 1, 3, 0, skip),
        (3, 2, 3, 0, silence),
    ]
    assert [tuple(map(float, arc)) for arc in arcs] == [pytest.approx(arc) for arc in wanted]
    assert np.flatnonzero(np.isfinite(fst.final_costs)).tolist() == [1]


@LAW
@given(ENTRIES, st.sampled_from([0.0, 0.3, 0.5]), st.lists(st.integers(1, 3), max_size=4).map(tuple))
def test_L_recovers_exactly_the_words_that_a_phone_string_spells(
    entries: list[tuple], p: float, phones: tuple[int, ...]
) -> None:
    fst = lexicon_fst(arrays(entries), p, SIL)
    assert transduce(fst, phones) == pytest.approx(brute_force(entries, phones, p), abs=1e-5)


@LAW
@given(ENTRIES, st.sampled_from([0.0, 0.5]))
def test_arcs_are_sorted_and_states_are_reached(entries: list[tuple], p: float) -> None:
    for fst in (lexicon_fst(arrays(entries), p, SIL), lexicon_fst(arrays(entries), p, SIL, SIL_DISAMBIG)):
        for state in range(fst.num_states):
            labels = fst.olabels[fst.row_splits[state] : fst.row_splits[state + 1]]
            assert (np.diff(labels) >= 0).all() and len(labels)
        assert set(fst.next_states.tolist()) | {0} == set(range(fst.num_states))


def disambiguated(entries: list[tuple]) -> list[tuple]:
    numbers = assign_disambig([" ".join(map(str, phones)) for _, phones, _ in entries])
    return [(w, (*phones, HASH0 + n) if n else phones, p) for (w, phones, p), n in zip(entries, numbers)]


def acceptor_of_all_words(words: set[int]) -> kaldifst.StdVectorFst:
    lines = "".join(f"0 0 {word} {word} 1.0\n" for word in sorted(words)) + "0 0.5\n"
    grammar = kaldifst.compile(lines)
    kaldifst.arcsort(grammar, "ilabel")
    return grammar


def is_determinizable(fst: FstArrays, words: set[int]) -> bool:
    composed = kaldifst.StdVectorFst(kaldifst.compose(to_kaldifst(fst), acceptor_of_all_words(words)))
    try:
        return not kaldifst.determinize_star(composed, max_states=2000)
    except RuntimeError:  # "FST was not functional"
        return False


@LAW
@given(ENTRIES.filter(lambda entries: len({w for w, _, _ in entries}) > 1), st.sampled_from([0.0, 0.5]))
def test_disambiguated_L_is_determinizable(entries: list[tuple], p: float) -> None:
    fst = lexicon_fst(arrays(disambiguated(entries)), p, SIL, SIL_DISAMBIG)
    assert is_determinizable(fst, {w for w, _, _ in entries})


@LAW
@given(ENTRIES, st.sampled_from([0.0, 0.5]))
def test_disambiguation_changes_no_word_and_no_cost(entries: list[tuple], p: float) -> None:
    fst = lexicon_fst(arrays(disambiguated(entries)), p, SIL, SIL_DISAMBIG)
    hidden = FstArrays(
        fst.start, fst.row_splits, np.where(fst.ilabels >= HASH0, 0, fst.ilabels), fst.olabels, fst.next_states,
        fst.costs, fst.final_costs,
    )  # fmt: skip
    plain = lexicon_fst(arrays(entries), p, SIL)
    for phones in product((1, 2, 3), repeat=2):
        assert transduce(hidden, phones) == pytest.approx(transduce(plain, phones), abs=1e-5)


SILENCE = st.tuples(st.sampled_from([0.2, 0.6]), st.sampled_from([0.8, 1.5]), st.sampled_from([0.9, 2.0]))


@LAW
@given(ENTRIES, st.data())
def test_word_specific_silence_against_its_definition(entries: list[tuple], data: st.DataObject) -> None:
    silence = [data.draw(SILENCE) for _ in entries]
    fst = lexicon_fst_with_silence_probs(arrays(entries, silence), PROBS, SIL)
    phones = data.draw(st.lists(st.integers(1, 3), max_size=4).map(tuple))
    best: dict[tuple[int, ...], float] = defaultdict(lambda: math.inf)

    def gap(read: int, said: tuple[int, ...], cost: float, p: float) -> None:
        words(read, said, cost - math.log(1 - p), False)
        if phones[read : read + 1] == (SIL,):
            words(read + 1, said, cost - math.log(p), True)

    def words(read: int, said: tuple[int, ...], cost: float, silent: bool) -> None:
        if read == len(phones):
            end = PROBS.end_after_silence if silent else PROBS.end_after_word
            best[said] = min(best[said], cost - math.log(end))
        for (word, phone_string, probability), (after, c_silence, c_none) in zip(entries, silence):
            if phones[read : read + len(phone_string)] == phone_string:
                step = -math.log(probability) - math.log(c_silence if silent else c_none)
                gap(read + len(phone_string), (*said, word), cost + step, after)

    gap(0, (), 0.0, PROBS.begin)
    assert transduce(fst, phones) == pytest.approx(dict(best), abs=1e-5)


def test_word_specific_silence_is_determinizable() -> None:
    entries = disambiguated([(1, (2,), 1.0), (2, (2,), 1.0), (3, (2, 3), 1.0)])
    fst = lexicon_fst_with_silence_probs(arrays(entries, [(0.5, 1.0, 1.0)] * 3), PROBS, SIL, SIL_DISAMBIG)
    assert is_determinizable(fst, {1, 2, 3})


def test_homophones_without_symbols_are_not_determinizable() -> None:
    fst = lexicon_fst(arrays([(1, (2,), 1.0), (2, (2,), 1.0)]), 0.0, SIL)
    assert not is_determinizable(fst, {1, 2})


@LAW
@given(ENTRIES, st.sampled_from([0.0, 0.5]))
def test_loops_are_those_of_kaldifst(entries: list[tuple], p: float) -> None:
    fst = lexicon_fst(arrays(entries), p, SIL)
    mine = add_disambig_loops(fst, [HASH0], [99])
    other = to_kaldifst(fst)
    kaldifst.add_self_loops(other, [HASH0], [99])
    text = sorted(line for line in other.to_str().splitlines() if line.strip())
    assert sorted(line for line in to_kaldifst(mine).to_str().splitlines() if line.strip()) == text


@LAW
@given(ENTRIES, st.sampled_from([0.0, 0.5]))
def test_pronunciations_are_read_back(entries: list[tuple], p: float) -> None:
    entries = [e for e in entries if e[1][-1] != SIL] or [(1, (2,), 1.0)]
    with_symbols = disambiguated(entries)
    fst = lexicon_fst(arrays(with_symbols), p, SIL, SIL_DISAMBIG)
    looped = add_disambig_loops(fst, [HASH0], [99])
    found = word_pronunciations(looped, SIL, [99])
    assert sorted(found) == sorted((w, phones) for w, phones, _ in with_symbols)


def test_pronunciations_are_read_back_where_silence_is_modelled_by_word() -> None:
    fst = lexicon_fst_with_silence_probs(arrays([(1, (2,), 1.0), (2, (2, 3), 1.0)], [(0.5, 1, 1)] * 2), PROBS, SIL)
    assert word_pronunciations(fst, SIL) == [(1, (2,)), (2, (2, 3))]


def test_bad_arguments() -> None:
    prons = arrays([(1, (2,), 1.0)])
    with pytest.raises(ValueError, match=r"silence probability 1.0 is not in \[0, 1\)"):
        lexicon_fst(prons, 1.0, SIL)
    with pytest.raises(ValueError, match="no silence probabilities"):
        lexicon_fst_with_silence_probs(prons, PROBS, SIL)
    with pytest.raises(ValueError, match="one phone id and one word id"):
        add_disambig_loops(lexicon_fst(prons, 0.0, SIL), [1], [])
    with pytest.raises(ValueError, match="at least one phone"):
        PronunciationArrays(np.ones(1, np.int32), np.zeros(2, np.int64), np.zeros(0, np.int32), np.zeros(1))
    with pytest.raises(ValueError, match="differ in length"):
        PronunciationArrays(np.ones(1, np.int32), np.zeros(3, np.int64), np.zeros(0, np.int32), np.zeros(1))
