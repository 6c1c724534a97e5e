"""The model and its automaton against the definition of a back-off model; perplexity by hand and in pieces."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm.ngram import NgramLevel, NgramModel
from lm.perplexity import Perplexity, sentence_scores, text_ids
from lm.word_table import Vocabulary


def by_definition(model: NgramModel, word: str, history: tuple[str, ...]) -> float:
    """log10 p(word | history), straight from the definition."""
    symbols = model.vocabulary.symbols
    table = {}
    for n, level in enumerate(model.levels, 1):
        for row, prob, backoff in zip(model.columns(n).T, level.log10_probs, level.log10_backoffs):
            table[tuple(symbols[i] for i in row)] = (float(prob), float(backoff))
    history = history[-(model.order - 1) :] if model.order > 1 else ()
    score = 0.0
    while True:
        if (*history, word) in table:
            return score + table[(*history, word)][0]
        if history in table:
            score += table[history][1]
        history = history[1:]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), order=st.integers(1, 4), sentence=st.lists(st.sampled_from("abcde?"), max_size=8))
def test_automaton_follows_the_definition(make_model, seed, order, sentence):
    model = make_model(seed, order, "abcd")
    symbols = [w if w in model.vocabulary else "<unk>" for w in sentence] + ["</s>"]
    ids = np.array([model.vocabulary.id(w) for w in symbols], np.int32)
    scores, _ = model.automaton.score(ids)
    history: tuple[str, ...] = ("<s>",)
    for word, score in zip(symbols, scores):
        assert score == pytest.approx(by_definition(model, word, history), abs=1e-6)
        history = (*history, word)
    assert model.score_sentence(sentence) == pytest.approx(scores.sum() * math.log(10))


def hand_made() -> NgramModel:
    """p(yes) = 0.5, p(</s>) = 0.25, p(<unk>) = 0.25; p(</s> | yes) = 0.75, back-off of yes 1/3."""
    vocabulary = Vocabulary.build(["yes"])
    zeros, logs = np.zeros(4, np.float32), np.log10([0.25, 1, 0.25, 0.5]).astype(np.float32)
    backoffs = np.array([0, 0, 0, np.log10(1 / 3)], np.float32)
    unigrams = NgramLevel(np.zeros(4, np.int32), np.arange(4, dtype=np.int32), logs, backoffs)
    bigrams = NgramLevel(
        np.array([3], np.int32), np.array([2], np.int32), np.log10([0.75]).astype(np.float32), zeros[:1]
    )
    return NgramModel(vocabulary, (unigrams, bigrams))


def test_perplexity_by_hand(tmp_path):
    (tmp_path / "text").write_text("yes\nno yes\n\n")
    (scores,) = sentence_scores(hand_made(), text_ids(hand_made(), tmp_path / "text"))
    first, second, third = scores.each()
    assert first.without_oovs == first.with_oovs == pytest.approx((0.5 * 0.75) ** -0.5, rel=1e-6)
    assert second.without_oovs == pytest.approx((0.5 * 0.75) ** -0.5, rel=1e-6)
    assert second.with_oovs == pytest.approx((0.25 * 0.5 * 0.75) ** (-1 / 3), rel=1e-6)
    assert (second.tokens, second.oovs, third.tokens) == (3, 1, 1)
    total = scores.total()
    assert (total.sentences, total.tokens, total.oovs) == (3, 6, 1)
    assert total.with_oovs == pytest.approx((0.375 * 0.25 * 0.375 * 0.25) ** (-1 / 6), rel=1e-6)
    assert (first + second + third).log10_prob == pytest.approx(total.log10_prob)


def test_perplexity_without_unknown_word(tmp_path):
    model = hand_made()
    logs = model.levels[0].log10_probs.copy()
    logs[0] = -np.inf
    level = NgramLevel(model.levels[0].contexts, model.levels[0].words, logs, model.levels[0].log10_backoffs)
    model = NgramModel(model.vocabulary, (level, model.levels[1]))
    (tmp_path / "text").write_text("no yes\n")
    (scores,) = sentence_scores(model, text_ids(model, tmp_path / "text"))
    assert scores.total().with_oovs == math.inf and scores.total().without_oovs == pytest.approx(0.375**-0.5, rel=1e-6)


def test_perplexity_of_nothing():
    assert math.isnan(Perplexity(0, 0, 0, 0.0, 0.0).with_oovs)


def test_blocks_of_text_hold_whole_sentences(tmp_path, monkeypatch):
    lines = [" ".join(["yes"] * (i % 7)) for i in range(300)]
    (tmp_path / "text").write_text("\n".join(lines))
    model = hand_made()
    whole = list(sentence_scores(model, text_ids(model, tmp_path / "text")))
    original = text_ids.__globals__["read_ids"]
    monkeypatch.setitem(text_ids.__globals__, "read_ids", lambda *a: original(*a, block_bytes=5))
    pieces = list(sentence_scores(model, text_ids(model, tmp_path / "text")))
    assert len(pieces) > 50 > len(whole)
    scores = [np.concatenate([p.log10_probs for p in parts]) for parts in (pieces, whole)]
    assert len(scores[0]) == 300 and np.array_equal(*scores)


def test_levels_check_themselves():
    model = hand_made()
    with pytest.raises(ValueError, match="differ in length"):
        NgramLevel(np.zeros(2), np.zeros(1), np.zeros(1), np.zeros(1))
    with pytest.raises(ValueError, match="one row for each word"):
        NgramModel(Vocabulary.build(["yes", "no"]), model.levels)
    with pytest.raises(ValueError, match="at least unigrams"):
        NgramModel(model.vocabulary, ())
