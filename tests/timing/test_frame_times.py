"""Boundaries between frames: the middle between windows, or Kaldi's, by hand."""

from __future__ import annotations

import pytest

from hybrid.timing.ctm import ctm_header, timed_labels
from hybrid.timing.frame_times import FrameTimes
from hybrid.timing.segments import Segment

MIDDLE, KALDI = FrameTimes(0.01, 0.0075), FrameTimes(0.01)


def test_boundaries_by_hand() -> None:
    """Frames 0-4 a pause, 5-9 a word, 10-19 another; windows of 25 ms each 10 ms."""
    segments = [Segment(0, 0, 5), Segment(1, 5, 5), Segment(2, 10, 10)]
    middle = timed_labels(segments, str, MIDDLE, offset=1.0, duration=0.215)
    assert [round(t.start, 6) for t in middle] == [1.0, 1.0575, 1.1075]
    assert [round(t.end, 6) for t in middle] == [1.0575, 1.1075, 1.215]
    kaldi = timed_labels(segments, str, KALDI, offset=1.0, duration=0.215)
    assert [round(t.start, 6) for t in kaldi] == [1.0, 1.05, 1.1]
    assert timed_labels([], str, MIDDLE) == []


def test_an_utterance_that_goes_on_begins_between_windows() -> None:
    """What a session commits ends where the rest begins, at the boundaries that the whole would have."""
    whole = timed_labels([Segment(1, 0, 30), Segment(2, 30, 20)], str, MIDDLE)
    first = timed_labels([Segment(1, 0, 30)], str, MIDDLE)
    rest = timed_labels([Segment(2, 0, 20)], str, MIDDLE, MIDDLE.boundary(30), first_frame=30)
    assert [round(t.end, 9) for t in (*first, *rest)] == [round(t.end, 9) for t in whole]
    assert rest[0].start == pytest.approx(first[0].end)


def test_a_boundary_does_not_pass_the_end() -> None:
    clock = FrameTimes(0.03, 0.01).clock(3, 2.0, 2.065)
    assert [round(clock(k), 6) for k in range(5)] == [2.0, 2.04, 2.065, 2.065, 2.065]


def test_the_convention_is_told() -> None:
    assert MIDDLE.convention == "middle between windows, frame x 0.01 s +7.5 ms"
    assert KALDI.convention == "frame x 0.01 s"
    assert ctm_header(MIDDLE) == [";; boundaries: middle between windows, frame x 0.01 s +7.5 ms"]
    assert ctm_header(KALDI) == []
    with pytest.raises(ValueError, match="frames of 0 s with boundaries 0 s later: wanted shift > 0"):
        FrameTimes(0, 0)
