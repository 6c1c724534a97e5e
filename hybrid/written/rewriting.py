"""The user's own rules: a table of spoken and written text.

seven eleven<TAB>7-Eleven         a phrase and what is written for it
catch twenty two<TAB>catch twenty two    a phrase that stays as it is
# a comment
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from hybrid.base.errors import InputError, quote
from hybrid.base.reading import text_lines
from hybrid.written.sentence import WrittenToken

__all__ = ["Rules", "read_rules"]

MOST = 200  # words of a rule
CURE = "Write `spoken words<TAB>written text`."


@dataclass(frozen=True)
class Rules:
    """Phrases and what is written for them; of several that fit at a place the longest is taken.

    Attributes:
      pairs: (words in lower case, tokens) of each.

    Raises:
      ValueError: a rule without words or tokens, or with more tokens than words.
    """

    pairs: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()

    def __post_init__(self) -> None:
        for words, tokens in self.pairs:
            if not words or not tokens or len(tokens) > len(words):
                raise ValueError(f"a rule has {len(words)} words and {len(tokens)} tokens, wanted at least a word each")

    def __len__(self) -> int:
        return len(self.pairs)

    @cached_property
    def _table(self) -> dict[tuple[str, ...], tuple[str, ...]]:
        return dict(self.pairs)

    @cached_property
    def _lengths(self) -> list[int]:
        return sorted({len(words) for words in self._table}, reverse=True)

    def _at(self, words: Sequence[str], i: int) -> tuple[int, tuple[str, ...]] | None:
        for length in self._lengths:
            tokens = self._table.get(tuple(words[i : i + length]))
            if tokens is not None and i + length <= len(words):
                return length, tokens
        return None

    def match(self, words: Sequence[str], i: int) -> list[WrittenToken] | None:
        """Returns the tokens of the rule that fits at word `i`; None where none does."""
        found = self._at(words, i)
        if found is None:
            return None
        length, tokens = found
        ends = [*range(i + 1, i + len(tokens)), i + length]
        return [WrittenToken(token, first, last) for token, first, last in zip(tokens, [i, *ends], ends)]

    def inside(self, words: Sequence[str], first: int, last: int) -> bool:
        """Whether a rule fits at one of the places `first` … `last` - 1."""
        return bool(self._table) and any(self._at(words, i) for i in range(first, last))

    def rewritten(self, pieces: list[WrittenToken]) -> list[WrittenToken]:
        """Applies the rules to written tokens; what they write stands for the words of what was there."""
        if not self._table:
            return pieces
        words, out, i = [piece.text.lower() for piece in pieces], [], 0
        while i < len(pieces):
            found = self.match(words, i) or [WrittenToken(pieces[i].text, i, i + 1)]
            out += [WrittenToken(f.text, pieces[f.first].first, pieces[f.last - 1].last) for f in found]
            i = found[-1].last
        return out


def read_rules(path: str | os.PathLike) -> Rules:
    """Reads a table of rules, UTF-8, one a line.

    Raises:
      InputError: unreadable, a line without a tab, an empty side, more tokens than words, the same words twice.
    """
    pairs: dict[tuple[str, ...], tuple[str, ...]] = {}
    for number, line in text_lines(path):
        if not line.strip() or line.startswith("#"):
            continue
        spoken, tab, written = line.partition("\t")
        words, tokens = tuple(spoken.lower().split()), tuple(written.split())
        if not tab or not words or not tokens:
            raise InputError.at(path, f"'{quote(line.strip())}' is no rule", CURE, number)
        if len(tokens) > len(words):
            found = f"{len(tokens)} tokens stand for {len(words)} words, and each needs a word for its time"
            raise InputError.at(path, found, "Write fewer tokens.", number)
        if len(words) > MOST:
            raise InputError.at(path, f"a phrase of {len(words)} words, wanted at most {MOST}", CURE, number)
        if words in pairs:
            raise InputError.at(path, f"'{quote(' '.join(words))}' has a rule already", "Keep one of them.", number)
        pairs[words] = tokens
    if not pairs:
        raise InputError.at(path, "holds no rule", CURE)
    return Rules(tuple(pairs.items()))
