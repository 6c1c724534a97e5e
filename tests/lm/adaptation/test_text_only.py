"""Adaptation by text: marginals against a readable twin, chosen sentences, the whole, the command and its errors."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from hybrid.cli.main import command
from lm.adaptation.marginals import domain_factors, scale_by_factors
from lm.adaptation.selection import domain_pair, entropy_differences, least
from lm.adaptation.text_only import adapt_to_text
from lm.arpa import read_arpa
from lm.config import EstimateConfig, TextAdaptConfig
from lm.estimate import estimate_from_sentences
from lm.ngram import NgramModel

WORDS = "ABCD"
TRIGRAM = EstimateConfig(order=3)
sentences = st.lists(st.lists(st.sampled_from(WORDS), max_size=6), min_size=3, max_size=12)


def words_of(model: NgramModel) -> list[str]:
    return [word.decode() for word in model.vocabulary.words]


def lines_of(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()]


def twin(model: NgramModel, factors: np.ndarray, word: str, history: tuple[str, ...]) -> float:
    """factor(w) p(w | h) / Z(h), summed out over all words."""
    probs = {w: 10 ** model.log10_prob(w, history) for w in words_of(model)}
    scores = {w: factor * probs[w] for w, factor in zip(probs, factors) if w != "<s>"}
    return scores[word] / sum(scores.values())


@settings(max_examples=40, deadline=None)
@given(sentences, st.lists(st.floats(0.1, 10), min_size=7, max_size=7))
def test_scaled_models_equal_the_readable_twin(text: list[list[str]], some: list[float]) -> None:
    model, _ = estimate_from_sentences([*text, list(WORDS)], TRIGRAM)
    factors = np.array(some)[: len(model.vocabulary)]
    scaled = scale_by_factors(model, factors)
    assert scaled.num_ngrams == model.num_ngrams
    histories = [(), *((a,) for a in ("<s>", *WORDS)), *itertools.product(("<s>", *WORDS), WORDS)]
    for history in histories:
        for word in (*WORDS, "</s>"):
            assert 10 ** scaled.log10_prob(word, history) == pytest.approx(
                twin(model, factors, word, history), rel=2e-3, abs=1e-6
            )


def test_factors() -> None:
    model, _ = estimate_from_sentences([["A", "B"], ["A", "C"], ["D"]], TRIGRAM)
    assert np.all(domain_factors(model, [["B", "B", "X"]], 0.0) == 1.0)
    factors = dict(zip(words_of(model), domain_factors(model, [["B", "B", "X"]], 1.0)))
    assert factors["B"] > 1.0 > factors["A"] > 0.0 and factors["<s>"] == 1.0
    half = dict(zip(words_of(model), domain_factors(model, [["B", "B", "X"]], 0.5)))
    assert half["B"] == pytest.approx(factors["B"] ** 0.5)
    unigrams = 10.0 ** model.levels[0].log10_probs.astype(float)
    mass = sum(factors[w] * p for w, p in zip(words_of(model), unigrams) if w != "<s>")
    assert mass == pytest.approx(1.0, abs=0.1)


def test_sentences_like_the_domains_are_chosen(tmp_path: Path) -> None:
    draw = random.Random(0)
    domain = [["call", draw.choice(["peter", "anna"]), "now"] for _ in range(30)]
    lines = [draw.choice(["call anna please now", "the cat sat on a mat", "a mat is the cat"]) for _ in range(300)]
    (tmp_path / "general").write_text("".join(f"{line}\n" for line in lines))
    pair = domain_pair(domain, [line.split() for line in lines[::10]], TRIGRAM)
    differences = entropy_differences(*pair, tmp_path / "general")
    assert differences.shape == (300,)
    chosen = list(least(differences, 0.2, lines))
    assert len(chosen) == 60 and set(chosen) == {"call anna please now"}


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    draw = random.Random(1)
    names, verbs = ["peter", "anna", "maria", "paul"], ["call", "ring", "text"]
    calls = [
        f"{draw.choice(verbs)} {draw.choice(names)} {draw.choice(['now', 'today', ''])}".strip() for _ in range(60)
    ]
    prose = [
        " ".join(draw.choices(["the", "a", "cat", "mat", "sat", "on", "and", "is", "was", "dog"], k=7))
        for _ in range(400)
    ]
    mixed = [draw.choice(prose) if draw.random() < 0.8 else f"please {draw.choice(calls)}" for _ in range(600)]
    for name, lines in {"calls": calls, "prose": prose, "large": mixed}.items():
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return tmp_path


def test_each_step_and_the_whole(texts: Path) -> None:
    background, _ = estimate_from_sentences(lines_of(texts / "prose"), TRIGRAM)
    config = TextAdaptConfig(shares=(0.1, 1.0), least_choice=1)
    found = adapt_to_text([texts / "calls"], [texts / "large"], [background], config, TRIGRAM)
    names = [step.name for step in found.steps]
    assert names[0] == "model 1" and names[1] == "domain (54 sentences)" and names[-1] == "adapted"
    assert (found.sentences, found.held_out, found.share) == (54, 6, 0.1)
    figures = {step.name: step.figures for step in found.steps}
    assert figures["adapted"].oovs <= figures["model 1"].oovs
    assert figures["adapted"].with_oovs < figures["model 1"].with_oovs / 10
    assert sum(step.weight or 0 for step in found.steps) == pytest.approx(1.0)
    assert "perplexity" in found.steps[-1].told() and "% OOV" in found.steps[-1].told()


def test_few_held_out_words_do_not_overturn_the_belief(texts: Path) -> None:
    background, _ = estimate_from_sentences(lines_of(texts / "prose"), TRIGRAM)
    domain = 0.0012 * sum(len(line) for i, line in enumerate(lines_of(texts / "calls")) if i % 10 != 9) ** 0.5
    believed = [domain, 0.1, 0.9 - domain]
    config = TextAdaptConfig(shares=(0.1,), prior_tokens=1e9, least_choice=1)
    found = adapt_to_text([texts / "calls"], [texts / "large"], [background], config, TRIGRAM)
    assert [step.weight for step in found.steps[1:4]] == pytest.approx(believed, abs=1e-4)


def test_few_held_out_words_are_followed_where_they_contradict_clearly(texts: Path) -> None:
    """Commands beside prose: the domain's own model is far better; a domain of prose is not."""
    background, _ = estimate_from_sentences(lines_of(texts / "prose"), TRIGRAM)
    found = adapt_to_text([texts / "calls"], [], [background], TextAdaptConfig(), TRIGRAM)
    assert (found.steps[1].weight or 0) > 0.03
    (texts / "some").write_text("\n".join((texts / "prose").read_text().splitlines()[:40]) + "\n")
    like = adapt_to_text([texts / "some"], [], [background], TextAdaptConfig(), TRIGRAM)
    assert like.steps[1].weight == pytest.approx(0.0012 * (36 * 7) ** 0.5)


