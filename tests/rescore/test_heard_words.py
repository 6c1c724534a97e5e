"""A second pass by what else was heard: a scaled model against its twin, counts by enumeration, laws, the command."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from hybrid.cli.lattices.heard import heard_command
from hybrid.cli.main import command
from hybrid.lattice.archive import read_compact_folder, write_lattices
from hybrid.lattice.compact import CompactLattice, expand
from hybrid.lattice.paths import best_path
from hybrid.lattice.posteriors import word_posteriors
from hybrid.lattice.trim import from_rows
from hybrid.rescore.heard_words import EXPONENT, HeardModels, HeardWords, adapt_to_heard
from hybrid.rescore.ngram_swap import WordModel, swap_ngram
from lexicon.symbols import SymbolTable
from lm.adaptation.marginals import count_factors, scale_by_factors, word_counts
from lm.adaptation.scaled_automaton import ScalableAutomaton
from lm.arpa import write_arpa
from lm.config import EstimateConfig
from lm.estimate import estimate_from_sentences
from lm.ngram import NgramModel

TABLE = SymbolTable(("<eps>", "A", "B", "C", "ELSE"))
sentences = st.lists(st.lists(st.sampled_from("ABC"), max_size=6), min_size=3, max_size=12)


def model_of(text: list[list[str]], order: int = 3) -> NgramModel:
    model, _ = estimate_from_sentences([*text, list("ABC")], EstimateConfig(order=order))
    return model


def said(*ways: tuple[str, float]) -> CompactLattice:
    """A lattice of word sequences, each on a path of its own with its acoustic score; graph scores are 0."""
    rows, finals, states = [], {}, 1
    for words, score in ways:
        here = 0
        for place, word in enumerate(words.split()):
            rows.append((here, states, TABLE[word], 0.0, score if place == 0 else 0.0, (7,)))
            here, states = states, states + 1
        finals[here] = (0.0, 0.0, ())
    return from_rows(rows, finals, states)


@settings(max_examples=40, deadline=None)
@given(sentences, st.lists(st.floats(0.1, 10), min_size=6, max_size=6), st.integers(1, 4))
def test_a_scaled_automaton_scores_as_the_scaled_model(text: list[list[str]], some: list[float], order: int) -> None:
    model = model_of(text, order)
    factors = np.array(some)[: len(model.vocabulary)]
    factors[1] = 1.0
    whole, quick = scale_by_factors(model, factors).automaton, ScalableAutomaton(model.automaton).scaled(factors)
    ids = np.random.default_rng(0).integers(2, len(model.vocabulary), 200).astype(np.int32)
    np.testing.assert_allclose(quick.score(ids)[0], whole.score(ids)[0], atol=2e-4)


@settings(max_examples=20, deadline=None)
@given(sentences)
def test_factors_of_one_change_nothing(text: list[list[str]]) -> None:
    automaton = model_of(text).automaton
    ids = np.random.default_rng(1).integers(2, 6, 100).astype(np.int32)
    same = ScalableAutomaton(automaton).scaled(np.ones(6))
    np.testing.assert_allclose(same.score(ids)[0], automaton.score(ids)[0], atol=1e-6)


def test_words_are_counted_as_often_as_they_are_expected() -> None:
    lattice = said(("A B A", -1.0), ("A C", -2.0))
    share = 1 / (1 + np.exp(-1.0))
    words, counts = word_posteriors(lattice, 1.0)
    assert words.tolist() == [1, 2, 3]
    np.testing.assert_allclose(counts, [2 * share + 1 - share, share, 1 - share])


def test_an_utterance_does_not_vouch_for_itself() -> None:
    model = WordModel.of(model_of([list("AB")]), TABLE)
    spoken = {"u1": said(("A A", 0.0)), "u2": said(("B", 0.0)), "u3": said(("C ELSE", 0.0)), "u4": said(("A", 0.0))}
    heard = HeardWords(spoken.items(), model, 1.0, {"u1": "x", "u2": "x", "u3": "x", "u4": "y"})
    ids = {word: int(model.ids[TABLE[word]]) for word in "ABC"}
    first, alone = heard.besides("u1"), heard.besides("u4")
    assert [first[ids[word]] for word in "ABC"] == pytest.approx([0, 1, 1])
    assert first[0] == first[1] == 0 and first[2] == pytest.approx(2)  # neither <unk> nor <s>; two ends
    assert not alone.any()
    everyone = HeardWords(spoken.items(), model, 1.0)
    assert (heard.alone, everyone.alone) == (1, 0)
    assert everyone.besides("u2")[ids["A"]] == pytest.approx(3)
    with pytest.raises(InputError, match="has no line for the utterance 'u4'"):
        HeardWords(spoken.items(), model, 1.0, {"u1": "x", "u2": "x", "u3": "x"})


def test_what_was_heard_becomes_likelier_and_the_rest_keeps_its_order() -> None:
    model = WordModel.of(model_of([list("ABC"), list("CBA")] * 5), TABLE)
    unsure = said(("A", 0.0), ("B", 0.0), ("C", 0.0))
    spoken = [("u1", unsure), *((f"v{i}", said(("B B", 0.0))) for i in range(5))]
    models = HeardModels(HeardWords(spoken, model, 1.0), model)
    (_, before), (_, after) = ((None, swap_ngram(unsure, None, model)), next(adapt_to_heard(spoken[:1], models, model)))
    after = swap_ngram(after, None, model)  # what `adapt_to_heard` took out and was not there
    gains = dict(zip(after.word_ids.tolist(), (after.graph_scores - before.graph_scores).tolist()))
    assert gains[2] > gains[1] == pytest.approx(gains[3], abs=1e-4)
    path = best_path(expand(after), 1.0)
    assert path is not None and path.word_ids.tolist() == [2]


@settings(max_examples=20, deadline=None)
@given(sentences, st.lists(st.sampled_from(["A B", "B C A", "C"]), min_size=2, max_size=4))
def test_exponent_0_leaves_the_exact_scores(text: list[list[str]], spoken: list[str]) -> None:
    model = WordModel.of(model_of(text), TABLE)
    lattices = [(str(i), said((words, -0.5), ("A", -1.0))) for i, words in enumerate(spoken)]
    models = HeardModels(HeardWords(lattices, model, 1.0), model, 0.0)
    for (name, found), (_, lattice) in zip(adapt_to_heard(lattices, models, model), lattices):
        wanted = swap_ngram(lattice, model, model)
        np.testing.assert_allclose(found.graph_scores, wanted.graph_scores, atol=1e-4, err_msg=name)


def test_texts_of_the_domain_count_too() -> None:
    model = model_of([list("ABC")])
    counts = word_counts(model, [["C", "C", "ELSE"], ["C"]])
    by_word = dict(zip(model.vocabulary.symbols, counts.tolist()))
    assert (by_word["C"], by_word["A"], by_word["</s>"], by_word["<unk>"]) == (3, 0, 2, 0)
    factors = dict(zip(model.vocabulary.symbols, count_factors(ScalableAutomaton(model.automaton).unigrams, counts, 1)))
    assert factors["C"] > 1 > factors["A"]
    assert (count_factors(np.full(6, 0.2), np.zeros(6), 1.0) == 1).all()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Lattices of five utterances, a model, the words."""
    write_arpa(tmp_path / "lm.arpa", model_of([list("ABC"), list("CBA")] * 5))
    TABLE.write(tmp_path / "words.txt")
    spoken = [("u0", said(("A", 0.1), ("B", 0.0))), *((f"u{i}", said(("B B", 0.0))) for i in range(1, 5))]
    write_lattices(tmp_path / "in.gz", spoken, compact=True)
    return tmp_path


