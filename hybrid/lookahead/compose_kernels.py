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
from hybrid.lookahead.lent import lent
from hybrid.lookahead.numbered_grammar import Language
from hybrid.lookahead.reach import larger
from hybrid.lookahead.tree import LexiconGraph

__all__ = ["Composed", "Source", "begin_composed", "compose_states"]

FREE, NONE = np.uint32(2**32 - 1), np.uint64(2**64 - 1)
FACTOR = np.uint64(0x9E3779B97F4A7C15)
FEW = 8  # probabilities that are summed one by one: a difference of sums would keep too few digits
LEAST = 1e-300


class Source(NamedTuple):
    """What is composed."""

    tree: LexiconGraph
    language: Language


class Composed(NamedTuple):
    """The states of the composition that have been met, number 2 i for the i-th; arrays have room for more.

    Attributes:
      bounds: uint32 [4 N], of each state its first emitting arc, first ε and end (twice); FREE where it is met only.
      arcs, scores: as `hybrid.search.engines.native_kernels.GraphArrays` has them. transition_ids, word_ids: int32 [A].
      final_scores: float32 [2 N].
      keys: uint64 [N], s · 2^33 + chosen · 2^32 + g. potentials: float64 [N], of look-ahead.
      table: uint64, a hash table of states: pairs of key, NONE where there is none, and place.
      counts: int64 [2], states and arcs.
    """

    bounds: np.ndarray
    arcs: np.ndarray
    scores: np.ndarray
    transition_ids: np.ndarray
    word_ids: np.ndarray
    final_scores: np.ndarray
    keys: np.ndarray
    potentials: np.ndarray
    table: np.ndarray
    counts: np.ndarray


@kernel(inline="always")
def _place(table, key):
    """Returns where a state stands in the table, or the free place that it would take."""
    mask = np.uint64(len(table) - 2)
    at = ((key ^ (key >> np.uint64(29))) * FACTOR) >> np.uint64(24) & mask
    while table[at] != key and table[at] != NONE:
        at = (at + np.uint64(2)) & mask
    return at


@kernel(inline="always")
def _first_at_least(numbers, begin, end, wanted):
    while begin < end:
        middle = (begin + end) >> 1
        if numbers[middle] < wanted:
            begin = middle + 1
        else:
            end = middle
    return begin


@kernel(inline="always")
def _holds(tree, k, number):
    """Tells whether a number is in a set."""
    i = _first_at_least(tree.ends, tree.set_splits[k], tree.set_splits[k + 1], number + 1)
    return i < tree.set_splits[k + 1] and tree.begins[i] <= number


@kernel
def _mass(tree, language, g, k):
    """Looks for what a state of G, by itself, has of a set of words.

    Returns:
      The log of its probability, -inf where there is nothing; and the arc where there is just one word, else -1.
    """
    numbers, scores, sums, largest = language.numbers, language.scores, language.sums, language.largest[g]
    begin, end, first, last = language.splits[g], language.splits[g + 1], tree.set_splits[k], tree.set_splits[k + 1]
    total, count, arc = 0.0, np.int64(0), np.int64(-1)
    if end - begin <= last - first:
        for a in range(begin, end):
            if _holds(tree, k, numbers[a]):
                total, count, arc = total + np.exp(np.float64(scores[a]) - largest), count + np.int64(1), np.int64(a)
    else:
        at = begin
        for i in range(first, last):
            low, high = tree.begins[i], tree.ends[i]
            at = _first_at_least(numbers, at, end, low)
            to = _first_at_least(numbers, at, min(end, at + high - low), high)
            if to - at > FEW:
                total += sums[to - 1] - (sums[at - 1] if at > begin else 0.0)
            else:
                for a in range(at, to):
                    total, arc = total + np.exp(np.float64(scores[a]) - largest), np.int64(a)
            count, at = count + to - at, to
    if count == 0:
        return -np.inf, np.int64(-1)
    return largest + np.log(max(total, LEAST)), arc if count == 1 and numbers[arc] > 0 else np.int64(-1)


@kernel
def _open_mass(tree, language, g, k):
    """Returns the log of the probability that a state of G, and those it backs off to, give to a set of words."""
    total, score = _mass(tree, language, g, k)[0], 0.0
    while language.backoffs[g] >= 0:
        score, g = score + language.backoff_scores[g], np.int64(language.backoffs[g])
        total = np.logaddexp(total, score + _mass(tree, language, g, k)[0])
    return total


