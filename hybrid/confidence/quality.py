"""How good confidences are: reliability, expected calibration error, normalised cross-entropy, deferral."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybrid.base.content import ByContent

__all__ = ["Deferral", "Reliability", "deferral", "normalised_cross_entropy", "reliability"]

LEAST = 1e-6  # of a probability, so that one sure mistake is not worth everything


@dataclass(frozen=True, eq=False)
class Reliability(ByContent):
    """Confidence against outcome in bins of equal width; empty bins are left out.

    Attributes:
      counts: int64 [B], words. confidence, accuracy: float64 [B], means.
    """

    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of confidence and accuracy, weighted with the counts."""
        total = self.counts.sum()
        return float(self.counts @ np.abs(self.confidence - self.accuracy) / total) if total else 0.0


def reliability(confidence: np.ndarray, correct: np.ndarray, bins: int = 10) -> Reliability:
    """Sorts words into bins by their confidence.

    Args:
      confidence: float64 [N], 0 to 1. correct: bool [N].
    """
    place = np.minimum((np.asarray(confidence) * bins).astype(np.int64), bins - 1)
    counts = np.bincount(place, minlength=bins)
    kept = counts > 0
    sums = (np.bincount(place, weights=values, minlength=bins)[kept] for values in (confidence, correct))
    means, shares = (total / counts[kept] for total in sums)
    return Reliability(counts[kept], means, shares)


def normalised_cross_entropy(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Returns how much of the uncertainty about a word's being right the confidences take away (NIST's NCE).

    1 is certainty, 0 what one constant confidence gives, below 0 is worse than that. 0 where all words are alike.
    """
    right = float(np.mean(correct)) if len(correct) else 0.0
    if right in (0.0, 1.0):
        return 0.0
    base = -(right * np.log2(right) + (1.0 - right) * np.log2(1.0 - right))
    held = np.clip(confidence, LEAST, 1.0 - LEAST)
    return float(1.0 + np.mean(np.where(correct, np.log2(held), np.log2(1.0 - held))) / base)


@dataclass(frozen=True, eq=False)
class Deferral(ByContent):
    """The word error rate of what is kept when the least sure utterances go to a better system or to a person.

    Attributes:
      deferred: float64 [U], shares of the utterances: 0, 1/U, …
      kept: float64 [U], error rate of the rest in percent, by confidence.
      ideal: float64 [U], the same by true error rates.
    """

    deferred: np.ndarray
    kept: np.ndarray
    ideal: np.ndarray

    def kept_at(self, share: float) -> float:
        """Returns the error rate of the rest when a share of the utterances is deferred."""
        return float(self.kept[self._place(share)])

    def ideal_at(self, share: float) -> float:
        """Returns the same by true error rates."""
        return float(self.ideal[self._place(share)])

    def gain(self, share: float = 0.2) -> float:
        """Returns what part of the ideal fall of the error rate confidence reaches when a share is deferred."""
        best = self.ideal[0] - self.ideal_at(share)
        return float((self.kept[0] - self.kept_at(share)) / best) if best > 0 else 0.0

    def _place(self, share: float) -> int:
        return min(round(share * len(self.kept)), len(self.kept) - 1)


def deferral(confidence: np.ndarray, errors: np.ndarray, words: np.ndarray) -> Deferral:
    """Defers utterances one by one, the least sure first.

    Args:
      confidence: float64 [U]. errors, words: int64 [U], against the reference.
    """
    true_rates = errors / np.maximum(words, 1)
    return Deferral(
        np.arange(len(errors)) / max(len(errors), 1), _rates(-confidence, errors, words),
        _rates(true_rates, errors, words),
    )  # fmt: skip


def _rates(badness: np.ndarray, errors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Error rates of what is left after 0, 1, 2, … utterances went, the worst first; ties in their order."""
    order = np.argsort(-badness, kind="stable")
    left = [values[order][::-1].cumsum()[::-1] for values in (errors, words)]
    return 100.0 * left[0] / np.maximum(left[1], 1)
