"""Phrases as an automaton: what a sequence gains is the boosts of all that it says, and loans come back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from lexicon.symbols import SymbolTable
from lexicon.words import spelling
from lm.biasing.bias_automaton import BiasAutomaton, BiasPhrase
from lm.biasing.bias_list import BiasList, WordFinder, read_bias_list

WORD = st.integers(1, 3)
PHRASE = st.builds(
    BiasPhrase,
    st.lists(WORD, min_size=1, max_size=3).map(tuple),
    st.sampled_from([-2.0, 0.0, 0.5, 3.0]),
    st.lists(WORD, max_size=2).map(tuple),
)


def spelt_out(phrases: list[BiasPhrase], words: list[int]) -> float:
    """The readable twin: every phrase at every place."""
    total = 0.0
    for phrase in phrases:
        said = phrase.context + phrase.words
        total += phrase.boost * sum(tuple(words[k : k + len(said)]) == said for k in range(len(words)))
    return total


@settings(max_examples=300, deadline=None)
@given(st.lists(PHRASE, max_size=6), st.lists(WORD, max_size=10))
def test_a_sequence_gains_what_it_says(phrases, words):
    assert BiasAutomaton(phrases).score(words) == pytest.approx(spelt_out(phrases, words), abs=1e-9)


def test_a_loan_grows_with_the_phrase_and_comes_back():
    automaton = BiasAutomaton([BiasPhrase((1, 2, 3), 3.0)])
    first, gain = automaton.step(0, 1)
    second, more = automaton.step(first, 2)
    assert (gain, more) == (1.0, 1.0)
    assert automaton.step(second, 3)[1] == 1.0
    assert automaton.step(second, 2) == (0, -2.0) and automaton.end(second) == -2.0


def test_a_context_is_lent_nothing():
    automaton = BiasAutomaton([BiasPhrase((2,), 1.5, context=(1,))])
    state, gain = automaton.step(0, 1)
    assert gain == 0 and automaton.step(state, 2)[1] == 1.5 and automaton.step(0, 2)[1] == 0


@pytest.mark.parametrize(
    ("words", "boost", "message"),
    [((), 1.0, "wanted word ids above 0"), ((0,), 1.0, "wanted word ids above 0"),
     ((1,), float("nan"), "wanted a finite number"),
     ((1,) * 200, 1.0, "a phrase of 200 words, wanted at most 50")],
)  # fmt: skip
def test_no_such_phrase(words, boost, message):
    with pytest.raises(ValueError, match=message):
        BiasPhrase(words, boost)


@pytest.fixture
def words() -> SymbolTable:
    return SymbolTable(("<eps>", "CALL", "PETER", "NEW", "YORK", "CAFÉ", "#0"))


def listed(tmp_path, text: str | bytes):
    path = tmp_path / "list.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_list(tmp_path, words, caplog):
    path = listed(tmp_path, "new  york\t0.5\nPETER\t\tcall\n\ncafe\u0301\nNEW YORK\nNGUYEN\n")
    found = read_bias_list(path, words, 2.0)
    assert found.phrases == (BiasPhrase((3, 4), 1.0), BiasPhrase((2,), 2.0, (1,)), BiasPhrase((5,), 2.0))
    assert found.texts == ("new york", "PETER", "cafe\u0301") and found.unknown == (("NGUYEN", ("NGUYEN",)),)
    assert "1 phrases stand in the list again" in caplog.text
    assert "1 of 4 phrases have words that the graph does not know and cannot be found: NGUYEN" in caplog.text
    assert "the graph (`hybrid graph build`), or decode with a graph of --open and with --g2p." in caplog.text


def test_the_spellings_of_a_table_are_made_once(monkeypatch):
    """Else each list with a word that the graph lacks takes as long as the whole vocabulary."""
    made, folded = [], spelling.folded
    monkeypatch.setattr(spelling, "folded", lambda word: made.append(word) or folded(word))
    table = SymbolTable(("<eps>", "ONCE", "CAFE\u0301"))
    for more in ((), ("NGUYEN",), ("SMITH", "Doe"), ()):  # a list's new words stand in the table while it is raised
        words = table.extended(more) if more else table
        wanted = [0, 1, 2, 0, words.get("Doe", 0)]
        assert [WordFinder(words)[word] for word in ("xyzzy", "once", "caf\u00e9", "york", "dOE")] == wanted
    assert made.count("ONCE") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no phrase"),
        ("NEW\tnan\n", ":1: has the boost nan, wanted a finite number"),
        ("NEW\n\nYORK\tmuch\n", ":3: has the boost much, wanted a finite number"),
        ("NEW\t1\tCALL\tx\n", ":1: has 4 columns, wanted at most 3"),
        ("NEW " * 200 + "\n", ":1: has a phrase of 200 words, wanted at most 50"),
        (
            "Нгуен\nПетер\n",
            "none of 2 phrases has only words of the word table; the first unknown are Нгуен, Петер",
        ),
        ("Zoë\n".encode("latin-1"), ":1: byte 0xeb is not UTF-8 text"),
    ],
)
def test_no_such_list(tmp_path, words, text, message):
    with pytest.raises(InputError) as caught:
        read_bias_list(listed(tmp_path, text), words, 1.0)
    assert message in str(caught.value)


def test_a_list_of_twenty_thousand():
    table = SymbolTable(("<eps>", *(f"W{n}" for n in range(20_000))))
    table.get("W1")
    lines = [(f"W{n} W{(n * 7) % 20_000}" if n % 3 else f"W{n}", 1.0, "") for n in range(20_000)]
    automaton = BiasList.of(lines, table).automaton()
    assert automaton.score([1 + 3]) == 1.0
