"""Sorted keys against Python's integers, counts and levels against dictionaries."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from lm.counts import NgramCounter, count_levels
from lm.radix import bits_for, count_equal, empty_like_keys, merge_runs, pack_columns, radix_sort, repack, shift_right

KEYS = st.lists(st.one_of(st.integers(0, 7), st.integers(0, 2**128 - 1), st.integers(2**63, 2**65)), max_size=60)


def split(keys: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Python integers as (hi, lo)."""
    return np.array([k >> 64 for k in keys], np.uint64), np.array([k & (2**64 - 1) for k in keys], np.uint64)


def join(hi: np.ndarray, lo: np.ndarray) -> list[int]:
    """(hi, lo) as Python integers."""
    return [int(h) << 64 | int(k) for h, k in zip(hi, lo)]


@settings(max_examples=100, deadline=None)
@given(KEYS, st.integers(0, 128), st.integers(0, 128))
def test_radix_sort(keys, a, b):
    low, high = sorted((a, b))
    hi, lo = split(keys)
    index = np.arange(len(keys), dtype=np.int32)
    hi, lo, index = radix_sort(hi, lo, index, *empty_like_keys(hi, lo), np.empty_like(index), low, high)
    mask = (1 << high) - (1 << low)
    wanted = sorted(range(len(keys)), key=lambda i: keys[i] & mask)
    assert index.tolist() == wanted and join(hi, lo) == [keys[i] for i in wanted]


@settings(max_examples=60, deadline=None)
@given(KEYS, KEYS, st.booleans())
def test_runs_merge(first, second, pair):
    runs = []
    for keys in (first, second):
        hi, lo = split(sorted(k if pair else k & (2**64 - 1) for k in keys))
        hi = hi if pair else hi[:0]
        counts = np.empty(len(lo), np.int64)
        n = count_equal(hi, lo, counts)
        runs.append((hi[:n] if pair else hi, lo[:n], counts[:n]))
    size = sum(len(run[1]) for run in runs)
    hi, lo = np.empty(size if pair else 0, np.uint64), np.empty(size, np.uint64)
    counts = np.empty(size, np.int64)
    n = merge_runs(*runs[0], *runs[1], hi, lo, counts)
    found = join(hi[:n] if pair else np.zeros(n, np.uint64), lo[:n])
    wanted = Counter(k if pair else k & (2**64 - 1) for k in first + second)
    assert found == sorted(wanted) and counts[:n].tolist() == [wanted[k] for k in found]


@settings(deadline=None)
@given(st.integers(0, 2**128 - 1), st.integers(0, 128))
def test_shift(key, shift):
    hi, lo = split([key])
    assert join(*(np.array([x]) for x in shift_right(hi[0], lo[0], shift))) == [key >> shift]


@settings(deadline=None)
@given(st.lists(st.integers(0, 255), min_size=5, max_size=5))
def test_repack(words):
    columns = np.array(words, np.int32)[:, None]
    narrow = pack_columns(columns, np.arange(256), 8)
    wide_hi, wide_lo = pack_columns(columns, np.arange(256), 25)
    hi, lo = np.empty(1, np.uint64), np.empty(1, np.uint64)
    repack(*narrow, 5, 8, 25, hi, lo)
    assert len(narrow[0]) == 0 and hi == wide_hi and lo == wide_lo
    assert join(hi, lo)[0] == sum(w << 25 * (4 - i) for i, w in enumerate(words))


def test_too_many_words():
    assert bits_for(1 << 25, 5) == 25
    with pytest.raises(InputError, match="33554433 words are too many for order 5. Fix a smaller vocabulary"):
        bits_for((1 << 25) + 1, 5)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.integers(3, 9), max_size=6), min_size=1, max_size=8),
    st.integers(1, 5),
    st.sampled_from([10, 5_000, 20_000]),
    st.integers(1, 30),
)
def test_levels_equal_dictionaries(sentences, order, size, run_tokens):
    """Counts, different words before, contexts and suffixes; large vocabularies need keys of two halves."""
    counter = NgramCounter(order, run_tokens)
    for sentence in sentences:
        counter.add(np.array([*sentence, 2], np.int32), size)
    levels = list(count_levels(counter.finish(size), order, np.arange(size), size))
    padded = [(1, *s, 2) for s in sentences]
    below: list[tuple[int, ...]] = [()]
    for n, level in enumerate(levels, 1):
        wanted = Counter(p[i : i + n] for p in padded for i in range(n == 1, len(p) - n + 1))
        rows = [(*below[c], int(w)) for c, w in zip(level.contexts, level.words)]
        assert rows == (sorted(wanted) if n > 1 else [(w,) for w in range(size)])
        assert [wanted[g] for g in rows] == level.counts.tolist()
        before = Counter(g[1:] for g in {p[i : i + n + 1] for p in padded for i in range(len(p) - n)})
        for g, adjusted, suffix in zip(rows, level.adjusted, level.suffixes):
            assert adjusted == (wanted[g] if n == order or g[0] == 1 else before[g])
            assert n == 1 or below[suffix] == g[1:]
        below = rows
