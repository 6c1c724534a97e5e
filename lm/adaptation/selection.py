"""Sentences of a large text that are like those of a domain (Moore and Lewis, 2010).

A sentence is taken where its cross-entropy by a model of the domain, less that by a model of the large text, is low:
not what is likely, but what is likelier in the domain. Both models have the vocabulary of the domain.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from lm.config import EstimateConfig
from lm.estimate import estimate_from_sentences
from lm.ngram import NgramModel
from lm.perplexity import sentence_scores, text_ids

__all__ = ["cross_entropies", "domain_pair", "entropy_differences", "least"]


def cross_entropies(model: NgramModel, path: str | os.PathLike) -> np.ndarray:
    """Returns the bits a token of each line of a text, sentence ends counted, words outside as unknown ones.

    Returns:
      float32 [line].
    """
    found = [np.zeros(0, np.float32)]
    for scores in sentence_scores(model, text_ids(model, path)):
        bits = -(scores.log10_probs + scores.log10_probs_oovs) / scores.tokens / np.log10(2.0)
        found.append(bits.astype(np.float32))
    return np.concatenate(found)


def domain_pair(
    domain: Sequence[Sequence[str]], general: Iterable[Sequence[str]], config: EstimateConfig
) -> tuple[NgramModel, NgramModel]:
    """Estimates a model of the domain and one of the large text, over the words of the domain.

    Args:
      domain: its sentences.
      general: a sample of the large text, about as long.
    """
    words = sorted({word for sentence in domain for word in sentence})
    own, _ = estimate_from_sentences(domain, config, words)
    other, _ = estimate_from_sentences(general, config, words)
    return own, other


def entropy_differences(own: NgramModel, other: NgramModel, path: str | os.PathLike) -> np.ndarray:
    """Returns the cross-entropy by the domain's model less that by the other, float32 [line]; the domain's is low."""
    return cross_entropies(own, path) - cross_entropies(other, path)


def least(differences: np.ndarray, share: float, lines: Iterable[str]) -> Iterator[str]:
    """Yields the lines with the least differences, in the order of the text.

    Args:
      share: of all lines, 0 to 1; one line at least.
    """
    count = max(1, round(share * len(differences)))
    chosen = np.zeros(len(differences), bool)
    chosen[np.argsort(differences, kind="stable")[:count]] = True
    yield from (line for line, taken in zip(lines, chosen) if taken)