@kernel(inline="always")
def _state(tree, language, composed, s, g, chosen, potential):
    """Returns a state of the composition, added where it is new, -1 where nothing can come of it.

    Where it is chosen and just one word can come it is not made: -1, and the arc of the word, which is -1 else.

    Args:
      g: a state of G, or a word and the state after it.
      potential: where it is known, and that several words can come, else NaN.
    """
    key = np.uint64(s) << np.uint64(33) | np.uint64(chosen) << np.uint64(32) | np.uint64(g)
    at = _place(composed.table, key)
    i, k, arc = np.int64(-1), tree.sets[s], np.int64(-1)
    if composed.table[at] == key:
        return np.int64(composed.table[at + np.uint64(1)]), arc
    if k < 0:
        return i, arc
    if g >= len(language.totals):
        after = language.pending_states[g - len(language.totals)]
        potential = language.totals[after] - tree.word_score - tree.shares[k]
    elif k == tree.everything:
        potential = language.totals[g]
    elif not chosen:
        potential = _open_mass(tree, language, g, k) - tree.shares[k]
    elif np.isnan(potential):
        potential, arc = _mass(tree, language, g, k)
        potential -= tree.shares[k]
    if arc < 0 and potential > -np.inf:
        i = composed.counts[0]
        composed.table[at], composed.table[at + np.uint64(1)] = key, i
        composed.keys[i], composed.potentials[i] = key, potential
        composed.bounds[4 * i], composed.final_scores[2 * i], composed.final_scores[2 * i + 1] = FREE, -np.inf, -np.inf
        composed.counts[0] = i + 1
    return i, arc


@kernel(inline="always")
def _follow(tree, language, s, g, chosen, a):
    """Returns where arc a of s leads to: state of H∘C∘L (-1: nowhere), of G, whether that is chosen; score and word."""
    t, score, number, word = np.int64(tree.arcs[a, 0]), np.float64(tree.scores[a]), tree.numbers[a], np.int32(0)
    pair = g - len(language.totals)
    if pair >= 0:  # the word has been put out
        if number != 0:
            g, chosen = np.int64(language.pending_states[pair]), False
            t = t if number == language.pending_numbers[pair] else np.int64(-1)
        elif tree.sets[t] < 0 or not _holds(tree, tree.sets[t], language.pending_numbers[pair]):
            t = np.int64(-1)
    elif number != 0:
        b = _first_at_least(language.numbers, language.splits[g], language.splits[g + 1], number)
        if b < language.splits[g + 1] and language.numbers[b] == number:
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
    whole, nothing = tree.sets[s] == tree.everything, np.int32(0)
    if g >= len(language.totals):
        return np.int64(-1), g, chosen, 0.0, nothing
    if not again:
        return np.int64(-1) if whole or chosen else s, g, True, 0.0, nothing
    goes = language.backoffs[g] >= 0 and (tree.branches[s] if whole else not chosen)
    return s if goes else np.int64(-1), np.int64(language.backoffs[g]), whole, language.backoff_scores[g], nothing


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


@kernel(inline="always")
def _arcs_of(tree, language, s, g, buffer):
    """Writes the arcs of s that may be some in the composition, in order; returns how many they are."""
    wide, w = tree.wide, np.int64(tree.wide.rows[s])
    first, end = np.int64(tree.bounds[s, 0]), np.int64(tree.bounds[s + 1, 0])
    pair, begin, last, count = g - len(language.totals), np.int64(0), np.int64(1), 0
    if pair < 0:
        begin, last, reached = language.splits[g], language.splits[g + 1], np.int64(tree.sets[s])
        if reached != tree.everything:  # words of g outside what s reaches need not be looked up
            begin = _first_at_least(language.numbers, begin, last, tree.begins[tree.set_splits[reached]])
            last = _first_at_least(language.numbers, begin, last, tree.ends[tree.set_splits[reached + 1] - 1])
    if w < 0 or last - begin >= end - first:
        for a in range(first, end):
            buffer[count] = a
            count += 1
        return count
    for k in range(wide.whole_splits[w], wide.whole_splits[w + 1]):
        count = _insert(buffer, count, np.int64(wide.whole_arcs[k]))
    for b in range(begin, last):
        number = language.pending_numbers[pair] if pair >= 0 else language.numbers[b]
        k = _first_at_least(wide.begins, wide.splits[w], wide.splits[w + 1], number + 1) - 1
        if k >= wide.splits[w]:
            for m in range(wide.arc_splits[k], wide.arc_splits[k + 1]):
                count = _insert(buffer, count, np.int64(wide.arcs[m]))
    return count


