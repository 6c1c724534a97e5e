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
from hybrid.base.fetch import fetch
from hybrid.lookahead.composed import FREE, NONE, empty_composed, place_of, with_room
from hybrid.lookahead.lent import lent
from hybrid.lookahead.mass_kernels import first_at_least, holds, mass, open_mass
from hybrid.lookahead.numbered_grammar import Language
from hybrid.lookahead.reach import larger
from hybrid.lookahead.tree import LexiconGraph

__all__ = ["Source", "begin_composed", "compose_states"]


class Source(NamedTuple):
    """What is composed."""

    tree: LexiconGraph
    language: Language


class Plan(NamedTuple):
    """The arcs that a state may have, before it is looked up what they lead to.

    Attributes:
      arcs: int64, in the tree; -1 for ε. keys: uint64, of what they lead to. scores: float64. words: int32.
      potentials: float64, of what they lead to, NaN where it is not known before.
    """

    arcs: np.ndarray
    keys: np.ndarray
    scores: np.ndarray
    words: np.ndarray
    potentials: np.ndarray


@kernel(inline="always")
def _key(s, g, chosen):
    return np.uint64(s) << np.uint64(33) | np.uint64(chosen) << np.uint64(32) | np.uint64(g)


@kernel
def _state(tree, language, composed, key, potential, begin, last):
    """Returns a state of the composition, added where it is new, -1 where nothing can come of it.

    Where it is chosen and just one word can come it is not made: -1, and the arc of the word, which is -1 else.

    Args:
      key: of a state of G, or of a word and the state after it.
      potential: where it is known, and that several words can come, else NaN.
      begin, last: arcs of the state of G among which all words are that can come.
    """
    table, mask, at = composed.table, np.uint64(composed.mask), place_of(key, composed.mask)
    while table[at] != key and table[at] != NONE:
        at = (at + np.uint64(2)) & mask
    if table[at] == key:
        return np.int64(table[at + np.uint64(1)]), np.int64(-1)
    s, g = np.int64(key >> np.uint64(33)), np.int64(key & np.uint64(2**32 - 1))
    chosen = key >> np.uint64(32) & np.uint64(1) != np.uint64(0)
    k, arc = np.int64(tree.sets[s]), np.int64(-1)
    if g >= language.states:
        after = language.pending_states[g - language.states]
        potential = language.totals[after] - tree.word_score - tree.shares[k]
    elif k == tree.everything:
        potential = language.totals[g]
    elif not chosen:
        potential = open_mass(tree, language, g, k) - tree.shares[k]
    elif np.isnan(potential):
        potential, arc = mass(tree, language, g, begin, last, k)
        potential -= tree.shares[k]
    if arc >= 0 or potential == -np.inf:
        return np.int64(-1), arc
    i = composed.counts[0]
    table[at], table[at + np.uint64(1)] = key, np.uint64(i)
    composed.keys[i], composed.potentials[i] = key, potential
    composed.bounds[4 * i], composed.final_scores[2 * i], composed.final_scores[2 * i + 1] = FREE, -np.inf, -np.inf
    composed.counts[0] = i + 1
    return i, np.int64(-1)


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
            g, chosen = np.int64(language.pending_states[pair]), False
            t = t if number == language.pending_numbers[pair] else np.int64(-1)
        elif tree.sets[t] < 0 or not holds(tree, tree.sets[t], language.pending_numbers[pair]):
            t = np.int64(-1)
    elif number != 0:
        b = first_at_least(language.numbers, begin, last, number)
        if b < last and language.numbers[b] == number:
            score, word = score + tree.word_score + np.float64(language.scores[b]), tree.word_ids[a]
            g, chosen = np.int64(language.next_states[b]), False
        else:
            t = np.int64(-1)
    elif tree.sets[t] == tree.everything:
        t = np.int64(-1) if chosen else t  # before it was chosen it went this way
    else:
        chosen = True
    return t, g, chosen, score, word


