"""Small random models, and brute force over their definition."""

from __future__ import annotations

import numpy as np
import pytest

from lm.config import EstimateConfig
from lm.estimate import estimate_from_sentences
from lm.ngram import NgramModel


def random_model(seed: int, order: int, words: str = "abcde", sentences: int = 12) -> NgramModel:
    """Estimates a model of random sentences; some n-grams of every order are cut off."""
    rng = np.random.default_rng(seed)
    rows = [(rng.geometric(0.35, rng.integers(1, 8)) - 1) % len(words) for _ in range(sentences)]
    text = [[words[int(i)] for i in row] for row in rows]
    prune = (0, *(int(p) for p in sorted(rng.integers(0, 2, order - 1)))) if order > 1 else ()
    smoothing = "kneser-ney" if seed % 2 else "witten-bell"
    return estimate_from_sentences(text, EstimateConfig(order, smoothing, prune))[0]


def mass_of_contexts(model: NgramModel) -> np.ndarray:
    """The sum of p(word | context) over all words but <s>, for each context that can be in a text."""
    automaton = model.automaton
    words = np.array([w for w in range(len(model.vocabulary)) if w != 1])
    states = [s for s in range(automaton.highest) if s == 0 or automaton.words[s] != 2]
    scores = [automaton.steps(np.full(len(words), state), words)[0] for state in states]
    return (10.0 ** np.array(scores)).sum(1)


@pytest.fixture(scope="session")
def make_model():
    """`random_model`."""
    return random_model


@pytest.fixture(scope="session")
def masses():
    """`mass_of_contexts`."""
    return mass_of_contexts
