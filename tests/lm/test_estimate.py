"""Estimation: a hand-worked model, the readable reference, laws of every smoothing, KenLM's figures, messages."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from lm.config import EstimateConfig
from lm.estimate import estimate, estimate_from_sentences
from lm.perplexity import Perplexity, sentence_scores, text_ids
from lm.reference import reference_estimate
from lm.smoothing import kneser_ney_discounts

WORDS = ["a", "b", "c", "d", "e"]
SENTENCES = st.lists(st.lists(st.sampled_from(WORDS), max_size=7), min_size=1, max_size=12).filter(
    lambda sentences: any(sentences)
)


@st.composite
def configs(draw) -> EstimateConfig:
    order = draw(st.integers(1, 5))
    thresholds = sorted(draw(st.lists(st.integers(0, 2), max_size=order)))
    if thresholds:
        thresholds[0] = min(thresholds[0], 1)
    return EstimateConfig(order, draw(st.sampled_from(["kneser-ney", "witten-bell"])), tuple(thresholds))


def as_dicts(model) -> tuple[dict, dict]:
    """All n-grams of a model with their probabilities and back-off weights."""
    symbols = model.vocabulary.symbols
    probs, backoffs = {}, {}
    for n, level in enumerate(model.levels, 1):
        for row, prob, backoff in zip(model.columns(n).T, level.log10_probs, level.log10_backoffs):
            ngram = tuple(symbols[i] for i in row)
            probs[ngram], backoffs[ngram] = 10.0 ** float(prob), 10.0 ** float(backoff)
    return probs, backoffs


@settings(max_examples=60, deadline=None)
@given(SENTENCES, configs(), st.sampled_from([None, ("a", "b"), ("a", "c", "d", "z")]), st.booleans())
def test_equals_the_readable_reference(sentences, config, vocabulary, add_unseen):
    config = EstimateConfig(config.order, config.smoothing, config.prune, add_unseen=add_unseen)
    if vocabulary and not {w for s in sentences for w in s}.intersection(vocabulary):
        return
    model, _ = estimate_from_sentences(sentences, config, vocabulary)
    probs, backoffs = as_dicts(model)
    wanted_probs, wanted_backoffs = reference_estimate(sentences, config, vocabulary)
    assert set(probs) == set(wanted_probs)
    for ngram, prob in wanted_probs.items():
        assert probs[ngram] == pytest.approx(max(prob, 1e-99), rel=1e-5)
    for context, weight in backoffs.items():
        assert weight == pytest.approx(wanted_backoffs.get(context, 1.0), rel=1e-5)


@settings(max_examples=60, deadline=None)
@given(sentences=SENTENCES, config=configs(), vocabulary=st.sampled_from([None, ("a", "b"), ("a", "c", "d", "z")]))
def test_every_context_sums_to_one(masses, sentences, config, vocabulary):
    if vocabulary and not {w for s in sentences for w in s}.intersection(vocabulary):
        return
    model, _ = estimate_from_sentences(sentences, config, vocabulary)
    assert masses(model) == pytest.approx(1.0, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(SENTENCES, st.integers(1, 5), st.integers(1, 40), st.integers(2, 40))
def test_streaming_in_pieces_changes_nothing(tmp_path_factory, sentences, order, block_bytes, run_tokens):
    path = tmp_path_factory.mktemp("text") / "text"
    path.write_text("\n".join(" ".join(s) for s in sentences))
    whole, report = estimate([path], EstimateConfig(order))
    pieces, other_report = estimate([path], EstimateConfig(order), block_bytes=block_bytes, run_tokens=run_tokens)
    assert report == other_report and whole.vocabulary == pieces.vocabulary
    for a, b in zip(whole.levels, pieces.levels):
        for name in ("contexts", "words", "log10_probs", "log10_backoffs"):
            assert np.array_equal(getattr(a, name), getattr(b, name))


def test_growing_vocabulary_widens_the_keys(tmp_path):
    rng = np.random.default_rng(1)
    words = [f"w{i}" for i in range(5000)]
    lines = [" ".join(words[int(i)] for i in rng.integers(0, min(5000, 2 + n * n), 9)) for n in range(200)]
    (tmp_path / "text").write_text("\n".join(lines))
    config = EstimateConfig(5)
    whole, _ = estimate([tmp_path / "text"], config)
    pieces, _ = estimate([tmp_path / "text"], config, block_bytes=97, run_tokens=50)
    for a, b in zip(whole.levels, pieces.levels):
        assert np.array_equal(a.contexts, b.contexts) and np.array_equal(a.log10_probs, b.log10_probs)
    probs, _ = as_dicts(whole)
    wanted, _ = reference_estimate([line.split() for line in lines], config)
    assert set(probs) == set(wanted)
    assert max(abs(math.log10(probs[g]) - math.log10(p)) for g, p in wanted.items()) < 1e-5


def test_worked_by_hand():
    """Three sentences: 'a b', the empty one, 'a c'."""
    model, report = estimate_from_sentences([["a", "b"], [], ["a", "c"]], EstimateConfig(2))
    probs, backoffs = as_dicts(model)
    # Different words before a (<s>), b (a), c (a), </s> (b, c, <s>): 1 + 1 + 1 + 3 = 6.
    # Left over: (0.5 + 0.5 + 0.5 + 1.5) / 6 = 1/2, spread over a b c </s> <unk>: 0.1 each.
    assert probs[("a",)] == pytest.approx((1 - 0.5) / 6 + 0.1)
    assert probs[("</s>",)] == pytest.approx((3 - 1.5) / 6 + 0.1)
    assert probs[("<unk>",)] == pytest.approx(0.1)
    # <s> a occurs twice, <s> </s> once: discounts 1 and 0.5, left over (1 + 0.5) / 3.
    assert backoffs[("<s>",)] == pytest.approx(0.5)
    assert probs[("<s>", "a")] == pytest.approx(1 / 3 + 0.5 * probs[("a",)])
    assert report.fallback_orders == (1, 2) and report.sentences == 3 and report.tokens == 4
    assert model.log10_prob("b", ["<s>", "c"]) == pytest.approx(math.log10(probs[("b",)] * backoffs[("c",)]))


def test_discounts_where_counts_of_counts_do_not_exist():
    assert kneser_ney_discounts(np.array([1, 1, 2, 4])) is None
    assert kneser_ney_discounts(np.array([1, 1, 1, 2, 2, 3, 4])) == pytest.approx((3 / 7, 2 - 4.5 / 7 * 1, 3 - 12 / 7))


@pytest.mark.parametrize(
    "settings_, message",
    [
        ({"order": 10}, "order is 10, wanted 1 to 9"),
        ({"order": 2, "prune": (0, 0, 1)}, "3 pruning thresholds"),
        ({"prune": (1, 0)}, "must not fall"),
        ({"smoothing": "laplace"}, "laplace"),
    ],
)
def test_settings_check_themselves(settings_, message):
    with pytest.raises(ValueError, match=message):
        EstimateConfig(**settings_)


def test_special_words_in_memory():
    with pytest.raises(InputError, match="text:2: a special word"):
        estimate_from_sentences([["a"], ["<s>"]], EstimateConfig(1))
    skipping = EstimateConfig(2, skip_special=True)
    assert as_dicts(estimate_from_sentences([["a", "<s>", "b"]], skipping)[0]) == as_dicts(
        estimate_from_sentences([["a", "b"]], EstimateConfig(2))[0]
    )


def test_no_discounts_and_no_fallback():
    with pytest.raises(InputError, match="1-grams: too few or too odd counts of counts .* Allow the fall-back"):
        estimate_from_sentences([["a"]], EstimateConfig(2, discount_fallback=False))


def test_words_outside_the_vocabulary():
    with pytest.raises(InputError, match=r"text: holds no word of the vocabulary\. Compare the spelling of both"):
        estimate_from_sentences([["x", "y"]], EstimateConfig(2), ["a", "b"])
    lost = r"holds no word of the vocabulary: 2 of 2 words differ only in case \(e\.g\. 'A' for 'a'\)\. Give .* --lang"
    with pytest.raises(InputError, match=lost):
        estimate_from_sentences([["A", "B"]], EstimateConfig(2), ["a", "b"])
    with pytest.raises(InputError, match="vocabulary: '#0' cannot be a word"):
        estimate_from_sentences([["a"]], EstimateConfig(2), ["a", "#0"])
    _, report = estimate_from_sentences([["a", "b"], ["b", "c"]], EstimateConfig(2), ["a"])
    assert report.out_of_vocabulary == 3 and report.seen == (6, 6) and report.kept == (4, 1)


def test_unseen_words_enter_on_request(masses):
    model, _ = estimate_from_sentences([["a", "b"]], EstimateConfig(2, add_unseen=True), ["a", "z"])
    assert model.log10_prob("z") == model.log10_prob("<unk>")
    assert model.vocabulary.symbols[3:] == ["a", "z"]
    assert masses(model) == pytest.approx(1.0, abs=1e-6)


PEER = {  # order, thresholds; perplexity of dev-clean without and with OOVs (peers/kaldi.md)
    "k2": (2, (), 465.745, 582.149),
    "k3": (3, (), 429.444, 537.646),
    "k4p": (4, (0, 0, 1), 430.940, 538.413),
}


@pytest.mark.real
@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.parametrize("name", PEER)
def test_equals_kenlm(name, corpora: Path, peers: Path, tmp_path):
    order, prune, without, with_oovs = PEER[name]
    config = EstimateConfig(order, prune=prune)
    text = corpora / "text" / "librispeech-train-clean-100.txt"
    model, report = estimate([text], config, with_ids=True)
    lines = (peers / "kenlm" / f"{name}.sample.tsv").read_text().splitlines()
    assert lines[0] == "# " + "; ".join(f"ngram {n}={count}" for n, count in enumerate(model.num_ngrams, 1))
    probs, backoffs = as_dicts(model)
    for line in lines[1:]:
        n, prob, words, *backoff = line.split("\t")
        ngram = tuple(words.split())
        assert len(ngram) == int(n)
        assert math.log10(probs[ngram]) == pytest.approx(float(prob), abs=1e-4)
        assert math.log10(backoffs[ngram]) == pytest.approx(float(backoff[0]) if backoff else 0.0, abs=1e-4)
    if name == "k3":
        wanted = [(0.567915, 1.04199, 1.53106), (0.777111, 1.10616, 1.40036), (0.885021, 1.21134, 1.36512)]
        assert np.array(report.discounts) == pytest.approx(np.array(wanted), abs=1e-5)
    total = Perplexity(0, 0, 0, 0.0, 0.0)
    for path in sorted((corpora / "LibriSpeech" / "dev-clean").rglob("*.trans.txt")):
        for scores in sentence_scores(model, text_ids(model, path, with_ids=True)):
            total += scores.total()
    assert (total.tokens, total.oovs) == (8007, 227)
    assert total.without_oovs == pytest.approx(without, abs=1e-3)
    assert total.with_oovs == pytest.approx(with_oovs, abs=1e-3)
