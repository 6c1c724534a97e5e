"""Money and measures: a number with what it counts."""

from __future__ import annotations

from hybrid.written.numbers import SMALLEST, Number, number, small, unsure_pair
from hybrid.written.sentence import Sentence, WrittenToken
from hybrid.written.tables import (
    CARDINAL_WORDS,
    CURRENCIES,
    EVERYDAY,
    LONGEST_UNIT,
    MEASURES,
    PART_PLURALS,
    PARTS,
    SAME_PLURAL,
    SYMBOL,
    UNITS,
)

__all__ = ["write_measure", "write_money"]

PAID = ("pay", "paid", "pays", "cost", "costs", "spend", "spent", "price", "priced", "owe", "owes", "worth", "charge",
        "charged", "fee", "fine", "bill", "budget", "salary", "transfer", "send", "buy", "bought", "sold",
        "sell")  # fmt: skip
TIMERS = ("timer", "alarm", "remind", "reminder", "snooze", "countdown", "stopwatch")
TIMES = ("hour", "hours", "minute", "minutes", "second", "seconds")


def write_money(s: Sentence, i: int) -> list[WrittenToken] | None:
    """Dollars, euros, … with cents; pounds only where they are paid."""
    found = _colloquial(s, i) or number(s, i, article=True)
    if found is None or s.at(i - 1) in CARDINAL_WORDS or s.at(i) in ("point", "minus", "negative"):
        return None
    named = _currency(s, found.last, found.text == "1" and found.last == found.digits_last)
    if named is None:
        return None
    unit, end, adjective = named
    if unit == "pound" and not (_cents(s, end, unit) or s.has(PAID) or s.at(end) == "sterling"):
        return None
    if s.joined(i):
        return s.keep(i, end)
    if stays := unsure_pair(s, i, found.last):
        return s.keep(i, max(stays, end))
    sign = CURRENCIES[unit]
    cents = None if adjective or not found.text.isdigit() or found.digits_last < found.last else _cents(s, end, unit)
    if cents is not None:
        return [s.put(f"{sign}{found.text}.{cents[0]:02}", i, cents[1], True)]
    if found.digits_last < found.last:  # $45 million
        return [s.put(sign + found.text, i, found.digits_last, True), WrittenToken(s.spoken[found.digits_last],
                                                                            found.digits_last, end)]  # fmt: skip
    return [s.put(sign + found.text, i, end, True)]


def _colloquial(s: Sentence, i: int) -> Number | None:
    """ "one fifty five" before a currency: 155."""
    two = small(s, i + 1)
    if s.at(i) not in UNITS or two is None or two[0] < 10 or s.at(two[1]) in CARDINAL_WORDS:
        return None
    value = 100 * UNITS[s.at(i)] + two[0]
    return Number(str(value), value, two[1], two[1])


def _currency(s: Sentence, i: int, one: bool) -> tuple[str, int, bool] | None:
    """The unit, the place behind it, and whether it stands before what has the price ("a five dollar bill")."""
    start = i
    if s.says(i, ("united", "states")) or s.says(i, ("us",)) or s.says(i, ("u", "s")):
        i += 1 if s.at(i) == "us" else 2
    word = s.at(i)
    single = word.removesuffix("s") if word not in CURRENCIES else word
    if single not in CURRENCIES or (i > start and single != "dollar"):
        return None
    plural = word != single or single in SAME_PLURAL
    if plural == one and single not in SAME_PLURAL:
        if one or s.at(i + 1) in ("", "and"):
            return None  # "one dollars", "five dollar": misheard
        return single, i + 1, True
    return single, i + 1, False


def _cents(s: Sentence, i: int, unit: str) -> tuple[int, int] | None:
    """ "and fifty cents" behind the unit, or "fifty" alone."""
    if unit not in PARTS:
        return None
    start = i + (s.at(i) == "and")
    found = small(s, start)
    if found is None or s.at(found[1]) in CARDINAL_WORDS:
        return None
    if PART_PLURALS.get(s.at(found[1])) == PARTS[unit]:
        return found[0], found[1] + 1
    short = start == i and s.at(found[1]) == "" and found[0] >= 10
    return found if short else None


def write_measure(s: Sentence, i: int) -> list[WrittenToken] | None:
    """A number with a unit: with its symbol where it has one that everybody writes, else with the word."""
    found = number(s, i) or number(s, i, article=True)
    if found is None or s.at(i - 1) in CARDINAL_WORDS:
        return None
    units = _units(s, found.last)
    if not units or s.joined(i):
        return None
    end, kind = units[-1][2], units[0][3]
    if s.at(i) == "point" and s.at(i - 1) in ("this", "that", "the", "which", "what", "some", "my", "your"):
        return None
    if stays := unsure_pair(s, i, found.last):
        return s.keep(i, max(stays, end if stays == found.last else stays))
    if s.nemo and s.at(i) not in ("a", "an"):
        return [*found.pieces(s, i), *(s.put(unit[0], unit[1], unit[2], True) for unit in units)]
    if kind == SYMBOL:
        if units[0][0] in ("%", "°C", "°F") and found.last == found.digits_last:
            return [s.put(found.text + units[0][0], i, end, True)]
        return [*found.pieces(s, i), *(s.put(unit[0], unit[1], unit[2], True) for unit in units)]
    timed = s.has(TIMERS) and s.at(found.last) in TIMES
    decimal = not found.text.lstrip("-").isdigit() or found.digits_last < found.last
    if s.at(i) in ("a", "an") or (kind == EVERYDAY and abs(found.value) < SMALLEST and not timed and not decimal):
        return None
    return [*found.pieces(s, i), *s.keep(found.last, end)]


def _units(s: Sentence, i: int) -> list[tuple[str, int, int, str]]:
    """Parses a unit: (symbol, first word, behind its last word, kind) of each token."""
    start = i + (s.at(i) == "per" and s.nemo)
    for count in range(min(LONGEST_UNIT, len(s.words) - start), 0, -1):
        entry = MEASURES.get(s.words[start : start + count])
        if entry is None:
            continue
        symbol, kind = entry[1 if s.nemo else 0], entry[2]
        parts = symbol.split()
        if len(parts) == 2:
            return [(parts[0], i, start + 1, kind), (parts[1], start + 1, start + count, kind)]
        return [(("/" if start > i else "") + symbol, i, start + count, kind)]
    return []
