"""lexicon.lexicon: pronunciations and their three text forms."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from lexicon.lexicon import Lexicon, Pronunciation, check_lexicon, form_of, merge
from lexicon.silence import SilenceProbs, check_silence_probs

LAW = settings(deadline=None, max_examples=25)
WORDS = st.text("ABCé'", min_size=1, max_size=4)
PHONES = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4).map(tuple)
PROBABILITIES = st.floats(1e-6, 1.0)
PROBS = SilenceProbs(0.9, 1.5, 0.5, 0.2)


@st.composite
def lexicons(draw: st.DrawFn) -> Lexicon:
    pairs = draw(st.lists(st.tuples(WORDS, PHONES), min_size=1, max_size=10, unique=True))
    silent = draw(st.booleans())
    silence = st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 9), st.floats(0.01, 9)) if silent else st.none()
    entries = [Pronunciation(w, p, draw(PROBABILITIES), draw(silence)) for w, p in pairs]
    return Lexicon(tuple(entries), PROBS if silent else None)


def test_forms_by_hand(tmp_path: Path) -> None:
    (tmp_path / "lexiconp.txt").write_text("TOMATO 1.0 t a\nTOMATO\t0.5\tt ey\n")
    lexicon = Lexicon.read(tmp_path / "lexiconp.txt")
    assert lexicon.pronunciations("TOMATO") == [("TOMATO", ("t", "a"), 1.0, None), ("TOMATO", ("t", "ey"), 0.5, None)]
    assert (lexicon.words, lexicon.phones, lexicon.form, len(lexicon)) == (("TOMATO",), {"t", "a", "ey"}, "probs", 2)
    assert "TOMATO" in lexicon and "X" not in lexicon and lexicon.pronunciations("X") == []
    lexicon.write(tmp_path / "lexicon.txt")
    assert (tmp_path / "lexicon.txt").read_text() == "TOMATO t a\nTOMATO t ey\n"
    assert [form_of(n) for n in ("lexicon.txt", "d/lexiconp.txt.gz", "mine")] == ["plain", "probs", "plain"]


@LAW
@given(lexicons())
def test_save_and_load_is_identity(tmp_path_factory: pytest.TempPathFactory, lexicon: Lexicon) -> None:
    file = tmp_path_factory.mktemp("l") / "x"
    form = "silprobs" if lexicon.silence_probs else "probs"
    lexicon.write(file, form)
    entries, problems = check_lexicon(file, form)
    assert not problems and tuple(entries) == lexicon.entries


def test_words_are_in_the_order_of_their_bytes() -> None:
    entries = [Pronunciation(w, ("a",)) for w in ("b", "É", "Z", "ﬀ", "𝄞", "!")]
    words = Lexicon(tuple(entries)).words
    assert list(words) == sorted(words, key=lambda w: w.encode())


@pytest.mark.parametrize(
    "form, text, message",
    [
        ("plain", "A a\n\n", "l.txt:2: an empty line; wanted 'word phone phone …'. Remove the line."),
        ("plain", "A a\nTOY\n", "l.txt:2: word 'TOY' has no pronunciation; wanted at least one phone. Add its phones"),
        ("probs", "A 1.0\n", "l.txt:1: word 'A' has no pronunciation"),
        (
            "plain",
            "A a\nTOY t oy3\n",
            "l.txt:2: word 'TOY' uses phone 't', absent from silence_phones.txt and nonsilence_phones.txt (2 phones). "
            "Add the phone or correct this line.",
        ),
        (
            "plain",
            "A a\nB b\nA a\n",
            "l.txt:3: word 'A' has the pronunciation 'a' in line 1 already; wanted each pronunciation of a word once. "
            "Remove one of the lines.",
        ),
        ("plain", "<s> a\n", "l.txt:1: '<s>' as a word; wanted a word other than <eps>, <s>, </s> and #0. Rename"),
        ("plain", "</s> a\n", "l.txt:1: '</s>' as a word"),
        ("plain", "#0 a\n", "l.txt:1: '#0' as a word"),
        ("plain", "<eps> a\n", "l.txt:1: '<eps>' as a word"),
        (
            "probs",
            "A 0 a\n",
            "l.txt:1: word 'A' has the pronunciation probability '0'; wanted a number above 0, at most 1",
        ),
        ("probs", "A 1.5 a\n", "has the pronunciation probability '1.5'"),
        ("probs", "A nan a\n", "has the pronunciation probability 'nan'"),
        ("probs", "A a b\n", "has the pronunciation probability 'a'"),
        ("silprobs", "A 1 1 1 1 a\n", "l.txt:1: word 'A' has the silence probability 1; wanted a number between"),
        ("silprobs", "A 1 0.5 0 1 a\n", "has the correction '0'; wanted a number above 0."),
        ("silprobs", "A 1 0.5 1\n", "l.txt:1: word 'A' has no pronunciation"),
        ("plain", "A a\r\n", "l.txt:1: carriage return"),
        ("plain", "", "l.txt: the file is empty"),
    ],
)
def test_message_of_a_bad_line(tmp_path: Path, form: str, text: str, message: str) -> None:
    (tmp_path / "l.txt").write_text(text, newline="")
    with pytest.raises(InputError) as caught:
        Lexicon.read(tmp_path / "l.txt", form, {"a", "b"})
    assert message in str(caught.value)


def test_all_problems_are_collected(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text("A a\nB\nC x\nD a\n")
    entries, problems = check_lexicon(tmp_path / "l.txt", "plain", {"a"})
    assert [e.word for e in entries] == ["A", "D"] and [p.line for p in problems] == [2, 3]


@pytest.mark.parametrize(
    "entries, probs, message",
    [
        ((), None, "at least one pronunciation"),
        ((Pronunciation("A", ()),), None, "'A' is reserved, or lacks phones"),
        ((Pronunciation("<s>", ("a",)),), None, "'<s>' is reserved"),
        ((Pronunciation("A", ("a",), 1.1),), None, r"or a probability in \(0, 1\]"),
        ((Pronunciation("A", ("a",)), Pronunciation("A", ("a",), 0.5)), None, "stands twice"),
        ((Pronunciation("A", ("a",)),), PROBS, "silence probabilities belong to every word or to none"),
        ((Pronunciation("A", ("a",), 1.0, (0.5, 1.0, 1.0)),), None, "belong to every word or to none"),
    ],
)
def test_a_lexicon_checks_itself(entries: tuple[Pronunciation, ...], probs: SilenceProbs | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lexicon(entries, probs)


def test_silence_probs_file(tmp_path: Path) -> None:
    PROBS.write(tmp_path / "silprob.txt")
    assert check_silence_probs(tmp_path / "silprob.txt") == (PROBS, [])
    (tmp_path / "silprob.txt").write_text("<s> 1.5\n</s>_s 2\n")
    _, problems = check_silence_probs(tmp_path / "silprob.txt")
    assert "silprob.txt:1: found '<s> 1.5'; wanted one line each of <s>, </s>_s, </s>_n, overall" in str(problems[0])
    (tmp_path / "silprob.txt").write_text("<s> 0.5\n</s>_s 2\n")
    assert "lacks the line '</s>_n'" in str(check_silence_probs(tmp_path / "silprob.txt")[1][0])
    with pytest.raises(ValueError, match="probabilities of silence must lie between 0 and 1"):
        SilenceProbs(1.0, 1, 1, 0.5)


def test_merge_keeps_the_first_of_equal_pronunciations() -> None:
    one = Lexicon((Pronunciation("A", ("a",), 0.5),))
    two = Lexicon((Pronunciation("A", ("a",)), Pronunciation("B", ("b",))))
    assert [e.probability for e in merge([one, two]).entries] == [0.5, 1.0]
