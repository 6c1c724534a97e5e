"""Weights of a second pass, tuned on some speakers and applied to others.

What is tuned are the share of the new language model, the LM weight (the acoustic scale is its inverse), and the
penalty of a word, by the fewest errors on a grid. In a cross-validation each part of the speakers is recognised with
the weights that are best on all others, so that every utterance has honest words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hybrid.base.content import ByContent
from hybrid.base.errors import InputError
from hybrid.base.ranges import POSITIVE, SHARE, check_fields
from hybrid.rescore.arc_batch import best_prefixes, combined_scores
from hybrid.rescore.scored import Mixture, ScoredLattice
from hybrid.score.cross_tuning import tuned_on_others
from hybrid.score.edits import score_utterances
from hybrid.score.transcripts import Transcripts
from lexicon.symbols import SymbolTable

__all__ = ["CrossValidated", "MixtureGrid", "MixtureWeights", "best_words", "cross_validate", "tune"]


class MixtureWeights(NamedTuple):
    """A place of the grid."""

    share: float
    lm_weight: float
    penalty: float


@dataclass(frozen=True)
class MixtureGrid:
    """What is tried.

    Attributes:
      linear: probabilities are mixed, not their logs.
    """

    shares: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    lm_weights: tuple[float, ...] = tuple(float(w) for w in range(7, 18))
    penalties: tuple[float, ...] = (0.0, 0.5, 1.0)
    linear: bool = True

    def __post_init__(self) -> None:
        check_fields(self, shares=SHARE, lm_weights=POSITIVE)
        if not self.places:
            raise ValueError("the grid has no share, no LM weight or no penalty")

    @property
    def places(self) -> list[MixtureWeights]:
        """Every place, shares first."""
        return [MixtureWeights(s, w, p) for s in self.shares for w in self.lm_weights for p in self.penalties]


@dataclass(frozen=True, eq=False)
class CrossValidated(ByContent):
    """Words of every utterance with weights tuned on other speakers.

    Attributes:
      words: utterance → words. folds: speakers and weights of each part. whole: weights tuned on all.
    """

    words: Mapping[str, list[str]]
    folds: Sequence[tuple[tuple[str, ...], MixtureWeights]]
    whole: MixtureWeights


def best_words(scored: ScoredLattice, grid: MixtureGrid) -> list[tuple[int, ...]]:
    """Returns the word ids of the best path at each place of the grid."""
    found: list[tuple[int, ...]] = []
    bare = scored.bare
    if not bare.num_states:
        return [()] * len(grid.places)
    sources, words = bare.sources.tolist(), bare.word_ids.tolist()
    is_word = bare.word_ids != 0
    for share in grid.shares:
        mixed = scored.mixed(Mixture(share, grid.linear))
        for weight in grid.lm_weights:
            scores, ends = combined_scores(mixed, 1.0 / weight)
            for penalty in grid.penalties:
                alpha, last = best_prefixes(bare.sources, bare.next_states, scores - penalty * is_word, bare.num_states)
                state, said = int(np.argmax(alpha + ends)), []
                while (arc := int(last[state])) >= 0:
                    if words[arc]:
                        said.append(words[arc])
                    state = sources[arc]
                found.append(tuple(reversed(said)))
    return found


def tune(
    reference: Transcripts, found: Mapping[str, Sequence[tuple[int, ...]]], words: SymbolTable, grid: MixtureGrid
) -> np.ndarray:
    """Returns int64 [utterance][place], the errors of each utterance of `found` at each place of the grid."""
    table = np.zeros((len(found), len(grid.places)), np.int64)
    for row, (utterance, paths) in enumerate(found.items()):
        distinct = {path: [words.symbol(word, utterance) for word in path] for path in paths}
        pairs = {str(i): (reference.words[utterance], said) for i, said in enumerate(distinct.values())}
        scored = score_utterances(pairs)
        errors = dict(zip(scored.ids, scored.errors.tolist()))
        by_path = {path: errors[str(i)] for i, path in enumerate(distinct)}
        table[row] = [by_path[path] for path in paths]
    return table


def cross_validate(
    reference: Transcripts, scored: Mapping[str, ScoredLattice], words: SymbolTable, grid: MixtureGrid, folds: int
) -> CrossValidated:
    """Recognises each part of the speakers with weights tuned on the others.

    Args:
      reference: with speakers.
      folds: parts; 2 tunes on one half of the speakers and applies to the other, both ways.

    Raises:
      InputError: no lattice of the reference's utterances, or too few speakers.
    """
    common = {utterance: one for utterance, one in scored.items() if utterance in reference.words}
    if not common:
        raise InputError.at(reference.path, "has none of the lattices' utterances", "Give the reference of this set.")
    found = {utterance: best_words(one, grid) for utterance, one in common.items()}
    errors = tune(reference, found, words, grid)
    names = list(found)
    speakers = [reference.speakers.get(utterance, utterance) for utterance in names]
    said: dict[str, list[str]] = {}
    parts = []
    for part, inside, place in tuned_on_others(errors, speakers, folds):
        parts.append((part, grid.places[place]))
        for number in np.flatnonzero(inside).tolist():
            ids = found[names[number]][place]
            said[names[number]] = [words.symbol(word, names[number]) for word in ids]
    return CrossValidated(said, parts, grid.places[int(errors.sum(axis=0).argmin())])
