"""What probability a state of G gives to a set of words, and whether just one of them can come."""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.lookahead.numbered_grammar import ARC, BACKOFF, BACKOFF_SCORE, BEGIN, END, LARGEST, PROBABILITY, ROW

__all__ = ["LEAST", "first_at_least", "holds", "mass", "open_mass"]

FEW = 8  # probabilities that are summed one by one: a difference of sums would keep too few digits
LEAST = np.float64(1e-300)


@kernel(inline="always")
def first_at_least(numbers, begin, end, wanted):
    """Returns the first place from `begin` on where a number is not below the wanted one, `end` if none is."""
    while begin < end:
        middle = (begin + end) >> 1
        if numbers[middle] < wanted:
            begin = middle + 1
        else:
            end = middle
    return begin


@kernel(inline="always")
def holds(tree, k, number):
    """Tells whether a number is in a set."""
    i = first_at_least(tree.ends, tree.set_splits[k], tree.set_splits[k + 1], number + 1)
    return i < tree.set_splits[k + 1] and tree.begins[i] <= number


@kernel
def mass(tree, language, g, begin, end, k):
    """Looks for what a state of G, by itself, has of a set of words.

    Args:
      begin, end: the arcs of g among which all these words are.

    Returns:
      The log of its probability, -inf where there is nothing; and the arc where there is just one word, else -1.
    """
    numbers, sums = language.numbers, language.sums
    first, last = tree.set_splits[k], tree.set_splits[k + 1]
    total, count, arc = np.float64(0.0), np.int64(0), np.int64(-1)
    if end - begin <= last - first:
        for a in range(begin, end):
            if holds(tree, k, numbers[a]):
                total, count, arc = (
                    total + np.float64(language.scores[ARC * a + PROBABILITY]),
                    count + np.int64(1),
                    np.int64(a),
                )
    else:
        at = begin
        for i in range(first, last):
            low, high = tree.begins[i], tree.ends[i]
            at = first_at_least(numbers, at, end, low)
            to = first_at_least(numbers, at, min(end, at + high - low), high)
            if to - at > FEW:
                total += sums[to - 1] - (sums[at - 1] if at > language.rows[ROW * g + BEGIN] else 0.0)
            else:
                for a in range(at, to):
                    total, arc = total + np.float64(language.scores[ARC * a + PROBABILITY]), np.int64(a)
            count, at = count + to - at, to
            if at == end:
                break
    if count == 0:
        return -np.inf, np.int64(-1)
    single = count == 1 and numbers[arc] > 0
    return language.values[ROW * g + LARGEST] + np.log(max(total, LEAST)), arc if single else np.int64(-1)


@kernel
def open_mass(tree, language, g, k):
    """Returns the log of the probability that a state of G, and those it backs off to, give to a set of words."""
    total, score = mass(tree, language, g, language.rows[ROW * g + BEGIN], language.rows[ROW * g + END], k)[0], 0.0
    while language.rows[ROW * g + BACKOFF] >= 0:
        score, g = score + language.values[ROW * g + BACKOFF_SCORE], np.int64(language.rows[ROW * g + BACKOFF])
        own = mass(tree, language, g, language.rows[ROW * g + BEGIN], language.rows[ROW * g + END], k)[0]
        total = np.logaddexp(total, score + own)
    return total
