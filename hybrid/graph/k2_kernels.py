"""Removal of input epsilons from a decoding graph, compiled by numba."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["ROOM", "entered_states", "remove_input_epsilons"]

ROOM = 1 << 16  # ways over epsilons from one state; more are taken for a cycle


@njit(cache=True)
def entered_states(start, ilabels, next_states, num_states):
    """Marks the start and every state that an arc with input enters; no others are left without epsilons."""
    entered = np.zeros(num_states, np.bool_)
    entered[start] = True
    for arc in range(len(ilabels)):
        if ilabels[arc] != 0:
            entered[next_states[arc]] = True
    return entered


@njit(cache=True)
def _extend(before, word, first, befores, words, num_pairs):
    """Returns the number of the word sequence `before` + `word`, and how many sequences there are now."""
    if word == 0:
        return before, num_pairs
    if before == 0:
        return np.int32(word), num_pairs
    befores[num_pairs], words[num_pairs] = before, word
    return np.int32(first + num_pairs), num_pairs + 1


@njit(cache=True)
def _close(
    state, splits, ilabels, olabels, next_states, arc_costs, first, befores, words, num_pairs, at, spoken, price
):  # fmt: skip
    """Finds every state that epsilons lead to from `state`: its number, words and cheapest cost on the way.

    Returns:
      How many entries of at, spoken, price were used (-1: more than there is room for), and sequences.
    """
    at[0], spoken[0], price[0] = state, 0, 0.0
    size, item = 1, 0
    while item < size:
        for arc in range(splits[at[item]], splits[at[item] + 1]):
            if ilabels[arc] != 0:
                continue
            if size == len(at) or num_pairs == len(befores):
                return -1, num_pairs
            said, num_pairs = _extend(spoken[item], olabels[arc], first, befores, words, num_pairs)
            cost = price[item] + arc_costs[arc]
            place = 0
            while place < size and (at[place] != next_states[arc] or spoken[place] != said or price[place] == np.inf):
                place += 1
            if place < size and price[place] <= cost:
                continue
            if place < size and place > item:
                price[place] = cost
                continue
            if place < size:  # gone through already at a higher price: cancelled, and gone through again
                price[place] = np.inf
            at[size], spoken[size], price[size] = next_states[arc], said, cost
            size += 1
        item += 1
    return size, num_pairs


@njit(cache=True)
def remove_input_epsilons(
    state, used, num_pairs, entered, first, splits, ilabels, olabels, next_states, arc_costs, finals,
    befores, words, at, spoken, price, out_source, out_input, out_words, out_next, out_cost,
):  # fmt: skip
    """Gives each entered state, from `state` on, the arcs with input that its epsilons lead to.

    Of several ways over epsilons to one state with the same words the cheapest is kept. An end is an arc
    with input 0. Sequences of several words are numbered from `first` on: what came before, and the last word.

    Returns:
      The first state not done, for want of room in the out arrays or in befores and words, the arcs and sequences
      made so far, and whether that state lies on a cycle of epsilons.
    """
    while state < len(entered):
        if entered[state]:
            size, pairs = _close(
                state, splits, ilabels, olabels, next_states, arc_costs, first, befores, words, num_pairs,
                at, spoken, price,
            )  # fmt: skip
            if size < 0:
                return state, used, num_pairs, pairs < len(befores)
            need = 0
            for item in range(size):
                need += splits[at[item] + 1] - splits[at[item]] + 1
            if used + need > len(out_source) or pairs + need > len(befores):
                return state, used, num_pairs, False
            num_pairs = pairs
            for item in range(size):
                if price[item] == np.inf:
                    continue
                here = at[item]
                for arc in range(splits[here], splits[here + 1]):
                    if ilabels[arc] != 0:
                        said, num_pairs = _extend(spoken[item], olabels[arc], first, befores, words, num_pairs)
                        out_source[used], out_input[used], out_words[used] = state, ilabels[arc], said
                        out_next[used], out_cost[used] = next_states[arc], price[item] + arc_costs[arc]
                        used += 1
                if finals[here] < np.inf:
                    out_source[used], out_input[used], out_words[used] = state, 0, spoken[item]
                    out_next[used], out_cost[used] = 0, price[item] + finals[here]
                    used += 1
        state += 1
    return state, used, num_pairs, False