@kernel(inline="always")
def _expand(tree, language, composed, i, buffer):
    """Makes the arcs of a state, for which there must be room."""
    key, own, counts = composed.keys[i], composed.potentials[i], composed.counts
    s, g = np.int64(key >> np.uint64(33)), np.int64(key & np.uint64(2**32 - 1))
    chosen = (key >> np.uint64(32)) & np.uint64(1) == np.uint64(1)
    moves = chosen or tree.sets[s] == tree.everything
    composed.bounds[4 * i] = composed.bounds[4 * i + 1] = counts[1]
    count = _arcs_of(tree, language, s, g, buffer) if moves else 0
    for n in range(count + 2):
        pdf, transition_id, potential = np.int32(-1), np.int32(0), np.nan
        if n < count:
            a = buffer[n]
            pdf, transition_id = tree.arcs[a, 1], tree.transition_ids[a]
            t, h, picked, score, word = _follow(tree, language, s, g, chosen, a)
            if tree.sets[t] == tree.sets[s] and h == g:
                potential = own
        else:
            t, h, picked, score, word = _back_off(tree, language, s, g, chosen, n > count)
        if t < 0:
            continue
        j = b = np.int64(-1)
        for _ in range(2):
            j, b = _state(tree, language, composed, t, h, picked, potential)
            if b < 0:
                break
            score, word = score + tree.word_score + np.float64(language.scores[b]), tree.numbered[language.numbers[b]]
            h = np.int64(language.pending[b])
        if j >= 0:
            c = counts[1]
            composed.arcs[3 * c], composed.arcs[3 * c + 1] = 2 * j, pdf
            composed.scores[3 * c + 2] = score + composed.potentials[j] - own
            composed.transition_ids[c], composed.word_ids[c] = transition_id, word
            counts[1] = c + 1
            if pdf >= 0:
                composed.bounds[4 * i + 1] = c + 1
    composed.bounds[4 * i + 2] = composed.bounds[4 * i + 3] = counts[1]
    if moves and g < len(language.totals):
        end = language.splits[g]
        if end < language.splits[g + 1] and language.numbers[end] == 0:
            score = np.float64(tree.final_scores[s]) + tree.word_score + np.float64(language.scores[end])
            composed.final_scores[2 * i] = score - own + composed.potentials[0]


@kernel
def _with_room(composed, more):
    """Returns the composition with room for so many states and arcs more, and for some."""
    states, count = composed.counts[0] + more + 1000, composed.counts[1] + more + 1000
    keys, table = larger(composed.keys, states), composed.table
    if 4 * len(keys) > len(table):
        size = len(table)
        while size < 4 * len(keys):
            size *= 2
        table = np.full(size, NONE, np.uint64)
        for i in range(composed.counts[0]):
            at = _place(table, keys[i])
            table[at], table[at + np.uint64(1)] = keys[i], i
    arcs = larger(composed.arcs, 3 * count)
    return Composed(
        larger(composed.bounds, 4 * states), arcs, arcs.view(np.float32), larger(composed.transition_ids, count),
        larger(composed.word_ids, count), larger(composed.final_scores, 2 * states), keys,
        larger(composed.potentials, states), table, composed.counts,
    )  # fmt: skip


@kernel
def _expand_waiting(tree, language, composed, stack, depth):
    """Makes the arcs of states on a stack, and of those that they reach by ε, as long as there is room.

    Returns:
      The stack and its depth, 0 where all is done.
    """
    bounds, arcs, counts, most = composed.bounds, composed.arcs, composed.counts, tree.most
    buffer = np.empty(most, np.int64)
    room = min(
        min(len(composed.keys), len(composed.potentials)),
        min(len(composed.bounds) // 4, len(composed.final_scores) // 2),
    )
    room_of_arcs = min(min(len(composed.transition_ids), len(composed.word_ids)), len(composed.arcs) // 3)
    while depth > 0 and counts[0] + most + 2 <= room and counts[1] + most + 2 <= room_of_arcs:
        depth -= 1
        i = stack[depth]
        if bounds[4 * i] != FREE:
            continue
        _expand(tree, language, composed, i, buffer)
        first, end = np.int64(bounds[4 * i + 1]), np.int64(bounds[4 * i + 2])
        stack = larger(stack, depth + end - first)
        for a in range(first, end):
            stack[depth] = np.int64(arcs[3 * a]) >> 1
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
        stack, depth = _expand_waiting(lent(source.tree), lent(source.language), lent(composed), stack, depth)
        if depth > 0:
            composed = _with_room(composed, source.tree.most + 2)
    return composed


@kernel
def begin_composed(source):
    """Returns the composition as far as its start, number 0, goes by ε."""
    arcs = np.empty(3 * 64, np.uint32)
    composed = Composed(
        np.empty(4 * 64, np.uint32), arcs, arcs.view(np.float32), np.empty(64, np.int32), np.empty(64, np.int32),
        np.empty(2 * 64, np.float32), np.empty(64, np.uint64), np.empty(64), np.full(256, NONE, np.uint64),
        np.zeros(2, np.int64),
    )  # fmt: skip
    _state(source.tree, source.language, composed, source.tree.start, source.language.start, False, np.nan)
    return compose_states(source, composed, np.zeros(1, np.int32))
