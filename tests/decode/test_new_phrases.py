"""Phrases whose words the graph lacks, by one command: guessed, heard in its place for new words, told as guesses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hybrid.decode import raised_phrases
from hybrid.decode.nearest_phrases import spelt, usual_case
from hybrid.decode.system import SystemSpec, load_system
from tests.tiny_recogniser import Tiny, must


@pytest.fixture(scope="module")
def world(tiny: Tiny, tmp_path_factory) -> Path:
    """A graph of LOW and MID, open to new words, and a model that guesses that "h" sounds as H."""
    root = tmp_path_factory.mktemp("open")
    (root / "text").write_text("LOW MID\nMID\nLOW\nMID MID LOW\n" * 3)
    (root / "dict.txt").write_text("".join(f"{letter * n}{' ' + phone:s}" + f" {phone}" * (n - 1) + "\n"
                                   for letter, phone in ("AH", "BL", "CM") for n in (1, 2, 3)))  # fmt: skip
    must("lm", "train", root / "text", "--order", 2, "--smoothing", "witten-bell", "--out", root / "a.arpa")
    must("lm", "fst", root / "a.arpa", "--lang", tiny.root / "lang", "--out", root / "G.fst")
    must("graph", "compile", "--model", tiny.model, "--lang", tiny.root / "lang", "--grammar", root / "G.fst", "--open",
         "--out-dir", root / "graph")  # fmt: skip
    must("lm", "g2p-train", root / "dict.txt", "--order", 2, "--out", root / "g2p.arpa")
    return root


def decoded(tiny: Tiny, world: Path, out: Path, *given: object) -> tuple[list[list[str]], list[dict]]:
    """Words of each utterance, and what is told of it."""
    (out.parent / "list.txt").write_text("a\t8\nmid low low\nlow low low mid\n")
    must("decode", "--model", tiny.model, "--graph", world / "graph", "--feats", tiny.feats, "--out-dir", out,
         "--bias", out.parent / "list.txt", "--bias-why", *given)  # fmt: skip
    texts, told = ((out / name).read_text().splitlines() for name in ("transcript.txt", "why.jsonl"))
    return [line.split()[1:] for line in texts], [json.loads(line) for line in told]


def test_words_that_the_graph_lacks_are_guessed(tiny: Tiny, world: Path, tmp_path: Path) -> None:
    texts, told = decoded(tiny, world, tmp_path / "out", "--g2p", world / "g2p.arpa")
    rows = [row for one in told for row in one["phrases"]]
    said = [row for row in rows if row["outcome"] == "said" and row["phrase"] == "a"]
    assert said and len(said) == sum("A" in text for text in texts)
    assert all(row["guessed"] == (["A H"] if row["phrase"] == "a" else []) for row in rows)
    assert not any("not near" in one["neither"] for one in told)


def test_what_a_long_list_does_not_raise_is_counted(tiny: Tiny, world: Path, tmp_path: Path) -> None:
    _, told = decoded(tiny, world, tmp_path / "out", "--g2p", world / "g2p.arpa", "--bias-nearest", 1)
    assert told and all(one["neither"]["not near"] == 2 for one in told)


def test_without_a_guess_they_are_left_out(tiny: Tiny, world: Path, tmp_path: Path) -> None:
    texts, told = decoded(tiny, world, tmp_path / "out")
    assert not any("A" in text for text in texts)
    assert all(one["neither"]["no pronunciation"] == 1 for one in told)


def test_new_words_take_the_case_of_most_words() -> None:
    upper, lower, mixed = usual_case(["LOW", "MID", "42", "x"]), usual_case(["low", "Mid", "high"]), usual_case(["Low"])
    assert [case("Nguyen") for case in (upper, lower, mixed)] == ["NGUYEN", "nguyen", "Nguyen"]
    assert [spelt(word, {"Low", "MID"}, lower) for word in ("Low", "mid", "Doe")] == ["Low", "MID", "doe"]


def test_the_case_is_asked_once_for_a_list(tiny: Tiny, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every word that the graph lacks looks through 500 of its words."""
    asked: list[object] = []
    monkeypatch.setattr(raised_phrases, "usual_case", lambda words: asked.append(words) or usual_case(words))
    system = load_system(SystemSpec(tiny.model, world / "graph", engine="native", g2p=world / "g2p.arpa"))
    raised_phrases.with_phrases(system, ["a", "b", "c", "aa", "bb", "cc"])
    assert len(asked) == 1
