"""What is said sign by sign: telephone numbers, digits, addresses of machines, e-mail and web addresses."""

from __future__ import annotations

from collections.abc import Iterator

from hybrid.written.numbers import LABELS, small
from hybrid.written.sentence import Sentence, WrittenToken
from hybrid.written.tables import CARDINAL_WORDS, DIGITS, ORDINALS, TEENS, TENS, UNITS, ZEROS

__all__ = ["write_address", "write_digits", "write_dotted"]

REPEATS = {"double": 2, "triple": 3}
DIALS = (*LABELS, "call", "dial", "number", "phone", "text", "ring", "code", "pin", "zip", "area", "account", "order",
         "reference", "press", "enter", "serial", "passcode", "confirmation", "unit", "suite", "is")  # fmt: skip
MAILS = ("email", "mail", "e-mail", "address", "send", "write", "contact", "reach", "forward", "cc", "invite")
_STOPS = """
a an the me us him her it them you i we they he she at to on in of and or for from by with look is my your his
our their this that go visit see open now be was order buy shop available find meet not online page site website
here there
"""
STOPS = frozenset(_STOPS.split())
_DOMAINS = """
com org net edu gov mil int info io ai co uk de fr it es nl eu us ca au jp cn in br ru ch at be se no dk fi pl
cz tv me app dev biz
"""
DOMAINS = frozenset(_DOMAINS.split())
SIGNS = {"dot": ".", "underscore": "_", "dash": "-", "hyphen": "-", "slash": "/", "colon": ":"}


def _groups(s: Sentence, i: int, pairs: bool) -> Iterator[tuple[str, int, int]]:
    """Yields the digits of each word or two ("double five", "o"), and of numbers below 100 where pairs are said."""
    while True:
        word, following = s.at(i), s.at(i + 1)
        if word in REPEATS and (following in DIGITS or following in ZEROS):
            yield str(DIGITS.get(following, 0)) * REPEATS[word], i, i + 2
            i += 2
        elif word in DIGITS or word in ZEROS:
            yield str(DIGITS.get(word, 0)), i, i + 1
            i += 1
        elif pairs and word in (*TEENS, *TENS) and (found := small(s, i)):
            yield str(found[0]), i, found[1]
            i = found[1]
        else:
            return


def write_digits(s: Sentence, i: int) -> list[WrittenToken] | None:
    """Digits said one by one or in pairs: telephone numbers, codes, rooms; not counting ("one two three four")."""
    before = s.at(i - 1)
    start = i + (s.at(i) == "plus")
    if s.at(start) in ("o", "oh") and s.at(start + 1) not in DIGITS:
        return None
    if toll := _toll_free(s, i):
        return toll
    dialled = before in DIALS or s.at(i - 2) in DIALS or s.has(("dial", "phone", "number"))
    for pairs in (False, True):
        groups = list(_groups(s, start, pairs))
        if not groups:
            continue
        last = groups[-1][2]
        if s.at(last) not in CARDINAL_WORDS and s.at(last) not in ORDINALS and before not in CARDINAL_WORDS:
            break
    else:
        return None
    if start > i:
        return _international(s, i, groups)
    digits = "".join(text for text, _, _ in groups)
    units = all(end == first + 1 and s.at(first) not in (*TEENS, *TENS) for _, first, end in groups)
    told = len(digits) in (7, 10, 11) and (dialled or s.alone(i, last))
    if not (units or told or _repeated(s, i, last)):
        return None
    if len(groups) < 3 or not _sure(s, i, last, digits, dialled):
        return None
    return [s.put(_spaced(s, digits), i, last)]


def _repeated(s: Sentence, first: int, last: int) -> bool:
    return any(s.at(k) in REPEATS for k in range(first, last)) and all(
        s.at(k) not in TEENS and s.at(k) not in TENS for k in range(first, last)
    )


def _sure(s: Sentence, first: int, last: int, digits: str, dialled: bool) -> bool:
    steps = [int(b) - int(a) for a, b in zip(digits, digits[1:])]
    if not (dialled or s.alone(first, last)) and max(steps.count(1), steps.count(-1)) > 0.6 * len(steps):
        return False
    return dialled or s.alone(first, last) or len(digits) >= 5


def _toll_free(s: Sentence, i: int) -> list[WrittenToken] | None:
    """ "one eight hundred five five five one two three four"."""
    start = i + (s.at(i) == "one" and s.at(i + 2) == "hundred")
    if s.at(start) not in UNITS or s.at(start + 1) != "hundred":
        return None
    groups = list(_groups(s, start + 2, True))
    digits = "".join(text for text, _, _ in groups)
    if len(digits) != 7:
        return None
    text = f"{UNITS[s.at(start)]}00-{digits[:3]}-{digits[3:]}"
    return [s.put(f"1-{text}" if start > i else text, i, groups[-1][2])]


