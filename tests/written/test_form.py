"""Written form: the committed sentences, a public table of phrases, laws of numbers, times and dates, spans."""

from __future__ import annotations

import datetime
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hybrid.written.form import WrittenForm
from hybrid.written.rewriting import Rules
from hybrid.written.sentence import WrittenConfig, WrittenToken
from hybrid.written.spoken import cardinal_words, ordinal_words, spoken_text, year_words
from hybrid.written.tables import CARDINAL_WORDS, CURRENCIES, MEASURES, MONTHS, ORDINALS

PLAIN, NEMO = WrittenForm(), WrittenForm(WrittenConfig("nemo"))
MONTH_NAMES = tuple(MONTHS)
SENTENCES = [
    line.split("\t") for line in (Path(__file__).parent / "sentences.tsv").read_text(encoding="utf-8").splitlines()
]


def wrong(form: WrittenForm, rows: list[list[str]]) -> list[tuple[str, str, str]]:
    shown = [(spoken, form.text(spoken.split()), written) for _, spoken, written in rows]
    return [row for row in shown if row[1] != row[2]]


def test_sentences_of_commands_and_dictation() -> None:
    assert len(SENTENCES) >= 200 and sum(kind == "trap" for kind, _, _ in SENTENCES) >= 80
    assert wrong(PLAIN, SENTENCES) == []


@pytest.mark.real
def test_isolated_phrases(corpora: Path) -> None:
    lines = (corpora / "itn" / "en.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line.count("\t") == 2]
    bad = wrong(NEMO, rows)
    assert len(bad) <= 0.01 * len(rows), bad
    assert Counter(kind for kind, spoken, _ in rows if spoken in {s for s, _, _ in bad}) == {"telephone": 2}


@pytest.mark.real
def test_books_read_aloud(corpora: Path) -> None:
    """dev-clean's transcripts: what is changed is a title, a year, a day, a time, or a count of ten or more."""
    changed: Counter[str] = Counter()
    for file in sorted((corpora / "LibriSpeech" / "dev-clean").glob("*/*/*.trans.txt")):
        for line in file.read_text(encoding="utf-8").splitlines():
            words = line.split()[1:]
            for piece in PLAIN.pieces(words):
                said = " ".join(words[piece.first : piece.last])
                if said != piece.text:
                    changed["title" if piece.text in ("MR.", "MRS.") else f"{said} → {piece.text}"] += 1
    assert changed.pop("title") == 15
    assert sum(changed.values()) <= 25
    assert {"HALF PAST THREE O'CLOCK → 3:30", "NINETEEN O SIX → 1906", "EIGHTEEN SIXTY THREE → 1863"} <= set(changed)
    small = {"FIRST → 1"}  # of May eighteen seventy one
    assert {change for change in changed if change.partition(" → ")[2] in map(str, range(10))} == small


@given(st.integers(0, 10**6))
def test_a_number_that_was_spoken_is_written_as_it_was(value: int) -> None:
    words = cardinal_words(value).split()
    digits = "1 million" if value == 10**6 else str(value)
    assert NEMO.text([*words, "percent"]) == f"{digits} %"
    assert PLAIN.text(words) == (digits if value >= 10 else cardinal_words(value))


@pytest.mark.slow
def test_every_number_to_a_million() -> None:
    for value in range(10, 10**6):
        assert PLAIN.text(cardinal_words(value).split()) == str(value)


@given(st.integers(10, 99_999))
@example(100)
@example(1000)
def test_an_ordinal_that_was_spoken_is_written_as_it_was(value: int) -> None:
    last = "th" if value // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    assert PLAIN.text(["the", *ordinal_words(value).split(), "floor"]) == f"the {value}{last} floor"


def test_all_times_of_a_day() -> None:
    for hour in range(24):
        for minute in range(60):
            clock = f"{hour}:{minute:02}"
            said = spoken_text(f"at {clock}")
            expected = f"at {hour} o'clock" if minute == 0 and 1 <= hour <= 12 else f"at {clock}"
            assert PLAIN.text(said.split()) == expected, said
            short = f"{(hour - 1) % 12 + 1}:{minute:02} {'a' if hour < 12 else 'p'}.m."
            told = PLAIN.text(spoken_text(short).split())
            assert told == (short if minute else short.replace(":00", "")), short


def test_all_dates_of_four_years() -> None:
    day = datetime.date(2023, 1, 1)
    while day.year < 2027:
        month = MONTH_NAMES[day.month - 1]
        for written in (f"{month} {day.day} {day.year}", f"{day.day} {month} {day.year}"):
            assert NEMO.text(spoken_text(written).split()) == written
        assert PLAIN.text(spoken_text(f"on {month} {day.day}").split()) == f"on {month} {day.day}"
        day += datetime.timedelta(1)


def test_years() -> None:
    for year in range(1100, 2100):
        assert PLAIN.text(["in", *year_words(year).split()]) == f"in {year}"


WORDS = sorted({*CARDINAL_WORDS, *ORDINALS, *MONTH_NAMES, *CURRENCIES, "dollars", "cents", "point", "at", "the", "of",
                "and", "o'clock", "p", "m", "a", "oh", "double", "dot", "com", "slash", "minus", "half", "past", "to",
                "quarter", "or", "call", "percent", "in", "mister", "x", "one", "two",
                *(word for unit in MEASURES for word in unit if len(word) < 9)})  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=12), st.sampled_from([PLAIN, NEMO]))
def test_tokens_follow_each_other_and_stand_for_all_words(words: list[str], form: WrittenForm) -> None:
    pieces = form.pieces(words)
    assert [piece.first for piece in pieces] == [0, *(piece.last for piece in pieces)][: len(pieces)]
    assert sum(piece.last - piece.first for piece in pieces) == len(words)
    assert all(piece.text and not any(c.isspace() for c in piece.text) for piece in pieces)


def test_spans_and_capitals() -> None:
    words = ["CALL", "PETER", "AT", "A", "QUARTER", "TO", "SIX", "P", "M", "FOR", "TWO", "HUNDRED", "DOLLARS"]
    assert PLAIN.pieces(words)[3:5] == [WrittenToken("5:45", 3, 7), WrittenToken("P.M.", 7, 9)]
    assert PLAIN.text(words) == "CALL PETER AT 5:45 P.M. FOR $200"
    assert PLAIN.text(["HE", "RAN", "FIVE", "KILOMETERS"]) == "HE RAN 5 km"
    assert [(p.text, p.first, p.last) for p in PLAIN.pieces(["forty", "five", "million", "dollars"])] == [
        ("$45", 0, 2), ("million", 2, 4)
    ]  # fmt: skip


def test_rules_before_and_after() -> None:
    before = Rules(((("seven", "eleven"), ("7-Eleven",)), (("quarter", "to", "six"), ("quarter", "to", "six"))))
    after = Rules(((("5:45", "p.m."), ("17:45",)),))
    assert WrittenForm(before=before).text(["the", "seven", "eleven", "on", "main"]) == "the 7-Eleven on main"
    assert WrittenForm(before=before).text(["at", "a", "quarter", "to", "six"]) == "at a quarter to six"
    pieces = WrittenForm(after=after).pieces(["at", "five", "forty", "five", "p", "m"])
    assert pieces == [WrittenToken("at", 0, 1), WrittenToken("17:45", 1, 6)]
    assert PLAIN.pieces([]) == []


def test_a_style_that_is_none() -> None:
    with pytest.raises(ValueError, match="style is 'loud', wanted plain or nemo"):
        WrittenConfig("loud")  # type: ignore[arg-type]
