"""Estimation of n-gram models: interpolated modified Kneser-Ney or Witten-Bell, with cut-offs and a fixed vocabulary.

Equal to KenLM's lmplz (Heafield et al., 2013): adjusted counts and discounts are taken over all
n-grams, only then are n-grams dropped that were seen too rarely or hold a word outside the
vocabulary; what they had goes to the order below; unigrams are interpolated with the uniform
distribution over all words, sentence end and unknown word.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hybrid.base.errors import InputError
from hybrid.base.log import get_logger
from lexicon.words.class_names import is_class, refuse_unparted
from lexicon.words.normaliser import Normaliser
from lexicon.words.spelling import Spelling, told_loss
from lm.config import EstimateConfig
from lm.counts import CountLevel, NgramCounter, count_levels
from lm.ngram import NgramLevel, NgramModel
from lm.smoothing import FALLBACK_DISCOUNTS, kneser_ney_discounts, shares_of_level
from lm.word_stream import BLOCK_BYTES, read_ids
from lm.word_table import BOS, EOS, UNK, Vocabulary, WordTable, check_words

__all__ = ["EstimateReport", "estimate", "estimate_from_sentences"]

_log = get_logger(__name__)
SMALL = 1000  # n-grams; of so few, as a list of commands has, nobody expects counts of counts
SPELL = "Give the lang folder with --lang, whose spelling the words then take."


@dataclass(frozen=True)
class EstimateReport:
    """What estimation saw.

    Attributes:
      tokens: words of the text, sentence ends not counted.
      sentences: lines of the text.
      seen, kept: different n-grams by order, before and after dropping.
      discounts: D1, D2, D3+ by order; empty for Witten-Bell.
      fallback_orders: orders whose discounts are the fall-back.
      out_of_vocabulary: words of the text outside the fixed vocabulary.
      added: words of the vocabulary that the text lacks and the model has all the same; among those kept.
    """

    tokens: int
    sentences: int
    seen: tuple[int, ...]
    kept: tuple[int, ...]
    discounts: tuple[tuple[float, float, float], ...]
    fallback_orders: tuple[int, ...]
    out_of_vocabulary: int
    added: int = 0


def estimate(
    paths: Sequence[str | os.PathLike],
    config: EstimateConfig,
    vocabulary: Iterable[str] | None = None,
    with_ids: bool = False,
    block_bytes: int = BLOCK_BYTES,
    run_tokens: int | None = None,
    normaliser: Normaliser | None = None,
    canonical: bool = False,
) -> tuple[NgramModel, EstimateReport]:
    """Estimates a model from text files that stream by once.

    Args:
      paths: UTF-8 text, one sentence a line, gzip or not, or lhotse cuts.
      vocabulary: the only words that the model may hold; None for all words of the text.
      with_ids: the first word of each line is an utterance id.
      block_bytes, run_tokens: how much text and how many tokens are held at once.
      normaliser: makes words of the lines. canonical: without one, words are brought to NFC.

    Raises:
      InputError: a text that cannot be used, no word left, or no discounts and no fall-back wanted.
    """
    table = WordTable.for_training()
    counter = NgramCounter(config.order, *([run_tokens] if run_tokens else []))
    for path in paths:
        for ids in read_ids(path, table, True, config.skip_special, with_ids, block_bytes, normaliser, canonical):
            counter.add(ids, table.count)
    place = ", ".join(os.fspath(p) for p in paths) or "text"
    return _estimate(counter, table.word_bytes(), config, vocabulary, place)


def estimate_from_sentences(
    sentences: Iterable[Sequence[str]], config: EstimateConfig, vocabulary: Iterable[str] | None = None
) -> tuple[NgramModel, EstimateReport]:
    """Estimates a model from sentences in memory; see `estimate`."""
    ids: dict[str, int] = {"<unk>": UNK, "<s>": BOS, "</s>": EOS}
    counter = NgramCounter(config.order, 1 << 16)
    for number, sentence in enumerate(sentences, 1):
        row = [ids.setdefault(word, len(ids)) for word in sentence]
        if any(i <= EOS for i in row):
            if not config.skip_special:
                raise InputError.at("text", "a special word (<s>, </s>, <unk>) stands in the text", line=number)
            row = [i for i in row if i > EOS]
        counter.add(np.array([*row, EOS], np.int32), len(ids))
    return _estimate(counter, [w.encode() for w in ids], config, vocabulary, "text")


def _estimate(
    counter: NgramCounter,
    found: list[bytes],
    config: EstimateConfig,
    fixed: Iterable[str] | None,
    place: str,
) -> tuple[NgramModel, EstimateReport]:
    if len(found) == 3:
        raise InputError.at(place, "holds no word", "Give text, one sentence a line.")
    classes = [w for w in found if w.startswith(b"$")]
    for word in classes:
        refuse_unparted(word.decode(), place)
    limit = None if fixed is None else {w.encode() for w in check_words(fixed, "vocabulary")}
    if limit is not None:  # what a class stands for is told when a graph is made
        limit |= {w for w in classes if is_class(w.decode())}
    extra = sorted(limit.difference(found)) if limit and config.add_unseen else []
    vocabulary = Vocabulary.build([*found[3:], *extra])
    new_id = {w: i for i, w in enumerate(vocabulary.words)}
    rank = np.array([new_id[w] for w in found], np.int64)
    outside = np.zeros(len(vocabulary), bool)
    if limit is not None:
        outside = np.array([w not in limit for w in vocabulary.words])
        outside[:3] = False
        if outside[3:].all():
            told = told_loss([w.decode() for w in found[3:]], len(found) - 3, Spelling(map(bytes.decode, limit)))
            cure = SPELL if told else "Compare the spelling of both."
            raise InputError.at(place, f"holds no word of the vocabulary{': ' if told else ''}{told}", cure)
    run = counter.finish(len(found))
    builder = _Builder(config, vocabulary, outside, len(extra))
    for level in count_levels(run, config.order, rank, len(vocabulary)):
        builder.add(level)
    del run
    report = builder.report(counter.tokens)
    if limit is not None and 2 * report.out_of_vocabulary > report.tokens:
        missing = [w.decode() for w in found[3:] if w not in limit]
        if told := told_loss(missing, len(missing), Spelling(map(bytes.decode, limit))):
            raise InputError.at(place, f"most of it is outside the vocabulary: {told}", SPELL)
    return builder.model(), report


class _Builder:
    """Takes the levels of counts from unigrams upwards and makes the levels of the model."""

    def __init__(self, config: EstimateConfig, vocabulary: Vocabulary, outside: np.ndarray, added: int = 0) -> None:
        self.added = added
        self.config, self.vocabulary, self.outside = config, vocabulary, outside
        self.levels: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # contexts, words, probabilities
        self.backoffs: list[np.ndarray] = []
        self.seen: list[int] = []
        self.discounts: list[tuple[float, float, float]] = []
        self.fallback: list[int] = []
        self.sentences = self.out_of_vocabulary = 0
        # Of the level below: which n-grams hold an outside word, new positions (-1: dropped), probabilities.
        self._outside_below = np.zeros(1, bool)
        self._places = np.zeros(1, np.int32)
        self._below = np.zeros(0)

    def add(self, level: CountLevel) -> None:
        """Smoothes the next level."""
        length = len(self.levels) + 1
        outside = self.outside[level.words]
        if length > 1:
            outside |= self._outside_below[level.contexts]
        dropped = outside | (level.counts <= self.config.threshold(length))
        if length == 1:
            self._first(level, dropped)
        counts = level.counts if self.config.smoothing == "witten-bell" else level.adjusted
        num_contexts = max(1, len(self._places))
        share, gamma = shares_of_level(counts, dropped, level.contexts, num_contexts, self._discounts(counts, length))
        kept = np.flatnonzero(~dropped)
        if length == 1:
            below = np.full(len(kept), 1.0 / (len(kept) - 1))
            probs = share[kept] + gamma[0] * below
            probs[BOS] = 1.0
            contexts = np.zeros(len(kept), np.int32)
            words = np.arange(len(kept), dtype=np.int32)
        else:
            old_contexts = level.contexts[kept]
            contexts = self._places[old_contexts]
            probs = share[kept] + gamma[old_contexts] * self._below[self._places[level.suffixes[kept]]]
            words = self._word_places[level.words[kept]]
            self.backoffs.append(gamma[self._places >= 0])
        self.levels.append((contexts, words, probs))
        self._finish(dropped, kept, outside, probs)

    def _first(self, level: CountLevel, dropped: np.ndarray) -> None:
        """Special words are never dropped; the sentence start has no count of its own."""
        self.sentences = int(level.counts[EOS])
        self.out_of_vocabulary = int(level.counts[self.outside].sum())
        dropped[(level.counts == 0) & ~self.outside] = False
        dropped[: EOS + 1] = False

    def _discounts(self, counts: np.ndarray, length: int) -> tuple[float, float, float] | None:
        self.seen.append(int(np.count_nonzero(counts)) + (2 if length == 1 else 0))
        if self.config.smoothing == "witten-bell":
            return None
        found = kneser_ney_discounts(counts)
        if found is None:
            if not self.config.discount_fallback:
                raise InputError.at(
                    f"{length}-grams",
                    "too few or too odd counts of counts for Kneser-Ney discounts (small or artificial text?)",
                    "Allow the fall-back discounts, use Witten-Bell, or give more text.",
                )
            level = logging.INFO if np.count_nonzero(counts) < SMALL else logging.WARNING
            _log.log(level, "%d-grams: too few counts of counts; discounts are %s", length, FALLBACK_DISCOUNTS)
            self.fallback.append(length)
            found = FALLBACK_DISCOUNTS
        self.discounts.append(found)
        return found

    def _finish(self, dropped: np.ndarray, kept: np.ndarray, outside: np.ndarray, probs: np.ndarray) -> None:
        self._places = np.full(len(dropped), -1, np.int32)
        self._places[kept] = np.arange(len(kept), dtype=np.int32)
        if len(self.levels) == 1:
            self._word_places = self._places
            self.vocabulary = Vocabulary(tuple(self.vocabulary.words[i] for i in kept.tolist()))
        self._outside_below = outside
        self._below = probs

    def model(self) -> NgramModel:
        """The model of all levels added; orders of which no n-gram is kept are left out."""
        levels = []
        self.backoffs.append(np.ones(len(self.levels[-1][0])))
        for (contexts, words, probs), backoffs in zip(self.levels, self.backoffs):
            with np.errstate(divide="ignore"):
                log_probs = np.maximum(np.log10(probs), -99.0).astype(np.float32)
                log_backoffs = np.maximum(np.log10(backoffs), -99.0).astype(np.float32)
            if len(words):
                levels.append(NgramLevel(contexts, words, log_probs, log_backoffs))
        return NgramModel(self.vocabulary, tuple(levels))

    def report(self, tokens: int) -> EstimateReport:
        """What was seen and kept."""
        return EstimateReport(
            tokens - self.sentences,
            self.sentences,
            tuple(self.seen),
            tuple(len(level[0]) for level in self.levels),
            tuple(self.discounts),
            tuple(self.fallback),
            self.out_of_vocabulary,
            self.added,
        )
