"""Entropy pruning (Stolcke, 1998): n-grams are dropped whose loss hardly changes the model's distribution."""

from __future__ import annotations

import math

import numpy as np

from hybrid.base.log import get_logger
from lm.ngram import NgramLevel, NgramModel
from lm.normalise import context_masses, renormalise
from lm.word_table import BOS, EOS

__all__ = ["entropy_losses", "prune_entropy"]

_log = get_logger(__name__)


def prune_entropy(model: NgramModel, threshold: float, min_order: int = 2) -> NgramModel:
    """Drops n-grams, highest order first, and computes the back-off weights anew.

    Args:
      threshold: an n-gram goes if the model's perplexity, by its own distribution, rises by less than
        this share through its loss alone; 1e-8 is mild, 1e-6 strong.
      min_order: shorter n-grams stay; 2 or more.

    Raises:
      ValueError: threshold negative or not finite, or min_order below 2.
    """
    if not 0 <= threshold < math.inf:
        raise ValueError(f"threshold {threshold} is not a number of 0 or more")
    if min_order < 2:
        raise ValueError("unigrams are never pruned; min_order must be 2 or more")
    levels = list(model.levels)
    has_children = np.zeros(len(levels[-1]), bool)
    for length in range(model.order, 1, -1):
        level = levels[length - 1]
        kept = np.ones(len(level), bool)
        if length >= min_order:
            kept = has_children | (np.expm1(entropy_losses(model, length)) >= threshold)
        has_children = np.bincount(level.contexts[kept], minlength=len(levels[length - 2])) > 0
        _keep(levels, length, kept)
    while len(levels) > 1 and not len(levels[-1]):
        levels.pop()
    pruned = renormalise(model.vocabulary, levels)
    _log.info("kept %s of %s n-grams", pruned.num_ngrams, model.num_ngrams)
    return pruned


def _keep(levels: list[NgramLevel], length: int, kept: np.ndarray) -> None:
    """Drops n-grams of one order; the contexts of the order above follow."""
    level = levels[length - 1]
    levels[length - 1] = NgramLevel(
        level.contexts[kept], level.words[kept], level.log10_probs[kept], level.log10_backoffs[kept]
    )
    if length < len(levels):
        above = levels[length]
        places = np.cumsum(kept, dtype=np.int32) - np.int32(1)
        levels[length] = NgramLevel(places[above.contexts], above.words, above.log10_probs, above.log10_backoffs)


def context_log_probs(model: NgramModel, length: int) -> np.ndarray:
    """Natural log of the probability of each n-gram of one order as running text (float64).

    The sentence start counts as often as the sentence end.
    """
    first = model.levels[0].log10_probs.astype(np.float64)
    first[BOS] = first[EOS]
    logs = first
    for level in model.levels[1:length]:
        logs = logs[level.contexts] + level.log10_probs
    return logs * math.log(10.0)


def entropy_losses(model: NgramModel, length: int) -> np.ndarray:
    """Relative entropy between the model and itself without one n-gram, for each n-gram of one order.

    Stolcke's equation 5: with the mass left free by the n-grams of h, its back-off weight a and the
    weight a' after the loss of (h, w),

        D = -p(h) · { p(w|h) · [ln p(w|h') + ln a' - ln p(w|h)] + free(h) · [ln a' - ln a] }

    Returns:
      float64 [n-gram], in nats.
    """
    level = model.levels[length - 1]
    free, free_below, below = context_masses(model, length)
    probs = 10.0 ** level.log10_probs.astype(np.float64)
    rest = np.maximum(free[level.contexts], 0.0)
    rest_below = np.maximum(free_below[level.contexts], 1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        new = np.log(rest + probs) - np.log(rest_below + below)
        change = np.where(rest > 0, rest * (new - np.log(rest) + np.log(rest_below)), 0.0)
        gain = probs * (np.log(below) + new - np.log(probs)) + change
    losses = -np.exp(context_log_probs(model, length - 1)[level.contexts]) * gain
    return np.where(np.isnan(losses), np.inf, losses)
