"""Recognised words that are known to be right or wrong: what confidences are fitted to and measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hybrid.base.content import ByContent
from hybrid.base.errors import InputError
from hybrid.confidence.calibration import Calibration, CalibrationConfig, fit_calibration
from hybrid.confidence.facts import WordFacts, join, utterance_confidence
from hybrid.confidence.quality import Deferral, Reliability, deferral, normalised_cross_entropy, reliability
from hybrid.score.edits import align

__all__ = ["ConfidenceReport", "JudgedUtterance", "correct_words", "cross_validated", "evaluate", "judge", "train"]


@dataclass(frozen=True, eq=False)
class JudgedUtterance(ByContent):
    """An utterance with the facts of its words beside the truth.

    Attributes:
      correct: bool [K], of each recognised word.
      errors, words: against the reference. speaker: empty where unknown.
    """

    utterance: str
    facts: WordFacts
    correct: np.ndarray
    errors: int
    words: int
    speaker: str = ""


@dataclass(frozen=True, eq=False)
class ConfidenceReport(ByContent):
    """How good the confidences of a set are.

    Attributes:
      reliability: with the expected calibration error. nce: normalised cross-entropy.
      deferral: error rate of what is kept, by utterance confidence.
    """

    reliability: Reliability
    nce: float
    deferral: Deferral

    def __str__(self) -> str:
        return (
            f"ECE {self.reliability.error:.4f}, NCE {self.nce:.3f}; the surest 80 % of the utterances: "
            f"WER {self.deferral.kept[0]:.2f} → {self.deferral.kept_at(0.2):.2f} %, "
            f"{100 * self.deferral.gain(0.2):.0f} % of what an ordering by true errors gains"
        )


def correct_words(reference: Sequence[str], hypothesis: Sequence[str]) -> np.ndarray:
    """Tells of each recognised word whether the alignment with the reference has it right, bool [K]."""
    return np.array([said == heard for said, heard in align(reference, hypothesis) if heard], np.bool_)


def judge(
    utterance: str, facts: WordFacts, hypothesis: Sequence[str], reference: Sequence[str], speaker: str = ""
) -> JudgedUtterance:
    """Compares the recognised words of an utterance with what was said."""
    errors = sum(said != heard for said, heard in align(reference, hypothesis))
    return JudgedUtterance(utterance, facts, correct_words(reference, hypothesis), errors, len(reference), speaker)


def train(
    judged: Sequence[JudgedUtterance], acoustic_scale: float, lm_scale: float, config: CalibrationConfig
) -> Calibration:
    """Fits a calibration to the words of some utterances; see `fit_calibration`."""
    correct = np.concatenate([np.zeros(0, np.bool_), *(one.correct for one in judged)])
    return fit_calibration(join([one.facts for one in judged]), correct, acoustic_scale, lm_scale, config)


def evaluate(judged: Sequence[JudgedUtterance], confidences: Sequence[np.ndarray], bins: int = 10) -> ConfidenceReport:
    """Measures confidences.

    Args:
      confidences: float64 [K] of each utterance.
      bins: of the reliability diagram.

    Raises:
      InputError: there is no word.
    """
    correct = np.concatenate([np.zeros(0, np.bool_), *(one.correct for one in judged)])
    if not len(correct):
        raise InputError.at("confidences", "there is no recognised word with a reference", "Give the texts of the set.")
    values = np.concatenate(confidences)
    errors, words = (np.array([getattr(one, name) for one in judged]) for name in ("errors", "words"))
    curve = deferral(np.array([utterance_confidence(c) for c in confidences]), errors, words)
    return ConfidenceReport(reliability(values, correct, bins), normalised_cross_entropy(values, correct), curve)


def cross_validated(
    judged: Sequence[JudgedUtterance], folds: int, acoustic_scale: float, lm_scale: float, config: CalibrationConfig
) -> list[np.ndarray]:
    """Calibrates each speaker with what was fitted to others: speakers go round the folds in order of their names.

    Utterances without speakers count as their own.

    Raises:
      InputError: fewer than two speakers, or too few words in a fold.
    """
    names = [one.speaker or f"utterance {one.utterance}" for one in judged]
    order = sorted(set(names))
    if len(order) < 2:
        raise InputError.at(
            "calibration", f"{len(order)} speaker, wanted two or more", "Give --folds 0, or more speech."
        )
    fold = {name: number % min(folds, len(order)) for number, name in enumerate(order)}
    fitted = {
        number: train([o for o, n in zip(judged, names) if fold[n] != number], acoustic_scale, lm_scale, config)
        for number in sorted(set(fold.values()))
    }
    return [fitted[fold[name]].apply(one.facts) for one, name in zip(judged, names)]
