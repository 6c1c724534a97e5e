"""The arcs that a state of a composition with look-ahead may have (`compose_kernels`), and what they lead to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.base.fetch import fetch
from hybrid.lookahead.composed import LOW, mixed
from hybrid.lookahead.mass_kernels import first_at_least, holds
from hybrid.lookahead.numbered_grammar import (
    ARC,
    BACKOFF,
    BACKOFF_SCORE,
    BEGIN,
    END,
    NEXT,
    PENDING,
    PROBABILITY,
    ROW,
    SCORE,
)

__all__ = ["Plan", "empty_plan", "key_of", "planned", "put_out"]


class Plan(NamedTuple):
    """The arcs that a state may have, before it is looked up what they lead to.

    Attributes:
      arcs: int64, in the tree; -1 for ε. keys: uint64, of what they lead to. scores: float64. words: int32, see
        `Composed`.
      potentials: float64, of what they lead to, NaN where it is not known before. masses: float64, of the words of G
        that can come there, over the largest of its state, NaN where they were not counted.
      counts: int32, of each arc in the tree, how many words of G can come after it; -1: all. sums: float64, of their
        probabilities. lasts: int64, the arc of G of the last of them.
    """

    arcs: np.ndarray
    keys: np.ndarray
    scores: np.ndarray
    words: np.ndarray
    potentials: np.ndarray
    masses: np.ndarray
    counts: np.ndarray
    sums: np.ndarray
    lasts: np.ndarray


@kernel
def empty_plan(most):
    """Returns room for the arcs of a state that has so many in the tree."""
    rows = most + 2  # back-off, too
    return Plan(
        np.empty(rows, np.int64), np.empty(rows, np.uint64), np.empty(rows), np.empty(rows, np.int32), np.empty(rows),
        np.empty(rows), np.empty(most, np.int32), np.empty(most), np.empty(most, np.int64),
    )  # fmt: skip


@kernel(inline="always")
def key_of(s, g, chosen):
    """Returns the key of a state; see `Composed`."""
    return np.uint64(s) << np.uint64(33) | np.uint64(chosen) << np.uint64(32) | np.uint64(g)


@kernel
def _follow(tree, language, g, chosen, begin, last, a):
    """Returns where an arc leads to: state of H∘C∘L (-1: nowhere), of G, whether that is chosen; score and word.

    Args:
      begin, last: arcs of g among which all words are that can come.
    """
    t, score, number, word = np.int64(tree.arcs[3 * a]), np.float64(tree.scores[a]), tree.numbers[a], np.int32(0)
    pair = g - language.states
    if pair >= 0:  # the word has been put out
        if number != 0:
            g, chosen = np.int64(language.pairs[2 * pair + 1]), False
            t = t if number == language.pairs[2 * pair] else np.int64(-1)
        elif tree.sets[t] < 0 or not holds(tree, tree.sets[t], language.pairs[2 * pair]):
            t = np.int64(-1)
    elif number != 0:
        b = first_at_least(language.numbers, begin, last, number)
        if b < last and language.numbers[b] == number:
            score, word = score + tree.word_score + np.float64(language.scores[ARC * b + SCORE]), tree.word_ids[a]
            g, chosen = np.int64(language.arcs[ARC * b + NEXT]), False
        else:
            t = np.int64(-1)
    elif tree.sets[t] == tree.everything:
        t = np.int64(-1) if chosen else t  # before it was chosen it went this way
    else:
        chosen = True
    return t, g, chosen, score, word


@kernel(inline="always")
def _back_off(tree, language, s, g, chosen, again):
    """Returns where the ε arcs of a state lead to, as `_follow`: to g, chosen, and (again) to what it backs off to.

    In the place of the word of a back-off arc stands −1 − g.
    """
    whole = tree.sets[s] == tree.everything
    if g >= language.states:
        return np.int64(-1), g, chosen, 0.0, np.int32(0)
    if not again:
        return np.int64(-1) if whole or chosen else s, g, True, 0.0, np.int32(0)
    goes = language.rows[ROW * g + BACKOFF] >= 0 and (tree.branches[s] != 0 if whole else not chosen)
    return (
        s if goes else np.int64(-1),
        np.int64(language.rows[ROW * g + BACKOFF]),
        whole,
        language.values[ROW * g + BACKOFF_SCORE],
        np.int32(-1 - g),
    )


@kernel
def _words_of(tree, language, s, g):
    """Returns among which arcs of g the words are that s reaches; of a word and the state after, one that is none."""
    if g >= language.states:
        return np.int64(0), np.int64(1)
    begin, last, reached = (
        np.int64(language.rows[ROW * g + BEGIN]),
        np.int64(language.rows[ROW * g + END]),
        np.int64(tree.sets[s]),
    )
    if reached != tree.everything:
        begin = first_at_least(language.numbers, begin, last, tree.begins[tree.set_splits[reached]])
        last = first_at_least(language.numbers, begin, last, tree.ends[tree.set_splits[reached + 1] - 1])
    return begin, last


@kernel
def _counted(tree, language, s, g, begin, last, plan):
    """Counts the words of g that can come after each arc of s, where s has many arcs and g few words.

    Returns:
      Whether it did.
    """
    wide, w, pair = tree.wide, np.int64(tree.wide.rows[s]), g - language.states
    first, end = np.int64(tree.bounds[2 * s]), np.int64(tree.bounds[2 * s + 2])
    if w < 0 or last - begin >= end - first:
        return False
    for n in range(end - first):
        plan.counts[n], plan.sums[n] = 0, 0.0
    for k in range(wide.whole_splits[w], wide.whole_splits[w + 1]):
        plan.counts[wide.whole_arcs[k] - first] = -1
    for b in range(begin, last):
        number = language.pairs[2 * pair] if pair >= 0 else language.numbers[b]
        k = first_at_least(wide.begins, wide.splits[w], wide.splits[w + 1], number + 1) - 1
        if k >= wide.splits[w]:
            for m in range(wide.arc_splits[k], wide.arc_splits[k + 1]):
                n = wide.arcs[m] - first
                plan.counts[n] += 1
                plan.sums[n] += np.float64(language.scores[ARC * b + PROBABILITY])
                plan.lasts[n] = b
    return True


@kernel(inline="always")
def put_out(tree, language, key, score, b):
    """Returns key, score and word of an arc after which only the word of arc b of G can come."""
    score += tree.word_score + np.float64(language.scores[ARC * b + SCORE])
    key = key >> np.uint64(32) << np.uint64(32) | np.uint64(language.arcs[ARC * b + PENDING])
    return key, score, tree.numbered[language.numbers[b]]


@kernel
def planned(tree, language, composed, i, plan):
    """Plans the arcs of a state, and asks for where what they lead to is looked up.

    Returns:
      How many they are, and the arcs of G among which all words are that can come.
    """
    key, own = composed.keys[2 * i], composed.potentials[2 * i + 1]
    s, g = np.int64(key >> np.uint64(33)), np.int64(key & LOW)
    chosen = key >> np.uint64(32) & np.uint64(1) != np.uint64(0)
    first, arcs, begin, last = np.int64(tree.bounds[2 * s]), np.int64(0), np.int64(0), np.int64(0)
    count, counted = 0, False
    if chosen or tree.sets[s] == tree.everything:
        arcs = np.int64(tree.bounds[2 * s + 2]) - first
        begin, last = _words_of(tree, language, s, g)
        counted = _counted(tree, language, s, g, begin, last, plan)
    for n in range(arcs + 2):
        mass, b, many = np.nan, np.int64(-1), np.int32(-1)
        if n < arcs:
            if counted:
                b, many = plan.lasts[n], plan.counts[n]
                if many == 0:
                    continue
            low, high = (b, b + 1) if many > 0 else (begin, last)
            t, h, picked, score, word = _follow(tree, language, g, chosen, low, high, first + n)
        else:
            t, h, picked, score, word = _back_off(tree, language, s, g, chosen, n > arcs)
        if t < 0 or tree.sets[t] < 0:
            continue
        leads = key_of(t, h, picked)
        if many > 0 and picked and h == g and g < language.states:
            mass = plan.sums[n]
            if many == 1 and language.numbers[b] > 0:
                leads, score, word = put_out(tree, language, leads, score, b)
        if leads != key:
            fetch(composed.table, mixed(leads)[0] & np.uint64(composed.mask))
        plan.arcs[count], plan.keys[count] = first + n if n < arcs else -1, leads
        plan.scores[count], plan.words[count], plan.masses[count] = score, word, mass
        plan.potentials[count] = own if tree.sets[t] == tree.sets[s] and h == g else np.nan
        count += 1
    return count, begin, last
