"""Cardinals, decimals, ordinals and years: how they are parsed, and where they are written in digits."""

from __future__ import annotations

from dataclasses import dataclass

from hybrid.written.sentence import Sentence, WrittenConfig, WrittenToken
from hybrid.written.tables import (
    CARDINAL_WORDS,
    CURRENCIES,
    DIGITS,
    ORDINALS,
    SCALES,
    TEENS,
    TENS,
    UNITS,
    ZEROS,
)

__all__ = ["Number", "cardinal", "digits_after_point", "number", "ordinal", "small", "suffixed", "unsure_pair",
           "write_number", "write_ordinal"]  # fmt: skip

_PLAIN = WrittenConfig()
SMALLEST = 10  # numbers below stay in words, unless something says that they count or measure
LINKS = ("or", "to", "and", "in", "by", "of")
SCALE_WORDS = ("million", "billion", "trillion", "quadrillion")  # that stay words: 400 million
LABELS = ("page", "chapter", "room", "gate", "channel", "flight", "bus", "route", "highway", "apartment", "exit",
          "platform", "terminal", "episode", "season", "version", "extension", "track", "step", "level")  # fmt: skip
_ENDS = "and or to on in at for with please of is are was from but then now the today tomorrow tonight if when by until"
ENDS = frozenset(["", *_ENDS.split()])


@dataclass(frozen=True)
class Number:
    """A number as it is written, and where.

    Attributes:
      text: digits, with sign and point.
      value: of the digits, without scale.
      last: place behind its last word.
      digits_last: place behind the digits' words; between it and `last` stands a scale (million), if any.
    """

    text: str
    value: float
    last: int
    digits_last: int

    def pieces(self, s: Sentence, first: int, before: str = "", after: str = "") -> list[WrittenToken]:
        """Tokens of the number, with signs of a currency or unit; a scale stays a word."""
        if self.digits_last == self.last:
            return [s.put(before + self.text + after, first, self.last, True)]
        return [s.put(before + self.text, first, self.digits_last, True), *s.keep(self.digits_last, self.last)]


def small(s: Sentence, i: int) -> tuple[int, int] | None:
    """Parses 1 to 99; returns the value and the place behind it."""
    word = s.at(i)
    if word in TENS:
        unit = UNITS.get(s.at(i + 1))
        return (TENS[word] + unit, i + 2) if unit else (TENS[word], i + 1)
    value = TEENS.get(word) or UNITS.get(word)
    return (value, i + 1) if value else None


def _hundreds(s: Sentence, i: int) -> tuple[int, int] | None:
    """Parses 1 to 9999 as "twenty one hundred and eleven"."""
    if (found := small(s, i)) is None:
        return None
    value, i = found
    if s.at(i) != "hundred":
        return value, i
    value, i = 100 * value, i + 1
    rest = small(s, i + (s.at(i) == "and"))
    return (value + rest[0], rest[1]) if rest and s.at(rest[1]) != "hundred" else (value, i)


def cardinal(s: Sentence, i: int) -> tuple[int, int] | None:
    """Parses a cardinal as far as it goes; returns the value and the place behind it."""
    if s.at(i) == "zero":
        return 0, i + 1
    total, limit, last = 0, 10**30, i
    while True:
        joined = total > 0 and s.at(last) == "and"
        found = _hundreds(s, last + joined)
        if found is None:
            break
        value, end = found
        scale = SCALES.get(s.at(end), 1)
        if joined and (value > 99 or scale > 1) or value * scale >= limit or (scale > 1 and scale >= limit):
            break
        if not joined and scale == 1 and s.at(end) == "hundred":
            break
        total, limit, last = total + value * scale, scale, end + (scale > 1)
        if scale == 1:
            break
    return (total, last) if last > i else None


def digits_after_point(s: Sentence, i: int) -> tuple[str, int] | None:
    """Parses "one two o five" or "eighty five" behind a point."""
    text = ""
    while s.at(i) in DIGITS or s.at(i) in ZEROS:
        text, i = text + str(DIGITS.get(s.at(i), 0)), i + 1
    if not text and (found := small(s, i)) is not None:
        text, i = str(found[0]), found[1]
    return (text, i) if text and (s.free(-9, i) or s.at(i) in SCALE_WORDS) else None


def number(s: Sentence, i: int, article: bool = False) -> Number | None:
    """Parses a signed cardinal or decimal, with a scale in words where it is round.

    Args:
      article: "a hundred" counts as "one hundred".
    """
    start = i
    if s.at(i) in ("minus", "negative"):
        if s.at(i - 1) in CARDINAL_WORDS:
            return None
        found = number(s, i + 1)
        return found and Number("-" + found.text, -found.value, found.last, found.digits_last)
    whole: tuple[int, int] | None
    if article and s.at(i) in ("a", "an") and (s.at(i + 1) == "hundred" or s.at(i + 1) in SCALES):
        if s.at(i - 1) in ("half", "of", "many", "quarter", "such", "not"):
            return None
        shown = Sentence((*s.words[:i], "one", *s.words[i + 1 :]), _PLAIN)
        return number(shown, i)
    whole = cardinal(s, i)
    end = whole[1] if whole else i
    if s.at(end) == "point" and (whole or s.at(i) == "point"):
        after = digits_after_point(s, end + 1)
        if after is None or (whole and s.at(start - 1) == "at" and whole[0] == 1):
            return None
        text, last = after
        value = float(f"{whole[0] if whole else 0}.{text}")
        scaled = last + (s.at(last) in SCALE_WORDS)
        return Number(f"{whole[0] if whole else ''}.{text}", value, scaled, last)
    if whole is None or not s.free(i, end):
        return None
    return _round(s, i, *whole)