def run(folder: Path, *more: str) -> str:
    files = [str(folder / "in.gz"), str(folder / "out.gz"), "--old-lm", str(folder / "lm.arpa")]
    words = ["--words", str(folder / "words.txt"), "--acoustic-scale", "1"]
    done = CliRunner().invoke(command, ["rescore", "heard", *files, *words, *more])
    return "" if done.exit_code == 0 else str(done.exception) + done.output


def best(folder: Path, utterance: str) -> list[str]:
    path = best_path(expand(dict(read_compact_folder(folder / "out.gz"))[utterance]), 1.0)
    assert path is not None
    return [TABLE.symbol(word) for word in path.word_ids.tolist()]


def test_the_command(folder: Path) -> None:
    assert run(folder) == "" and best(folder, "u0") == ["B"]
    assert run(folder, "--exponent", "0") == "" and best(folder, "u0") == ["A"]
    (folder / "groups").write_text("u0 alone\n" + "".join(f"u{i} others\n" for i in range(1, 5)))
    assert run(folder, "--groups", str(folder / "groups")) == "" and best(folder, "u0") == ["A"]
    (folder / "domain").write_text("B B B\nB B\n")
    more = ("--groups", str(folder / "groups"), "--domain-text", str(folder / "domain"))
    assert run(folder, *more) == "" and best(folder, "u0") == ["B"]


