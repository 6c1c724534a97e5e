"""Phones and words of an alignment, and their times."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.align.equal import equal_align
from hybrid.timing.ctm import ctm_lines, timed_labels
from hybrid.timing.frame_times import FrameTimes
from hybrid.timing.segments import Segment, phone_segments
from hybrid.timing.word_alignment import LexiconWordAlignment

# word 1: "2 3" or "2"; word 2: "3"; phone 1 may stand between words
SPELLER = LexiconWordAlignment([(0, 0, 1), (1, 1, 2, 3), (1, 1, 2), (2, 2, 3)])


def segments(labels: list[int], length: int = 2) -> list[Segment]:
    return [Segment(p, n * length, length) for n, p in enumerate(labels)]


@settings(max_examples=40, deadline=None)
@given(phones=st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=6), extra=st.integers(0, 20))
def test_phones_are_those_of_the_path_and_tile_it(transition_model, linear_graph, phones, extra):
    fst = linear_graph(phones)
    frames = fst.num_states - 1 + extra
    found = phone_segments(equal_align(fst, frames, 0), transition_model)
    assert [p.label for p in found] == phones
    assert found[0].start == 0 and found[-1].end == frames
    assert all(a.end == b.start for a, b in zip(found, found[1:]))


def test_no_frames_have_no_phones(transition_model):
    assert phone_segments(np.zeros(0, int), transition_model) == []


def test_ids_of_another_model_are_refused(transition_model):
    with pytest.raises(ValueError, match="transition-ids 0 to 1 for a model of"):
        phone_segments(np.array([0, 1]), transition_model)


@pytest.mark.parametrize(
    ("phones", "words", "wanted"),
    [
        ([2, 3], [1], [1]),
        ([2, 3], [1, 2], [1, 2]),
        ([1, 2, 3, 1, 1], [1], [0, 1, 0, 0]),
        ([2, 1, 3, 2, 3, 3], [1, 2, 1, 2], [1, 0, 2, 1, 2]),
        ([1], [], [0]),
        ([], [], []),
    ],
)
def test_words_are_spelt(phones, words, wanted):
    found = SPELLER.words(segments(phones), words)
    assert [w.label for w in found] == wanted
    assert [p.label for w in found for p in w.phones] == phones
    assert sum(w.length for w in found) == 2 * len(phones)
    assert all(a.end == b.start for a, b in zip(found, found[1:]))


def test_phones_that_do_not_spell_the_words_are_refused():
    with pytest.raises(ValueError, match=r"phones \(2, 2\) do not spell the words \(1,\)"):
        SPELLER.words(segments([2, 2]), [1])


def test_ctm_by_hand():
    found = SPELLER.words(segments([1, 2, 3, 3], length=5), [1, 2])
    timed = timed_labels(found, lambda word: {1: "TWO", 2: "THREE"}[word], times=FrameTimes(0.01), duration=0.215)
    assert ctm_lines("utt", timed) == ["utt 1 0.05 0.10 TWO", "utt 1 0.15 0.07 THREE"]
    assert ctm_lines("utt", timed, channel="A", pauses=True)[0] == "utt A 0.00 0.05 <eps>"
    assert timed[-1].end == pytest.approx(0.215)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.floats(0.001, 0.05), st.floats(0, 100))
def test_times_tile_the_utterance(lengths, shift, offset):
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    found = [Segment(1, int(s), n) for s, n in zip(starts, lengths)]
    duration = sum(lengths) * shift + 0.3 * shift
    timed = timed_labels(found, str, FrameTimes(shift), offset=offset, duration=duration)
    assert timed[0].start == offset
    assert timed[-1].end == pytest.approx(offset + duration)
    assert all(a.end == pytest.approx(b.start) for a, b in zip(timed, timed[1:]))
