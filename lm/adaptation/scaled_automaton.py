"""Fast marginal adaptation of a model as it scores: other factors in milliseconds, for the sake of one utterance.

`marginals.scale_by_factors` is its twin, which makes a whole model of it. What is scaled here keeps the mass that the
model gave to all words after each context, so that factors of one change nothing, whatever the model sums to.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hybrid.base.compiled import kernel
from lm.ngram import BackoffAutomaton
from lm.word_table import BOS

__all__ = ["ScalableAutomaton"]

_FLOOR = 1e-30


@kernel
def _context_sums(children, words, links, weights, gains, factors):
    """Returns float64 [context], what the scaled probabilities of all words sum to; shorter contexts come first.

    Args:
      weights: float64 [context], of backing off. gains: float64 [node], see `ScalableAutomaton`.
      factors: float64 [word_id].
    """
    sums = np.empty(len(weights))
    for state in range(len(weights)):
        total = weights[state] * sums[links[state]] if state > 0 else 0.0
        for node in range(children[state], children[state + 1]):
            total += factors[words[node]] * gains[node]
        sums[state] = max(total, _FLOOR)
    return sums


@kernel
def _scaled(children, words, links, log_probs, backoffs, log_factors, log_sums):
    """Returns log10 probabilities and back-off weights, float32 [node], of what is scaled."""
    probs, weights = log_probs.copy(), backoffs.copy()
    for state in range(len(log_sums)):
        for node in range(children[state], children[state + 1]):
            probs[node] = log_probs[node] + log_factors[words[node]] - log_sums[state]
        if state > 0:
            weights[state] = backoffs[state] + log_sums[links[state]] - log_sums[state]
    return probs, weights


class ScalableAutomaton:
    """A back-off model, and what is the same for all factors.

    Attributes:
      automaton: the model.
      unigrams: float64 [word_id], its probabilities without a context.
    """

    def __init__(self, automaton: BackoffAutomaton) -> None:
        """Takes what each n-gram has beyond backing off apart."""
        self.automaton = automaton
        contexts, size = automaton.highest, len(automaton.words)
        children = automaton.children[: contexts + 1]
        parents = np.repeat(np.arange(contexts), np.diff(children))  # of the nodes from 1 on
        self._weights = 10.0 ** automaton.backoffs[:contexts].astype(np.float64)
        probs = 10.0 ** automaton.log_probs[1:size].astype(np.float64)
        self.unigrams = probs[: children[1] - 1].copy()
        longer = np.flatnonzero(parents > 0)
        below = automaton.steps(automaton.links[parents[longer]], automaton.words[1 + longer])[0]
        probs[longer] -= self._weights[parents[longer]] * 10.0**below
        probs[BOS] = 0.0  # <s> follows nothing
        self._gains = np.concatenate([np.zeros(1), probs])
        self._whole = np.log10(self._sums(np.ones(len(self.unigrams))))

    def _sums(self, factors: np.ndarray) -> np.ndarray:
        a = self.automaton
        return _context_sums(a.children, a.words, a.links, self._weights, self._gains, factors)

    def scaled(self, factors: np.ndarray) -> BackoffAutomaton:
        """Multiplies the probability of each word, in every context, and makes them sum to what they did.

        Args:
          factors: float64 [word_id], above 0; 1 for <s>.
        """
        a = self.automaton
        log_sums = np.log10(self._sums(factors)) - self._whole
        probs, weights = _scaled(a.children, a.words, a.links, a.log_probs, a.backoffs, np.log10(factors), log_sums)
        probs[1 + BOS] = a.log_probs[1 + BOS]
        return replace(a, log_probs=probs, backoffs=weights)
