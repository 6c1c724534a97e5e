"""Distances between many sequences of phones and what was heard, by dynamic programming that shares beginnings."""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["align_phones", "phone_distances"]


@kernel
def phone_distances(splits, phones, shared, heard, costs, most, whole):
    """Returns how far each sequence is from what was heard, per phone; float32, inf if too far.

    Args:
      splits: int64 [N + 1]. phones: int32, of the sequences one after the other, which are sorted.
      shared: int32 [N], phones that each sequence begins with as the one before it does.
      heard: int32 [T]. costs: float32 [P][P], of hearing the second in the place of the first; row 0: of hearing one
        that was not said, column 0: of not hearing one.
      most: per phone. whole: from all that was heard; else from the nearest stretch of it.
    """
    count, length, longest = len(splits) - 1, len(heard), 0
    for n in range(count):
        if splits[n + 1] - splits[n] > longest:
            longest = splits[n + 1] - splits[n]
    rows, low = np.zeros((longest + 1, length + 1), np.float32), np.zeros(longest + 1, np.float32)
    found = np.full(count, np.inf, np.float32)
    if whole:
        for j in range(length):
            rows[0, j + 1] = rows[0, j] + costs[0, heard[j]]
    valid = 0
    for n in range(count):
        begin, size = splits[n], splits[n + 1] - splits[n]
        if shared[n] < valid:
            valid = shared[n]
        limit = np.float32(most * size)
        i = 0
        while i < valid and low[i + 1] <= limit:
            i += 1
        if i < valid:
            continue
        while i < size and low[i] <= limit:
            phone = phones[begin + i]
            before, row = rows[i], rows[i + 1]
            gap = costs[phone, 0]
            best = row[0] = before[0] + gap
            for j in range(length):
                value = min(before[j] + costs[phone, heard[j]], before[j + 1] + gap, row[j] + costs[0, heard[j]])
                row[j + 1] = value
                best = min(best, value)
            i += 1
            low[i] = best
            valid = i
        if i == size and size > 0:
            total = rows[size, length] if whole else low[size]
            if total <= limit:
                found[n] = total / size
    return found


@kernel
def align_phones(said, heard, costs):
    """Returns the cheapest alignment of two sequences, int32 [K][2], pairs of phones, 0 for none; and what it costs."""
    table = np.empty((len(said) + 1, len(heard) + 1), np.float64)
    table[0, 0] = 0.0
    for j in range(len(heard)):
        table[0, j + 1] = table[0, j] + costs[0, heard[j]]
    for i in range(len(said)):
        table[i + 1, 0] = table[i, 0] + costs[said[i], 0]
        for j in range(len(heard)):
            table[i + 1, j + 1] = min(
                table[i, j] + costs[said[i], heard[j]],
                min(table[i, j + 1] + costs[said[i], 0], table[i + 1, j] + costs[0, heard[j]]),
            )
    pairs = np.zeros((len(said) + len(heard), 2), np.int32)
    i, j, k = len(said), len(heard), len(pairs)
    while i > 0 or j > 0:
        k -= 1
        if i > 0 and j > 0 and table[i, j] == table[i - 1, j - 1] + costs[said[i - 1], heard[j - 1]]:
            i, j = i - 1, j - 1
            pairs[k, 0], pairs[k, 1] = said[i], heard[j]
        elif i > 0 and table[i, j] == table[i - 1, j] + costs[said[i - 1], 0]:
            i -= 1
            pairs[k, 0] = said[i]
        else:
            j -= 1
            pairs[k, 1] = heard[j]
    return pairs[k:], table[len(said), len(heard)]