def test_nothing_is_tried_on_few_held_out_words(texts: Path, caplog: pytest.LogCaptureFixture) -> None:
    background, _ = estimate_from_sentences(lines_of(texts / "prose"), TRIGRAM)
    config = TextAdaptConfig(shares=(0.1, 1.0), exponents=(1.0,))
    with caplog.at_level("INFO"):
        found = adapt_to_text([texts / "calls"], [texts / "large"], [background], config, TRIGRAM)
    assert "tokens are held out, less than 3000: nothing is tried" in caplog.text
    assert found.share == 0.25
    assert [step.name for step in found.steps[2:4]] == [
        "chosen 25 %, unigrams to the power 0.25", "model 1, unigrams to the power 0.25"
    ]  # fmt: skip


def test_the_model_learns_from_the_held_out_sentences_in_the_end(texts: Path) -> None:
    background, _ = estimate_from_sentences(lines_of(texts / "prose"), TRIGRAM)
    lines = (texts / "calls").read_text().splitlines()
    lines[9] = "ring seldom"  # every tenth is held out
    (texts / "calls").write_text("\n".join(lines) + "\n")
    found = adapt_to_text([texts / "calls"], [], [background], TextAdaptConfig(), TRIGRAM)
    assert (found.sentences, found.held_out, "seldom" in words_of(found.model)) == (54, 6, True)
    (texts / "aside").write_text("ring seldom\n")
    (texts / "calls").write_text("\n".join(line for line in lines if line != "ring seldom") + "\n")
    apart = adapt_to_text([texts / "calls"], [], [background], TextAdaptConfig(), TRIGRAM, held_out=[texts / "aside"])
    assert "seldom" not in words_of(apart.model)  # a text that is given is for choices alone


