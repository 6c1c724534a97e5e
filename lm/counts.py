"""Counts of n-grams from a stream of word ids, and the trie of all orders that smoothing works on.

Only n-grams of the highest order are counted while the text streams by (sentences padded in front
with order-1 sentence starts); those of every lower order follow from them, as in KenLM (Heafield et
al., 2013). Runs of some millions of tokens are sorted and merged, so memory grows with the number
of different n-grams, not with the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hybrid.base.compiled import kernel
from lm.radix import (
    bits_for,
    count_equal,
    empty_like_keys,
    merge_runs,
    push_word,
    radix_sort,
    repack,
    shift_right,
)
from lm.word_table import BOS, EOS, UNK

__all__ = ["CountLevel", "NgramCounter", "count_levels"]

RUN_TOKENS = 1 << 22
_NO_INDEX = np.empty(0, np.int32)


@kernel
def _window_keys(ids, history, order, bits, hi, lo):
    """The key of the n-gram that ends at each token, last word most significant; `history` is updated."""
    pair = len(hi) > 0
    top = (order - 1) * bits
    key_hi, key_lo = np.uint64(0), np.uint64(0)
    start_hi, start_lo = np.uint64(0), np.uint64(0)
    for _ in range(order):
        start_hi, start_lo = push_word(start_hi, start_lo, BOS, bits)
    for j in range(order - 1, -1, -1):
        key_hi, key_lo = push_word(key_hi, key_lo, history[j], bits)
    for i in range(len(ids)):
        key_hi, key_lo = shift_right(key_hi, key_lo, bits)
        word = np.uint64(ids[i])
        if top >= 64:
            key_hi |= word << np.uint64(top - 64)
        else:
            key_lo |= word << np.uint64(top)
            if top + bits > 64:
                key_hi |= word >> np.uint64(64 - top)
        lo[i] = key_lo
        if pair:
            hi[i] = key_hi
        if ids[i] == EOS:
            key_hi, key_lo = start_hi, start_lo
    mask = (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    for j in range(order):
        history[j] = shift_right(key_hi, key_lo, j * bits)[1] & mask


@dataclass(eq=False)
class _Run:
    """Different n-grams in suffix order (last word most significant) with their counts."""

    hi: np.ndarray
    lo: np.ndarray
    counts: np.ndarray
    bits: int

    def with_bits(self, bits: int, order: int) -> "_Run":
        """The same run with wider words."""
        if bits == self.bits:
            return self
        lo = np.empty_like(self.lo)
        hi = np.empty(len(lo) if bits * order > 64 else 0, np.uint64)
        repack(self.hi, self.lo, order, self.bits, bits, hi, lo)
        return _Run(hi, lo, self.counts, bits)


class NgramCounter:
    """Counts the n-grams of one order in a stream of sentences."""

    def __init__(self, order: int, run_tokens: int = RUN_TOKENS) -> None:
        """Args: order: 1 to 5. run_tokens: how many tokens are sorted at once (24 to 48 bytes each)."""
        self.order = order
        self.tokens = 0
        self._ids = np.empty(run_tokens, np.int32)
        self._filled = 0
        self._history = np.full(order, BOS, np.int64)
        self._runs: list[_Run] = []

    def add(self, ids: np.ndarray, vocabulary_size: int) -> None:
        """Takes the next word ids (int32) of the text; every sentence ends with EOS.

        Args:
          vocabulary_size: all ids so far are smaller.
        """
        self.tokens += len(ids)
        while len(ids):
            take = min(len(ids), len(self._ids) - self._filled)
            self._ids[self._filled : self._filled + take] = ids[:take]
            self._filled += take
            ids = ids[take:]
            if self._filled == len(self._ids):
                self._sort_run(vocabulary_size)

    def _sort_run(self, vocabulary_size: int) -> None:
        bits = bits_for(vocabulary_size, self.order)
        lo = np.empty(self._filled, np.uint64)
        hi = np.empty(self._filled if bits * self.order > 64 else 0, np.uint64)
        _window_keys(self._ids[: self._filled], self._history, self.order, bits, hi, lo)
        self._filled = 0
        buffers = empty_like_keys(hi, lo)
        hi, lo, _ = radix_sort(hi, lo, _NO_INDEX, *buffers, _NO_INDEX, 0, bits * self.order)
        del buffers
        counts = np.empty(len(lo), np.int64)
        unique = count_equal(hi, lo, counts)
        self._runs.append(_Run(hi[:unique].copy(), lo[:unique].copy(), counts[:unique].copy(), bits))
        while len(self._runs) > 1 and len(self._runs[-2].lo) < 2 * len(self._runs[-1].lo):
            self._merge_last()

    def _merge_last(self) -> None:
        b, a = self._runs.pop(), self._runs.pop()
        bits = max(a.bits, b.bits)
        a, b = a.with_bits(bits, self.order), b.with_bits(bits, self.order)
        size = len(a.lo) + len(b.lo)
        lo, counts = np.empty(size, np.uint64), np.empty(size, np.int64)
        hi = np.empty(size if bits * self.order > 64 else 0, np.uint64)
        n = merge_runs(a.hi, a.lo, a.counts, b.hi, b.lo, b.counts, hi, lo, counts)
        del a, b
        self._runs.append(_Run(hi[:n].copy(), lo[:n].copy(), counts[:n].copy(), bits))

    def finish(self, vocabulary_size: int) -> "_Run":
        """All n-grams in suffix order; the counter is empty afterwards."""
        if self._filled or not self._runs:
            self._sort_run(vocabulary_size)
        self._ids = np.empty(0, np.int32)
        while len(self._runs) > 1:
            self._merge_last()
        bits = bits_for(vocabulary_size, self.order)
        return self._runs.pop().with_bits(bits, self.order)


@kernel
def _collapse(hi, lo, counts, order, length, bits, rank, key_bits, key_hi, key_lo, raw, adjusted, suffixes):
    """The n-grams of `length` words among the suffixes of sorted n-grams of `order` words.

    Writes, for each in suffix order: its key (first word most significant, `key_bits` for each id through `rank`), its
    count, its adjusted count (different words before it; its count if it begins with <s>) and the
    position of its own suffix. N-grams with <s> anywhere but in front are no n-grams.

    Returns:
      How many there are.
    """
    pair_in, pair_out = len(hi) > 0, len(key_hi) > 0
    mask = (np.uint64(1) << np.uint64(bits)) - np.uint64(1)
    zero = np.uint64(0)
    found, suffix, allowed = 0, -1, True
    previous_hi, previous_lo = zero, zero
    words = np.zeros(order + 1, np.int64)
    for i in range(len(lo)):
        this_hi = hi[i] if pair_in else zero
        this_lo = lo[i]
        difference_hi, difference_lo = this_hi ^ previous_hi, this_lo ^ previous_lo
        previous_hi, previous_lo = this_hi, this_lo
        above = shift_right(difference_hi, difference_lo, (order - length) * bits)
        new = i == 0 or (above[0] | above[1]) != zero
        if new:
            allowed = True
            for j in range(length):
                words[j] = np.int64(shift_right(this_hi, this_lo, (order - 1 - j) * bits)[1] & mask)
                if j == length - 2 and allowed:
                    shorter = shift_right(difference_hi, difference_lo, (order - length + 1) * bits)
                    if i == 0 or (shorter[0] | shorter[1]) != zero:
                        suffix += 1
                if j < length - 1 and words[j] == BOS:
                    allowed = False
            if not allowed:
                continue
            out_hi, out_lo = zero, zero
            for j in range(length - 1, -1, -1):
                out_hi, out_lo = push_word(out_hi, out_lo, rank[words[j]], key_bits)
            key_lo[found] = out_lo
            if pair_out:
                key_hi[found] = out_hi
            raw[found] = counts[i]
            suffixes[found] = suffix
            adjusted[found] = counts[i] if length == order or words[length - 1] == BOS else 1
            found += 1
        elif allowed:
            raw[found - 1] += counts[i]
            longer = shift_right(difference_hi, difference_lo, (order - length - 1) * bits)
            if words[length - 1] == BOS:
                adjusted[found - 1] += counts[i]
            elif (longer[0] | longer[1]) != zero:
                adjusted[found - 1] += 1
    return found


@kernel
def join_contexts(key_hi, key_lo, bits, context_hi, context_lo, contexts):
    """Finds each n-gram's first n-1 words among the sorted keys of order n-1.

    Returns:
      -1, or the position of the first n-gram whose context is not there.
    """
    pair, context_pair = len(key_hi) > 0, len(context_hi) > 0
    zero = np.uint64(0)
    at = 0
    for i in range(len(key_lo)):
        want_hi, want_lo = shift_right(key_hi[i] if pair else zero, key_lo[i], bits)
        while at < len(context_lo):
            have_hi = context_hi[at] if context_pair else zero
            if have_hi > want_hi or (have_hi == want_hi and context_lo[at] >= want_lo):
                break
            at += 1
        if at == len(context_lo) or context_lo[at] != want_lo or (context_pair and context_hi[at] != want_hi):
            return i
        contexts[i] = at
    return -1


@dataclass(frozen=True, eq=False)
class CountLevel:
    """All n-grams of one order, sorted by their words' ids, first word first.

    Attributes:
      words: int32, the last word.
      contexts: int32, position of the first n-1 words in the level below (0 for unigrams).
      suffixes: int32, position of the last n-1 words in the level below (0 for unigrams).
      counts: int64, occurrences in the text.
      adjusted: int64, different words seen before it; its count where it begins with <s> or has the highest order.
    """

    words: np.ndarray
    contexts: np.ndarray
    suffixes: np.ndarray
    counts: np.ndarray
    adjusted: np.ndarray


def _unigram_level(run: _Run, order: int, rank: np.ndarray, size: int) -> CountLevel:
    """Unigrams: a row for every word, seen or not."""
    capacity = len(rank)
    key, raw, adjusted = np.empty(capacity, np.uint64), np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    suffixes = np.empty(capacity, np.int32)
    none = np.empty(0, np.uint64)
    n = _collapse(run.hi, run.lo, run.counts, order, 1, run.bits, rank, 32, none, key, raw, adjusted, suffixes)
    rows = key[:n].astype(np.int64)
    counts, adjusted_counts = np.zeros(size, np.int64), np.zeros(size, np.int64)
    counts[rows], adjusted_counts[rows] = raw[:n], adjusted[:n]
    zeros = np.zeros(size, np.int32)
    return CountLevel(np.arange(size, dtype=np.int32), zeros, zeros, counts, adjusted_counts)


def count_levels(run: _Run, order: int, rank: np.ndarray, vocabulary_size: int) -> Iterator[CountLevel]:
    """Yields the levels of orders 1 to `order`.

    Args:
      run: what `NgramCounter.finish` returned.
      rank: int64, new id of each word id of the run: 0, 1, 2 stay, all are different.
      vocabulary_size: how many new ids there are; words that the text lacks get unigrams with count 0.
    """
    yield _unigram_level(run, order, rank, vocabulary_size)
    bits = bits_for(vocabulary_size, order)
    none = np.empty(0, np.uint64)
    # Suffix order of the level below → its sorted order; and its sorted keys.
    places = _unigram_places(run, order, rank)
    below_hi, below_lo = none, np.arange(vocabulary_size, dtype=np.uint64)
    for length in range(2, order + 1):
        capacity = len(run.lo)
        lo, raw = np.empty(capacity, np.uint64), np.empty(capacity, np.int64)
        hi = np.empty(capacity if bits * length > 64 else 0, np.uint64)
        adjusted, suffixes = np.empty(capacity, np.int64), np.empty(capacity, np.int32)
        n = _collapse(run.hi, run.lo, run.counts, order, length, run.bits, rank, bits, hi, lo, raw, adjusted, suffixes)
        hi, lo, by_key = hi[:n], lo[:n], np.arange(n, dtype=np.int32)
        buffers = empty_like_keys(hi, lo)
        hi, lo, by_key = radix_sort(hi, lo, by_key, *buffers, np.empty_like(by_key), 0, bits * length)
        del buffers
        contexts = np.empty(n, np.int32)
        missing = join_contexts(hi, lo, bits, below_hi, below_lo, contexts)
        assert missing < 0, "every n-gram's context was counted"
        words = (lo & np.uint64((1 << bits) - 1)).astype(np.int32)
        counts = raw[:n][by_key]
        adjusted_counts = counts if length == order else adjusted[:n][by_key]
        yield CountLevel(words, contexts, places[suffixes[:n]][by_key], counts, adjusted_counts)
        places = np.empty(n, np.int32)
        places[by_key] = np.arange(n, dtype=np.int32)
        below_hi, below_lo = hi, lo


def _unigram_places(run: _Run, order: int, rank: np.ndarray) -> np.ndarray:
    """New ids of the last words of a run, each once, in the run's order."""
    shift = (order - 1) * run.bits
    last = run.lo >> np.uint64(shift) if shift < 64 else run.hi >> np.uint64(shift - 64)
    if shift < 64 < shift + run.bits:
        last = last | (run.hi << np.uint64(64 - shift))
    last = last & np.uint64((1 << run.bits) - 1)
    new = np.ones(len(last), bool)
    new[1:] = last[1:] != last[:-1]
    return rank[last[new].astype(np.int64)].astype(np.int32)


assert (UNK, BOS, EOS) == (0, 1, 2)