@kernel(inline="always")
def _back_off(tree, language, s, g, chosen, again):
    """Returns where the ε arcs of a state lead to, as `_follow`: to g, chosen, and (again) to what it backs off to."""
    whole = tree.sets[s] == tree.everything
    if g >= language.states:
        return np.int64(-1), g, chosen, 0.0, np.int32(0)
    if not again:
        return np.int64(-1) if whole or chosen else s, g, True, 0.0, np.int32(0)
    goes = language.backoffs[g] >= 0 and (tree.branches[s] != 0 if whole else not chosen)
    return s if goes else np.int64(-1), np.int64(language.backoffs[g]), whole, language.backoff_scores[g], np.int32(0)


@kernel(inline="always")
def _insert(buffer, count, a):
    """Puts an arc into a sorted list in which it may be already; returns the length of the list."""
    k = count
    while k > 0 and buffer[k - 1] > a:
        k -= 1
    if k > 0 and buffer[k - 1] == a:
        return count
    for m in range(count, k, -1):
        buffer[m] = buffer[m - 1]
    buffer[k] = a
    return count + 1


@kernel
def _words_of(tree, language, s, g):
    """Returns among which arcs of g the words are that s reaches; of a word and the state after, one that is none."""
    if g >= language.states:
        return np.int64(0), np.int64(1)
    begin, last, reached = np.int64(language.splits[g]), np.int64(language.splits[g + 1]), np.int64(tree.sets[s])
    if reached != tree.everything:
        begin = first_at_least(language.numbers, begin, last, tree.begins[tree.set_splits[reached]])
        last = first_at_least(language.numbers, begin, last, tree.ends[tree.set_splits[reached + 1] - 1])
    return begin, last


@kernel
def _arcs_of(tree, language, s, g, begin, last, buffer):
    """Writes the arcs of s that may be some in the composition, in order; returns how many they are."""
    wide, w, pair = tree.wide, np.int64(tree.wide.rows[s]), g - language.states
    first, end, count = np.int64(tree.bounds[2 * s]), np.int64(tree.bounds[2 * s + 2]), 0
    if w < 0 or last - begin >= end - first:
        for a in range(first, end):
            buffer[count] = a
            count += 1
        return count
    for k in range(wide.whole_splits[w], wide.whole_splits[w + 1]):
        count = _insert(buffer, count, np.int64(wide.whole_arcs[k]))
    for b in range(begin, last):
        number = language.pending_numbers[pair] if pair >= 0 else language.numbers[b]
        k = first_at_least(wide.begins, wide.splits[w], wide.splits[w + 1], number + 1) - 1
        if k >= wide.splits[w]:
            for m in range(wide.arc_splits[k], wide.arc_splits[k + 1]):
                count = _insert(buffer, count, np.int64(wide.arcs[m]))
    return count


@kernel
def _planned(tree, language, composed, i, plan):
    """Plans the arcs of a state, and asks for where what they lead to is looked up.

    Returns:
      How many they are, and the arcs of G among which all words are that can come.
    """
    key, own = composed.keys[i], composed.potentials[i]
    s, g = np.int64(key >> np.uint64(33)), np.int64(key & np.uint64(2**32 - 1))
    chosen = key >> np.uint64(32) & np.uint64(1) != np.uint64(0)
    begin, last, count, planned = np.int64(0), np.int64(0), 0, 0
    if chosen or tree.sets[s] == tree.everything:
        begin, last = _words_of(tree, language, s, g)
        count = _arcs_of(tree, language, s, g, begin, last, plan.arcs)
    for n in range(count + 2):
        a = plan.arcs[n] if n < count else np.int64(-1)
        if n < count:
            t, h, picked, score, word = _follow(tree, language, g, chosen, begin, last, a)
        else:
            t, h, picked, score, word = _back_off(tree, language, s, g, chosen, n > count)
        if t < 0 or tree.sets[t] < 0:
            continue
        leads = _key(t, h, picked)
        if leads != key:
            fetch(composed.table, place_of(leads, composed.mask))
        plan.arcs[planned], plan.keys[planned], plan.scores[planned], plan.words[planned] = a, leads, score, word
        plan.potentials[planned] = own if tree.sets[t] == tree.sets[s] and h == g else np.nan
        planned += 1
    return planned, begin, last


