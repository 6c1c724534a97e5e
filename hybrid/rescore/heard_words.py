"""A second pass by what else was heard: the unigrams of an n-gram model are those of the recording's other utterances.

What somebody talks of comes again. The words of a first pass, each counted as often as it is expected in the lattices,
make the unigrams of a domain, to which the language model is scaled (fast marginal adaptation: Kneser, Peters and
Klakow, 1997; by a first pass: Bacchiani and Roark, 2003). Of each utterance its own words are left out: its errors
would vouch for themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from hybrid.base.errors import InputError, quote
from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.posteriors import word_posteriors
from hybrid.rescore.ngram_swap import WordModel, swap_ngram
from lm.adaptation.marginals import count_factors
from lm.adaptation.scaled_automaton import ScalableAutomaton
from lm.word_table import BOS, EOS, UNK

__all__ = ["EXPONENT", "HeardModels", "HeardWords", "adapt_to_heard"]

EXPONENT = 0.4  # best for either half of dev-clean's speakers


class HeardWords:
    """How often each word is expected in the utterances of a first pass, by group: a recording, a speaker, a talk.

    Attributes:
      size: words of the model. own: words of each utterance and their expected numbers. groups: of the utterances.
      alone: how many utterances have no other in their group.
    """

    def __init__(
        self, lattices: Iterable[tuple[str, CompactLattice]], model: WordModel, acoustic_scale: float,
        groups: Mapping[str, str] | None = None, place: object = "groups",
    ) -> None:  # fmt: skip
        """Counts.

        Args:
          lattices: utterance id and determinised lattice.
          model: by whose words is counted; words that it lacks are passed over.
          groups: of utterances; None: all are one.
          place: of the groups, for errors.

        Raises:
          InputError: an utterance without a group, or one that is there twice: it would vouch for itself.
        """
        self.size = int(model.automaton.children[1]) - 1
        self.own: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.groups: dict[str, str] = {}
        members: dict[str, list[str]] = defaultdict(list)
        for utterance, compact in lattices:
            group = "" if groups is None else groups.get(utterance)
            if group is None:
                found = f"has no line for the utterance '{quote(utterance)}'"
                raise InputError.at(place, found, "Add it, or leave the groups out: then all utterances are one.")
            if utterance in self.groups:
                found = f"utterance '{quote(utterance)}' stands there twice"
                raise InputError.at("lattices", found, "Give each once.")
            self.groups[utterance] = group
            members[group].append(utterance)
            self.own[utterance] = _counted(compact, model, acoustic_scale)
        self.alone = sum(len(some) == 1 for some in members.values())
        self._totals = {group: _sum([self.own[u] for u in some]) for group, some in members.items()}

    def besides(self, utterance: str) -> np.ndarray:
        """Returns how often each word is expected in the other utterances of its group, float64 [word_id]."""
        counts = np.zeros(self.size)
        words, total = self._totals[self.groups[utterance]]
        counts[words] = total
        words, own = self.own[utterance]
        counts[words] = np.maximum(counts[words] - own, 0.0)
        counts[counts < _LEAST] = 0.0
        return counts


_LEAST = 1e-6  # what is left of a difference


def _counted(compact: CompactLattice, model: WordModel, acoustic_scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Words of the model and their expected numbers, the end of the sentence with them."""
    if compact.is_empty:
        return np.zeros(0, np.int32), np.zeros(0)
    words, counts = word_posteriors(compact, acoustic_scale)
    if len(words) and words[-1] >= len(model.ids):
        model.require(compact)
    ids = np.append(model.ids[words], EOS)
    counts = np.append(counts, 1.0)
    known = (ids != UNK) & (ids != BOS)
    return _sum([(ids[known], counts[known])])


def _sum(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    words, of = np.unique(np.concatenate([part[0] for part in parts]), return_inverse=True)
    return words, np.bincount(of, np.concatenate([part[1] for part in parts]), len(words))


class HeardModels:
    """A back-off model scaled for each utterance."""

    def __init__(
        self, heard: HeardWords, model: WordModel, exponent: float = EXPONENT, text: np.ndarray | None = None
    ) -> None:
        """See the class.

        Args:
          heard: of a first pass, counted by the words of `model`.
          exponent: of the words' factors, see `lm.adaptation.marginals`; 0: the model as it is.
          text: counts of words in texts that belong to every group, float64 [word_id].
        """
        self._heard, self._model, self._exponent, self._text = heard, model, exponent, text
        self._scalable = ScalableAutomaton(model.automaton)

    def of(self, utterance: str) -> WordModel:
        """Returns the model of an utterance."""
        counts = self._heard.besides(utterance)
        if self._text is not None:
            counts += self._text
        factors = count_factors(self._scalable.unigrams, counts, self._exponent)
        return replace(self._model, automaton=self._scalable.scaled(factors))


def adapt_to_heard(
    lattices: Iterable[tuple[str, CompactLattice]], models: HeardModels, old: WordModel, of_graph: bool = True
) -> Iterator[tuple[str, CompactLattice]]:
    """Puts the scores of each utterance's model in the place of those of its lattice.

    Args:
      old: whose scores the lattices hold. of_graph: see `swap_ngram`.
    """
    for utterance, compact in lattices:
        yield utterance, swap_ngram(compact, old, models.of(utterance), of_graph=of_graph)
