"""Dates and years: "july twenty fifth twenty twelve", "the twenty fifth of july", "in nineteen oh five"."""

from __future__ import annotations

from hybrid.written.numbers import SMALLEST, cardinal, ordinal, small, suffixed
from hybrid.written.sentence import Sentence, WrittenToken
from hybrid.written.tables import (
    CARDINAL_WORDS,
    CURRENCIES,
    DECADES,
    MEASURES,
    MONTHS,
    NAMES,
    TEENS,
    TENS,
    UNITS,
    ZEROS,
)

__all__ = ["write_date", "write_year"]

DATE_CUES = ("on", "of", "by", "until", "till", "since", "from", "before", "after", "next", "last", "through", "for",
             "is", "to", "date", "born", "due")  # fmt: skip
YEAR_CUES = ("in", "since", "of", "by", "from", "until", "till", "before", "after", "during", "year", "circa", "around",
             "about", "between", "late", "early", "mid", "spring", "summer", "autumn", "fall", "winter", "class",
             *MONTHS)  # fmt: skip
LINKS = ("to", "and", "or", "through", "until")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def write_date(s: Sentence, i: int) -> list[WrittenToken] | None:
    """A month with a day, a year or both, in either order."""
    if s.at(i) == "the" or s.at(i) in CARDINAL_WORDS or ordinal(s, i):
        return _day_first(s, i)
    if s.at(i) not in MONTHS:
        return None
    if (year := _year(s, i + 1)) is not None and not _named(s, i):
        return [*s.keep(i, i + 1), s.put(year[0], i + 1, year[1])]
    start = i + 1 + (s.at(i + 1) == "the")
    day = ordinal(s, start)
    sure = day is not None
    if day is None:
        day = small(s, start)
        sure = s.at(i - 1) in ("on", *DAYS)
    if day is None or not 1 <= day[0] <= 31:
        return None
    last = day[1]
    year = _year(s, last + (s.at(last) == "of"))
    if year is None and s.at(last) in CARDINAL_WORDS:
        return None
    known = s.at(i - 1) in (*DATE_CUES, *DAYS) or s.alone(i, last) or year is not None
    if not known and (not sure or s.at(i) in NAMES or s.at(last - 1) == "second" and s.at(last) == "of"):
        return None
    pieces = [*s.keep(i, i + 1), s.put(str(day[0]), i + 1, last)]
    return pieces if year is None else [*pieces, s.put(year[0], last, year[1])]


def _named(s: Sentence, i: int) -> bool:
    """Whether a month's name may be another word, so that a number behind it need not be a year."""
    return s.at(i) in NAMES and s.at(i - 1) not in (*DATE_CUES, "in", "during", "") and i > 0


def _day_first(s: Sentence, i: int) -> list[WrittenToken] | None:
    start = i + (s.at(i) == "the")
    day = ordinal(s, start)
    if day is None or not 1 <= day[0] <= 31 or s.at(day[1]) != "of" or s.at(day[1] + 1) not in MONTHS:
        return None
    month = day[1] + 1
    last = month + 1
    year = _year(s, last)
    if year is None and (s.at(last) in CARDINAL_WORDS or (day[0] < SMALLEST and not s.nemo)):
        return None
    tail = s.keep(month, last) if year is None else [*s.keep(month, last), s.put(year[0], last, year[1])]
    if s.nemo:
        return [s.put(str(day[0]), i, month), *tail]
    return [*s.keep(i, start), s.put(suffixed(day[0]), start, day[1]), *s.keep(day[1], month), *tail]


def _year(s: Sentence, i: int) -> tuple[str, int] | None:
    """Parses a year of four digits; nothing of a number may follow."""
    found = _pairs(s, i)
    if found is None and (whole := cardinal(s, i)) is not None and 1000 <= whole[0] <= 2999 and s.at(i) != "a":
        found = str(whole[0]), whole[1]
    return found if found and s.at(found[1]) not in CARDINAL_WORDS else None


def _pairs(s: Sentence, i: int) -> tuple[str, int] | None:
    century = TEENS.get(s.at(i)) or (20 if s.at(i) == "twenty" else None)
    if century is None:
        return None
    if s.at(i + 1) in ZEROS and s.at(i + 2) in UNITS:
        return f"{century}0{UNITS[s.at(i + 2)]}", i + 3
    two = small(s, i + 1)
    return (f"{century}{two[0]}", two[1]) if two and two[0] >= 10 else None


def write_year(s: Sentence, i: int) -> list[WrittenToken] | None:
    """A year said in pairs, where nothing else can be meant or the words before it say so; a decade; a quarter."""
    if s.at(i - 1) in CARDINAL_WORDS:
        return None
    century = TEENS.get(s.at(i))
    if century is not None and s.at(i + 1) in DECADES:
        return [s.put(f"{century}{DECADES[s.at(i + 1)]}s", i, i + 2)]
    if s.nemo and s.at(i + 1) == "quarter" and s.at(i + 2) == "of":
        which, year = ordinal(s, i), _year(s, i + 3)
        if which and which[1] == i + 1 and year and which[0] <= 4:
            return [s.put(f"Q{which[0]}", i, i + 3), s.put(year[0], i + 3, year[1])]
    found = _pairs(s, i)
    if found is None or s.at(found[1]) in CARDINAL_WORDS or any(s.at(found[1]) in unit for unit in MEASURES):
        return None
    text, last = found
    if s.at(last).removesuffix("s") in (*CURRENCIES, "cent", "time", "people"):
        return s.keep(i, last)  # 19.99 or 1999
    pair = divmod(int(text), 100)
    odd = pair[0] in (16, 17, 18, 19) and pair[1] % 10 and pair[1] not in (pair[0] + 1, pair[0] + 2)
    clock = int(text[:2]) <= 12 and int(text[2:]) < 60
    linked = (
        not clock and s.at(last) in LINKS and _pairs(s, last + 1) or (s.at(i - 1) in LINKS and s.last_year == i - 1)
    )
    if linked or s.alone(i, last) or odd or s.at(i - 1) in YEAR_CUES or s.at(i + 1) in ZEROS and s.at(i) not in TENS:
        s.last_year = last
        return [s.put(text, i, last)]
    return s.keep(i, last)
