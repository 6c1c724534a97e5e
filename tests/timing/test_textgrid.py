"""TextGrids: the file by hand in both forms, there and back, damaged files."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from hybrid.formats.praat import LabelledTime, TextGrid, Tier, format_textgrid, read_textgrid, write_textgrid
from hybrid.timing.ctm import TimedLabel
from hybrid.timing.textgrid import textgrid_of
from hybrid.timing.timed_text import TimedText, TimedWord

GRID = TextGrid(0.0, 1.5, (Tier("words", (LabelledTime("", 0.0, 0.5), LabelledTime('say "a"', 0.5, 1.5))),))

LONG = '''File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0~
xmax = 1.5~
tiers? <exists>~
size = 1~
item []:~
    item [1]:
        class = "IntervalTier"~
        name = "words"~
        xmin = 0~
        xmax = 1.5~
        intervals: size = 2~
        intervals [1]:
            xmin = 0~
            xmax = 0.5~
            text = ""~
        intervals [2]:
            xmin = 0.5~
            xmax = 1.5~
            text = "say ""a"""~
'''.replace("~", " ")  # Praat writes spaces at the ends of lines

SHORT = '''File type = "ooTextFile"
Object class = "TextGrid"

0
1.5
<exists>
1
"IntervalTier"
"words"
0
1.5
2
0
0.5
""
0.5
1.5
"say ""a"""
'''


def test_both_forms_by_hand():
    assert format_textgrid(GRID) == LONG
    assert format_textgrid(GRID, short=True) == SHORT


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("text", [LONG, SHORT])
def test_both_forms_are_read(tmp_path, text, encoding):
    (tmp_path / "a.TextGrid").write_text(text, encoding=encoding)
    assert read_textgrid(tmp_path / "a.TextGrid") == GRID


labels = st.lists(st.tuples(st.text("aé\"' 1\n", max_size=6), st.integers(1, 10_000)), min_size=1, max_size=6)


@settings(max_examples=50, deadline=None)
@given(labels, st.booleans())
def test_there_and_back(tmp_path_factory, items, short):
    path, last, intervals = tmp_path_factory.mktemp("grid") / "a.TextGrid", 0, []
    for label, milliseconds in items:
        intervals.append(LabelledTime(label, last / 1000, (last + milliseconds) / 1000))
        last += milliseconds
    write_textgrid(path, TextGrid(0.0, last / 1000, (Tier("a", tuple(intervals)),)), short)
    found = read_textgrid(path).tiers[0].intervals
    assert [i.label for i in found] == [i.label for i in intervals]
    assert [i.end for i in found] == pytest.approx([i.end for i in intervals], abs=1e-6)


def test_tiers_cover_the_recording():
    word = TimedWord("HI", 1.0, 0.5, phones=(TimedLabel("H", 1.0, 0.2), TimedLabel("AI", 1.2, 0.3)))
    text = TimedText("u", "r", 0.8, 1.0, (word,), "ann")
    grid = textgrid_of([text], end=3.0)
    assert [(t.name, [i.label for i in t.intervals]) for t in grid.tiers] == [
        ("words", ["", "HI", ""]), ("phones", ["", "H", "AI", ""])
    ]  # fmt: skip
    assert grid.tiers[0].intervals[0].start == 0 and grid.tiers[0].intervals[-1].end == 3.0


@pytest.mark.parametrize("text", ["", "hello", LONG[:200], SHORT[: SHORT.index("1.5\n2")], SHORT[:-12]])
def test_damaged_files_are_refused(tmp_path, text):
    (tmp_path / "a.TextGrid").write_text(text)
    with pytest.raises(InputError, match="TextGrid: is "):
        read_textgrid(tmp_path / "a.TextGrid")


def test_a_path_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a.TextGrid: cannot be made, since .*file is a file. Choose another name."):
        write_textgrid(tmp_path / "file" / "a.TextGrid", GRID)


def test_each_of_several_speakers_has_tiers_of_their_own_and_may_speak_at_once():
    one = TimedText("u", "r", 0.0, 1.0, (TimedWord("HI", 0.0, 1.0, phones=(TimedLabel("H", 0.0, 1.0),)),), "bob")
    other = TimedText("v", "r", 0.5, 1.0, (TimedWord("YO", 0.5, 1.0, guessed=True),), "ann")
    grid = textgrid_of([one, other])
    assert [tier.name for tier in grid.tiers] == [
        "ann - words", "ann - phones", "ann - guessed", "bob - words", "bob - phones"
    ]  # fmt: skip
    assert [i.label for i in grid.tiers[0].intervals] == ["", "YO"] and grid.end == 1.5


def test_intervals_with_gaps_or_without_end_are_refused():
    with pytest.raises(ValueError, match="tier 'a': an interval ends at 1"):
        Tier("a", (LabelledTime("x", 0.0, 1.0), LabelledTime("y", 2.0, 3.0)))
    for start, end in ((1.0, 1.0), (1.0, float("inf")), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match="tier 'a': an interval without length, or without end"):
            Tier("a", (LabelledTime("x", start, end),))
