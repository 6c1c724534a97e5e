"""`graph lint`: each finding by an example that has it, and its cure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hybrid.formats.openfst import FstArrays, write_fst
from hybrid.graph.word_classes import Classes
from hybrid.hmm import HmmTopology
from hybrid.lint.findings import ERROR, NOTE, WARNING, LintFinding, lint
from lexicon.lang_dir import LangDir
from lexicon.prepare import prepare_lang
from lexicon.symbols import SymbolTable
from lm.config import EstimateConfig
from lm.estimate import estimate_from_sentences
from lm.grammar_fst import ngram_to_fst
from tests.tiny_recogniser import run

LEXICON = "<UNK> SPN\n!SIL SIL\nA AH\nSEA S IY\nSEE S IY\nHUSH SIL\nIDLE AH S\n"
SENTENCES = [["A", "SEE"], ["SEE", "A", "SEA"], ["SEA"], ["A", "HUSH"]]


def topology(spoken: list[int], silence: list[int]) -> str:
    return HmmTopology.kaldi_default(spoken, silence, 3, 5).to_text()


@pytest.fixture(scope="module")
def lang(tmp_path_factory) -> LangDir:
    folder = tmp_path_factory.mktemp("lang")
    (folder / "dict").mkdir()
    texts = {"lexicon.txt": LEXICON, "silence_phones.txt": "SIL\nSPN\n", "optional_silence.txt": "SIL\n"}
    for name, text in {**texts, "nonsilence_phones.txt": "AH\nIY\nS\n"}.items():
        (folder / "dict" / name).write_text(text)
    prepare_lang(folder / "dict", "<UNK>", folder / "lang", topology)
    return LangDir.load(folder / "lang")


@pytest.fixture(scope="module")
def grammar(lang: LangDir) -> FstArrays:
    model, _ = estimate_from_sentences(SENTENCES, EstimateConfig(order=2))
    return ngram_to_fst(model, lang.words)


def acceptor(arcs: list[tuple[int, int, int, float]], finals: dict[int, float], states: int) -> FstArrays:
    """Arcs as (source, word, target, cost)."""
    sources, labels, targets, costs = (np.array(column) for column in zip(*arcs)) if arcs else [np.zeros(0)] * 4
    ends = np.full(states, np.inf, np.float32)
    for state, cost in finals.items():
        ends[state] = cost
    return FstArrays.from_arcs(
        0, sources.astype(int), labels.astype(int), labels.astype(int), targets.astype(int), costs, ends
    )


def told(found: list[LintFinding], part: str) -> LintFinding:
    matches = [finding for finding in found if part in finding.found]
    assert len(matches) == 1, [str(finding) for finding in found]
    assert matches[0].cure.endswith(".")
    return matches[0]


def test_a_good_grammar(lang: LangDir, grammar: FstArrays) -> None:
    found = lint(lang, grammar)
    assert {finding.kind for finding in found} <= {WARNING, NOTE}
    assert told(found, "1 words are pronounced as silence: 'HUSH'").kind == WARNING
    assert told(found, "1 words of the lexicon are not in the grammar and cannot be recognised: 'IDLE'").kind == NOTE
    assert len(found) == 2, [str(one) for one in found]


def test_ways(lang: LangDir) -> None:
    a = lang.words["A"]
    assert told(lint(lang, acceptor([(0, a, 1, 0.0)], {}, 2)), "has no end").kind == ERROR
    assert told(lint(lang, acceptor([(1, a, 0, 0.0)], {1: 0.0}, 2)), "no way leads from the start").kind == ERROR
    found = lint(lang, acceptor([(0, a, 1, 0.0), (2, a, 1, 0.0), (0, lang.words["SEA"], 3, 1.0)], {1: 0.0}, 4))
    assert told(found, "1 states are out of reach from the start, the first is 2").kind == WARNING
    assert told(found, "1 states have no way to the end, the first is 3").kind == WARNING


def test_words_that_cannot_be_spoken(lang: LangDir, grammar: FstArrays) -> None:
    words = SymbolTable((*lang.words.symbols, "MUTE"), range(len(lang.words.symbols) + 1))
    longer = replace(lang, words=words)
    half = acceptor([(0, words["A"], 1, np.log(2)), (0, words["MUTE"], 1, np.log(2))], {1: 0.0}, 2)
    finding = told(lint(longer, half), "1 words of the grammar have no pronunciation: 'MUTE'")
    assert finding.kind == WARNING and "up to 50 % of the probability" in finding.found and "g2p-apply" in finding.cure
    high = acceptor([(0, 99, 1, 0.0)], {1: 0.0}, 2)
    assert told(lint(lang, high), "1 labels of the grammar are no words of").kind == ERROR


def test_ambiguity_and_sums(lang: LangDir) -> None:
    a, sea = lang.words["A"], lang.words["SEA"]
    twice = acceptor([(0, a, 1, np.log(2)), (0, a, 2, np.log(2)), (1, sea, 2, np.log(4))], {2: 0.0}, 3)
    found = lint(lang, twice)
    assert told(found, "the grammar is ambiguous: state 0 has two arcs for 'A'").kind == WARNING
    assert told(found, "1 states lose probability, state 1 keeps 25 %").kind == WARNING
    rich = acceptor([(0, a, 1, 0.0), (0, sea, 1, 0.0)], {1: 0.0}, 2)
    assert told(lint(lang, rich), "1 states have more than all probability, state 0 2 times").kind == NOTE


def test_classes(lang: LangDir) -> None:
    label, a = 1000, lang.words["A"]
    grammar = acceptor([(0, label, 1, 0.0)], {1: 0.0}, 2)
    full, empty = acceptor([(0, a, 1, 0.0)], {1: 0.0}, 2), acceptor([], {}, 1)
    assert [f for f in lint(lang, grammar, classes=Classes({"$X": label}, {"$X": full})) if f.kind != NOTE] == []
    assert told(lint(lang, grammar, classes=Classes({"$X": label}, {"$X": empty})), "class '$X' is empty").kind == ERROR
    found = lint(lang, grammar, classes=Classes({"$X": label, "$Y": label + 1}))
    assert told(found, "the class '$Y' stands nowhere in the grammar").kind == WARNING


def test_homophones_without_symbols(lang: LangDir, grammar: FstArrays, monkeypatch: pytest.MonkeyPatch) -> None:
    def clashes(self: LangDir, limit: int | None = None, words: object = None) -> list[str]:
        return ["'SEA' and 'SEE' are both pronounced 'S IY'"]

    monkeypatch.setattr(LangDir, "find_clashes", clashes)
    finding = told(lint(lang, grammar), "words cannot be told apart: 'SEA' and 'SEE'")
    assert finding.kind == ERROR and "hybrid lang prepare" in finding.cure


def test_words_of_the_model_outside(lang: LangDir, grammar: FstArrays) -> None:
    model, _ = estimate_from_sentences([["A", "NEW"], ["NEW", "SEA"]], EstimateConfig(order=2))
    finding = told(lint(lang, grammar, model), "1 words of the language model are not in words.txt")
    assert finding.kind == WARNING and "% of its unigram probability: 'NEW'" in finding.found
    logs = model.levels[0].log10_probs.copy()
    logs[2] = -99.0
    endless = replace(model, levels=(replace(model.levels[0], log10_probs=logs), *model.levels[1:]))
    assert told(lint(lang, grammar, endless), "never ends a sentence: </s> has no probability").kind == ERROR


def test_the_command(lang: LangDir, grammar: FstArrays, tmp_path: Path) -> None:
    write_fst(tmp_path / "G.fst", grammar)
    result = run("graph", "lint", "--lang", lang.path, "--grammar", tmp_path / "G.fst")
    assert result.exit_code == 0 and "warning: 1 words are pronounced as silence: 'HUSH'. Give" in result.output
    write_fst(tmp_path / "none.fst", acceptor([(0, lang.words["A"], 1, 0.0)], {}, 2))
    result = run("graph", "lint", "--lang", lang.path, "--grammar", tmp_path / "none.fst")
    assert result.exit_code == 1 and "error: the grammar has no end" in result.output
