"""A calibration: from the facts of a word to the probability that it is right; kept as a small JSON file.

Posteriors of lattices are too sure of themselves: a search drops what competes, and the acoustic scale is a guess. A
calibration is fitted once on speech whose words are known, of other speakers than those it is used for, and belongs to
the model, the graph and the scales of those lattices.

>>> from hybrid.confidence.calibration import Calibration
>>> from hybrid.confidence.facts import word_facts
>>> calibration = Calibration.load("exp/tri3b/calibration.json")
>>> found = mbr_decode(compact, calibration.acoustic_scale, calibration.lm_scale)
>>> facts = word_facts(compact, found, labels, calibration.acoustic_scale, calibration.lm_scale)
>>> calibration.apply(facts)  # float64, one probability a word
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hybrid.base.artifact import atomic_path, write_meta
from hybrid.base.errors import InputError, quote
from hybrid.base.integrity import check
from hybrid.base.ranges import POSITIVE, SHARE, Range, check_fields
from hybrid.base.reading import read_json
from hybrid.confidence.facts import FEATURES, WordFacts
from hybrid.confidence.regression import fit_isotonic, fit_logistic, sigmoid

__all__ = ["Calibration", "CalibrationConfig", "fit_calibration"]

METHODS = ("logistic", "isotonic")
FEWEST = 50  # words to fit on
CURE = "Make it again: hybrid confidence train."


@dataclass(frozen=True)
class CalibrationConfig:
    """How a calibration is fitted.

    Attributes:
      method: "logistic" regression on all facts, or "isotonic" regression on the posterior alone.
      l2: pull of the logistic weights towards 0, on standardised facts.
    """

    method: str = "logistic"
    l2: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self, l2=Range(0))
        if self.method not in METHODS:
            raise ValueError(f"method is '{quote(self.method)}', wanted {' or '.join(METHODS)}")


@dataclass(frozen=True)
class Calibration:
    """Turns facts into probabilities.

    Attributes:
      acoustic_scale, lm_scale: of the posteriors that it was fitted on; decode with them.
      features: names of `facts.FEATURES`; empty for isotonic regression.
      means, deviations, weights: of each feature, and `bias`: logistic regression on (x − mean) / deviation.
      knots, levels: isotonic regression: rising posteriors, and the share of right words at each.
      words: how many it was fitted on.
    """

    acoustic_scale: float
    lm_scale: float = 1.0
    features: tuple[str, ...] = ()
    means: tuple[float, ...] = ()
    deviations: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    bias: float = 0.0
    knots: tuple[float, ...] = ()
    levels: tuple[float, ...] = ()
    words: int = 0

    def __post_init__(self) -> None:
        check_fields(self, acoustic_scale=POSITIVE, lm_scale=Range(0), levels=SHARE, deviations=POSITIVE)
        for name in self.features:
            if name not in FEATURES:
                raise ValueError(f"knows no feature '{quote(name)}', wanted some of {', '.join(FEATURES)}")
        sizes = {len(self.features), len(self.means), len(self.deviations), len(self.weights)}
        if len(sizes) > 1 or len(self.knots) != len(self.levels):
            raise ValueError("has lists of unequal length")
        if bool(self.features) == bool(self.knots):
            raise ValueError("wants either features or knots")
        if any(b < a for row in (self.knots, self.levels) for a, b in zip(row, row[1:])):
            raise ValueError("has knots or levels that fall")

    @property
    def method(self) -> str:
        """logistic or isotonic."""
        return "logistic" if self.features else "isotonic"

    def apply(self, facts: WordFacts) -> np.ndarray:
        """Returns the probability that each word is right, float64 [K]."""
        if self.knots:
            return np.interp(facts.posterior, self.knots, self.levels)
        scaled = (facts.matrix(self.features) - np.array(self.means)) / np.array(self.deviations)
        return sigmoid(scaled @ np.array(self.weights) + self.bias)

    def save(self, path: str | os.PathLike, inputs: Mapping[str, Any] | None = None) -> None:
        """Writes the file and its record; `inputs` as of `write_meta`."""
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        write_meta(path, "calibration", {"method": self.method}, inputs, {"words": self.words})

    @classmethod
    def load(cls, path: str | os.PathLike) -> Calibration:
        """Reads a calibration.

        Raises:
          InputError: missing, damaged, or not a calibration.
          MismatchError: changed since it was written.
        """
        check(path)
        found = read_json(path, CURE)
        names = cls.__dataclass_fields__
        if not isinstance(found, dict) or set(found) - set(names) or "acoustic_scale" not in found:
            raise InputError.at(path, "is no calibration of word confidences", CURE)
        try:
            values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise InputError.at(path, f"is no calibration of word confidences: {error}", CURE) from error


def fit_calibration(
    facts: WordFacts, correct: np.ndarray, acoustic_scale: float, lm_scale: float = 1.0,
    config: CalibrationConfig | None = None,
) -> Calibration:  # fmt: skip
    """Fits a calibration to words of which it is known whether they are right.

    Args:
      facts: of all words, made with the scales. correct: bool [K].

    Raises:
      InputError: too few words, or all are right, or all wrong.
    """
    config = config or CalibrationConfig()
    right = int(np.count_nonzero(correct))
    if len(facts) < FEWEST or right in (0, len(facts)):
        found = f"{len(facts)} words, {right} of them right, wanted {FEWEST} or more of both kinds"
        raise InputError.at("calibration", found, "Give more speech, of the sort that will be recognised.")
    if config.method == "isotonic":
        knots, levels = fit_isotonic(facts.posterior, correct)
        levels = (levels * right + 0.5) / (right + 1.0)  # nothing is certain
        return Calibration(acoustic_scale, lm_scale, knots=tuple(knots.tolist()), levels=tuple(levels.tolist()),
                           words=len(facts))  # fmt: skip
    matrix = facts.matrix()
    means, deviations = matrix.mean(axis=0), matrix.std(axis=0)
    deviations = np.where(deviations > 1e-6, deviations, 1.0)
    weights, bias = fit_logistic((matrix - means) / deviations, correct, config.l2)
    middle, spread, slopes = (tuple(column.tolist()) for column in (means, deviations, weights))
    return Calibration(acoustic_scale, lm_scale, FEATURES, middle, spread, slopes, bias, words=len(facts))