def _round(s: Sentence, i: int, value: int, end: int) -> Number:
    """ "four hundred five billion" is 405 billion; what has more than one scale is all digits."""
    scales = [k for k in range(i, end) if s.at(k) in SCALES]
    if scales == [end - 1] and s.at(end - 1) in SCALE_WORDS:
        part = value // SCALES[s.at(end - 1)]
        if part < 1000:
            return Number(str(part), part, end, end - 1)
    return Number(str(value), value, end, end)


def unsure_pair(s: Sentence, first: int, last: int) -> int:
    """Tells where two linked numbers, of which one would stay in words, end: "two or three hundred".

    Returns:
      The place behind the words that stay spoken; 0 where the number is not linked to such a one.
    """
    before = s.at(first - 1) in LINKS and s.at(first - 2) in UNITS and s.at(first - 3) not in (*TENS, "hundred")
    if before:
        return last
    if s.at(last) in LINKS and (found := cardinal(s, last + 1)) is not None:
        after = s.at(found[1])
        money = after in CURRENCIES or after.rstrip("s") in CURRENCIES or after == "bucks"
        if s.at(last) != "and" and money or found[0] < SMALLEST and after not in CARDINAL_WORDS:
            return found[1]
    return 0


def _below(s: Sentence, i: int) -> bool:
    return s.at(i - 1) in ("is", "was", "to", "at", "below", "around", "about", "of")


def write_number(s: Sentence, i: int) -> list[WrittenToken] | None:
    """A number in a sentence, or alone."""
    found = number(s, i)
    if (
        found is None
        and s.at(i) == "a"
        and (other := number(s, i, True)) is not None
        and other.value % 100
        and other.digits_last == other.last
    ):
        found = other  # "a hundred and five", not "a hundred thousand"
    if found is None:
        return None
    last = found.last
    alone = s.alone(i, last)
    if s.at(i) == "point" and not alone:
        return None
    signed = s.at(i) in ("minus", "negative")
    if signed and not (alone or _below(s, i) or s.at(last) in ENDS | {"degrees"}):
        return None
    if s.at(i - 1) == "half" or s.joined(i) or s.fraction(last):
        return None
    if found.text.isdigit() and found.value < SMALLEST and found.digits_last == last:
        label = s.at(i - 1) in LABELS and s.at(last) in ENDS
        return [s.put(found.text, i, last)] if label and s.free(i, last) else None
    if stays := unsure_pair(s, i, last):
        return s.keep(i, stays)
    if s.at(i - 1) == "at" and last == i + 1 and found.value <= 12 and s.at(last) in ENDS:
        return None  # an hour, as "at nine"
    return found.pieces(s, i)


def ordinal(s: Sentence, i: int) -> tuple[int, int] | None:
    """Parses an ordinal; returns the value and the place behind it."""
    end = i
    while s.at(end) in CARDINAL_WORDS or (s.at(end) == "and" and end > i):
        end += 1
    if s.at(end) not in ORDINALS:
        return None
    shown = Sentence((*s.words[i:end], ORDINALS[s.at(end)]), _PLAIN)
    if end == i and ORDINALS[s.at(i)] in ("hundred", *SCALES):
        return None
    found = cardinal(shown, 0)
    return (found[0], end + 1) if found and found[1] == len(shown.words) else None


def suffixed(value: int) -> str:
    """Returns 1st, 2nd, 11th, …"""
    last = "th" if value // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value}{last}"


def write_ordinal(s: Sentence, i: int) -> list[WrittenToken] | None:
    """Ordinals from the tenth on; smaller ones only alone. Fractions and "a thirty second pause" stay."""
    found = ordinal(s, i)
    if found is None or s.at(i - 1) in CARDINAL_WORDS or s.at(found[1]) in CARDINAL_WORDS:
        return None
    value, end = found
    if s.alone(i, end):
        return [s.put(suffixed(value), i, end)]
    whole = s.at(i - 1) == "the" and s.at(end) != "of"  # "the one hundredth visitor", "one hundredth of a second"
    fraction = s.at(i) == "one" and end == i + 2 and not whole
    if value < SMALLEST or fraction or s.at(i - 1) in ("a", "an", "point") or s.joined(i):
        return None
    if s.at(end - 1) == "second" and s.at(i - 1) not in ("the", "his", "her", "my", "our", "their", "your"):
        return s.keep(i, end)
    if s.at(end - 1) == "second" and s.at(end) in ("timer", "delay", "pause", "break", "rule", "ad", "clip", "video"):
        return s.keep(i, end)
    return [s.put(suffixed(value), i, end)]
