"""Edit paths equal brute force; runs of differences by hand; what explanations say."""

from __future__ import annotations

from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.aligner import edit_kernels
from hybrid.aligner.anchors import TimedHeard
from hybrid.aligner.biased import Heard
from hybrid.aligner.clean import good_stretches
from hybrid.aligner.config import CleanConfig
from hybrid.aligner.differences import Difference, compare, differing_runs, edit_path
from hybrid.aligner.reasons import Cause, better_speeds, examine, shown
from hybrid.timing.frame_times import FrameTimes

words = st.lists(st.integers(0, 3), max_size=12)


def distance(a: list[int], b: list[int]) -> int:
    @cache
    def cost(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        return min(cost(i - 1, j) + 1, cost(i, j - 1) + 1, cost(i - 1, j - 1) + (a[i - 1] != b[j - 1]))

    return cost(len(a), len(b))


@settings(max_examples=150, deadline=None)
@given(words, words)
def test_paths_are_shortest_and_complete(a, b):
    steps = edit_path(np.array(a, np.int32), np.array(b, np.int32)).tolist()
    assert [i for i, _ in steps if i >= 0] == list(range(len(a)))
    assert [j for _, j in steps if j >= 0] == list(range(len(b)))
    assert sum(i < 0 or j < 0 or a[i] != b[j] for i, j in steps) == distance(a, b)


def test_divided_tables_cost_the_same():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 50, 3000).astype(np.int32)
    b = np.delete(a, rng.integers(0, 3000, 200))
    b[rng.integers(0, len(b), 100)] = 51
    steps = edit_kernels.edit_steps(a, b)
    wrong = sum(i < 0 or j < 0 or a[i] != b[j] for i, j in steps.tolist())
    assert wrong == edit_kernels._last_row(a, b)[-1] >> 20


def test_runs_by_hand():
    text, heard = list("ABCDE"), list("AXYDEF")
    runs = differing_runs(text, heard, compare(text, heard))
    assert runs == [Difference(1, 3, 1, 3), Difference(5, 5, 5, 6)]


def told(text: str, heard: str, max_error: float = 0.5):
    words = [Heard(w, 10 * i, 10 * i + 10) for i, w in enumerate(heard.split())]
    return examine(text.split(), words, FrameTimes(0.01), lambda w: w, max_error)


def test_causes_by_hand():
    assert told("A B C D", "A B C D").cause is Cause.BEAM
    other = told("A B C D", "X Y C Z")
    assert other.cause is Cause.TEXT
    assert other.message == (
        "text is not what is said: 3 of 4 words differ: text 'A B', heard 'X Y' at 0.00-0.20 s; "
        "text 'D', heard 'Z' at 0.30-0.40 s"
    )
    start = told("A B C D E F", "C D E F")
    assert start.cause is Cause.START
    assert start.message == "audio lacks the beginning of the text: 2 of 6 words were not heard: 'A B'"
    assert told("A B C D E F", "A B C D").cause is Cause.END
    assert told("A B", "").cause is Cause.TEXT


def test_long_quotes_are_shortened():
    assert shown(list("ABCDEFGH")) == "'A B C … F G H'"
    assert shown([]) == "nothing"


def test_speeds_that_fit_better_the_best_first():
    scores = {1.0: -5.0, 2.0: -1.0, 0.5: -3.0, 1.5: -9.0}
    assert better_speeds(scores.__getitem__, (0.5, 2.0, 1.5)) == [2.0, 0.5]


def test_cleaning_by_hand():
    heard = [TimedHeard(w, i + 0.1, i + 0.9) for i, w in enumerate("ABCXXXGHI")]
    config = CleanConfig(tolerate=2, min_words=3, min_duration=1.0)
    kept, bad = good_stretches(list("ABCDEFGHI"), heard, 9.0, config)
    assert [(k.first, k.last) for k in kept] == [(0, 3), (6, 9)]
    assert [(round(k.start, 2), round(k.end, 2)) for k in kept] == [(0.0, 3.0), (6.0, 9.0)]
    assert [(b.text, b.heard) for b in bad] == [(("D", "E", "F"), ("X", "X", "X"))]
    kept, bad = good_stretches(list("ABCDEFGHI"), heard, 9.0, CleanConfig(tolerate=3))
    assert [(k.start, k.end) for k in kept] == [(0.0, 9.0)] and not bad
    kept, bad = good_stretches(list("ABPQRSTUV"), heard, 9.0, config)
    assert not kept and bad[0].text == tuple("ABPQRSTUV")
    spelt = tuple("abcdefghi")
    assert good_stretches(list("ABCDEFGHI"), heard, 9.0, config, spelt)[1][0].text == ("d", "e", "f")
