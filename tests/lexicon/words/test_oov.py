"""lexicon.words.oov and lexicon.word_sources: words of texts that a lexicon lacks."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from lexicon.word_sources import read_utterances, vocabulary_of
from lexicon.words.oov import count_oov

LAW = settings(deadline=None, max_examples=60)


def test_counts_by_hand() -> None:
    report = count_oov([("u1", ["A", "X", "X"]), ("u2", ["Y", "A"]), ("u3", [])], {"A"})
    assert report.counts == (("X", 2, "u1"), ("Y", 1, "u2"))
    assert (report.tokens, report.types, report.oov_tokens, report.rate) == (5, 3, 3, 0.6)
    assert report.summary() == (
        "3 of 5 tokens (60.00 %) and 2 of 3 different words are not in the lexicon; 2 of 3 utterances have at least one"
    )
    assert report.to_tsv() == "word\tcount\tfirst_utterance\nX\t2\tu1\nY\t1\tu2\n"
    assert count_oov([], {"A"}).rate == 0.0


@LAW
@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=5), max_size=6), st.sets(st.sampled_from("abcdef")))
def test_words_are_in_the_lexicon_or_counted(sentences: list[list[str]], known: set[str]) -> None:
    report = count_oov([(str(i), s) for i, s in enumerate(sentences)], known)
    flat = [w for s in sentences for w in s]
    assert report.oov_tokens == sum(w not in known for w in flat)
    assert {w: n for w, n, _ in report.counts} == {w: flat.count(w) for w in set(flat) - known}
    counts = [n for _, n, _ in report.counts]
    assert counts == sorted(counts, reverse=True)


def test_three_forms_of_text(tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text("A B\r\n\r\nB C\r\n", newline="")
    assert list(read_utterances(tmp_path / "plain.txt")) == [("line 1", ["A", "B"]), ("line 3", ["B", "C"])]
    (tmp_path / "text").write_text("u1 A B\nu2\n")
    assert list(read_utterances(tmp_path / "text", with_ids=True)) == [("u1", ["A", "B"]), ("u2", [])]
    cuts = [{"id": "c", "supervisions": [{"id": "s", "text": "A B"}, {"text": None}]}, {"id": "d"}]
    (tmp_path / "cuts.jsonl.gz").write_bytes(gzip.compress("".join(json.dumps(c) + "\n" for c in cuts).encode()))
    assert list(read_utterances(tmp_path / "cuts.jsonl.gz")) == [("s", ["A", "B"]), ("c", [])]
    assert vocabulary_of([tmp_path / "plain.txt", tmp_path / "cuts.jsonl.gz"]) == ["A", "B", "C"]
    assert vocabulary_of([tmp_path / "text"], with_ids=True) == ["A", "B"]


@pytest.mark.parametrize("line", ["{", "[]", "7", '{"supervisions": [1]}', '{"supervisions": 3}'])
def test_message_of_a_line_that_is_no_cut(tmp_path: Path, line: str) -> None:
    (tmp_path / "cuts.jsonl").write_text('{"id": "a"}\n' + line + "\n")
    with pytest.raises(
        InputError, match=r"cuts\.jsonl:2: is (no cut \(\w+\); wanted a JSON object with supervisions|not JSON)"
    ):
        list(read_utterances(tmp_path / "cuts.jsonl"))
