"""The written form of spoken words: every grammar claims what it is sure of, the longest claim is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hybrid.written.clock import write_time
from hybrid.written.codes import write_address, write_digits, write_dotted
from hybrid.written.dates import write_date, write_year
from hybrid.written.numbers import write_number, write_ordinal
from hybrid.written.phrases import idiom, write_abbreviation, write_title
from hybrid.written.quantities import write_measure, write_money
from hybrid.written.rewriting import Rules
from hybrid.written.sentence import Sentence, WrittenConfig, WrittenToken

__all__ = ["WrittenForm"]

Grammar = Callable[[Sentence, int], "list[WrittenToken] | None"]
GRAMMARS: tuple[Grammar, ...] = (write_abbreviation, write_address, write_dotted, write_time, write_date, write_money,
                                 write_measure, write_digits, write_year, write_ordinal, write_number,
                                 write_title)  # fmt: skip
"""Of claims of one length the first is written."""


@dataclass(frozen=True)
class WrittenForm:
    """Spoken words → written tokens, each with the words that it stands for.

    WrittenForm().text("call peter at a quarter to six".split())  →  "call peter at 5:45"

    Attributes:
      config: how it looks.
      before, after: the user's rules; the first are asked before every grammar, the second rewrite what was written.
    """

    config: WrittenConfig = WrittenConfig()
    before: Rules = Rules()
    after: Rules = Rules()

    def pieces(self, words: Sequence[str]) -> list[WrittenToken]:
        """Returns the tokens of one utterance; their words follow each other and are all of its words.

        Args:
          words: as they were recognised, without pauses.
        """
        sentence = Sentence(words, self.config)
        found: list[WrittenToken] = []
        i = 0
        while i < len(words):
            claim = self.before.match(sentence.words, i) or self._claim(sentence, i)
            found += claim
            i = claim[-1].last
        return self.after.rewritten(found)

    def text(self, words: Sequence[str]) -> str:
        """Returns the tokens with single spaces between them."""
        return " ".join(piece.text for piece in self.pieces(words))

    def _claim(self, s: Sentence, i: int) -> list[WrittenToken]:
        if end := idiom(s, i):
            return s.keep(i, end)
        claims = [claim for grammar in GRAMMARS if (claim := grammar(s, i))]
        # A rule of the user wins over a claim that would swallow its words.
        claims = [claim for claim in claims if not self.before.inside(s.words, i + 1, claim[-1].last)]
        return max(claims, key=lambda claim: claim[-1].last, default=None) or s.keep(i, i + 1)
