"""Perplexity of a model on text: with and without out-of-vocabulary words, by file and by sentence.

As KenLM's `query`: sentence ends count as tokens; "with" gives out-of-vocabulary words the
probability of the unknown word, "without" leaves them out of sum and count (but not out of the
history of the next word).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from lm.ngram import NgramModel
from lm.word_stream import read_ids
from lm.word_table import EOS, UNK

__all__ = ["Perplexity", "SentenceScores", "figures_line", "sentence_scores", "text_ids"]


@dataclass(frozen=True)
class Perplexity:
    """Sums over a text.

    Attributes:
      sentences: lines. tokens: words and sentence ends. oovs: words outside the vocabulary.
      log10_prob: of all tokens but the OOVs. log10_prob_oovs: of the OOVs as unknown words; -inf where
        the model has no unknown word.
    """

    sentences: int
    tokens: int
    oovs: int
    log10_prob: float
    log10_prob_oovs: float

    @property
    def with_oovs(self) -> float:
        """Perplexity over all tokens."""
        return _power(self.log10_prob + self.log10_prob_oovs, self.tokens)

    @property
    def without_oovs(self) -> float:
        """Perplexity over the tokens of the vocabulary."""
        return _power(self.log10_prob, self.tokens - self.oovs)

    def __add__(self, other: "Perplexity") -> "Perplexity":
        return Perplexity(
            self.sentences + other.sentences,
            self.tokens + other.tokens,
            self.oovs + other.oovs,
            self.log10_prob + other.log10_prob,
            self.log10_prob_oovs + other.log10_prob_oovs,
        )


def _power(log10_prob: float, tokens: int) -> float:
    if tokens == 0:
        return float("nan")
    exponent = -log10_prob / tokens
    return float("inf") if exponent > 300 else 10.0**exponent


@dataclass(frozen=True, eq=False)
class SentenceScores:
    """Scores of some sentences in a row; all arrays [sentence].

    Attributes:
      tokens, oovs: int64. log10_probs, log10_probs_oovs: float64; see `Perplexity`.
    """

    tokens: np.ndarray
    oovs: np.ndarray
    log10_probs: np.ndarray
    log10_probs_oovs: np.ndarray

    def total(self) -> Perplexity:
        """The sums."""
        return Perplexity(
            len(self.tokens),
            int(self.tokens.sum()),
            int(self.oovs.sum()),
            float(self.log10_probs.sum()),
            float(self.log10_probs_oovs.sum()),
        )

    def each(self) -> Iterator[Perplexity]:
        """One `Perplexity` a sentence."""
        for row in zip(self.tokens, self.oovs, self.log10_probs, self.log10_probs_oovs):
            yield Perplexity(1, int(row[0]), int(row[1]), float(row[2]), float(row[3]))


def text_ids(
    model: NgramModel, path: str | os.PathLike, skip_special: bool = False, with_ids: bool = False
) -> Iterator[np.ndarray]:
    """Yields a text as ids of a model's vocabulary, in blocks (int32) of whole sentences."""
    table = model.vocabulary.table()
    open_sentence = np.empty(0, np.int32)
    for ids in read_ids(path, table, False, skip_special, with_ids):
        ids = np.concatenate([open_sentence, ids])
        ends = np.flatnonzero(ids == EOS)
        cut = int(ends[-1]) + 1 if len(ends) else 0
        open_sentence = ids[cut:]
        if cut:
            yield ids[:cut]


def sentence_scores(model: NgramModel, blocks: Iterable[np.ndarray]) -> Iterator[SentenceScores]:
    """Scores blocks of whole sentences (see `text_ids`).

    Raises:
      InputError: from the reading of the text.
    """
    for ids in blocks:
        scores, _ = model.automaton.score(ids)
        is_oov = ids == UNK
        starts = np.concatenate([[0], np.flatnonzero(ids == EOS)[:-1] + 1])
        yield SentenceScores(
            np.diff(np.append(starts, len(ids))),
            np.add.reduceat(is_oov.astype(np.int64), starts),
            np.add.reduceat(np.where(is_oov, 0.0, scores), starts),
            np.add.reduceat(np.where(is_oov, scores, 0.0), starts),
        )


def figures_line(name: str, figures: Perplexity) -> str:
    """Returns the perplexity of a text as a line."""
    return (
        f"{name}: perplexity {figures.without_oovs:.3f} without OOVs, {figures.with_oovs:.3f} with; "
        f"{figures.sentences} sentences, {figures.tokens} tokens, {figures.oovs} OOVs"
    )
