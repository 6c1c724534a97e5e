"""The words of an utterance as the grammars see them, and what a grammar gives."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from hybrid.base.errors import quote
from hybrid.written.tables import CARDINAL_WORDS, ORDINALS, SCALES, UNITS

_JOINED = frozenset(["hundred", *SCALES, *UNITS])
_FRACTIONS = ("half", "halves", "quarter", "quarters", "third", "thirds")
__all__ = ["Sentence", "WrittenConfig", "WrittenToken"]


@dataclass(frozen=True)
class WrittenConfig:
    """How written text looks.

    Attributes:
      style: plain: as people write in sentences (5:45, 2 p.m., 20 minutes, 850 MHz; below ten in words). nemo: as the
        grammars of NeMo-text-processing and WeTextProcessing write (05:45, 02:00 p.m., 20 min, 850 mhz).
    """

    style: Literal["plain", "nemo"] = "plain"

    def __post_init__(self) -> None:
        if self.style not in ("plain", "nemo"):
            raise ValueError(f"style is '{quote(self.style)}', wanted plain or nemo")


@dataclass(frozen=True)
class WrittenToken:
    """A written token and the words that it stands for.

    Attributes:
      text: without blanks.
      first, last: of its words, from 0; `last` is the first behind it.
    """

    text: str
    first: int
    last: int


class Sentence:
    """Words in lower case with one kind of apostrophe, and what stands around a place among them."""

    def __init__(self, words: Sequence[str], config: WrittenConfig) -> None:
        """Takes the words of one utterance as they were recognised."""
        self.spoken = tuple(words)
        self.words = tuple(word.lower().replace("\u2019", "'") for word in words)
        self.nemo = config.style == "nemo"
        cased = [word for word in words if word.lower() != word.upper()]
        self._upper = bool(cased) and all(word == word.upper() for word in cased) and max(map(len, cased)) > 1
        self.last_time = self.last_year = -1  # where the last written one ended

    def at(self, place: int) -> str:
        """The word at a place, empty outside."""
        return self.words[place] if 0 <= place < len(self.words) else ""

    def alone(self, first: int, last: int) -> bool:
        """Whether words make up the whole utterance."""
        return first == 0 and last == len(self.words)

    def has(self, words: Collection[str]) -> bool:
        """Whether the utterance holds one of some words."""
        return not set(words).isdisjoint(self.words)

    def says(self, place: int, phrase: Sequence[str]) -> bool:
        """Whether a phrase stands at a place."""
        return self.words[place : place + len(phrase)] == tuple(phrase)

    def free(self, first: int, last: int) -> bool:
        """Whether no further word of a number stands beside words, with which they would mean something else."""
        behind = self.at(last + 1) if self.at(last) in ("o", "oh") else self.at(last)
        return self.at(first - 1) not in CARDINAL_WORDS and behind not in CARDINAL_WORDS and behind not in ORDINALS

    def joined(self, place: int) -> bool:
        """Whether a number is the rest of one before it: "the hundred and thirty", "one and twenty"."""
        return self.at(place - 1) == "and" and self.at(place - 2) in _JOINED

    def fraction(self, place: int) -> bool:
        """Whether a fraction follows: "and a half", "and three quarters", "half"."""
        i = place + (self.at(place) == "and")
        i += self.at(i) in ("a", "one", "two", "three")
        return self.at(i) in _FRACTIONS and i != place + 1 or self.at(place) in _FRACTIONS

    def put(self, text: str, first: int, last: int, symbol: bool = False) -> WrittenToken:
        """Makes a token, in capitals where the transcript has them and the token is no symbol of a unit."""
        return WrittenToken(text.upper() if self._upper and not symbol else text, first, last)

    def keep(self, first: int, last: int) -> list[WrittenToken]:
        """Makes tokens of words as they were spoken."""
        return [WrittenToken(self.spoken[i], i, i + 1) for i in range(first, last)]
