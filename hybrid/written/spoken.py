"""Written text as it is spoken: numbers, times, dates and money in words; for the texts of language models.

spoken_text("At 5:45 p.m. he paid $4.69.")  →  "At five forty five p m he paid four dollars and sixty nine cents."

American readings: "three hundred sixty five", years in pairs. What is no number, nor a title before a name, stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from hybrid.written.tables import CURRENCIES, DIGITS, MONTHS, ORDINALS, PARTS, SAME_PLURAL, SCALES, TEENS, TENS

__all__ = ["cardinal_words", "digit_words", "ordinal_words", "spoken_text", "year_words"]

_SMALL = {value: word for table in (DIGITS, TEENS, TENS) for word, value in table.items()}
_LARGE = sorted(((v, w) for w, v in SCALES.items() if w not in ("lakh", "crore")), reverse=True)
_CARDINAL_TO_ORDINAL = {cardinal: word for word, cardinal in ORDINALS.items() if word != "twelveth"}
_MONTH_NAMES = tuple(MONTHS)
LONGEST = 27  # digits of a number that is no code

_SYMBOLS = {
    "km/h": "kilometers per hour", "mph": "miles per hour", "km": "kilometers", "cm": "centimeters",
    "mm": "millimeters", "kg": "kilograms", "mg": "milligrams", "MHz": "megahertz", "GHz": "gigahertz",
    "kHz": "kilohertz", "Hz": "hertz", "GB": "gigabytes", "MB": "megabytes", "kW": "kilowatts", "MW": "megawatts",
    "kWh": "kilowatt hours", "lbs": "pounds", "oz": "ounces", "ft": "feet", "km²": "square kilometers",
    "m²": "square meters", "°C": "degrees celsius", "°F": "degrees fahrenheit", "°": "degrees",
    "%": "percent",
}  # fmt: skip
_FRACTIONS = {"½": "one half", "¼": "one quarter", "¾": "three quarters", "⅓": "one third", "⅔": "two thirds",
              "1/2": "one half", "1/4": "one quarter", "3/4": "three quarters", "1/3": "one third",
              "2/3": "two thirds"}  # fmt: skip
_SINGULAR = {"degrees celsius": "degree celsius", "degrees": "degree", "feet": "foot", "kilometers": "kilometer",
             "kilograms": "kilogram", "gigabytes": "gigabyte", "pounds": "pound"}  # fmt: skip
_TITLES = {"mr": "mister", "mrs": "missus", "dr": "doctor"}


def cardinal_words(value: int) -> str:
    """Returns "three hundred sixty five" for 365.

    Raises:
      ValueError: a number of more than `LONGEST` digits.
    """
    if value < 0:
        return f"minus {cardinal_words(-value)}"
    if value >= 10**LONGEST:
        raise ValueError(f"a number has more than {LONGEST} digits")
    if value < 20:
        return _SMALL[value]
    if value < 100:
        return _SMALL[value - value % 10] + (f" {_SMALL[value % 10]}" if value % 10 else "")
    size, name = (100, "hundred") if value < 1000 else next((v, w) for v, w in _LARGE if v <= value)
    rest = f" {cardinal_words(value % size)}" if value % size else ""
    return f"{cardinal_words(value // size)} {name}{rest}"


def ordinal_words(value: int) -> str:
    """Returns "twenty third" for 23."""
    head, blank, last = cardinal_words(value).rpartition(" ")
    return f"{head}{blank}{_CARDINAL_TO_ORDINAL[last]}"


def year_words(year: int) -> str:
    """Returns "nineteen eighty four" for 1984, "two thousand nine" for 2009."""
    century, rest = divmod(year, 100)
    if not 1100 <= year <= 2099 or century == 20 and rest < 10:
        return cardinal_words(year)
    if rest == 0:
        return f"{cardinal_words(century)} hundred"
    return f"{cardinal_words(century)} {'oh ' if rest < 10 else ''}{cardinal_words(rest)}"


def digit_words(digits: str) -> str:
    """Returns each digit as a word."""
    return " ".join(_SMALL[int(d)] for d in digits if d.isascii() and d.isdigit())


def _number(text: str) -> str:
    """A cardinal or decimal with commas between thousands; codes (leading zeros, very long) digit by digit."""
    text = text.replace(",", "")
    whole, point, fraction = text.partition(".")
    if len(whole) > LONGEST or (len(whole) > 1 and whole[0] == "0"):
        said = digit_words(whole)
    else:
        said = cardinal_words(int(whole)) if whole else ""
    return f"{said} point {digit_words(fraction)}".strip() if point else said


def _money(match: re.Match[str]) -> str:
    unit = next(name for name, sign in CURRENCIES.items() if sign == match["sign"])
    amount, scale = match["amount"], match["scale"]
    whole, _, cents = amount.partition(".")
    many = unit if unit in SAME_PLURAL else unit + "s"
    if scale or len(cents) not in (0, 2) or unit not in PARTS:
        one = amount == "1" and not scale
        return f"{_number(amount)} {scale.lower() + ' ' if scale else ''}{unit if one else many}"
    part = PARTS[unit]
    parts = {"penny": "pence", "paisa": "paise"}.get(part, part + "s")
    said = []
    if int(whole.replace(",", "") or 0) or not int(cents or 0):
        said.append(f"{_number(whole)} {unit if whole == '1' else many}")
    if int(cents or 0):
        said.append(f"{cardinal_words(int(cents))} {part if int(cents) == 1 else parts}")
    return " and ".join(said)


def _time(match: re.Match[str]) -> str:
    hour, minute = int(match["hour"]), int(match["minute"] or 0)
    half = f" {match['half'].lower()} m" if match["half"] else ""
    if hour > 24 or minute > 59:
        return match[0]
    if minute:
        return f"{cardinal_words(hour)} {'oh ' if minute < 10 else ''}{cardinal_words(minute)}{half}"
    if half:
        return cardinal_words(hour) + half
    return f"{cardinal_words(hour)} o'clock" if 1 <= hour <= 12 else f"{cardinal_words(hour)} hundred hours"


def _month_first(match: re.Match[str]) -> str:
    year = f" {year_words(int(match['year']))}" if match["year"] else ""
    day = int(match["day"] or 0)
    return match[0] if day > 31 else f"{match['month']}{' ' + ordinal_words(day) if day else ''}{year}"


def _day_first(match: re.Match[str]) -> str:
    year = f" {year_words(int(match['year']))}" if match["year"] else ""
    day = int(match["day"])
    return match[0] if not 1 <= day <= 31 else f"the {ordinal_words(day)} of {match['month']}{year}"


def _iso(match: re.Match[str]) -> str:
    month = _MONTH_NAMES[int(match["month"]) - 1]
    return f"{month} {ordinal_words(int(match['day']))} {year_words(int(match['year']))}"


def _measure(match: re.Match[str]) -> str:
    unit = _SYMBOLS[match["unit"]]
    if match["number"] == "1":
        unit = _SINGULAR.get(unit, unit)
    return f"{_whole(match)} {unit}"


def _whole(match: re.Match[str]) -> str:
    """A number without any sign of what it counts: four digits are a year."""
    text = match["number"]
    sign = "minus " if match["minus"] else ""
    year = text.isdigit() and len(text) == 4 and 1100 <= int(text) <= 2099 and "unit" not in match.groupdict()
    said = year_words(int(text)) if year and not sign else _number(text)
    if not match["range"]:
        return sign + said
    last = match["range"][1:]
    return f"{sign}{said} to {year_words(int(last)) if year and len(last) == 4 else _number(last)}"


def _dotted(match: re.Match[str]) -> str:
    return " dot ".join(map(digit_words, match[0].split(".")))


def _decade(match: re.Match[str]) -> str:
    century, decade = divmod(int(match["decade"]), 100)
    if decade:
        return f"{cardinal_words(century)} {_SMALL[decade][:-1]}ies"
    return f"{year_words(int(match['decade']))}s"


def _rule(pattern: str, say: Callable[[re.Match[str]], str], case: bool = False) -> _Rule:
    """What matches where no word, number or sign runs on from before; without regard to case unless `case`."""
    return re.compile(r"(?<![\w.,/:-])" + pattern, 0 if case else re.IGNORECASE), say


_Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]
_MONTH = rf"(?P<month>{'|'.join(_MONTH_NAMES)})"
_DAY = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>[12][0-9]{3})"
_END = r"(?![\w/]|[.,:-][0-9])"
_AMOUNT = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?"
_NUMBER = rf"(?P<minus>[-−])?(?P<number>{_AMOUNT}|\.[0-9]+)(?P<range>[-–][0-9]+)?"
_MONEY = rf"(?P<sign>[$€£¥₹₩])(?P<amount>{_AMOUNT})(?: (?P<scale>thousand|million|billion|trillion)\b)?"
_CLOCK = r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?: ?(?P<half>[ap])(?:\. ?m\.?|m)(?!\w))?(?![\w:])"
_UNIT = rf"(?P<unit>{'|'.join(map(re.escape, sorted(_SYMBOLS, key=len, reverse=True)))})(?!\w)"

RULES: tuple[_Rule, ...] = (
    _rule(rf"{_MONTH}\.? {_DAY}(?:,? {_YEAR})?{_END}", _month_first),
    _rule(rf"(?:the )?{_DAY} (?:of )?{_MONTH}(?:,? {_YEAR})?{_END}", _day_first),
    _rule(rf"{_YEAR}-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12][0-9]|3[01]){_END}", _iso),
    _rule(rf"{_MONTH},? (?P<day>){_YEAR}{_END}", _month_first),
    _rule(_CLOCK, _time),
    _rule(r"(?P<hour>1[0-2]|0?[1-9])(?P<minute>) ?(?P<half>[ap])(?:\. ?m\.?|m)(?!\w)", _time),
    _rule(_MONEY, _money),
    _rule(r"(?:\+?[0-9]-)?(?:[0-9]{3}-)?[0-9]{3}-[0-9]{4}(?![\w-])", lambda match: digit_words(match[0])),
    _rule(r"[0-9]{1,3}(?:\.[0-9]{1,3}){2,3}(?![\w.]*[0-9])", _dotted),
    _rule(r"(?P<decade>[12][0-9][0-9]0)'?s\b", _decade),
    _rule(r"(?P<value>[0-9]{1,9})(?:st|nd|rd|th)\b", lambda match: ordinal_words(int(match["value"]))),
    _rule(rf"(?:{'|'.join(_FRACTIONS)})(?![\w/])", lambda match: _FRACTIONS[match[0]]),
    _rule(r"no\. ?(?=[0-9])", lambda match: "number "),
    _rule(r"(?P<title>mr|mrs|dr)\. (?=\w)", lambda match: _TITLES[match["title"].lower()] + " "),
    _rule(rf"{_NUMBER} ?{_UNIT}", _measure, case=True),
    _rule(rf"{_NUMBER}(?![\w/]|[.,:][0-9])", _whole),
)


def spoken_text(text: str) -> str:
    """Returns a line of text with numbers, times, dates and money in words, in lower case; the rest as it is."""
    if not any(c.isdigit() or c in "½¼¾⅓⅔." for c in text):
        return text
    for pattern, say in RULES:
        text = pattern.sub(say, text)
    return text
