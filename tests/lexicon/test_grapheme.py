"""lexicon.grapheme: words pronounced as they are spelt."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from lexicon.dict_dir import read_dict_dir, write_dict_dir
from lexicon.grapheme import GraphemeConfig, grapheme_dictionary, graphemes

LAW = settings(deadline=None, max_examples=60)


@pytest.mark.parametrize(
    "word, options, units",
    [
        ("Straße", {}, "s t r a s s e"),
        ("Straße", {"fold_case": False}, "S t r a ß e"),
        ("DON'T", {}, "d o n t"),
        ("DON'T", {"keep": "'"}, "d o n ' t"),
        ("e\u0301te\u0301", {}, "é t é"),
        ("été", {"marks": "dropped"}, "e t e"),
        ("हिन्दी", {}, "हि न् दी"),
        ("हिन्दी", {"marks": "apart"}, "ह ि न ् द ी"),
        ("हिन्दी", {"marks": "dropped"}, "ह न द"),
        ("日本", {}, "日 本"),
        ("b2b", {}, "b 2 b"),
        ("…", {}, ""),
    ],
)
def test_by_hand(word: str, options: dict, units: str) -> None:
    assert graphemes(word, GraphemeConfig(**options)) == tuple(units.split())


@LAW
@given(st.text(max_size=12))
def test_the_way_of_typing_does_not_matter(word: str) -> None:
    composed, apart = (graphemes(unicodedata.normalize(form, word), GraphemeConfig()) for form in ("NFC", "NFD"))
    assert composed == apart


@LAW
@given(st.text(max_size=12))
def test_units_are_names_of_phones(word: str) -> None:
    for unit in graphemes(word, GraphemeConfig(marks="apart")):
        assert unit and not unit.isspace() and not unit.startswith("#")


def test_dictionary(tmp_path: Path) -> None:
    phones, lexicon, missing = grapheme_dictionary(["été", "eté", "!!", "<s>", "<UNK>"])
    assert missing == ["!!"]
    assert [(e.word, " ".join(e.phones)) for e in lexicon.entries] == [
        ("<UNK>", "SPN"), ("!SIL", "SIL"), ("eté", "e t é"), ("été", "é t é"),
    ]  # fmt: skip
    assert phones.nonsilence_phones == ("e", "t", "é")
    write_dict_dir(tmp_path / "d", phones, lexicon)
    assert read_dict_dir(tmp_path / "d") == (phones, lexicon)


def test_messages() -> None:
    with pytest.raises(InputError, match="vocabulary: no word has a letter. Hand over a list of words"):
        grapheme_dictionary(["...", "--"])
    with pytest.raises(InputError, match="vocabulary: phone '#' starts with '#'"):
        grapheme_dictionary(["a#"], GraphemeConfig(keep="#"))
    with pytest.raises(ValueError, match="marks is 'x'; wanted joined, apart or dropped"):
        GraphemeConfig(marks="x")
