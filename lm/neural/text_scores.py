"""Log-probabilities of the words of texts: each sentence by itself, or after the sentences before it."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import torch

from lm.arpa import read_arpa
from lm.interpolate import em_weights
from lm.neural.folder import NeuralLm
from lm.neural.units import END
from lm.ngram import LN_10
from lm.perplexity import SentenceScores
from lm.word_table import EOS

__all__ = ["earlier_tokens", "known_words", "mixed_share", "ngram_log_probs", "sentence_scores_of", "word_log_probs"]

END_WORD = "</s>"


def earlier_tokens(said: Sequence[Sequence[int]], limit: int) -> list[int]:
    """Returns the tokens of the last sentences, each with its end, as many whole ones as `limit` tokens hold."""
    kept: list[int] = []
    for tokens in reversed(said):
        if len(kept) + len(tokens) > limit:
            break
        kept = [*tokens, *kept]
    return kept


@torch.no_grad()
def word_log_probs(
    lm: NeuralLm, sentences: Sequence[Sequence[str]], device: torch.device, history: int = 0, batch_tokens: int = 4000
) -> list[np.ndarray]:
    """Returns float64 [words + 1] of each sentence: natural logs of its words and its end.

    Args:
      lm: on `device`.
      history: tokens of the sentences before it, at most, that each one is read after.
    """
    rows: list[tuple[list[int], list[int], np.ndarray]] = []  # before, its own tokens, the word of each
    said: list[list[int]] = []
    for words in sentences:
        spelt = [lm.units.of_word(word) for word in (*words, END_WORD)]
        own = [token for tokens in spelt for token in tokens]
        numbers = np.repeat(np.arange(len(spelt)), [len(tokens) for tokens in spelt])
        rows.append((earlier_tokens(said, history), own, numbers))
        if history:
            said.append(own)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]) + len(rows[i][1]))
    out: list[np.ndarray] = [np.zeros(0)] * len(rows)
    while order:
        longest = len(rows[order[-1]][0]) + len(rows[order[-1]][1])
        chosen = order[-max(1, batch_tokens // longest) :]
        del order[-len(chosen) :]
        tokens = np.full((len(chosen), longest + 1), END, np.int64)
        for place, number in enumerate(chosen):
            before, own, _ = rows[number]
            tokens[place, 1 : 1 + len(before) + len(own)] = [*before, *own]
        lengths = torch.tensor([len(rows[i][0]) + len(rows[i][1]) for i in chosen])
        found = lm.network(torch.from_numpy(tokens).to(device), lengths).double().cpu().numpy()
        for place, number in enumerate(chosen):
            before, own, numbers = rows[number]
            out[number] = np.bincount(numbers, weights=found[place, len(before) : len(before) + len(own)])
    return out


def sentence_scores_of(log_probs: Sequence[np.ndarray], known: Sequence[np.ndarray]) -> SentenceScores:
    """Sums natural logs of words up as `hybrid lm perplexity` tells them.

    Args:
      known: bool [words + 1] of each sentence: whether the word has a probability of its own.
    """
    logs = [values / LN_10 for values in log_probs]
    return SentenceScores(
        np.array([len(values) for values in logs], np.int64),
        np.array([np.count_nonzero(~own) for own in known], np.int64),
        np.array([values[own].sum() for values, own in zip(logs, known)]),
        np.array([values[~own].sum() for values, own in zip(logs, known)]),
    )


def known_words(lm: NeuralLm, sentences: Sequence[Sequence[str]]) -> list[np.ndarray]:
    """Returns bool [words + 1] of each sentence: whether the word has a probability of its own."""
    return [np.array([lm.units.knows(word) for word in (*words, END_WORD)]) for words in sentences]


def ngram_log_probs(arpa: str | os.PathLike, sentences: Sequence[Sequence[str]]) -> list[np.ndarray]:
    """Returns what `word_log_probs` does, of an n-gram model."""
    model = read_arpa(arpa)
    rows = [[*(model.vocabulary.id(word) for word in words), EOS] for words in sentences]
    return [model.automaton.score(np.array(ids, np.int32))[0] * LN_10 for ids in rows]


def mixed_share(
    own: Sequence[np.ndarray], other: Sequence[np.ndarray], known: Sequence[np.ndarray], share: float | None = None
) -> tuple[float, list[np.ndarray]]:
    """Mixes the probabilities of two models linearly.

    Args:
      own, other: natural logs of each sentence's words. known: words that count.
      share: of `own`; None: the one that makes the text likeliest (`em_weights`).

    Returns:
      The share, and natural logs of the mixture.
    """
    if share is None:
        counted = np.concatenate(list(known)) if len(known) else np.zeros(0, np.bool_)
        if not counted.any():
            return 0.5, list(own)
        probs = np.exp(np.stack([np.concatenate(list(own))[counted], np.concatenate(list(other))[counted]]))
        share = float(em_weights(probs)[0][0])
    with np.errstate(divide="ignore"):
        logs = np.log([share, 1.0 - share])
    return share, [np.logaddexp(logs[0] + one, logs[1] + two) for one, two in zip(own, other)]
