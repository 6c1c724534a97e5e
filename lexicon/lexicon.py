"""Lexicon: words and their weighted pronunciations, in Kaldi's three text forms.

    lexicon.txt           word phone phone …
    lexiconp.txt          word probability phone phone …
    lexiconp_silprob.txt  word probability P(silence after word) C(silence before) C(no silence before) phone …

The last form belongs to the model of silence between words of Chen, Xu, Wang, Povey and Khudanpur
(Interspeech 2015): the two corrections C weight a word by whether silence stood before it.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import InputError, quote
from lexicon.silence import SilenceProbs, number_text
from lexicon.symbols import RESERVED_WORDS
from lexicon.text import Problem, check_lines, raise_first
from lexicon.words.spelling import Spelling

__all__ = [
    "VARIANT",
    "Lexicon",
    "Pronunciation",
    "check_lexicon",
    "check_words",
    "form_of",
    "merge",
]

VARIANT = re.compile(r"(?<=.)\(\d+\)$")  # CMUdict's mark of a word's further pronunciations
FORMS = {"plain": 0, "probs": 1, "silprobs": 4}  # numbers between word and phones
NAMES = {"plain": "lexicon.txt", "probs": "lexiconp.txt", "silprobs": "lexiconp_silprob.txt"}


class Pronunciation(NamedTuple):
    """One line of a lexicon.

    Attributes:
      phones: at least one base phone.
      probability: of this pronunciation relative to the word's likeliest, in (0, 1].
      silence: (P(silence after the word), correction after silence, correction after no silence) or None.
    """

    word: str
    phones: tuple[str, ...]
    probability: float = 1.0
    silence: tuple[float, float, float] | None = None


def form_of(path: str | os.PathLike) -> str:
    """Returns the form ("plain", "probs" or "silprobs") that a lexicon's file name promises."""
    name = Path(path).name.removesuffix(".gz")
    return {file: form for form, file in NAMES.items()}.get(name, "plain")


@dataclass(frozen=True)
class Lexicon:
    """Pronunciations in the order of their file; homophones and variants are welcome, repeated lines are not.

    Attributes:
      entries: at least one.
      silence_probs: given if, and only if, every entry has `silence`.
    """

    entries: tuple[Pronunciation, ...]
    silence_probs: SilenceProbs | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "entries", tuple(self.entries))
        if not self.entries:
            raise ValueError("a lexicon needs at least one pronunciation")
        if len({(e.word, e.phones) for e in self.entries}) != len(self.entries):
            raise ValueError("a pronunciation of a word stands twice in the lexicon")
        for entry in self.entries:
            if entry.word in RESERVED_WORDS or not entry.phones or not 0 < entry.probability <= 1:
                raise ValueError(f"word '{quote(entry.word)}' is reserved, or lacks phones or a probability in (0, 1]")
            if (entry.silence is None) != (self.silence_probs is None):
                raise ValueError(f"word '{quote(entry.word)}': silence probabilities belong to every word or to none")

    def __len__(self) -> int:
        return len(self.entries)

    @cached_property
    def _of_word(self) -> dict[str, list[Pronunciation]]:
        of_word: dict[str, list[Pronunciation]] = {}
        for entry in self.entries:
            of_word.setdefault(entry.word, []).append(entry)
        return of_word

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Its words, each once, in the order of their UTF-8 bytes (that of `words.txt`)."""
        return tuple(sorted(self._of_word))

    def __contains__(self, word: object) -> bool:
        return word in self._of_word

    def pronunciations(self, word: str) -> list[Pronunciation]:
        """Returns the pronunciations of a word, none for a word that it does not have."""
        return list(self._of_word.get(word, ()))

    @cached_property
    def phones(self) -> frozenset[str]:
        """The base phones that it uses."""
        return frozenset(p for e in self.entries for p in e.phones)

    @property
    def form(self) -> str:
        """The plainest form that holds it: "plain", "probs" or "silprobs"."""
        if self.silence_probs is not None:
            return "silprobs"
        return "probs" if any(e.probability != 1.0 for e in self.entries) else "plain"

    @classmethod
    def read(cls, path: str | os.PathLike, form: str = "", phones: Set[str] | None = None) -> Lexicon:
        """Reads a lexicon without silence probabilities (those need the folder: `lexicon.dict_dir`).

        Args:
          form: "plain" or "probs"; by default what the file's name promises.
          phones: the phones it may use, or None to accept any.

        Raises:
          InputError: the first line that is wrong, and how many more there are.
        """
        entries, problems = check_lexicon(path, form or form_of(path), phones)
        raise_first(problems)
        return cls(tuple(e._replace(silence=None) for e in entries))

    def write(self, path: str | os.PathLike, form: str = "") -> None:
        """Writes it in `form`, by default the one that the file's name promises.

        Raises:
          ValueError: silence probabilities were asked for and it has none.
        """
        form = form or form_of(path)
        if form == "silprobs" and self.silence_probs is None:
            raise ValueError("this lexicon has no silence probabilities")
        with atomic_path(path) as temporary:
            with open(temporary, "w", encoding="utf-8", newline="\n") as stream:
                for word, phones, probability, silence in self.entries:
                    numbers = [number_text(probability, ".6g"), *(number_text(x, ".2f") for x in silence or ())]
                    stream.write(" ".join((word, *numbers[: FORMS[form]], *phones)) + "\n")


def check_lexicon(
    path: str | os.PathLike, form: str, phones: Set[str] | None = None
) -> tuple[list[Pronunciation], list[Problem]]:
    """Reads a lexicon and collects everything that is wrong with it.

    Args:
      form: "plain", "probs" or "silprobs".
      phones: the phones it may use, or None to accept any.

    Returns:
      The lines that are right, and the problems of the others.
    """
    path = Path(path)
    lines, problems = check_lines(path)
    entries: list[Pronunciation] = []
    line_of: dict[tuple[str, tuple[str, ...]], int] = {}
    numbers = FORMS[form]
    known = None if phones is None else frozenset(phones)
    for number, line in enumerate(lines, 1):
        fields = line.split()
        word, first = (fields[0] if fields else ""), 1 + numbers
        pronunciation = tuple(map(sys.intern, fields[first:]))
        absent = known is not None and not known.issuperset(pronunciation)
        wrong = None
        if numbers or absent or not pronunciation or word in RESERVED_WORDS:
            wrong = _wrong_line(word, fields, first, known)
        if not wrong and (earlier := line_of.setdefault((word, pronunciation), number)) != number:
            spoken = quote(" ".join(pronunciation))
            found = f"word '{quote(word)}' has the pronunciation '{spoken}' in line {earlier} already"
            wrong = (found, "each pronunciation of a word once", "Remove one of the lines.")
        if wrong:
            problems.append(Problem(path, number, *wrong))
            continue
        values = [float(x) for x in fields[1:first]]
        silence = (values[1], values[2], values[3]) if numbers == 4 else None
        entries.append(Pronunciation(word, pronunciation, values[0] if numbers else 1.0, silence))
    return entries, problems


def check_words(path: Path, entries: Sequence[Pronunciation]) -> list[Problem]:
    """Warns of words that are probably meant to be one: CMUdict's variants, and twins in two Unicode forms."""
    lines = {entry.word: number for number, entry in reversed(list(enumerate(entries, 1)))}
    problems = []
    for word, number in lines.items():
        base = VARIANT.sub("", word) if word.endswith(")") else word
        if base != word and base in lines:
            found, wanted = f"'{quote(word)}' is a word of its own", f"a further line of '{quote(base)}'"
            problems.append(Problem(path, number, found, wanted, "Take the (2) off; that is CMUdict's.", "warning"))
    for one, other in Spelling(lines).twins():
        number, first = max(lines[one], lines[other]), min(lines[one], lines[other])
        found = f"'{quote(entries[number - 1].word)}' is a word of its own"
        wanted = f"the word of line {first}, from which only its Unicode form or its marks differ"
        problems.append(Problem(path, number, found, wanted, "Write both alike, in NFC.", "warning"))
    return problems


