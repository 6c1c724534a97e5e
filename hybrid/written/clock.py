"""Times of day: "a quarter to six", "five forty five p m", "eight o'clock g m t"."""

from __future__ import annotations

from hybrid.written.numbers import ENDS, small
from hybrid.written.sentence import Sentence, WrittenToken
from hybrid.written.tables import CARDINAL_WORDS, TEENS, UNITS, ZEROS, ZONES

__all__ = ["write_time"]

CUES = (
    "at",
    "by",
    "until",
    "till",
    "before",
    "after",
    "around",
    "about",
    "from",
    "since",
    "for",
    "it's",
    "than",
    "between",
)
FOLLOW = ENDS | {"this", "every", "next", "sharp", "because", "so", "i", "we", "he", "she", "they", "you", "it", "my",
                 "our", "exactly", "each", "as", "not", "will", "would", "daily", "monday", "tuesday", "wednesday",
                 "thursday", "friday", "saturday", "sunday", "works", "instead", "train", "bus", "flight",
                 "meeting", "appointment", "call", "alarm"}  # fmt: skip
MINUTE_WORDS = ("minute", "minutes", "min", "mins")
HOURS = {w: n for w, n in {**UNITS, **TEENS}.items() if n <= 12}


def write_time(s: Sentence, i: int) -> list[WrittenToken] | None:
    """A time of day, with a.m. or p.m. and a time zone where they were said."""
    found = _by_quarter(s, i) or _oclock(s, i) or _digital(s, i)
    if found is None:
        return None
    hour, minute, last, sure = found
    half, end = _meridiem(s, last)
    zone, stop = _zone(s, end)
    if not (half or sure or s.alone(i, stop) or (_cued(s, i) and _followed(s, stop))):
        return None
    if minute is None and not (half or last > i + 1):
        return None
    if s.at(i - 1) in ("or", "to", "and") and s.at(i - 2) in HOURS and s.last_time != i - 1:
        return s.keep(i, stop)  # "from five to seven o'clock"
    pieces = _shown(s, hour, minute, i, last, bool(half))
    if half:
        pieces.append(s.put(half, last, end))
    if zone:
        pieces.append(s.put(zone, end, stop))
    s.last_time = stop
    return pieces


def _shown(s: Sentence, hour: int, minute: int | None, first: int, last: int, half: bool) -> list[WrittenToken]:
    if s.nemo:
        return [s.put(f"{hour:02}:{minute or 0:02}", first, last)]
    if minute is None and half:
        return [s.put(str(hour), first, last)]
    if minute is None and last > first + 1 and "clock" in s.at(last - 1):  # five o'clock
        return [s.put(str(hour), first, first + 1), s.put("o'clock", first + 1, last)]
    return [s.put(f"{hour}:{minute or 0:02}", first, last)]


def _cued(s: Sentence, i: int) -> bool:
    before = s.at(i - 1)
    if before == "is":
        return s.at(i - 2) in ("it", "time", "now") or s.at(i - 3) == "time"
    if before in ("to", "and", "or", "through"):
        return s.last_time == i - 1 or (before == "to" and s.has(("alarm", "meeting", "appointment", "reservation")))
    return before in CUES


def _followed(s: Sentence, end: int) -> bool:
    return s.at(end) in FOLLOW


def _by_quarter(s: Sentence, i: int) -> tuple[int, int | None, int, bool] | None:
    """ "half past three", "a quarter to six", "ten minutes to five", "five past ten"."""
    start = i
    i += s.at(i) in ("a", "one") and s.at(i + 1) == "quarter"
    if s.at(i) in ("half", "quarter"):
        minutes, end, sure = (30 if s.at(i) == "half" else 15), i + 1, True
    else:
        found = small(s, i)
        if found is None or found[0] > 29:
            return None
        minutes, end = found
        sure = s.at(end) in MINUTE_WORDS
        end += sure
    way = s.at(end)
    if way not in ("past", "to", "after", "before") or (s.at(i) == "half" and way != "past"):
        return None
    hour = HOURS.get(s.at(end + 1))
    if hour is None or s.at(end + 2) in CARDINAL_WORDS or (way in ("after", "before") and not sure):
        return None
    last = end + 2
    sure = sure and (s.at(last) in FOLLOW | {"in", "a", "p", "am", "pm"} or s.at(last) in ("o'clock", "oclock"))
    if not sure and not (_cued(s, start) and s.at(start - 1) != "from") and not s.alone(start, _meridiem(s, last)[1]):
        return None
    if s.at(start - 1) in CARDINAL_WORDS:
        return None
    last += s.at(last) in ("o'clock", "oclock")
    hour, minutes = (hour, minutes) if way in ("past", "after") else ((hour - 2) % 12 + 1, 60 - minutes)
    return hour, minutes, last, True


def _oclock(s: Sentence, i: int) -> tuple[int, int | None, int, bool] | None:
    hour = HOURS.get(s.at(i))
    if hour is None or s.at(i - 1) in CARDINAL_WORDS:
        return None
    if s.at(i + 1) in ("o'clock", "oclock"):
        return hour, None, i + 2, True
    return (hour, None, i + 3, True) if s.at(i + 1) == "o" and s.at(i + 2) == "clock" else None


def _digital(s: Sentence, i: int) -> tuple[int, int | None, int, bool] | None:
    """ "five forty five", "nine oh five"; after "at" also those of 24 hours; an hour alone where a.m. follows."""
    found = (0, i + 1) if s.at(i) == "zero" else small(s, i)
    if found is None or s.at(i - 1) in CARDINAL_WORDS:
        return None
    hour, end = found
    if not 1 <= hour <= 12 and not (s.at(i - 1) == "at" and hour <= 23):
        return None
    if s.at(end) in ZEROS and s.at(end + 1) in UNITS:
        minute, last = UNITS[s.at(end + 1)], end + 2
    elif s.at(end) == "hundred" and s.at(end + 1) == "hours":
        return hour, 0, end + 2, True
    elif (two := small(s, end)) is not None and 10 <= two[0] <= 59 and s.at(end) not in UNITS:
        minute, last = two
    else:
        return (hour, None, end, False) if 1 <= hour <= 12 and s.at(end) not in CARDINAL_WORDS else None
    return None if s.at(last) in CARDINAL_WORDS else (hour, minute, last, False)


def _meridiem(s: Sentence, i: int) -> tuple[str, int]:
    word, following = s.at(i).replace(".", ""), s.at(i + 1).replace(".", "")
    if word in ("a", "p") and following == "m":
        return f"{word}.m.", i + 2
    if word == "pm" or (word == "am" and following not in ("i", "the", "not")):
        return f"{word[0]}.m.", i + 1
    return "", i


def _zone(s: Sentence, i: int) -> tuple[str, int]:
    for count in (1, 3, 4):
        word = "".join(s.words[i : i + count])
        if word in ZONES and (count == 1 or all(len(w) == 1 for w in s.words[i : i + count])):
            return word, i + count
    return "", i
