"""Phone and word error of guessed pronunciations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lm.g2p.model import G2pModel

__all__ = ["G2pScore", "held_out", "score_g2p"]


@dataclass(frozen=True)
class G2pScore:
    """Attributes:
    words: tried. wrong: whose best guess is no pronunciation of the dictionary. silent: without a guess.
    phones: of the references. errors: substitutions, insertions and deletions against the closest one.
    """

    words: int
    wrong: int
    silent: int
    phones: int
    errors: int

    @property
    def word_error(self) -> float:
        """Share of words whose best guess is wrong, in percent."""
        return 100.0 * self.wrong / max(1, self.words)

    @property
    def phone_error(self) -> float:
        """Errors per phone of the references, in percent."""
        return 100.0 * self.errors / max(1, self.phones)

    def __str__(self) -> str:
        rates = f"phone error {self.phone_error:.2f} %, word error {self.word_error:.2f} %"
        return f"{self.words} words: {rates} ({self.wrong} wrong, {self.silent} of them without a guess)"


def held_out(words: Sequence[str], every: int = 20) -> tuple[list[str], list[str]]:
    """Splits words, in the order of their spelling, into (training, each `every`-th for the test)."""
    ordered = sorted(words)
    return [w for i, w in enumerate(ordered) if i % every], ordered[::every]


def score_g2p(model: G2pModel, references: Mapping[str, Sequence[Sequence[str]]]) -> G2pScore:
    """Guesses words whose pronunciations are known; any of a word's pronunciations is right."""
    from kaldialign import edit_distance

    wrong = silent = phones = errors = 0
    for word, spoken in references.items():
        guesses = model.guess(word)
        best = guesses[0].phones if guesses else ()
        silent += not guesses
        error, length = min((edit_distance(list(r), list(best))["total"], len(r)) for r in spoken)
        wrong += error > 0
        errors += error
        phones += length
    return G2pScore(len(references), wrong, silent, phones, errors)
