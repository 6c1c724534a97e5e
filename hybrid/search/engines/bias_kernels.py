"""Phrases in the search: a graph and a bias automaton walked together, states of both as they are met.

A token is in a state of the graph and in one of the automaton. Where that is state 0, as it nearly always is, the token
has the number of its graph state, and arcs hold what they are worth there: boosts of their words are added once, before
the search (`search.raised_graph`). Other pairs of states stand behind the states of the graph, in the order in which
they are met, and get arcs of their own, behind those of the graph, before a token leaves them. So the loops of the
search read one graph and know nothing of phrases.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.search.engines.trellis import enlarged

__all__ = ["BiasSource", "Raised", "arcs_of", "compose_pairs", "index_of", "number_of"]

FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: neighbours lie apart
SHIFT = np.uint64(32)
FREE = np.uint32(2**32 - 1)


class BiasSource(NamedTuple):
    """A graph and a bias automaton over its words.

    Attributes:
      first: the number of the first pair; the next ones follow in steps of 2.
      words: int32 [A]. bounds, arcs, scores: of the graph without boosts, see `GraphArrays`.
      keys: int64 [B], of each state of the automaton the state before · 2³² + word; -1 for the first. table: of them.
      fail, rest: int32 [B]. gain, held: float64 [B]; see `lm.biasing.bias_automaton.BiasAutomaton`.
    """

    first: int
    words: np.ndarray
    bounds: np.ndarray
    arcs: np.ndarray
    scores: np.ndarray
    keys: np.ndarray
    table: np.ndarray
    fail: np.ndarray
    rest: np.ndarray
    gain: np.ndarray
    held: np.ndarray


class Raised(NamedTuple):
    """A graph with boosts on its arcs, and the pairs of states that have been met; arrays have room for more.

    Attributes:
      bounds, arcs, scores: as `GraphArrays` has them, of graph and pairs. Of a pair: its first emitting arc, its first
        ε and its end (twice); FREE where it is met only.
      origins: int32, of the arcs behind those of the graph, the arc of the graph that each one is.
      keys: int64, of each pair the automaton's state · 2³² + the graph's. table: of them.
      counts: int64 [2], pairs; arcs, those of the graph included.
    """

    bounds: np.ndarray
    arcs: np.ndarray
    scores: np.ndarray
    origins: np.ndarray
    keys: np.ndarray
    table: np.ndarray
    counts: np.ndarray


@kernel
def find_key(table, keys, key):
    """Returns where a table of places in `keys` has a key, or the free place (-1) that it would take."""
    mask = np.uint64(len(table) - 1)
    at = ((np.uint64(key) * FACTOR) >> SHIFT) & mask
    while table[at] >= 0 and keys[table[at]] != key:
        at = (at + np.uint64(1)) & mask
    return at


@kernel
def index_of(keys, used, room):
    """Returns a table of the first keys, int32, at most half full with `room` of them."""
    size = 2
    while size < 2 * room:
        size *= 2
    table = np.full(size, -1, np.int32)
    for k in range(used):
        table[find_key(table, keys, keys[k])] = k
    return table


@kernel
def arcs_of(words, place):
    """Returns the arcs whose words have a place: `place`, int32, of each word -1 where not."""
    count, found = 0, np.empty(len(words), np.int64)
    for a in range(len(words)):
        if 0 < words[a] < len(place) and place[words[a]] >= 0:
            found[count] = a
            count += 1
    return found[:count].copy()


@kernel
def _step(source, state, word):
    """Returns the automaton's state after a word, and what the word gains; see `BiasAutomaton.step`."""
    to = np.int64(state)
    child = source.table[find_key(source.table, source.keys, (to << 32) | word)]
    while child < 0 and to > 0:
        to = np.int64(source.fail[to])
        child = source.table[find_key(source.table, source.keys, (to << 32) | word)]
    to = np.int64(max(child, 0))
    return np.int64(source.rest[to]), source.gain[to] + source.held[to] - source.held[state]