def _international(s: Sentence, i: int, groups: list[tuple[str, int, int]]) -> list[WrittenToken] | None:
    """ "plus forty four …": the country code is what is said together, or one digit."""
    if not groups:
        groups = list(_groups(s, i + 1, True))
    first = small(s, i + 1)
    end = first[1] if first else groups[0][2]
    rest = [g for g in groups if g[1] >= end]
    digits = "".join(text for text, _, _ in rest)
    if len(digits) < 7 or first is None:
        return None
    shown = f"{digits[:-7]}-{digits[-7:-4]}-{digits[-4:]}" if len(digits) == 10 else digits
    return [s.put(f"+{first[0]}", i, end), s.put(shown, end, rest[-1][2])]


def _spaced(s: Sentence, digits: str) -> str:
    if len(digits) == 10:
        return f"{digits[:3]}-{digits[3:6]}-{digits[6:]}"
    if len(digits) == 11 and digits[0] == "1":
        return f"1-{digits[1:4]}-{digits[4:7]}-{digits[7:]}"
    return f"{digits[:3]}-{digits[3:]}" if len(digits) == 7 and not s.nemo else digits


def write_dotted(s: Sentence, i: int) -> list[WrittenToken] | None:
    """Numbers with dots between: addresses of machines; versions, where the word stands before them."""
    parts: list[str] = []
    last = i
    while True:
        groups = list(_groups(s, last, True))
        if not groups:
            break
        parts.append("".join(text for text, _, _ in groups))
        last = groups[-1][2]
        if s.at(last) != "dot":
            break
        last += 1
    address = len(parts) == 4 and all(len(part) <= 3 and int(part) <= 255 for part in parts)
    version = 2 <= len(parts) <= 4 and s.at(i - 1) in ("version", "release", "python", "android")
    if s.at(last - 1) == "dot" or not (address or version):
        return None
    return [s.put(".".join(parts), i, last)]


def write_address(s: Sentence, i: int) -> list[WrittenToken] | None:
    """E-mail and web addresses: "john dot smith at example dot com", "w w w dot kore dot ai slash news"."""
    if s.at(i) in STOPS and len(s.at(i)) > 1 or s.at(i) in SIGNS or s.at(i - 1) in ("dot", "slash"):
        return None
    local, place = _name(s, i, "_.-")
    if local and s.at(place) == "at":
        host, last = _name(s, place + 1, ".-")
        spelled = "." in local or place - i > 1
        alone = s.alone(i, last)
        stopped = s.at(place - 1) in STOPS and not (alone and place == i + 1)
        if _domain(s, host, last) and (alone or spelled or s.has(MAILS)) and not stopped:
            return [s.put(f"{local}@{host}", i, last)]
    scheme, start = _scheme(s, i)
    host, last = _name(s, start, ".-")
    if s.at(start) == "a" and not s.alone(i, last) and not scheme or not _domain(s, host, last):
        return None
    path = ""
    while s.at(last) == "slash":
        part, end = _name(s, last + 1, "_.-")
        if not part:
            break
        path, last = f"{path}/{part}", end
    return [s.put(scheme + host + path, i, last)]


def _scheme(s: Sentence, i: int) -> tuple[str, int]:
    for letters in ("https", "http"):
        for said in (tuple(letters), (letters,)):
            if s.says(i, (*said, "colon", "slash", "slash")):
                return f"{letters}://", i + len(said) + 3
    return "", i


def _domain(s: Sentence, host: str, last: int) -> bool:
    """Whether a name ends as those of hosts do; a spelled ending counts as well."""
    name, dot, end = host.rpartition(".")
    spelled = 2 <= len(end) <= 3 and all(len(s.at(last - k)) == 1 for k in range(1, len(end) + 1))
    return bool(dot) and bool(name) and end.isalpha() and (end in DOMAINS or spelled)


def _name(s: Sentence, i: int, signs: str) -> tuple[str, int]:
    """Joins letters, words and digits with the signs said between them.

    A whole word begins or ends a part: two words side by side are no name, but "g mail" and "daily news two" are.
    """
    text, whole = "", False
    while word := s.at(i):
        if word in SIGNS and SIGNS[word] in signs:
            if not text or not _part(s, i + 1):
                break
            text, whole = text + SIGNS[word], False
        elif word in DIGITS or (word in ZEROS and text[-1:].isdigit()):
            text += str(DIGITS.get(word, 0))
        elif len(word) == 1 and word.isalnum():
            if whole:
                break
            text += word
        elif _part(s, i):
            if whole:
                break
            text, whole = text + word, True
        else:
            break
        i += 1
    return text.rstrip(signs), i


def _part(s: Sentence, i: int) -> bool:
    """Whether a word may be a part of a name."""
    word = s.at(i)
    return bool(word) and word.isalnum() and word not in SIGNS and (word != "at")
