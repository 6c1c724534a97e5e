"""Phrases raised in the search of a recogniser: for everybody, for one session, beside filled slots."""

from __future__ import annotations

import pytest

from hybrid.base.errors import InputError
from hybrid.decode.slot_filler import SlotFiller
from hybrid.decode.system import System
from hybrid.formats.fst_arrays import FstArrays
from hybrid.graph.decoding import compile_decoding_graph
from hybrid.graph.word_classes import Classes
from hybrid.model.folder import load_model
from hybrid.recogniser import Recogniser
from lexicon.lang_dir import LangDir
from lm.config import EstimateConfig
from lm.estimate import estimate_from_sentences
from lm.grammar_fst import ngram_to_fst
from lm.word_list import ListEntry
from tests.tiny_recogniser import RATE


@pytest.fixture
def recogniser(tiny) -> Recogniser:
    """LOW, MID and a slot with TREBLE and SOPRANO, which sound alike, in any order; TREBLE is the likelier."""
    lang, model = LangDir.load(tiny.root / "lang"), load_model(tiny.model)
    words = [lang.words["LOW"], lang.words["MID"], lang.words.max_id + 1]
    grammar = FstArrays.from_arcs(0, [0] * 3, words, words, [0] * 3, [1.4] * 3, [1.4])
    graph = compile_decoding_graph(lang, grammar, model.transition_model, classes=Classes({"$BAND": words[2]}))
    made = Recogniser.of(model, graph)
    made.fill({"BAND": [ListEntry(("TREBLE",), 3.0, (("H",),)), ListEntry(("SOPRANO",), 1.0, (("H",),))]})
    return made


def test_what_is_raised_wins_where_it_is_said(recogniser, bursts):
    audio = bursts(["LOW", "HIGH", "MID", "HIGH"], 7)
    assert recogniser.recognise(audio, RATE).text == "LOW TREBLE MID TREBLE"
    recogniser.bias(["soprano"])
    assert recogniser.recognise(audio, RATE).text == "LOW SOPRANO MID SOPRANO"
    recogniser.bias([("mid soprano", 2.0)])
    assert recogniser.recognise(audio, RATE).text == "LOW TREBLE MID SOPRANO"
    recogniser.bias([("soprano", 2.0, "low")])
    assert recogniser.recognise(audio, RATE).text == "LOW SOPRANO MID TREBLE"
    recogniser.bias([("low treble", -2.0)])
    assert recogniser.recognise(audio, RATE).text == "LOW SOPRANO MID TREBLE"
    recogniser.bias([])
    assert recogniser.recognise(audio, RATE).text == "LOW TREBLE MID TREBLE"


def test_a_session_has_a_list_of_its_own(recogniser, bursts):
    sessions = [recogniser.session(RATE, name) for name in ("a", "b")]
    sessions[0].bias([("low soprano", 2.0)])
    audio = bursts(["LOW", "HIGH"], 9)
    sessions[0].advance_together(sessions, [audio, audio])
    assert [" ".join(one.text for one in session.finish()) for session in sessions] == ["LOW SOPRANO", "LOW TREBLE"]
    assert recogniser.system.phrases == ()


def test_phrases_stay_when_a_slot_is_filled_anew(recogniser, bursts):
    """Words of the new list are found among the phrases."""
    session, audio = recogniser.session(RATE), bursts(["MID", "HIGH"], 10)
    session.bias([("mid alto", 2.0), ("mid soprano", 2.0)])
    session.fill({"BAND": [ListEntry(("TREBLE",), 3.0, (("H",),)), ListEntry(("ALTO",), 1.0, (("H",),))]})
    found = session.advance(audio) + session.finish()
    assert " ".join(one.text for one in found) == "MID ALTO"


def test_what_cannot_be_raised(recogniser, tmp_path):
    with pytest.raises(InputError, match="none of 1 phrases has only words of the word table; the first unknown are"):
        recogniser.bias(["nguyen"])
    with pytest.raises(InputError, match="phrases:2: has the boost nan, wanted a finite number"):
        recogniser.bias(["low", ("mid", float("nan"))])
    with pytest.raises(InputError, match="phrases:1: has the boost inf, wanted a finite number"):
        recogniser.bias(["low"], float("inf"))
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(InputError, match="empty.txt: holds no phrase"):
        recogniser.bias(tmp_path / "empty.txt")
    before: System = recogniser.system
    assert before.phrases == ()