@kernel
def number_of(source, raised, state, other):
    """Returns the number of a pair of states, for which there must be room."""
    if other == 0:
        return np.int64(state)
    key = (np.int64(other) << 32) | np.int64(state)
    at = find_key(raised.table, raised.keys, key)
    if raised.table[at] < 0:
        used = raised.counts[0]
        begin = 2 * (np.int64(source.first) + 2 * used)
        raised.keys[used], raised.table[at], raised.counts[0] = key, used, used + 1
        raised.bounds[begin : begin + 4] = FREE
    return np.int64(source.first) + 2 * np.int64(raised.table[at])


@kernel
def _with_room(source, raised, more):
    """Returns the pairs with room for so many pairs and arcs more, and their table at most half full with them."""
    pairs, arcs = raised.counts[0], raised.counts[1]
    keys, table = enlarged(raised.keys, pairs, pairs + more), raised.table
    if 2 * (pairs + more) > len(table):
        table = index_of(keys, pairs, 2 * (pairs + more))
    begin = 2 * np.int64(source.first)
    rows = enlarged(raised.arcs, 3 * arcs, 3 * (arcs + more))
    own = len(source.words)
    return Raised(
        enlarged(raised.bounds, begin + 4 * pairs, begin + 4 * (pairs + more)), rows, rows.view(np.float32),
        enlarged(raised.origins, arcs - own, arcs - own + more), keys, table, raised.counts,
    )  # fmt: skip


@kernel
def _expand(source, raised, number):
    """Makes the arcs of a pair, for which there must be room."""
    key = raised.keys[(number - source.first) >> 1]
    state, other, counts = key & 0xFFFFFFFF, key >> 32, raised.counts
    raised.bounds[2 * number] = counts[1]
    for epsilon in range(2):
        raised.bounds[2 * number + 1] = counts[1]
        begin, end = source.bounds[2 * state + epsilon], source.bounds[2 * state + epsilon + 1]
        for a in range(np.int64(begin), np.int64(end)):
            score, word, to = source.scores[3 * a + 2], source.words[a], other
            if word != 0:
                to, gain = _step(source, other, np.int64(word))
                score = np.float32(np.float64(score) + gain)
            c = counts[1]
            raised.arcs[3 * c] = number_of(source, raised, source.arcs[3 * a], to)
            raised.arcs[3 * c + 1], raised.scores[3 * c + 2] = source.arcs[3 * a + 1], score
            raised.origins[c - len(source.words)] = a
            counts[1] = c + 1
    raised.bounds[2 * number + 2] = raised.bounds[2 * number + 3] = counts[1]


@kernel
def _without_arcs(first, bounds, states):
    """Returns the pairs among some states that have no arcs yet, int64.

    This loop looks at every token of every frame, and gives no array a new value: numba would count references in each
    turn, with instructions that wait for all memory before them.
    """
    found, count = np.empty(len(states), np.int64), 0
    for n in range(len(states)):
        number = np.int64(np.uint32(states[n]))
        if number >= first and bounds[2 * number] == FREE:
            found[count] = number
            count += 1
    return found[:count]


@kernel
def compose_pairs(source, raised, states):
    """Makes the arcs of pairs that have been met, and of all that they reach by ε.

    Args:
      states: int32, the numbers of states, of the graph or pairs.

    Returns:
      The pairs, in the memory of those given and more.
    """
    first = np.int64(source.first)
    stack = _without_arcs(first, raised.bounds, states)
    depth = len(stack)
    while depth > 0:
        depth -= 1
        number = stack[depth]
        if raised.bounds[2 * number] != FREE:
            continue
        state = raised.keys[(number - first) >> 1] & 0xFFFFFFFF
        raised = _with_room(source, raised, np.int64(source.bounds[2 * state + 2]) - np.int64(source.bounds[2 * state]))
        _expand(source, raised, number)
        begin, end = np.int64(raised.bounds[2 * number + 1]), np.int64(raised.bounds[2 * number + 2])
        stack = enlarged(stack, depth, depth + end - begin)
        for a in range(begin, end):
            target = np.int64(raised.arcs[3 * a])
            if target >= first and raised.bounds[2 * target] == FREE:
                stack[depth] = target
                depth += 1
    return raised
