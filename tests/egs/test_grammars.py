"""Grammars of fsdd and sentences of the assistant."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hybrid.base.errors import HybridError, InputError
from lexicon.lexicon import Lexicon


@pytest.mark.parametrize("kind", ["loop", "single"])
def test_digit_grammar_is_a_probability(script, kind: str) -> None:  # type: ignore[no-untyped-def]
    fst = script("egs/fsdd/local/grammar.py").grammar([7, 5, 9], kind)
    for state in range(len(fst.row_splits) - 1):
        arcs = slice(fst.row_splits[state], fst.row_splits[state + 1])
        mass = np.exp(-fst.costs[arcs]).sum() + np.exp(-fst.final_costs[state])
        assert mass == pytest.approx(1.0)
    assert fst.ilabels.tolist() == fst.olabels.tolist() == [5, 7, 9]
    assert np.isfinite(fst.final_costs[0]) == (kind == "loop")


def test_word_that_is_not_there(root: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("<eps> 0\nONE 1\n#0 2\n<s> 3\n</s> 4\n")
    words = [sys.executable, root / "egs/fsdd/local/grammar.py", "--kind", "loop", "--words", tmp_path / "words.txt"]
    done = subprocess.run([*words, "--out", tmp_path / "G.fst", "TWO"], capture_output=True, text=True, check=False)
    assert "words.txt: has no word 'TWO'. Add it to the lexicon." in done.stderr


@pytest.fixture(scope="module")
def sentences(script):  # type: ignore[no-untyped-def]
    return script("egs/assistant/local/sentences.py")


def test_committed_grammar_and_lexicon(sentences, root: Path) -> None:  # type: ignore[no-untyped-def]
    grammar = sentences.Grammar.read(root / "egs/assistant/conf/grammar.yaml")
    words = {word.upper() for word in grammar.words()}
    lexicon = set(Lexicon.read(root / "egs/assistant/local/dict/lexicon.txt").words)
    assert len(words) >= 150
    assert words == lexicon - {"<UNK>", "!SIL"}


def run(root: Path, out: Path, *words: str, grammar: Path | None = None) -> subprocess.CompletedProcess:
    here = root / "egs/assistant"
    command = [sys.executable, here / "local/sentences.py", "--grammar", grammar or here / "conf/grammar.yaml"]
    command += ["--lexicon", here / "local/dict/lexicon.txt", "--out-dir", out, *words]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def test_no_sentence_of_test_is_learnt(root: Path, tmp_path: Path) -> None:
    for name in "ab":
        assert run(root, tmp_path / name, "--train", "400", "--lm", "5000").returncode == 0
    texts = {}
    for name in ("train", "dev", "test", "lm.txt", "vocab.txt"):
        texts[name] = (tmp_path / "a" / name).read_text()
        assert texts[name] == (tmp_path / "b" / name).read_text()
    said = {n: [line.split(" ", 1)[1] for line in texts[n].splitlines()] for n in ("train", "dev", "test")}
    learnt = texts["lm.txt"].splitlines()
    assert (len(said["train"]), len(said["dev"]), len(said["test"]), len(learnt)) == (400, 100, 300, 5000)
    assert learnt[:400] == said["train"]
    assert not set(learnt) & set(said["dev"] + said["test"])
    assert not set(said["dev"]) & set(said["test"])
    assert not any("{" in sentence for sentence in learnt)  # templates are filled to the last slot
    assert len(set(learnt)) == len(learnt)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("slots: {}\n", "has no domains"),
        ("domains: {a: ['turn {x}']}\n", "'turn {x}' uses the slot 'x', which is not there"),
        ("domains: {a: [on]}\n", "'a' holds True, wanted text. Put it in quotes."),
    ],
)
def test_bad_grammars(sentences, tmp_path: Path, text: str, message: str) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "g.yaml").write_text(text)
    with pytest.raises(InputError) as error:
        sentences.Grammar.read(tmp_path / "g.yaml")
    assert message in str(error.value)


def test_a_word_without_pronunciation(root: Path, tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text("domains: {a: [call zorg]}\n")
    done = run(root, tmp_path / "out", grammar=tmp_path / "g.yaml")
    assert "g.yaml: 'ZORG' is not in" in done.stderr


def test_a_grammar_that_is_used_up(sentences) -> None:  # type: ignore[no-untyped-def]
    grammar = sentences.Grammar({"a": ["call {n}"]}, {"n": [str(i) for i in range(12)]})
    source = sentences.distinct(grammar, np.random.default_rng(0))
    assert len([next(source) for _ in range(12)]) == 12
    with pytest.raises(HybridError, match="too few sentences"):
        next(source)
    assert sentences.Grammar({"a": ["stop", "call {n}"]}, {"n": ["x", "y"]}).few() == ["stop", "call x", "call y"]


def test_few_fills_every_slot_of_every_sentence(sentences) -> None:  # type: ignore[no-untyped-def]
    grammar = sentences.Grammar(
        {"a": ["take {n}", "go {far}"]}, {"n": ["one", "{d} {d}"], "d": ["x", "y"], "far": ["{n}"] * 3}
    )
    assert grammar.few()[:5] == ["take one", "take x x", "take x y", "take y x", "take y y"]
    assert len(grammar.few()) == 5  # fifteen sentences of "go" are more than ten
