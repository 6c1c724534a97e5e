"""Names of classes in texts: `$CONTACT` stands where the entries of a list may stand.

A name is `$`, a letter, and letters and digits, with single `_` or `-` between them. Punctuation may follow it ("call
$CONTACT."); what would be a word is refused where it is stuck to a name ("$CONTACT's"): neither the class nor a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from hybrid.base.errors import InputError, quote
from lexicon.symbols import SymbolTable
from lexicon.words.blanks import split_words
from lexicon.words.spelling import APOSTROPHES

__all__ = ["CLASS", "class_labels", "is_class", "refuse_stuck", "refuse_unparted"]

CLASS = re.compile(r"(?<![\w$])(\$[^\W\d_](?:[_-]?[^\W_])*)")
_STUCK = re.compile(rf"{CLASS.pattern}(?:[{APOSTROPHES}][^\W\d]|\$)\S*")
CURE = "Part them by a blank, or take the $ away where no class is meant."


def is_class(word: str) -> bool:
    """Tells whether a word is the name of a class."""
    return word.startswith("$") and CLASS.fullmatch(word) is not None


def class_labels(words: Iterable[str], table: SymbolTable) -> dict[str, int]:
    """Returns class → the label that it gets in a G over a table's words: after them, by name."""
    names = sorted(word for word in words if is_class(word) and word not in table)
    return {name: table.max_id + 1 + number for number, name in enumerate(names)}


def refuse_stuck(text: str, place: object, line: int | None = None) -> None:
    """Raises InputError where a word or another class is stuck to the name of a class."""
    if "$" in text and (found := _STUCK.search(text)):
        raise _error(found.group(), found[1], place, line)


def refuse_unparted(text: str, place: object, line: int | None = None) -> None:
    """Raises InputError where anything is stuck to the name of a class, for texts whose words are what blanks part."""
    for word in split_words(text) if "$" in text else ():
        if (found := CLASS.search(word)) and found.group() != word:
            raise _error(word, found.group(), place, line)


def _error(word: str, name: str, place: object, line: int | None) -> InputError:
    return InputError.at(place, f"'{quote(word)}' is no class: something is stuck to {quote(name)}", CURE, line)
