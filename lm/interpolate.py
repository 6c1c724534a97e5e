"""Linear interpolation of models, with weights tuned by EM on held-out text, as one back-off model.

The result lists every n-gram of any of the models with p = sum of weight · p_i, and back-off weights
that make each context sum to one (Stolcke, 2002: static interpolation). A word that a model lacks
has probability 0 in that model.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hybrid.base.errors import InputError
from hybrid.base.log import get_logger
from lm.ngram import NgramLevel, NgramModel
from lm.normalise import renormalise
from lm.word_stream import read_ids
from lm.word_table import UNK, Vocabulary

__all__ = ["TunedWeights", "em_weights", "interpolate", "tune_weights"]

_log = get_logger(__name__)


@dataclass(frozen=True)
class TunedWeights:
    """Attributes:
    weights: one a model, summing to 1. perplexities: of the mixture on the held-out text, by iteration.
    tokens: how many tokens at least one model knows; oovs: how many none does.
    """

    weights: tuple[float, ...]
    perplexities: tuple[float, ...]
    tokens: int
    oovs: int


class _Component:
    """A model seen through the vocabulary of the mixture."""

    def __init__(self, model: NgramModel, vocabulary: Vocabulary) -> None:
        self.model = model
        own = {word: i for i, word in enumerate(model.vocabulary.words)}
        ids = np.array([own.get(word, -1) for word in vocabulary.words], np.int32)
        ids[:3] = (0, 1, 2)
        self.known = ids >= 0
        self.ids = np.where(self.known, ids, UNK)
        union = {word: i for i, word in enumerate(vocabulary.words)}
        self.union_ids = np.array([0, 1, 2, *(union[w] for w in model.vocabulary.words[3:])], np.int64)

    def steps(self, states: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities (not logs) of mixture words after states of this model, and the states that follow."""
        scores, following = self.model.automaton.steps(states, self.ids[words])
        return np.where(self.known[words], 10.0**scores, 0.0), following


def _union(models: Sequence[NgramModel]) -> Vocabulary:
    words = set().union(*(model.vocabulary.words[3:] for model in models))
    return Vocabulary.build(words, models[0].vocabulary.unknown)


def _check_weights(models: Sequence[NgramModel], weights: Sequence[float]) -> np.ndarray:
    values = np.array(weights, np.float64)
    if not models or len(values) != len(models):
        raise InputError.at("weights", f"{len(values)} weights for {len(models)} models", "Give one for each.")
    if not np.all(np.isfinite(values)) or values.min() < 0 or abs(values.sum() - 1) > 1e-4:
        raise InputError.at("weights", f"{list(weights)} are not weights of 0 or more that sum to 1")
    return values / values.sum()


def interpolate(models: Sequence[NgramModel], weights: Sequence[float]) -> NgramModel:
    """Mixes models into one.

    Args:
      weights: one a model, 0 or more, summing to 1.

    Raises:
      InputError: weights that are none.
    """
    values = _check_weights(models, weights)
    vocabulary = _union(models)
    parts = [_Component(model, vocabulary) for model in models]
    size = len(vocabulary)
    places: list[np.ndarray] = [np.zeros(1, np.int64) for _ in parts]
    states: list[np.ndarray] = [np.zeros(1, np.int32) for _ in parts]
    levels: list[NgramLevel] = []
    for length in range(1, max(model.order for model in models) + 1):
        keys = [_keys(part, length, places[i], size) for i, part in enumerate(parts)]
        union = np.arange(size) if length == 1 else np.unique(np.concatenate(keys))
        contexts, words = union // size, union % size
        probs = np.zeros(len(union))
        for i, part in enumerate(parts):
            places[i] = np.searchsorted(union, keys[i])
            part_probs, states[i] = part.steps(states[i][contexts], words)
            probs += values[i] * part_probs
        with np.errstate(divide="ignore"):
            logs = np.log10(probs)
        logs = (logs if length == 1 else np.maximum(logs, -99.0)).astype(np.float32)
        levels.append(NgramLevel(contexts.astype(np.int32), words.astype(np.int32), logs, np.zeros_like(logs)))
    return renormalise(vocabulary, levels)


def _keys(part: _Component, length: int, places: np.ndarray, size: int) -> np.ndarray:
    """The n-grams of a model as context · size + word of the mixture."""
    if length > part.model.order:
        return np.empty(0, np.int64)
    level = part.model.levels[length - 1]
    return places[level.contexts] * size + part.union_ids[level.words]


def em_weights(
    probs: np.ndarray, tolerance: float = 1e-6, max_iterations: int = 500
) -> tuple[np.ndarray, tuple[float, ...]]:
    """Weights of a mixture that are most likely to have made the tokens (Dempster et al., 1977).

    Args:
      probs: float64 [model][token], p of each token in each model; no column is all zero.
      tolerance: stop when no weight changes more.

    Returns:
      float64 [model], and the mean natural log-likelihood by iteration, which never falls.
    """
    weights = np.full(len(probs), 1.0 / len(probs))
    means: list[float] = []
    for _ in range(max_iterations):
        joint = weights[:, None] * probs
        mixture = joint.sum(0)
        means.append(float(np.log(mixture).mean()))
        if len(means) > 1 and means[-1] < means[-2] - 1e-9:
            _log.warning("EM: log-likelihood fell from %.9f to %.9f", means[-2], means[-1])
        new = (joint / mixture).mean(1)
        change = float(np.abs(new - weights).max())
        weights = new / new.sum()
        if change < tolerance:
            break
    return weights, tuple(means)


def tune_weights(
    models: Sequence[NgramModel], paths: Sequence[str | os.PathLike], with_ids: bool = False
) -> TunedWeights:
    """Finds the weights of the mixture on held-out text.

    Raises:
      InputError: a text that cannot be used, or without a word that a model knows.
    """
    vocabulary = _union(models)
    parts = [_Component(model, vocabulary) for model in models]
    table = vocabulary.table()
    columns: list[np.ndarray] = []
    oovs = 0
    for path in paths:
        states = [part.model.automaton.start for part in parts]
        for ids in read_ids(path, table, insert=False, with_ids=with_ids):
            rows = np.empty((len(parts), len(ids)))
            for i, part in enumerate(parts):
                scores, states[i] = part.model.automaton.score(part.ids[ids], states[i])
                rows[i] = np.where(part.known[ids], 10.0**scores, 0.0)
            usable = (ids != UNK) & (rows.max(0) > 0)
            oovs += int(np.count_nonzero(~usable))
            columns.append(rows[:, usable])
    probs = np.concatenate(columns, axis=1) if columns else np.empty((len(parts), 0))
    if not probs.shape[1]:
        place = ", ".join(os.fspath(p) for p in paths)
        raise InputError.at(place, "has no word that a model knows", "Give text of the same language and case.")
    weights, means = em_weights(probs)
    perplexities = tuple(math.exp(-mean) for mean in means)
    return TunedWeights(tuple(float(w) for w in weights), perplexities, probs.shape[1], oovs)
