"""Removal of input epsilons from a decoding graph, compiled by numba.

Each way over epsilons from a state A to a state B is joined either with the arcs that enter A or with those
that leave B, whichever are fewer; ways into A come before ways out of B, so that an arc may be joined at both ends.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["ROOM", "choose_sides", "close_epsilons", "count_arcs", "count_ways", "join_arcs"]

ROOM = 1 << 12  # ways over epsilons from one state; more are taken for a cycle


@kernel
def count_ways(start, splits, ilabels, next_states, finals):
    """Returns how many arcs with input enter each state (the start: very many) and leave it (an end is one)."""
    entering, leaving = np.zeros(len(finals), np.int32), np.zeros(len(finals), np.int32)
    for state in range(len(finals)):
        if finals[state] < np.inf:
            leaving[state] += 1
        for arc in range(splits[state], splits[state + 1]):
            if ilabels[arc] != 0:
                leaving[state] += 1
                entering[next_states[arc]] += 1
    entering[start] = 2**30
    return entering, leaving


@kernel
def _extend(before, word, first, befores, words, num_pairs):
    """Returns the number of the word sequence `before` + `word`, and how many sequences there are now."""
    if word == 0:
        return before, num_pairs
    if before == 0:
        return np.int32(word), num_pairs
    befores[num_pairs], words[num_pairs] = before, word
    return np.int32(first + num_pairs), num_pairs + 1


@kernel
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


@kernel
def close_epsilons(
    state, used, num_pairs, entering, splits, ilabels, olabels, next_states, arc_costs, leaving,
    first, befores, words, at, spoken, price, way_splits, way_to, way_words, way_costs,
):  # fmt: skip
    """Lists the ways over epsilons from each entered state, from `state` on, to states that something leaves.

    Of several ways to one state with the same words the cheapest is kept. Sequences of several words are
    numbered from `first` on: what came before, and the last word.

    Returns:
      The first state not done, for want of room, the ways and sequences made so far, and whether that state
      lies on a cycle of epsilons.
    """
    while state < len(entering):
        if entering[state] > 0:
            size, pairs = _close(
                state, splits, ilabels, olabels, next_states, arc_costs, first, befores, words, num_pairs,
                at, spoken, price,
            )  # fmt: skip
            if size < 0:
                return state, used, num_pairs, pairs < len(befores)
            if used + size > len(way_to):
                return state, used, num_pairs, False
            num_pairs = pairs
            for item in range(1, size):
                if price[item] < np.inf and leaving[at[item]] > 0:
                    way_to[used], way_words[used], way_costs[used] = at[item], spoken[item], price[item]
                    used += 1
        state += 1
        way_splits[state] = used
    return state, used, num_pairs, False


@kernel
def choose_sides(way_splits, way_to, entering, leaving):
    """Returns which ways are joined with the arcs before them, and which states are entered and left in the end."""
    before = np.zeros(len(way_to), np.bool_)
    alive = leaving > 0
    entered = entering > 0
    for state in range(len(leaving)):
        for way in range(way_splits[state], way_splits[state + 1]):
            before[way] = entering[state] < leaving[way_to[way]]
            if before[way]:
                entered[way_to[way]] = True
            else:
                alive[state] = True
    return before, entered & alive


@kernel
def count_arcs(splits, ilabels, next_states, finals, way_splits, way_to, before, alive):
    """Counts the arcs that leave each state once epsilons are gone, ends included."""
    own = np.zeros(len(finals), np.int64)
    for state in range(len(finals)):
        if finals[state] < np.inf:
            own[state] += 1
        for arc in range(splits[state], splits[state + 1]):
            if ilabels[arc] != 0:
                to = next_states[arc]
                if alive[to]:
                    own[state] += 1
                for way in range(way_splits[to], way_splits[to + 1]):
                    if before[way]:
                        own[state] += 1
    counts = np.zeros(len(finals), np.int64)
    for state in range(len(finals)):
        if alive[state]:
            counts[state] = own[state]
            for way in range(way_splits[state], way_splits[state + 1]):
                if not before[way]:
                    counts[state] += own[way_to[way]]
    return counts


@kernel
def _most_sequences(state, counts, splits, way_splits, way_to):
    """Returns how many sequences `join_arcs` can make at a state: one an arc gone over, one an arc written."""
    most = counts[state] + splits[state + 1] - splits[state]
    for way in range(way_splits[state], way_splits[state + 1]):
        most += splits[way_to[way] + 1] - splits[way_to[way]]
    return most


@kernel
def join_arcs(
    state, used, num_pairs, counts, splits, ilabels, olabels, next_states, arc_costs, finals,
    first, befores, words, way_splits, way_to, way_words, way_costs, before, alive,
    out_source, out_input, out_words, out_next, out_cost,
):  # fmt: skip
    """Writes the arcs without epsilons of each state from `state` on; an end is an arc with input 0.

    Returns:
      The first state not done, for want of room in befores and words, arcs and sequences made so far.
    """
    while state < len(counts):
        if counts[state] > 0:
            if num_pairs + _most_sequences(state, counts, splits, way_splits, way_to) > len(befores):
                return state, used, num_pairs
            for way in range(way_splits[state] - 1, way_splits[state + 1]):
                here, said, cost = state, np.int32(0), 0.0
                if way >= way_splits[state]:
                    if before[way]:
                        continue
                    here, said, cost = way_to[way], way_words[way], way_costs[way]
                if finals[here] < np.inf:
                    out_source[used], out_input[used], out_words[used] = state, 0, said
                    out_next[used], out_cost[used] = 0, cost + finals[here]
                    used += 1
                for arc in range(splits[here], splits[here + 1]):
                    if ilabels[arc] == 0:
                        continue
                    to = next_states[arc]
                    then, num_pairs = _extend(said, olabels[arc], first, befores, words, num_pairs)
                    if alive[to]:
                        out_source[used], out_input[used], out_words[used] = state, ilabels[arc], then
                        out_next[used], out_cost[used] = to, cost + arc_costs[arc]
                        used += 1
                    for on in range(way_splits[to], way_splits[to + 1]):
                        if before[on]:
                            last = then
                            if way_words[on] != 0:
                                last, num_pairs = _extend(then, way_words[on], first, befores, words, num_pairs)
                            out_source[used], out_input[used], out_words[used] = state, ilabels[arc], last
                            out_next[used], out_cost[used] = way_to[on], cost + arc_costs[arc] + way_costs[on]
                            used += 1
        state += 1
    return state, used, num_pairs
