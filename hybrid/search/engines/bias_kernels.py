"""Phrases in the search: a graph and a bias automaton walked together, states of both as they are met.

A token is in a state of the graph and in one of the automaton. Where that is state 0, as it nearly always is, the token
has the number of its graph state, and arcs hold what they are worth there: boosts of their words are added once, before
the search (`search.raised_graph`). Other pairs of states are numbered behind the states of the graph, in the order in
which an utterance meets them. Kernels take None for automaton and pairs of ordinary graphs; their code has no trace of
phrases then.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.search.engines.trellis import enlarged

__all__ = ["MARK", "BiasArrays", "Pairs", "arcs_of", "begin_pairs", "follow", "graph_state", "index_of", "number_of",
           "pair_behind"]  # fmt: skip

MARK = np.uint32(2**31)  # on the next state of an arc whose word leaves state 0 of the automaton
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: neighbours lie apart
SHIFT = np.uint64(32)
ROOM = 64


class BiasArrays(NamedTuple):
    """A bias automaton over the arcs of a graph.

    Attributes:
      states: of the graph; numbers from there on are of pairs.
      words: int32 [A]. arcs, scores: of the graph without boosts, see `GraphArrays`.
      keys: int64 [B], of each state of the automaton the state before · 2³² + word; -1 for the first. table: of them.
      fail, rest: int32 [B]. gain, held: float64 [B]; see `lm.biasing.bias_automaton.BiasAutomaton`.
    """

    states: int
    words: np.ndarray
    arcs: np.ndarray
    scores: np.ndarray
    keys: np.ndarray
    table: np.ndarray
    fail: np.ndarray
    rest: np.ndarray
    gain: np.ndarray
    held: np.ndarray


class Pairs(NamedTuple):
    """The pairs that an utterance has met.

    Attributes:
      used: how many.
      keys: int64 [≥ used], state of the automaton · 2³² + state of the graph. table: of them.
    """

    used: int
    keys: np.ndarray
    table: np.ndarray


@kernel
def find_key(table, keys, key):
    """Returns where a table of places in `keys` has a key, or the free place (-1) that it would take."""
    mask = np.uint64(len(table) - 1)
    at = ((np.uint64(key) * FACTOR) >> SHIFT) & mask
    while table[at] >= 0 and keys[table[at]] != key:
        at = (at + np.uint64(1)) & mask
    return at


@kernel
def index_of(keys, used):
    """Returns a table of the first keys, int32, at most half full once there are as many again."""
    size = 2 * ROOM
    while size < 4 * used:
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
def begin_pairs():
    """Returns no pairs."""
    keys = np.empty(ROOM, np.int64)
    return Pairs(0, keys, index_of(keys, 0))


@kernel
def graph_state(bias, pairs, state):
    """Returns the graph's state of a token's."""
    if bias is not None:  # noqa: SIM102 — numba prunes this form alone
        if state >= bias.states:
            return np.uint32(pairs.keys[np.int64(state) - bias.states] & 0xFFFFFFFF)
    return np.uint32(state)


@kernel
def bias_state(bias, pairs, state):
    """Returns the automaton's state of a token's."""
    if state >= bias.states:
        return pairs.keys[np.int64(state) - bias.states] >> 32
    return np.int64(0)


@kernel
def step(bias, state, word):
    """Returns the automaton's state after a word, and what the word gains; see `BiasAutomaton.step`."""
    to = np.int64(state)
    child = bias.table[find_key(bias.table, bias.keys, (to << 32) | word)]
    while child < 0 and to > 0:
        to = np.int64(bias.fail[to])
        child = bias.table[find_key(bias.table, bias.keys, (to << 32) | word)]
    to = np.int64(max(child, 0))
    return np.int64(bias.rest[to]), bias.gain[to] + bias.held[to] - bias.held[state]


@kernel
def follow(bias, pairs, state, a):
    """Returns the states of graph and automaton behind an arc from a token's state, and the arc's score."""
    other, score, word = bias_state(bias, pairs, state), bias.scores[3 * a + 2], bias.words[a]
    if word != 0:
        other, gain = step(bias, other, np.int64(word))
        score = np.float32(np.float64(score) + gain)
    return bias.arcs[3 * a], other, score


@kernel
def number_of(bias, pairs, state, other):
    """Returns the number of a pair of states, and the pairs, which may be new arrays."""
    if other == 0:
        return np.uint32(state), pairs
    key = (np.int64(other) << 32) | np.int64(state)
    at = find_key(pairs.table, pairs.keys, key)
    if pairs.table[at] < 0:
        used, table = pairs.used, pairs.table
        keys = enlarged(pairs.keys, used, used + 1)
        keys[used], table[at] = key, used
        if 2 * (used + 1) > len(table):
            table = index_of(keys, used + 1)
        return np.uint32(bias.states + used), Pairs(used + 1, keys, table)
    return np.uint32(bias.states + pairs.table[at]), pairs


@kernel
def pair_behind(bias, pairs, state, a):
    """Returns the token's state behind an arc from a token's state, the arc's score, and the pairs, perhaps others."""
    target, other, score = follow(bias, pairs, state, a)
    number, pairs = number_of(bias, pairs, target, other)
    return number, score, pairs