def test_held_out_sentences_do_not_choose_themselves(texts: Path) -> None:
    config = TextAdaptConfig(shares=(1.0,), prior_tokens=0.0, least_choice=1)
    (texts / "aside").write_text("please phone maria tonight\n" * 3)
    (texts / "all").write_text((texts / "large").read_text() + "please phone maria tonight\n" * 50)
    with_it, without = (
        adapt_to_text([texts / "calls"], [texts / name], [], config, TRIGRAM, held_out=[texts / "aside"]).steps[-1]
        for name in ("all", "large")
    )
    assert with_it.figures == without.figures


def test_the_command(texts: Path) -> None:
    runner, out = CliRunner(), texts / "out.arpa"
    background = texts / "prose.arpa"
    assert runner.invoke(command, ["lm", "train", str(texts / "prose"), "--out", str(background)]).exit_code == 0
    arguments = ["lm", "adapt", str(texts / "calls"), "--from", str(texts / "large"), "--model", str(background)]
    result = runner.invoke(command, [*arguments, "--out", str(out), "--report", str(texts / "report.tsv")])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1].startswith("adapted: perplexity ")
    rows = [line.split("\t") for line in (texts / "report.tsv").read_text().splitlines()]
    assert rows[0][0] == "step" and rows[-1][0] == "adapted" and all(len(row) == 7 for row in rows)
    model = read_arpa(out)
    assert model.order == 3
    mass = sum(10 ** model.log10_prob(w, ("<s>", "call")) for w in words_of(model) if w != "<s>")
    assert mass == pytest.approx(1.0, abs=2e-3)


def test_of_less_than_ten_sentences_the_last_is_held_out(texts: Path) -> None:
    background, _ = estimate_from_sentences(lines_of(texts / "prose"), TRIGRAM)
    (texts / "few").write_text("call anna\n" * 2 + "ring paul\n")
    found = adapt_to_text([texts / "few"], [], [background], TextAdaptConfig(), TRIGRAM)
    assert (found.sentences, found.held_out) == (2, 1) and "ring" in words_of(found.model)


def test_what_cannot_be_adapted(texts: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lm adapt: neither a large text nor a model is given. Give one of them."):
        adapt_to_text([texts / "calls"], [], [], TextAdaptConfig(), TRIGRAM)
    (tmp_path / "short").write_text("call anna\n")
    with pytest.raises(InputError, match="short: holds too few sentences, wanted 2 or more. Give more text"):
        adapt_to_text([tmp_path / "short"], [texts / "large"], [], TextAdaptConfig(), TRIGRAM)
    with pytest.raises(InputError, match="none: the file does not exist"):
        adapt_to_text([texts / "calls"], [texts / "none"], [], TextAdaptConfig(), TRIGRAM)
    with pytest.raises(ValueError, match="shares"):
        TextAdaptConfig(shares=(0.0,))
    with pytest.raises(ValueError, match="shares are none"):
        TextAdaptConfig(shares=())
