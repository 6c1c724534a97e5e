"""Lists of words and phrases that fill a class or a slot.

One entry a line: the words, and after tabs, where wanted, a weight (a count, a probability; 1 where there is none) and
a pronunciation, the phones of each word parted by `|`:

    JOHN SMITH
    NGUYEN<tab>3
    SIOBHAN DOE<tab>1<tab>SH IH0 V AO1 N | D OW1
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace

from hybrid.base.errors import InputError, quote
from lexicon.text import read_user_lines
from lexicon.words.blanks import split_words
from lexicon.words.class_names import is_class
from lexicon.words.spelling import Spelling

__all__ = ["ListEntry", "check_entries", "entries_of", "read_word_list", "spelled"]

MAX_WORDS = 30  # of a phrase
MAX_WEIGHT = 1e15


@dataclass(frozen=True)
class ListEntry:
    """A word or phrase of a list.

    Attributes:
      words: at least one. weight: relative to the other entries', above 0.
      phones: of each word, where the list gives them.
    """

    words: tuple[str, ...]
    weight: float = 1.0
    phones: tuple[tuple[str, ...], ...] = ()

    @property
    def text(self) -> str:
        """The words with single spaces between them."""
        return " ".join(self.words)

    def line(self) -> str:
        """As a list holds it."""
        phones = " | ".join(" ".join(some) for some in self.phones)
        return f"{self.text}\t{self.weight!r}" + (f"\t{phones}" if phones else "")


def read_word_list(path: str | os.PathLike) -> tuple[ListEntry, ...]:
    """Reads a list.

    Raises:
      InputError: missing, empty, no UTF-8, an entry twice, a phrase too long, a weight or pronunciation that is none.
    """
    return check_entries((_entry(path, n, line) for n, line in read_user_lines(path)), path)


def entries_of(items: Iterable[str | ListEntry]) -> tuple[ListEntry, ...]:
    """Returns the entries of a list in Python: texts, or entries with weights and pronunciations.

    Raises:
      InputError: as `read_word_list`.
    """
    made = (item if isinstance(item, ListEntry) else ListEntry(tuple(split_words(item))) for item in items)
    return check_entries(made, "list")


def check_entries(entries: Iterable[ListEntry], place: object) -> tuple[ListEntry, ...]:
    """Returns the entries of a list after a look at each; one may stand several times with different pronunciations.

    Raises:
      InputError: none at all, one twice with the same pronunciation or none, a phrase of no word or of too many, a
        weight that is not above 0, phones for another number of words.
    """
    seen: dict[tuple[object, ...], int] = {}
    checked = []
    for count, entry in enumerate(entries, 1):
        if problem := _problem(entry):
            raise InputError.at(place, f"entry {count}, '{quote(entry.text)}', {problem[0]}", problem[1])
        if (entry.words, entry.phones) in seen:
            found = f"entry {count}, '{quote(entry.text)}', is entry {seen[entry.words, entry.phones]} again"
            raise InputError.at(place, found, "Remove one of the two; a weight says that it is likelier.")
        seen[entry.words, entry.phones] = count
        checked.append(entry)
    if not checked:
        raise InputError.at(place, "the list is empty", "Give it entries, or leave the slot as it is.")
    return tuple(checked)


def spelled(entries: Iterable[ListEntry], spelling: Spelling) -> tuple[ListEntry, ...]:
    """Returns entries in a lexicon's spelling: of "forward", FORWARD where that is its word.

    Words with phones in the list stay as they are written. Those that the lexicon has in no spelling get its case.

    Raises:
      InputError: two entries have become one.
    """
    made, changed = [], False
    for entry in entries:
        if not entry.phones and any(word not in spelling for word in entry.words):
            entry, changed = replace(entry, words=tuple(_spelled(word, spelling) for word in entry.words)), True
        made.append(entry)
    return check_entries(made, "list") if changed else tuple(made)


def _spelled(word: str, spelling: Spelling) -> str:
    """A word as the lexicon has it, else in the lexicon's case; classes keep their names."""
    if is_class(word):
        return word
    found = spelling.find(word)
    return found[0] if found else {"upper": word.upper(), "lower": word.lower()}.get(spelling.case, word)


def _problem(entry: ListEntry) -> tuple[str, str] | None:
    """Returns what is wrong with an entry, and its cure; None where nothing is."""
    if not 1 <= len(entry.words) <= MAX_WORDS:
        return f"has {len(entry.words)} words, wanted 1 to {MAX_WORDS}", "Leave it out, or say it as several entries."
    if not 0 < entry.weight <= MAX_WEIGHT:
        wanted = f"wanted above 0 and at most {MAX_WEIGHT:g}"
        return f"has weight {entry.weight:g}, {wanted}", "Correct it or leave it out."
    if entry.phones and (len(entry.phones) != len(entry.words) or not all(entry.phones)):
        found = f"has pronunciations of {len(entry.phones)} words, wanted {len(entry.words)}"
        return found, "Part the phones of two words by |."
    return None


def _entry(path: object, number: int, line: str) -> ListEntry:
    """Reads a line."""
    text, *more = line.split("\t")
    weight: float = 1.0
    phones: tuple[tuple[str, ...], ...] = ()
    if len(more) > 2:
        found = f"has {len(more) + 1} columns, wanted the words, a weight and a pronunciation"
        raise InputError.at(path, found, "Part them by single tabs.", number)
    if more and more[0].strip():
        try:
            weight = float(more[0])
            if not math.isfinite(weight):
                raise ValueError
        except ValueError:
            found = f"found '{quote(more[0], 60)}', wanted a weight, a number above 0"
            raise InputError.at(path, found, "Correct the line.", number) from None
    if len(more) == 2:
        phones = tuple(tuple(part.split()) for part in more[1].split("|"))
    return ListEntry(tuple(split_words(text)), weight, phones)
