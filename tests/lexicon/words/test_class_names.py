"""Names of classes in texts: understood beside punctuation, refused where a word is stuck to them."""

from __future__ import annotations

import pytest

from hybrid.base.errors import InputError
from lexicon.words.class_names import is_class
from lexicon.words.config import TextConfig
from lexicon.words.normaliser import Normaliser

WORDS = ("CALL", "NOW", "'S", "$CONTACT")


@pytest.mark.parametrize(("text", "words"), [
    ("call $CONTACT.", ["CALL", "$CONTACT"]),
    ("Call ($CONTACT), now!", ["CALL", "$CONTACT", "NOW"]),
    ("call “$contact” now", ["CALL", "$CONTACT", "NOW"]),
    ("'call $CONTACT'", ["CALL", "$CONTACT"]),
    ("$CONTACT--now", ["$CONTACT", "NOW"]),
    ("call $CITY_NAME, $CONTACT 's", ["CALL", "$CITY_NAME", "$CONTACT", "'S"]),
    ("now $5.00 and US$NOW", ["NOW", "5", "00", "AND", "US", "NOW"]),
])  # fmt: skip
def test_names_beside_punctuation(text, words):
    normaliser = Normaliser(TextConfig(), WORDS, classes=True)
    assert normaliser.words(text) == words
    assert normaliser.changes.outside.keys() <= {"5", "00", "AND", "US"}


@pytest.mark.parametrize(("text", "found"), [("call $CONTACT's phone", "$CONTACT's"), ("$FIRST$LAST", "$FIRST$LAST")])
def test_what_is_stuck_to_a_name_is_refused(text, found):
    with pytest.raises(InputError) as error:
        Normaliser(TextConfig(), WORDS, classes=True).words(text, "say.txt", 3)
    assert str(error.value).startswith(f"say.txt:3: '{found}' is no class: something is stuck to $")
    assert str(error.value).endswith("Part them by a blank, or take the $ away where no class is meant.")


def test_texts_that_stay_as_they_are():
    plain = Normaliser(TextConfig(normalise=False), classes=True)
    assert plain.words("call $CONTACT , now. $5.") == ["call", "$CONTACT", ",", "now.", "$5."]
    with pytest.raises(InputError, match=r"'\$CONTACT\.' is no class: something is stuck to \$CONTACT"):
        plain.words("call $CONTACT.")
    assert Normaliser(TextConfig(), WORDS[:3]).words("$CONTACT.") == ["CONTACT"], "no class where none may stand"


def test_what_is_a_name():
    assert all(map(is_class, ("$A", "$CONTACT", "$CITY-NAME", "$x_1", "$ИМЯ")))
    assert not any(map(is_class, ("$", "$5", "CONTACT", "$A.", "$A-", "A$B", "$A$B", "$ A")))
