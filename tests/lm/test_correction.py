"""Contextual spelling correction: what is not sure and sounds like a phrase becomes it, and nothing else."""

from __future__ import annotations

import pytest

from lm.biasing.correction import Correction, Corrector, corrected
from lm.biasing.phone_costs import PhoneCosts
from lm.biasing.phrase_filter import PhraseFilter

SPOKEN = {"CALL": ["K AO L"], "PETER": ["P IY T ER"], "PITA": ["P IY T AH"], "KNEW": ["N UW"], "WIN": ["W IH N"],
          "nguyen": ["N UW W IH N"], "petra": ["P EH T R AH"]}  # fmt: skip
WAYS = {word: [tuple(way.split()) for way in some] for word, some in SPOKEN.items()}


@pytest.mark.parametrize(
    ("confidences", "wanted"),
    [
        ((0.95, 0.3, 0.4), "CALL nguyen"),
        ((0.95, 0.92, 0.4), "CALL KNEW WIN"),  # a confident word is never touched
        ((0.1, 0.1, 0.1), "CALL nguyen"),
    ],
)
def test_words_that_are_not_sure_become_a_phrase(confidences, wanted) -> None:
    phrases = ["nguyen", "petra"]
    costs = PhoneCosts.even({phone for ways in WAYS.values() for way in ways for phone in way})
    sounds = PhraseFilter.of([(phrase,) for phrase in phrases], WAYS, costs)
    corrector = Corrector(phrases, sounds, WAYS)
    words = ["CALL", "KNEW", "WIN"]
    changes = corrector(words, confidences)
    assert " ".join(corrected(words, changes)) == wanted
    for change in changes:
        assert change == Correction(1, 3, "nguyen", ("KNEW", "WIN"), 0.0, max(confidences[1:]))


def test_what_is_a_phrase_already_stays() -> None:
    costs = PhoneCosts.even({phone for ways in WAYS.values() for way in ways for phone in way})
    sounds = PhraseFilter.of([("PITA",), ("PETER",)], WAYS, costs)
    corrector = Corrector(["pita", "peter"], sounds, WAYS)
    assert corrector(["PETER"], [0.1]) == [] and corrector(["CALL"], [0.1]) == []
