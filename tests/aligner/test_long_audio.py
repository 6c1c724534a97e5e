"""Long recordings: anchors by hand, and a minute of made-up speech with its text."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.aligner.anchors import Anchor, TimedHeard, find_anchors, pieces_between
from hybrid.aligner.config import LongConfig


def said(words: str, step: float = 1.0) -> list[TimedHeard]:
    return [TimedHeard(w, i * step, i * step + 0.8 * step) for i, w in enumerate(words.split())]


def test_anchors_lie_in_the_pauses_between_words_that_agree():
    found = find_anchors(list("ABCD"), said("A B C D"), "?", LongConfig(anchor_words=1))
    assert [a.place for a in found] == [1, 2, 3]
    assert [a.time for a in found] == pytest.approx([0.9, 1.9, 2.9])
    assert [a.pause for a in found] == pytest.approx([0.2] * 3)


def test_words_beside_a_difference_anchor_nothing():
    found = find_anchors(list("ABCDEFGH"), said("A B C X E F G H"), "?", LongConfig(anchor_words=2))
    assert [a.place for a in found] == [6]


def test_words_without_pronunciation_anchor_nothing():
    found = find_anchors(list("A?CD"), said("A ? C D"), "?", LongConfig(anchor_words=1))
    assert [a.place for a in found] == [3]


def test_a_long_difference_gets_borders():
    text, heard = list("ABCPQRSDEF"), said("A B C X D E F")
    found = find_anchors(text, heard, "?", LongConfig(anchor_words=2, gap_words=3))
    assert [(a.place, a.kind) for a in found if a.kind] == [(3, "opens"), (7, "closes")]
    pieces = pieces_between(found, len(text), 7.0, LongConfig())
    assert [(p.first, p.last, p.differs) for p in pieces] == [(0, 3, False), (3, 7, True), (7, 10, False)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0.3, 4.0), st.floats(0.0, 1.0)), max_size=60), st.floats(5, 30))
def test_pieces_tile_text_and_audio(gaps, longest):
    anchors, time = [], 0.0
    for place, (step, pause) in enumerate(gaps, 1):
        time += step
        anchors.append(Anchor(place, time, pause))
    pieces = pieces_between(anchors, len(gaps) + 1, time + 1.0, LongConfig(max_segment=longest))
    assert pieces[0].start == 0 and pieces[0].first == 0
    assert pieces[-1].end == time + 1.0 and pieces[-1].last == len(gaps) + 1
    for before, after in zip(pieces, pieces[1:]):
        assert before.end == after.start and before.last == after.first
    assert all(p.end - p.start <= longest + 4.0 + 1.0 for p in pieces)


@pytest.fixture(scope="module")
def minute(toy, tmp_path_factory):
    """Seventy seconds of random words."""
    import soundfile

    rng = np.random.default_rng(3)
    words = " ".join(rng.choice(["ALFA", "BRAVO", "CHARLIE", "DELTA", "ECHO"], size=140))
    samples, starts = toy.speech(words, 99)
    path = tmp_path_factory.mktemp("long") / "book.wav"
    soundfile.write(str(path), samples, 8000, subtype="PCM_16")
    return path, words, starts


SMALL = ("--long-from", 10, "--chunk", 8, "--max-segment", 6)


def test_a_long_recording_is_aligned_without_segmentation(toy, tmp_path, minute):
    path, words, starts = minute
    (tmp_path / "text.txt").write_text(words)
    result = toy.align(tmp_path / "out", "--whole-text", tmp_path / "text.txt", *SMALL, path)
    assert result.exit_code == 0, (result.output, result.exception)
    rows = [line.split() for line in (tmp_path / "out" / "words.ctm").read_text().splitlines()[1:]]
    assert [row[4] for row in rows] == words.split()
    assert np.abs(np.array([float(row[2]) for row in rows]) - starts).max() < 0.1
    assert (tmp_path / "out" / "gaps.tsv").read_text().count("\n") == 1


def test_text_that_is_not_in_the_audio_is_left_out(toy, tmp_path, minute):
    path, words, starts = minute
    rng = np.random.default_rng(4)
    extra = [str(w) for w in rng.choice(["ALFA", "BRAVO", "CHARLIE", "DELTA", "ECHO"], size=60)]
    text = words.split()[:70] + extra + words.split()[70:]
    (tmp_path / "text.txt").write_text(" ".join(text))
    result = toy.align(tmp_path / "out", "--whole-text", tmp_path / "text.txt", *SMALL, path)
    assert result.exit_code == 0, (result.output, result.exception)
    rows = [line.split() for line in (tmp_path / "out" / "words.ctm").read_text().splitlines()[1:]]
    found = {round(float(row[2]), 1) for row in rows}
    right = sum(any(abs(s - f) < 0.15 for f in found) for s in starts)
    assert right >= 125
    assert len((tmp_path / "out" / "gaps.tsv").read_text().splitlines()) > 1


def test_empty_text_for_long_audio(toy, tmp_path, minute):
    path, _, _ = minute
    (tmp_path / "text.txt").write_text("\n")
    result = toy.align(tmp_path / "out", "--whole-text", tmp_path / "text.txt", *SMALL, path)
    assert result.exit_code != 0 and "has an empty text" in str(result.exception)


def other_words(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [str(w) for w in rng.choice(["ALFA", "BRAVO", "CHARLIE", "DELTA", "ECHO"], size=count)]


@pytest.mark.parametrize("end", [True, False])
def test_audio_that_lacks_one_end_of_the_text(toy, tmp_path, minute, end):
    path, words, starts = minute
    extra = other_words(40, 5)
    text = [*words.split(), *extra] if end else [*extra, *words.split()]
    (tmp_path / "text.txt").write_text(" ".join(text))
    result = toy.align(tmp_path / "out", "--whole-text", tmp_path / "text.txt", *SMALL, path)
    assert result.exit_code == 0, (result.output, result.exception)
    rows = [line.split() for line in (tmp_path / "out" / "words.ctm").read_text().splitlines()[1:]]
    found = np.array([float(row[2]) for row in rows])
    right = sum(np.abs(found - s).min() < 0.15 for s in starts)
    assert right >= 130 and len(rows) <= 150
    gaps = [line.split("\t") for line in (tmp_path / "out" / "gaps.tsv").read_text().splitlines()[1:]]
    lost = [w for row in gaps for w in row[3].split()]
    assert len(lost) >= 30 and all(row[4] for row in gaps)


def test_a_text_that_is_altogether_another(toy, tmp_path, minute):
    path, _, _ = minute
    (tmp_path / "text.txt").write_text(" ".join(["BRAVO"] * 300))
    result = toy.align(tmp_path / "out", "--whole-text", tmp_path / "text.txt", *SMALL, path)
    assert result.exit_code != 0
    assert re.search(r"text is not what is said: its \d+ words have a confidence of 0.0", str(result.exception))