def _wrong_line(word: str, fields: list[str], first: int, phones: Set[str] | None) -> tuple[str, str, str] | None:
    """Returns (found, wanted, cure) of a line of a lexicon, or None if it is right."""
    if not word:
        return "an empty line", "'word phone phone …'", "Remove the line."
    if word in RESERVED_WORDS:
        cure = "Rename the word or remove the line; the lang folder adds this symbol itself."
        return f"'{quote(word)}' as a word", "a word other than <eps>, <s>, </s> and #0", cure
    for place, text in enumerate(fields[1:first]):
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (0 < value <= 1 if place < 2 else 0 < value < math.inf):
            kind = ("pronunciation probability", "silence probability", "correction", "correction")[place]
            wanted = "a number above 0, at most 1" if place < 2 else "a number above 0"
            cure = "Correct the number; a file without probabilities is called lexicon.txt."
            return f"word '{quote(word)}' has the {kind} '{quote(text)}'", wanted, cure
        if place == 1 and value == 1:
            found = f"word '{quote(word)}' has the silence probability 1"
            return found, "a number between 0 and 1", "Make it smaller, e.g. 0.99."
    if len(fields) <= first:
        return f"word '{quote(word)}' has no pronunciation", "at least one phone", "Add its phones or remove the line."
    if phones is not None:
        for phone in fields[first:]:
            if phone not in phones:
                found = f"word '{quote(word)}' uses phone '{quote(phone)}'"
                absent = f"absent from silence_phones.txt and nonsilence_phones.txt ({len(phones)} phones)"
                return f"{found}, {absent}", "", "Add the phone or correct this line."
    return None


def merge(lexicons: Iterable[Lexicon]) -> Lexicon:
    """Joins lexicons in order; a pronunciation that an earlier one has already is left out.

    Raises:
      InputError: some have silence probabilities and others do not.
    """
    lexicons = list(lexicons)
    seen: dict[tuple[str, tuple[str, ...]], Pronunciation] = {}
    for lexicon in lexicons:
        for entry in lexicon.entries:
            seen.setdefault((entry.word, entry.phones), entry)
    try:
        return Lexicon(tuple(seen.values()), lexicons[0].silence_probs)
    except ValueError as error:
        raise InputError.at("lexicons", str(error), "Use one form for all.") from error
