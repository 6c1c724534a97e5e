"""hybrid.graph.own_words: words and pronunciations of a user's own, and what is said of those that cannot be built."""

from __future__ import annotations

from pathlib import Path

import pytest

from hybrid.base.errors import InputError
from hybrid.graph.own_words import OwnWords, _make_lang, _spoken, build_graph, read_words
from lexicon.symbols import SymbolTable
from lexicon.words.phone_fit import base_phones
from lm.word_list import ListEntry

PHONES = SymbolTable(
    ("<eps>", "SIL", *(f"{p}{m}" for p in ("SIL", "A", "K") for m in ("_B", "_E", "_I", "_S")), "#0", "#1")
)
KNOWN = base_phones(PHONES, True)
TOPO = "<Topology>\n<TopologyEntry>\n<ForPhones>\n1\n</ForPhones>\n</TopologyEntry>\n</Topology>\n"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    PHONES.write(tmp_path / "phones.txt")
    (tmp_path / "topo").write_text(TOPO)
    return tmp_path


def test_lists_with_and_without_phones(tmp_path: Path) -> None:
    (tmp_path / "w").write_text("AKKA A K A\nKA\nAKKA(2) A1 K\n")
    own = read_words([tmp_path / "w"])
    assert (own.words, own.given) == (("KA",), {"AKKA": [("A", "K", "A"), ("A1", "K")]})


def test_given_before_guessed() -> None:
    own = OwnWords(("KA",), {"AKKA": [("A", "K", "A"), ("A1", "K")]})
    spoken, source = _spoken(["AKKA", "KA"], own, None, lambda words: {w: [("K", "A"), ("X",)] for w in words}, KNOWN)
    assert spoken == {"AKKA": [("A", "K", "A"), ("A", "K")], "KA": [("K", "A")]}
    assert source == {"AKKA": "given", "KA": "guessed"}


def test_words_that_cannot_be_built_are_all_named(model: Path, tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("Akka, 'ka so'!\n")
    own = OwnWords((), {"AKKA": [("A", "K", "A")]})
    with pytest.raises(InputError, match="words: 2 of 3 have no pronunciation: KA, SO. Give them with --words"):
        build_graph(model, [tmp_path / "s.txt"], tmp_path / "graph", own)
    with pytest.raises(InputError, match=r"phones.txt: lacks 1 phone of the dictionary: ZH \(AKKA; nearest: "):
        build_graph(model, [tmp_path / "s.txt"], tmp_path / "graph", OwnWords((), {"AKKA": [("ZH",)]}))
    with pytest.raises(InputError, match="there is nothing to recognise. Give --sentences, --words or --grammar."):
        build_graph(model, [], tmp_path / "graph", OwnWords())


def test_lists_of_classes_are_in_any_spelling(model: Path, tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("ka $X\n")
    own = OwnWords((), {"AKKA": [("A", "K", "A")]})
    lists = {"X": [ListEntry(("akka",)), ListEntry(("Ta",))]}
    with pytest.raises(InputError, match="words: 2 of 3 have no pronunciation: KA, TA. Give them with --words"):
        build_graph(model, [tmp_path / "s.txt"], tmp_path / "graph", own, lists=lists)


def test_the_lang_folder_has_the_models_phones(model: Path, tmp_path: Path) -> None:
    lang = _make_lang(tmp_path, {"AKKA": [("A", "K", "A")], "KA": [("K", "A")]}, PHONES, KNOWN, model, None)
    assert lang.words.symbols == ("<eps>", "<UNK>", "AKKA", "KA", "#0", "<s>", "</s>")
    assert lang.phones["A_B"] == PHONES["A_B"] and lang.phones.symbol(lang.optional_silence) == "SIL"


def test_a_lang_folder_that_is_filled_later_has_every_phone(model: Path, tmp_path: Path) -> None:
    spoken = {"A": [("A",)]}
    for filled in (False, True):
        _make_lang(tmp_path / str(filled), spoken, PHONES, KNOWN, model, None, filled=filled)
        listed = (tmp_path / str(filled) / "dict" / "nonsilence_phones.txt").read_text().split()
        assert set(listed) == ({"A", "K"} if filled else {"A"})
