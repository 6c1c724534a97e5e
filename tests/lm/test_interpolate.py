"""Linear interpolation: every listed probability is the weighted sum, contexts sum to one, EM only climbs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from lm.interpolate import em_weights, interpolate, tune_weights
from lm.perplexity import sentence_scores, text_ids

SEEDS = st.integers(0, 9999)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, orders=st.tuples(st.integers(1, 4), st.integers(1, 4)), weight=st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_listed_ngrams_are_weighted_sums(make_model, masses, seed, orders, weight):
    a, b = make_model(seed, orders[0], "abcd"), make_model(seed + 1, orders[1], "cdef")
    mixed = interpolate([a, b], [weight, 1 - weight])
    assert mixed.vocabulary.symbols == sorted({*a.vocabulary.symbols, *b.vocabulary.symbols}, key=_special_first)
    assert masses(mixed) == pytest.approx(1.0, abs=1e-4)
    for n in range(1, mixed.order + 1):
        for row, value in zip(mixed.columns(n).T, mixed.levels[n - 1].log10_probs):
            *history, word = (mixed.vocabulary.symbols[i] for i in row)
            parts = [10 ** m.log10_prob(word, history) if word in m.vocabulary else 0.0 for m in (a, b)]
            wanted = weight * parts[0] + (1 - weight) * parts[1]
            assert 10.0 ** float(value) == pytest.approx(wanted, rel=1e-5, abs=1e-12)


def _special_first(word: str) -> tuple[int, str]:
    special = ["<unk>", "<s>", "</s>"]
    return (special.index(word), "") if word in special else (3, word)


def test_a_model_with_itself(make_model):
    model = make_model(7, 3)
    mixed = interpolate([model, model], [0.3, 0.7])
    assert mixed.num_ngrams == model.num_ngrams
    for a, b in zip(mixed.levels, model.levels):
        assert a.log10_probs == pytest.approx(b.log10_probs, abs=1e-6)


@pytest.mark.parametrize("weights", [[0.5], [0.7, 0.7], [-0.1, 1.1], [float("nan"), 1.0]])
def test_bad_weights(make_model, weights):
    with pytest.raises(InputError, match="weights: "):
        interpolate([make_model(1, 1), make_model(2, 1)], weights)


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, models=st.integers(1, 4), tokens=st.integers(1, 50))
def test_em_never_lowers_the_likelihood_and_finds_the_best(seed, models, tokens):
    rng = np.random.default_rng(seed)
    probs = rng.random((models, tokens)) ** 3 + 1e-6
    weights, means = em_weights(probs, tolerance=1e-9, max_iterations=5000)
    assert weights.sum() == pytest.approx(1.0) and weights.min() >= 0
    assert all(b >= a - 1e-12 for a, b in zip(means, means[1:]))
    best = np.log(weights @ probs).mean()
    for other in rng.dirichlet(np.ones(models), 20):
        assert np.log(other @ probs).mean() <= best + 1e-6


def test_tuning_on_text(make_model, tmp_path):
    a, b = make_model(11, 3, "abcd", 40), make_model(12, 2, "cdef", 40)
    (tmp_path / "text").write_text("a b c d\nzebra c d\n\ne f\n" * 10)
    tuned = tune_weights([a, b], [tmp_path / "text"])
    assert (tuned.tokens, tuned.oovs) == (120, 10) and sum(tuned.weights) == pytest.approx(1.0)
    assert list(tuned.perplexities) == sorted(tuned.perplexities, reverse=True)
    mixed = interpolate([a, b], tuned.weights)
    (scores,) = sentence_scores(mixed, text_ids(mixed, tmp_path / "text"))
    # The one model backs off where the mixture of two backs off twice: nearly the same.
    assert math.log(scores.total().without_oovs) == pytest.approx(math.log(tuned.perplexities[-1]), abs=0.1)


def test_tuning_on_strange_text(make_model, tmp_path):
    (tmp_path / "text").write_text("")
    with pytest.raises(InputError, match="text: has no word that a model knows"):
        tune_weights([make_model(1, 2), make_model(2, 2)], [tmp_path / "text"])
