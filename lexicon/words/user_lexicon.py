"""Pronunciation lists as people have them: `WORD PHONE …` lines, CMUdict's variants, MFA's dictionaries.

READ  R IY D                                word and phones, blanks of any kind between them
READ(2)  R EH D                             CMUdict's variants are further pronunciations of READ
READ  0.8  0.2  1.1  0.9  R IY1 D           MFA's probability columns; the first is kept, the silence ones are not
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hybrid.base.errors import quote
from hybrid.base.log import get_logger
from lexicon.lexicon import VARIANT, Pronunciation
from lexicon.phones import POSITIONS, bad_phone_form
from lexicon.symbols import RESERVED_WORDS
from lexicon.text import Problem, read_user_lines
from lexicon.words.blanks import split_words

__all__ = ["Listed", "read_user_lexicon", "tell_rejected"]

logger = get_logger(__name__)
_NUMBER = re.compile(r"(0|1|[0-9]*\.[0-9]+(e-?[0-9]+)?)$")
MOST_SHOWN = 50


@dataclass(frozen=True)
class Listed:
    """A pronunciation and the line where it stands."""

    entry: Pronunciation
    line: int


def read_user_lexicon(path: str | os.PathLike) -> tuple[list[Listed], list[Problem]]:
    """Reads a list of pronunciations; each once.

    Returns:
      The pronunciations, with probabilities where the list has them, and the lines that are none.

    Raises:
      InputError: the file is missing, empty, or not UTF-8.
    """
    found: list[Listed] = []
    rejected: list[Problem] = []
    seen: set[tuple[str, tuple[str, ...]]] = set()
    for number, line in read_user_lines(path):
        if line.startswith((";;;", "# ")):
            continue
        word, *rest = split_words(line)
        word, (probability, phones) = VARIANT.sub("", word), _phones(rest)
        if why := _fault(word, phones):
            rejected.append(Problem(Path(path), number, why, "'WORD PHONE PHONE …'", "Correct or remove the line."))
        elif (word, phones) not in seen:
            seen.add((word, phones))
            found.append(Listed(Pronunciation(word, phones, probability), number))
    return found, rejected


def _phones(fields: Sequence[str]) -> tuple[float, tuple[str, ...]]:
    """Splits probability columns (one, or MFA's four) from phones; a comment behind " #" is dropped."""
    fields = fields[: fields.index("#")] if "#" in fields else fields
    count = 0
    while count < min(4, len(fields)) and _NUMBER.match(fields[count]):
        count += 1
    if not count or count == len(fields):
        return 1.0, tuple(fields)
    return min(max(float(fields[0]), 1e-6), 1.0), tuple(fields[count:])


def _fault(word: str, phones: Sequence[str]) -> str:
    if word in RESERVED_WORDS:
        return f"'{quote(word)}' cannot be a word"
    if not phones:
        return f"word '{quote(word)}' has no phones"
    bare = {p: p[:-2] if p[-2:] in POSITIONS else p for p in phones}  # marks of place are taken off later
    faults = ((p, bad_phone_form(b)) for p, b in bare.items())
    return next((f"phone '{quote(p)}' of word '{quote(word)}' {why}" for p, why in faults if why), "")


def tell_rejected(rejected: Sequence[Problem]) -> None:
    """Names each line that cannot be used in the log (the first fifty, and how many more there are)."""
    for problem in rejected[:MOST_SHOWN]:
        logger.warning("left out: %s", problem)
    if len(rejected) > MOST_SHOWN:
        logger.warning("left out: %d more lines", len(rejected) - MOST_SHOWN)