def test_texts_of_the_domain_are_read_as_lm_adapt_reads_them(folder: Path) -> None:
    written = []
    for text in ("A C B\nB\n", "\ufeffA\u200bC\u00a0B\r\n\n \n\nB", '{"id": "x", "supervisions": [{"text": "A C B"}]}\n'
                 '{"id": "y", "supervisions": [{"text": "B"}]}\n'):  # fmt: skip
        path = folder / ("cuts.jsonl" if text.startswith("{") else "domain")
        path.write_text(text, encoding="utf-8", newline="")
        assert run(folder, "--domain-text", str(path)) == ""
        written.append((folder / "out.gz").read_bytes())
    assert run(folder) == ""
    assert written[0] == written[1] == written[2] != (folder / "out.gz").read_bytes()


def test_groups_with_a_byte_order_mark_and_empty_lines(folder: Path) -> None:
    (folder / "groups").write_text("\ufeff\r\nu0\talone\r\n" + "".join(f" u{i}  others\r\n\r\n" for i in range(1, 5)))
    assert run(folder, "--groups", str(folder / "groups")) == "" and best(folder, "u0") == ["A"]
    (folder / "groups").write_text("\ufeffu0 alone\n" + "".join(f"u{i} others\n" for i in range(1, 5)))
    assert run(folder, "--groups", str(folder / "groups")) == "" and best(folder, "u0") == ["A"]


def test_groups_of_one_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(logging.Logger, "warning", lambda self, text, *values: told.append(text % values))
    assert run(folder) == "" and not told
    (folder / "groups").write_text("".join(f"u{i} own{i}\n" for i in range(5)))
    assert run(folder, "--groups", str(folder / "groups")) == ""
    assert [text.split(": ")[1] for text in told] == [
        "5 of 5 utterances are alone in their groups, with nothing heard beside them"
    ]


def test_the_default_is_the_modules() -> None:
    options = {option.name: option.default for option in heard_command.params}
    assert options["exponent"] == EXPONENT


def test_bad_input_is_one_line(folder: Path) -> None:
    (folder / "groups").write_text("u0 alone\n")
    assert "has no line for the utterance 'u1'" in run(folder, "--groups", str(folder / "groups"))
    for line, columns in (("u0 my talk", 3), ("u0", 1)):
        (folder / "groups").write_text(line + "".join(f"\nu{i} x" for i in range(1, 5)))
        assert f"the line of 'u0' has {columns} columns, wanted 2" in run(folder, "--groups", str(folder / "groups"))
    assert "--exponent" in run(folder, "--exponent", "1.5")
    assert "none" in run(folder, "--domain-text", str(folder / "none"))
    lattice = said(("A", 0.1), ("B", 0.0))
    write_lattices(folder / "in.gz", [("u0", lattice), ("u1", lattice), ("u0", lattice)], compact=True)
    assert "utterance 'u0' stands there twice" in run(folder)
    assert not (folder / "out.gz").exists()
