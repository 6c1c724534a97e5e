"""Back-off weights that make the probabilities of every context sum to one."""

from __future__ import annotations

import dataclasses

import numpy as np

from lm.ngram import NgramLevel, NgramModel
from lm.word_table import Vocabulary

__all__ = ["context_masses", "renormalise"]

# Mass below this is rounding of float32 probabilities.
_TINY = 1e-9


def context_masses(model: NgramModel, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the n-grams of one order leave free in each of their contexts.

    Returns:
      free: float64 [context], 1 - sum of p(w | h) over the n-grams of h;
      free_below: float64 [context], the same of p(w | h without its first word);
      below: float64 [n-gram], p(w | h without its first word).
    """
    level = model.levels[length - 1]
    automaton = model.automaton
    first = 1 + sum(len(lv) for lv in model.levels[: length - 2]) if length > 1 else 0
    states = automaton.links[first + level.contexts]
    below = 10.0 ** automaton.steps(states, level.words)[0]
    size = len(model.levels[length - 2])
    probs = 10.0 ** level.log10_probs.astype(np.float64)
    free = 1.0 - np.bincount(level.contexts, probs, size)
    free_below = 1.0 - np.bincount(level.contexts, below, size)
    return free, free_below, below


def renormalise(vocabulary: Vocabulary, levels: list[NgramLevel]) -> NgramModel:
    """Computes all back-off weights anew from the probabilities, lowest order first.

    A context without n-grams gets weight 1. A context whose n-grams leave nothing gets 0 (log10 -99).
    """
    model = NgramModel(
        vocabulary, (dataclasses.replace(levels[0], log10_backoffs=np.zeros_like(levels[0].log10_probs)),)
    )
    for length in range(2, len(levels) + 1):
        top = dataclasses.replace(levels[length - 1], log10_backoffs=np.zeros_like(levels[length - 1].log10_probs))
        longer = NgramModel(vocabulary, (*model.levels, top))
        free, free_below, _ = context_masses(longer, length)
        weights = np.where(free_below > _TINY, np.maximum(free, 0.0) / np.maximum(free_below, _TINY), 1.0)
        with np.errstate(divide="ignore"):
            backoffs = np.maximum(np.log10(weights), -99.0).astype(np.float32)
        backoffs[np.bincount(top.contexts, minlength=len(backoffs)) == 0] = 0.0
        filled = dataclasses.replace(model.levels[-1], log10_backoffs=backoffs)
        model = NgramModel(vocabulary, (*model.levels[:-1], filled, top))
    return model