@kernel
def _expand(tree, language, composed, i, plan):
    """Makes the arcs of a state, for which there must be room."""
    key, own, counts = composed.keys[i], composed.potentials[i], composed.counts
    s, g = np.int64(key >> np.uint64(33)), np.int64(key & np.uint64(2**32 - 1))
    planned, begin, last = _planned(tree, language, composed, i, plan)
    composed.bounds[4 * i] = composed.bounds[4 * i + 1] = np.uint32(counts[1])
    for n in range(planned):
        a, leads, score, word = plan.arcs[n], plan.keys[n], plan.scores[n], plan.words[n]
        j = i
        if leads != key:
            h = np.int64(leads & np.uint64(2**32 - 1))
            first, end = (begin, last) if h == g else (language.splits[h], language.splits[h + 1])
            j, b = _state(tree, language, composed, leads, plan.potentials[n], first, end)
            if b >= 0:  # the only word
                score += tree.word_score + np.float64(language.scores[b])
                word = tree.numbered[language.numbers[b]]
                leads = leads >> np.uint64(32) << np.uint64(32) | np.uint64(language.pending[b])
                j = _state(tree, language, composed, leads, np.nan, first, end)[0]
        if j < 0:
            continue
        c, pdf = counts[1], np.int32(-1)
        composed.transition_ids[c] = 0
        if a >= 0:
            pdf, composed.transition_ids[c] = np.int32(tree.arcs[3 * a + 1]), tree.transition_ids[a]
        composed.arcs[3 * c], composed.arcs[3 * c + 1] = np.uint32(2 * j), np.uint32(pdf)
        composed.scores[3 * c + 2] = np.float32(score + composed.potentials[j] - own)
        composed.word_ids[c] = word
        counts[1] = c + 1
        if pdf >= 0:
            composed.bounds[4 * i + 1] = np.uint32(c + 1)
    composed.bounds[4 * i + 2] = composed.bounds[4 * i + 3] = np.uint32(counts[1])
    chosen = key >> np.uint64(32) & np.uint64(1) != np.uint64(0)
    if (chosen or tree.sets[s] == tree.everything) and g < language.states:
        end = language.splits[g]
        if end < language.splits[g + 1] and language.numbers[end] == 0:
            score = np.float64(tree.final_scores[s]) + tree.word_score + np.float64(language.scores[end])
            composed.final_scores[2 * i] = np.float32(score - own + composed.potentials[0])


@kernel
def _expand_waiting(source, composed, stack, depth):
    """Makes the arcs of states on a stack, and of those that they reach by ε, as long as there is room.

    Returns:
      The stack and its depth, 0 where all is done.
    """
    most, counts = source.tree.most, composed.counts
    room = min(
        min(len(composed.keys), len(composed.potentials)),
        min(len(composed.bounds) // 4, len(composed.final_scores) // 2),
    )
    room_of_arcs = min(min(len(composed.transition_ids), len(composed.word_ids)), len(composed.arcs) // 3)
    plan = Plan(
        np.empty(most + 2, np.int64), np.empty(most + 2, np.uint64), np.empty(most + 2), np.empty(most + 2, np.int32),
        np.empty(most + 2),
    )  # fmt: skip
    tree, language, made, planned = lent(source.tree), lent(source.language), lent(composed), lent(plan)
    while depth > 0 and counts[0] + most + 2 <= room and counts[1] + most + 2 <= room_of_arcs:
        depth -= 1
        i = stack[depth]
        if made.bounds[4 * i] != FREE:
            continue
        _expand(tree, language, made, i, planned)
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
    composed, start = empty_composed(), _key(source.tree.start, source.language.start, False)
    tree, language = lent(source.tree), lent(source.language)
    begin, last = language.splits[language.start], language.splits[language.start + 1]
    if tree.sets[tree.start] >= 0:
        _state(tree, language, lent(composed), start, np.nan, begin, last)
    return compose_states(source, composed, np.zeros(min(1, composed.counts[0]), np.int32))
