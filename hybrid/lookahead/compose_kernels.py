"""Composition with look-ahead, a state at a time, as the search comes to it (Allauzen, Riley and Schalkwyk 2009).

A state of the composed graph is a state s of H∘C∘L, a state g of G, and whether g has been chosen for the next word:

    s reaches every word and the end
      (s, g, free)      arcs to states that reach everything too; and all that (s, g, chosen) has
      (s, g, chosen)    arcs after which not everything can come: what follows is a word of g itself
                        ε, where s has such arcs: to (s, where g backs off to, chosen)
    s reaches less
      (s, g, free)      ε to (s, g, chosen), ε to (s, where g backs off to, free); only words that end late lead here
      (s, g, chosen)    all arcs of s that lead on to a word of g

Where just one word of g can come, it is put out at once (pushing labels), and what is left of its phones is common to
all states of G that lead on to one state by this word:

      (s, word and g after it, chosen)    arcs of s that lead on to the word, and then (…, g, free)

So each way through G, back-off arcs included, is one way through the composed graph: its language is that of the graph
compiled statically, where back-off is an ε too.

Look-ahead: V(s, g) is the log of the probability that g gives to what s reaches. An arc has V(target) − V(source) more,
so that a beam compares paths by all that is known of the words to come; at a word's arc this adds up to the word's
score. H∘C∘L was compiled with equally probable words, whose own look-ahead, the log of the share of words reached, is
taken off again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.lookahead.composed import FREE, LOW, NONE, empty_composed, mixed, place_of, room_in, with_room
from hybrid.lookahead.lent import lent
from hybrid.lookahead.mass_kernels import LEAST, mass, open_mass
from hybrid.lookahead.numbered_grammar import (
    ARC,
    BEGIN,
    END,
    LARGEST,
    ROW,
    SCORE,
    TOTAL,
    Language,
)
from hybrid.lookahead.plan_kernels import empty_plan, key_of, planned, put_out
from hybrid.lookahead.reach import larger
from hybrid.lookahead.tree import LexiconGraph

__all__ = ["Source", "begin_composed", "compose_states"]


class Source(NamedTuple):
    """What is composed."""

    tree: LexiconGraph
    language: Language


@kernel
def _state(tree, language, composed, key, potential, total, begin, last):
    """Returns a state of the composition, added where it is new, -1 where nothing can come of it.

    Where it is chosen and just one word can come it is not made: -1, and the arc of the word, which is -1 else.

    Args:
      key: of a state of G, or of a word and the state after it.
      potential: where it is known, and that several words can come, else NaN. total: of the words that can come, over
        the largest, likewise.
      begin, last: arcs of the state of G among which all words are that can come.
    """
    table, at = composed.table, place_of(key, composed.table, composed.mask, composed.keys)
    if table[at] != NONE:
        return np.int64(table[at] & LOW), np.int64(-1)
    s, g = np.int64(key >> np.uint64(33)), np.int64(key & LOW)
    chosen = key >> np.uint64(32) & np.uint64(1) != np.uint64(0)
    k, arc = np.int64(tree.sets[s]), np.int64(-1)
    if g >= language.states:
        after = language.pairs[2 * (g - language.states) + 1]
        potential = language.values[ROW * after + TOTAL] - tree.word_score - tree.shares[k]
    elif k == tree.everything:
        potential = language.values[ROW * g + TOTAL]
    elif not chosen:
        potential = open_mass(tree, language, g, k) - tree.shares[k]
    elif not np.isnan(total):
        potential = language.values[ROW * g + LARGEST] + np.log(max(total, LEAST)) - tree.shares[k]
    elif np.isnan(potential):
        potential, arc = mass(tree, language, g, begin, last, k)
        potential -= tree.shares[k]
    if arc >= 0 or potential == -np.inf:
        return np.int64(-1), arc
    i = composed.counts[0]
    table[at] = mixed(key)[1] << np.uint64(32) | np.uint64(i)
    composed.keys[2 * i], composed.potentials[2 * i + 1] = key, potential
    composed.bounds[4 * i], composed.final_scores[2 * i], composed.final_scores[2 * i + 1] = FREE, -np.inf, -np.inf
    composed.counts[0] = i + 1
    return i, np.int64(-1)


@kernel
def _expand(tree, language, composed, i, plan):
    """Makes the arcs of a state, for which there must be room."""
    key, own, counts = composed.keys[2 * i], composed.potentials[2 * i + 1], composed.counts
    s, g = np.int64(key >> np.uint64(33)), np.int64(key & LOW)
    count, begin, last = planned(tree, language, composed, i, plan)
    composed.bounds[4 * i] = composed.bounds[4 * i + 1] = np.uint32(counts[1])
    for n in range(count):
        a, leads, score, word = plan.arcs[n], plan.keys[n], plan.scores[n], plan.words[n]
        j = i
        if leads != key:
            h, first, end = np.int64(leads & LOW), begin, last
            if h != g and h < language.states:
                first, end = language.rows[ROW * h + BEGIN], language.rows[ROW * h + END]
            j, b = _state(tree, language, composed, leads, plan.potentials[n], plan.masses[n], first, end)
            if b >= 0:
                leads, score, word = put_out(tree, language, leads, score, b)
                j = _state(tree, language, composed, leads, np.nan, np.nan, first, end)[0]
        if j < 0:
            continue
        c, pdf = counts[1], np.int32(-1)
        composed.transition_ids[c] = 0
        if a >= 0:
            pdf, composed.transition_ids[c] = np.int32(tree.arcs[3 * a + 1]), tree.transition_ids[a]
        composed.arcs[3 * c], composed.arcs[3 * c + 1] = np.uint32(2 * j), np.uint32(pdf)
        composed.scores[3 * c + 2] = np.float32(score + composed.potentials[2 * j + 1] - own)
        composed.word_ids[c] = word
        counts[1] = c + 1
        if pdf >= 0:
            composed.bounds[4 * i + 1] = np.uint32(c + 1)
    composed.bounds[4 * i + 2] = composed.bounds[4 * i + 3] = np.uint32(counts[1])
    chosen = key >> np.uint64(32) & np.uint64(1) != np.uint64(0)
    if (chosen or tree.sets[s] == tree.everything) and g < language.states:
        end = language.rows[ROW * g + BEGIN]
        if end < language.rows[ROW * g + END] and language.numbers[end] == 0:
            score = np.float64(tree.final_scores[s]) + tree.word_score + np.float64(language.scores[ARC * end + SCORE])
            composed.final_scores[2 * i] = np.float32(score - own + composed.potentials[1])


@kernel
def _expand_waiting(source, composed, stack, depth):
    """Makes the arcs of states on a stack, and of those that they reach by ε, as long as there is room.

    Returns:
      The stack and its depth, 0 where all is done.
    """
    most, counts = source.tree.most, composed.counts
    room = min(min(len(composed.keys) // 2, room_in(composed.table)), len(composed.bounds) // 4)
    room = min(room, len(composed.final_scores) // 2)
    room_of_arcs = min(min(len(composed.transition_ids), len(composed.word_ids)), len(composed.arcs) // 3)
    tree, language, made, plan = lent(source.tree), lent(source.language), lent(composed), lent(empty_plan(most))
    while depth > 0 and counts[0] + most + 2 <= room and counts[1] + most + 2 <= room_of_arcs:
        depth -= 1
        i = stack[depth]
        if made.bounds[4 * i] != FREE:
            continue
        _expand(tree, language, made, i, plan)
        first, end = np.int64(made.bounds[4 * i + 1]), np.int64(made.bounds[4 * i + 2])
        stack = larger(stack, depth + end - first)
        for a in range(first, end):
            stack[depth] = np.int64(made.arcs[3 * a]) >> 1
            depth += 1
    return stack, depth


@kernel
def compose_states(source, composed, states):
    """Makes the arcs of states that have been met, and of all that they reach by ε.

    Args:
      states: int32, their numbers.

    Returns:
      The composition, in the memory of the one given and more.
    """
    stack, depth, bounds = np.empty(len(states), np.int64), 0, composed.bounds
    for n in range(len(states)):
        i = np.int64(np.uint32(states[n])) >> 1
        if bounds[4 * i] == FREE:
            stack[depth] = i
            depth += 1
    while depth > 0:
        stack, depth = _expand_waiting(source, composed, stack, depth)
        if depth > 0:
            composed = with_room(composed, source.tree.most + 2)
    return composed


@kernel
def begin_composed(source):
    """Returns the composition as far as its start, number 0, goes by ε."""
    composed, start = empty_composed(), key_of(source.tree.start, source.language.start, False)
    tree, language = lent(source.tree), lent(source.language)
    begin, last = language.rows[ROW * language.start + BEGIN], language.rows[ROW * language.start + END]
    if tree.sets[tree.start] >= 0:
        _state(tree, language, lent(composed), start, np.nan, np.nan, begin, last)
    return compose_states(source, composed, np.zeros(min(1, composed.counts[0]), np.int32))
