"""Entropy pruning: the formula against brute force, and what stays true of every pruned model."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm.entropy_pruning import context_log_probs, entropy_losses, prune_entropy
from lm.ngram import NgramLevel, NgramModel
from lm.normalise import renormalise

SEEDS, ORDERS = st.integers(0, 9999), st.integers(2, 4)


def without(model: NgramModel, length: int, row: int) -> NgramModel:
    """The model without one n-gram of its highest order."""
    level = model.levels[length - 1]
    kept = np.arange(len(level)) != row
    fewer = NgramLevel(*(getattr(level, f.name)[kept] for f in dataclasses.fields(level)))
    return renormalise(model.vocabulary, [*model.levels[: length - 1], fewer])


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, order=ORDERS)
def test_loss_is_the_relative_entropy_times_the_context(make_model, seed, order):
    """Stolcke's equation 5 against the sum over all words of p ln(p / p') in the one context that changes."""
    model = make_model(seed, order)
    model = renormalise(model.vocabulary, list(model.levels))
    length = model.order
    if length < 2:
        return
    losses = entropy_losses(model, length)
    contexts = np.exp(context_log_probs(model, length - 1))
    words = np.array([w for w in range(len(model.vocabulary)) if w != 1])
    first = 1 + sum(len(level) for level in model.levels[: length - 2])
    level = model.levels[length - 1]
    for row in range(0, len(level), 3):
        state = np.full(len(words), first + level.contexts[row])
        p = 10.0 ** model.automaton.steps(state, words)[0]
        smaller = without(model, length, row)
        if smaller.order < length or not len(smaller.levels[-1]):
            continue
        q = 10.0 ** smaller.automaton.steps(state, words)[0]
        wanted = contexts[level.contexts[row]] * float((p * np.log(p / q)).sum())
        assert losses[row] == pytest.approx(wanted, rel=2e-3, abs=2e-6)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, order=ORDERS, threshold=st.sampled_from([0.0, 1e-5, 1e-3, 1e-2, 1.0]))
def test_pruned_models_stay_models(make_model, masses, seed, order, threshold):
    model = make_model(seed, order)
    pruned = prune_entropy(model, threshold)
    assert masses(pruned) == pytest.approx(1.0, abs=1e-4)
    assert pruned.num_ngrams[0] == model.num_ngrams[0]
    assert all(a <= b for a, b in zip(pruned.num_ngrams, model.num_ngrams))
    harder = prune_entropy(model, threshold * 10)
    assert sum(harder.num_ngrams) <= sum(pruned.num_ngrams)


def test_everything_goes_but_unigrams(make_model):
    model = make_model(3, 3)
    assert prune_entropy(model, 1e9).order == 1
    assert prune_entropy(model, 1e9, min_order=3).num_ngrams == model.num_ngrams[:2]


def test_contexts_of_kept_ngrams_stay(make_model):
    model = make_model(4, 3, sentences=60)
    pruned = prune_entropy(model, 3e-3)
    assert 0 < pruned.num_ngrams[2] < model.num_ngrams[2]
    assert pruned.levels[2].contexts.max() < len(pruned.levels[1])


def test_probability_of_contexts(make_model):
    """Product of conditional probabilities; the sentence start as likely as the sentence end."""
    model = make_model(1, 3)
    logs = context_log_probs(model, 2)
    for row, value in zip(model.columns(2).T, logs):
        first, second = (model.vocabulary.symbols[i] for i in row)
        wanted = model.log10_prob("</s>" if first == "<s>" else first) + model.log10_prob(second, [first])
        assert value == pytest.approx(wanted * math.log(10), rel=1e-5)


def test_settings(make_model):
    with pytest.raises(ValueError, match="not a number of 0 or more"):
        prune_entropy(make_model(1, 2), -1.0)
    with pytest.raises(ValueError, match="unigrams are never pruned"):
        prune_entropy(make_model(1, 2), 0.1, min_order=1)
