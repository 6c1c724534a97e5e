"""Contextual spelling correction: words that are not sure, and that sound like a phrase of a list, become that phrase.

Only stretches whose every word is below a confidence are looked at; what is confident is never touched. The distance is
that of the phones of the words to the phones of the phrase, by the costs of confusions (`PhoneCosts`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from lm.biasing.correction_config import CorrectionConfig
from lm.biasing.phrase_filter import PhraseFilter

__all__ = ["Correction", "Corrector", "corrected"]


@dataclass(frozen=True)
class Correction:
    """A phrase in the place of words.

    Attributes:
      begin, end: the words, from 0, without the last.
      phrase: what is written. instead_of: the words that stood there.
      cost: per phone. confidence: of the surest word that goes.
    """

    begin: int
    end: int
    phrase: str
    instead_of: tuple[str, ...]
    cost: float
    confidence: float


@dataclass(frozen=True, eq=False)
class Corrector:
    """A list of phrases, ready to correct transcripts.

    Attributes:
      phrases: texts. sounds: of these, in order.
      spoken: word → pronunciations, of the words of transcripts.
      config: what may be corrected.
    """

    phrases: Sequence[str]
    sounds: PhraseFilter
    spoken: Mapping[str, Sequence[Sequence[str]]]
    config: CorrectionConfig = field(default_factory=CorrectionConfig)

    def __call__(self, words: Sequence[str], confidences: Sequence[float]) -> list[Correction]:
        """Returns what is to be corrected in a transcript, in order; the nearest first where stretches overlap.

        Args:
          words, confidences: of the transcript.
        """
        taken, chosen = np.zeros(len(words), bool), []
        for one in sorted(self._candidates(words, confidences), key=lambda c: (c.cost, c.begin - c.end, c.begin)):
            if not taken[one.begin : one.end].any():
                taken[one.begin : one.end] = True
                chosen.append(one)
        changed = (one for one in chosen if one.phrase.lower() != " ".join(one.instead_of).lower())
        return sorted(changed, key=lambda one: one.begin)

    def _candidates(self, words: Sequence[str], confidences: Sequence[float]) -> list[Correction]:
        """The nearest phrase of each stretch; of one that is a phrase already itself, at no cost, to be left alone."""
        found = []
        for begin in range(len(words)):
            phones: list[str] = []
            for end in range(begin + 1, min(begin + self.config.longest, len(words)) + 1):
                ways = self.spoken.get(words[end - 1], ())
                if confidences[end - 1] >= self.config.below or not ways:
                    break
                phones = [*phones, *ways[0]]
                one = self._nearest(words[begin:end], phones)
                if one is not None:
                    surest = float(max(confidences[begin:end]))
                    found.append(Correction(begin, end, one[0], tuple(words[begin:end]), one[1], surest))
        return found

    def _nearest(self, words: Sequence[str], phones: Sequence[str]) -> tuple[str, float] | None:
        costs = self.sounds.distances(phones, self.config.farthest, whole=True)
        best = int(np.argmin(costs)) if len(costs) else 0
        if not len(costs) or not np.isfinite(costs[best]):
            return None
        same = self._texts.get(" ".join(words).lower())
        return (self.phrases[best], float(costs[best])) if same is None else (same, 0.0)

    @cached_property
    def _texts(self) -> dict[str, str]:
        return {text.lower(): text for text in self.phrases}


def corrected(words: Sequence[str], changes: Sequence[Correction]) -> list[str]:
    """Returns a transcript with its corrections."""
    out, at = [], 0
    for one in changes:
        out += [*words[at : one.begin], *one.phrase.split()]
        at = one.end
    return [*out, *words[at:]]
