"""Fast marginal adaptation (Kneser, Peters and Klakow, 1997): a model scaled to the unigrams of a domain.

    p'(w | h) = factor(w) · p(w | h) / Z(h),   factor(w) = (p_domain(w) / p(w)) ^ exponent

The result is a back-off model with the same n-grams: Z(h) is found for every context, lowest order first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from lm.mapped_model import MappedModel
from lm.ngram import NgramLevel, NgramModel
from lm.normalise import renormalise
from lm.word_table import BOS, EOS, UNK

__all__ = ["count_factors", "domain_factors", "scale_by_factors", "word_counts"]

_FLOOR = 1e-30


def domain_factors(model: NgramModel, sentences: Sequence[Sequence[str]], exponent: float) -> np.ndarray:
    """Returns the factor of each word for the unigrams of some sentences.

    Words that the sentences lack get what the model's own unigrams leave them (Witten and Bell, 1991), so that a small
    text forbids nothing.

    Args:
      sentences: of the domain; words outside the model are passed over.
      exponent: 0 changes nothing, 1 takes the domain's unigrams in full.

    Returns:
      float64 [word_id], 1 for <s> and the unknown word.
    """
    unigrams = 10.0 ** model.levels[0].log10_probs.astype(np.float64)
    return count_factors(unigrams, word_counts(model, sentences), exponent)


def word_counts(model: NgramModel | MappedModel, sentences: Iterable[Sequence[str]]) -> np.ndarray:
    """Counts the words and ends of some sentences, float64 [word_id]; words outside the model are passed over."""
    counts = np.zeros(len(model.vocabulary))
    for words in sentences:
        for word in words:
            if (place := model.vocabulary.id(word)) > EOS:
                counts[place] += 1
        counts[EOS] += 1
    return counts


def count_factors(unigrams: np.ndarray, counts: np.ndarray, exponent: float) -> np.ndarray:
    """Returns the factor of each word for counts of a domain; see `domain_factors`.

    Args:
      unigrams: float64 [word_id], of the model. counts: float64 [word_id], expected ones may be below 1: then a word
        counts as so much of a type.
    """
    unigrams = np.maximum(unigrams, _FLOOR)
    types, tokens = np.minimum(counts, 1.0).sum(), counts.sum()
    if tokens == 0.0:
        return np.ones(len(counts))
    factors = ((counts + types * unigrams) / (tokens + types) / unigrams) ** exponent
    factors[[UNK, BOS]] = 1.0
    return factors


def scale_by_factors(model: NgramModel, factors: np.ndarray) -> NgramModel:
    """Multiplies the probability of each word, in every context, and makes the contexts sum to one again.

    Args:
      factors: float64 [word_id], above 0.
    """
    automaton = model.automaton
    nodes = 1 + np.cumsum([0, *(len(level) for level in model.levels)])  # first node of each order
    sums = np.ones(int(nodes[-1]))
    unigrams = 10.0 ** model.levels[0].log10_probs.astype(np.float64)
    sums[0] = unigrams @ factors - unigrams[BOS] * factors[BOS]  # <s> follows nothing
    levels = [_scaled(model.levels[0], factors, np.full(1, sums[0]))]
    levels[0].log10_probs[BOS] = model.levels[0].log10_probs[BOS]
    for length in range(2, model.order + 1):
        level, first = model.levels[length - 1], int(nodes[length - 2])
        last = int(nodes[length - 1])
        links = automaton.links[first:last]
        below = 10.0 ** automaton.steps(links[level.contexts], level.words)[0]
        backoffs = 10.0 ** automaton.backoffs[first:last].astype(np.float64)
        probs = 10.0 ** level.log10_probs.astype(np.float64)
        gained = factors[level.words] * (probs - backoffs[level.contexts] * below)
        own = np.bincount(level.contexts, gained, last - first) + backoffs * sums[links]
        sums[first:last] = np.maximum(own, _FLOOR)
        levels.append(_scaled(level, factors, sums[first:last]))
    return renormalise(model.vocabulary, levels)


def _scaled(level: NgramLevel, factors: np.ndarray, sums: np.ndarray) -> NgramLevel:
    logs = level.log10_probs + np.log10(factors[level.words]) - np.log10(sums[level.contexts])
    return NgramLevel(level.contexts, level.words, logs.astype(np.float32), np.zeros_like(level.log10_backoffs))