@pytest.fixture
def guessing(tiny) -> Recogniser:
    """LOW and MID in any order, open to new words, which sound as H."""
    lang, model = LangDir.load(tiny.root / "lang"), load_model(tiny.model)
    estimated, _ = estimate_from_sentences([["LOW"], ["MID"], ["LOW", "MID"], ["MID", "MID"]], EstimateConfig(order=2))
    grammar = ngram_to_fst(estimated, lang.words)
    graph = compile_decoding_graph(lang, grammar, model.transition_model, classes=Classes(takes_words=True))
    made = Recogniser.of(model, graph)
    return Recogniser(made.system, guess=lambda words: {word: [("H",)] for word in words if word != "XYZZY"})


def test_words_that_the_graph_lacks_are_guessed(guessing, bursts):
    audio = bursts(["MID", "HIGH", "LOW"], 11)
    guessing.add_word("OWN", ["H"], probability=1e-9)
    guessing.bias([("nguyen", 8.0), "xyzzy low"])
    assert guessing.recognise(audio, RATE).text == "MID NGUYEN LOW"
    assert guessing.vocabulary() == ("NGUYEN", "OWN")
    guessing.bias(["low"])
    assert guessing.vocabulary() == ("OWN",) and "NGUYEN" not in guessing.recognise(audio, RATE).text


def test_another_list_fills_once(guessing, monkeypatch):
    guessing.bias([("nguyen", 8.0)])
    filled, fill = [], SlotFiller.fill
    monkeypatch.setattr(SlotFiller, "fill", lambda self, contents: filled.append(contents) or fill(self, contents))
    guessing.bias([("smith", 8.0), "low"])
    assert [[entry.text for some in one.values() for entry in some] for one in filled] == [["SMITH"]]
    assert guessing.vocabulary() == ("SMITH",) and "NGUYEN" not in guessing.system.words


def test_of_a_long_list_the_nearest_are_raised(guessing, bursts):
    names = [("low nguyen", 8.0), ("mid smith", 8.0), ("low mid low", 8.0), ("xyzzy", 8.0)]
    guessing.bias(names, nearest=1)
    assert guessing.system.phrases == () and guessing.vocabulary() == ()
    assert "SMITH" in guessing.system.words
    texts = [guessing.recognise(bursts(said, 12), RATE).text for said in (["MID", "HIGH"], ["LOW", "HIGH"])]
    assert texts == ["MID SMITH", "LOW NGUYEN"]


def test_a_session_in_use_gets_no_list(recogniser):
    session = recogniser.session(RATE)
    with session._alone(), pytest.raises(InputError, match="session 'session': is used by another thread"):
        session.bias(["low"])


@pytest.mark.parametrize("boost", [5.0, 6.5])  # beyond the lattice beam, 6, nothing else is left in a lattice
@pytest.mark.parametrize("door", ["recogniser", "session"])
def test_a_list_that_swallows_what_is_said_is_told_once(recogniser, bursts, caplog, door, boost):
    recogniser.bias([("soprano", boost)])
    audio = bursts(["LOW", "HIGH"] * 6, 7)
    for _ in range(2):
        session = recogniser.session(RATE)
        if door == "recogniser":
            text = recogniser.recognise(audio, RATE).text
        else:
            text = " ".join(one.text for one in session.advance(audio) + session.finish())
        assert text == "LOW SOPRANO " * 5 + "LOW SOPRANO"
    told = "phrases: 50% of 12 words were written by the list alone; its boosts are too high. Lower them."
    assert [record.getMessage() for record in caplog.records].count(told) == 1
    assert session._kept is None  # scores are not kept any more


def test_a_list_that_is_rightly_said_is_not_told_of(recogniser, bursts, caplog):
    recogniser.bias([("treble", 6.5), ("low", 2.0)])
    for _ in range(6):
        assert recogniser.recognise(bursts(["LOW", "HIGH"] * 6, 7), RATE).text == "LOW TREBLE " * 5 + "LOW TREBLE"
    assert "boosts are too high" not in caplog.text and recogniser.system.watch.searches.left == 0
