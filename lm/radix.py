"""N-grams as sorted integer keys of up to 128 bits: packing, radix sort, counting of equals, merging.

A key holds `order` words of `bits` bits each in two uint64 arrays, (hi, lo); where order · bits is
64 or less, `hi` is an empty array and only `lo` is moved. Sorting is least-significant-digit radix
sort, linear in the number of keys, the same on every machine.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.base.errors import InputError

__all__ = [
    "KEY_BITS",
    "bits_for",
    "count_equal",
    "empty_like_keys",
    "merge_runs",
    "pack_columns",
    "radix_sort",
    "repack",
    "shift_right",
]

KEY_BITS = 128
_DIGIT = 11


def bits_for(vocabulary_size: int, order: int) -> int:
    """Bits that hold one word id.

    Raises:
      InputError: order · bits exceeds 128 (33 million words at order 5).
    """
    bits = max(1, (vocabulary_size - 1).bit_length())
    if bits * order > KEY_BITS:
        raise InputError.at(
            "vocabulary", f"{vocabulary_size} words are too many for order {order}", "Fix a smaller vocabulary."
        )
    return bits


def empty_like_keys(hi: np.ndarray, lo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two uninitialised arrays like a pair of key arrays."""
    return np.empty_like(hi), np.empty_like(lo)


@kernel(inline="always")
def shift_right(hi, lo, shift):
    """(hi, lo) >> shift, for 0 <= shift <= 128 bits."""
    if shift == 0:
        return hi, lo
    if shift < 64:
        return hi >> np.uint64(shift), (lo >> np.uint64(shift)) | (hi << np.uint64(64 - shift))
    if shift < 128:
        return np.uint64(0), hi >> np.uint64(shift - 64)
    return np.uint64(0), np.uint64(0)


@kernel(inline="always")
def push_word(hi, lo, word, bits):
    """((hi, lo) << bits) | word, for 0 < bits < 64."""
    return (hi << np.uint64(bits)) | (lo >> np.uint64(64 - bits)), (lo << np.uint64(bits)) | np.uint64(word)


@kernel
def radix_sort(hi, lo, index, hi_buffer, lo_buffer, index_buffer, low_bit, high_bit):
    """Sorts keys by their bits low_bit … high_bit - 1, stably; carries `index` along.

    Args:
      hi, lo: uint64 keys; `hi` has length 0 where keys have 64 bits or less.
      index: int32 payload, or length 0 for none.
      hi_buffer, lo_buffer, index_buffer: arrays of the same lengths, overwritten.

    Returns:
      (hi, lo, index), sorted; some of the six arrays.
    """
    count = len(lo)
    pair = len(hi) > 0
    payload = len(index) > 0
    histogram = np.zeros(1 << _DIGIT, np.int64)
    digit_mask = np.uint64((1 << _DIGIT) - 1)
    shift = low_bit
    while shift < high_bit and count > 0:
        width = min(_DIGIT, high_bit - shift)
        if shift < 64 and shift + width > 64:
            width = 64 - shift
        mask = digit_mask >> np.uint64(_DIGIT - width)
        from_hi = shift >= 64
        amount = np.uint64(shift - 64) if from_hi else np.uint64(shift)
        source = hi if from_hi else lo
        histogram[:] = 0
        for i in range(count):
            histogram[(source[i] >> amount) & mask] += 1
        if histogram[(source[0] >> amount) & mask] < count:
            total = 0
            for d in range(1 << width):
                here = histogram[d]
                histogram[d] = total
                total += here
            for i in range(count):
                digit = (source[i] >> amount) & mask
                to = histogram[digit]
                histogram[digit] = to + 1
                lo_buffer[to] = lo[i]
                if pair:
                    hi_buffer[to] = hi[i]
                if payload:
                    index_buffer[to] = index[i]
            hi, hi_buffer = hi_buffer, hi
            lo, lo_buffer = lo_buffer, lo
            index, index_buffer = index_buffer, index
        shift += width
    return hi, lo, index


@kernel
def count_equal(hi, lo, counts):
    """Leaves each key of a sorted array once, at the front, and its number of occurrences in `counts`.

    Returns:
      How many different keys there are.
    """
    pair = len(hi) > 0
    unique = 0
    for i in range(len(lo)):
        if unique > 0 and lo[i] == lo[unique - 1] and (not pair or hi[i] == hi[unique - 1]):
            counts[unique - 1] += 1
        else:
            lo[unique] = lo[i]
            if pair:
                hi[unique] = hi[i]
            counts[unique] = 1
            unique += 1
    return unique


@kernel
def merge_runs(hi_a, lo_a, counts_a, hi_b, lo_b, counts_b, hi, lo, counts):
    """Merges two sorted runs of different keys into (hi, lo, counts); counts of equal keys add up.

    Returns:
      The length of the result.
    """
    pair = len(hi) > 0
    a = b = n = 0
    while a < len(lo_a) or b < len(lo_b):
        if a == len(lo_a):
            order = 1
        elif b == len(lo_b):
            order = -1
        else:
            order = 0
            if pair and hi_a[a] != hi_b[b]:
                order = -1 if hi_a[a] < hi_b[b] else 1
            elif lo_a[a] != lo_b[b]:
                order = -1 if lo_a[a] < lo_b[b] else 1
        if order <= 0:
            lo[n] = lo_a[a]
            if pair:
                hi[n] = hi_a[a]
            counts[n] = counts_a[a]
            a += 1
            if order == 0:
                counts[n] += counts_b[b]
                b += 1
        else:
            lo[n] = lo_b[b]
            if pair:
                hi[n] = hi_b[b]
            counts[n] = counts_b[b]
            b += 1
        n += 1
    return n


@kernel
def repack(hi, lo, order, old_bits, new_bits, new_hi, new_lo):
    """Rewrites keys for more bits a word; their order stays."""
    mask = (np.uint64(1) << np.uint64(old_bits)) - np.uint64(1)
    for i in range(len(lo)):
        old_hi = hi[i] if len(hi) > 0 else np.uint64(0)
        key_hi, key_lo = np.uint64(0), np.uint64(0)
        for j in range(order - 1, -1, -1):
            word = shift_right(old_hi, lo[i], j * old_bits)[1] & mask
            key_hi, key_lo = push_word(key_hi, key_lo, word, new_bits)
        new_lo[i] = key_lo
        if len(new_hi) > 0:
            new_hi[i] = key_hi


@kernel
def _pack_columns(columns, ids, bits, hi, lo):
    for i in range(len(lo)):
        key_hi, key_lo = np.uint64(0), np.uint64(0)
        for j in range(len(columns)):
            key_hi, key_lo = push_word(key_hi, key_lo, ids[columns[j, i]], bits)
        lo[i] = key_lo
        if len(hi) > 0:
            hi[i] = key_hi


def pack_columns(columns: np.ndarray, ids: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Keys of n-grams given as int32 [order][n-gram], first word most significant, each word w as ids[w]."""
    order, count = columns.shape
    lo = np.empty(count, np.uint64)
    hi = np.empty(count if bits * order > 64 else 0, np.uint64)
    _pack_columns(columns, ids, bits, hi, lo)
    return hi, lo
