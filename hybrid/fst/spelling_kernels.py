"""Loops that make one acyclic graph of sequences of words, each word spelled in symbols, compiled by numba.

Beginnings are shared as a tree; once only one sequence is left, states are shared by what is still to be spelled.
Sequences and spellings are known by numbers of their ends: 0 is the empty one, each other one has a head and a tail.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types
from numba.typed import Dict, List

from hybrid.base.compiled import kernel

__all__ = ["Ends", "Spellings", "number_ends", "pushed_ahead", "spelled"]

_PART = 1 << 32  # parts the halves of a key
_ARC = types.Tuple((types.int64, types.int64, types.int64, types.int64, types.float64))
_WAY = types.Tuple((types.int64, types.int64, types.int64, types.float64))
_ITEM = types.UniTuple(types.int64, 3)


class Ends(NamedTuple):
    """The ends of some sequences.

    Attributes:
      heads, tails: int64, of each number its first element, and the number of what follows that.
    """

    heads: np.ndarray
    tails: np.ndarray


class Spellings(NamedTuple):
    """How words are spelled.

    Attributes:
      splits: int64 [words + 1], where the spellings of each word begin in `order`.
      order: int64 [N], spellings by word.
      wholes: int64 [N], the number of each among the ends of all; words: int64 [N], its output. They stand in the order
        of their symbols and words.
      costs: float64 [N].
    """

    splits: np.ndarray
    order: np.ndarray
    wholes: np.ndarray
    words: np.ndarray
    costs: np.ndarray


class Spacer(NamedTuple):
    """What may stand behind a word: a symbol, the cost of none, and that of one."""

    symbol: int
    none: float
    one: float


@kernel
def number_ends(splits, labels):
    """Numbers the distinct ends of some sequences, whole ones included.

    Args:
      splits: int64 [N + 1], where each sequence begins. labels: int64, none negative.

    Returns:
      int64 [N], the number of each whole sequence; int64 [K] heads and tails (`Ends`).
    """
    known = Dict.empty(key_type=types.int64, value_type=types.int64)
    heads, tails = np.zeros(len(labels) + 1, np.int64), np.zeros(len(labels) + 1, np.int64)
    wholes, count = np.zeros(len(splits) - 1, np.int64), 1
    for row in range(len(wholes)):
        number = 0
        for place in range(splits[row + 1] - 1, splits[row] - 1, -1):
            key = number * _PART + labels[place]
            if key not in known:
                known[key] = count
                heads[count], tails[count] = labels[place], number
                count += 1
            number = known[key]
        wholes[row] = number
    return wholes, heads[:count].copy(), tails[:count].copy()


@kernel
def _begin(sequences, costs, words, spellings, ways):
    """Appends the ways to say one of some sequences: each spelling of their first words, sorted.

    Args:
      ways: (what is left of the spelling, its word, the words that follow, what it costs).

    Returns:
      Where they begin among all ways.
    """
    size, first = 0, len(ways)
    for sequence in sequences:
        size += spellings.splits[words.heads[sequence] + 1] - spellings.splits[words.heads[sequence]]
    keys, totals, place = np.empty(size, np.int64), np.empty(size, np.float64), 0
    for k in range(len(sequences)):
        word = words.heads[sequences[k]]
        for row in range(spellings.splits[word], spellings.splits[word + 1]):
            spelling = spellings.order[row]
            keys[place] = spelling * _PART + words.tails[sequences[k]]
            totals[place] = costs[k] + spellings.costs[spelling]
            place += 1
    for k in np.argsort(keys):
        spelling = keys[k] // _PART
        ways.append((spellings.wholes[spelling], spellings.words[spelling], keys[k] % _PART, totals[k]))
    return first


@kernel
def _step(arcs, quiet, num_states, gap, arc, beyond):
    """Appends the last arc of a word, and where there may be a gap the same arc to the state before a gap.

    Args:
      arc: source, symbol, word, target, cost. beyond: the state behind the gap.

    Returns:
      How many states there are.
    """
    source, symbol, word, target, cost = arc
    arcs.append((source, symbol, word, target, cost + gap.none))
    if gap.one < np.inf:
        if beyond not in quiet:
            quiet[beyond] = num_states
            arcs.append((num_states, gap.symbol, 0, beyond, 0.0))
            num_states += 1
        arcs.append((source, symbol, word, quiet[beyond], cost + gap.one))
    return num_states


@kernel
def _said(ways, low, high, words, spellings, begun, todo, num_states):
    """Finds where the ways to say one word lead that go on, to a state of their own where it is not there yet.

    Returns:
      The state (-1: none goes on), the cost of going there, and how many states there are.
    """
    rests, costs = List.empty_list(types.int64), List.empty_list(types.float64)
    for k in range(low, high):
        if ways[k][2] != 0:
            rests.append(ways[k][2])
            costs.append(ways[k][3])
    if len(rests) == 0:
        return -1, 0.0, num_states
    cost, alone = 0.0, len(rests) == 1
    if alone:
        cost, costs[0] = costs[0], 0.0
        if begun[rests[0]] >= 0:
            return begun[rests[0]], cost, num_states
        begun[rests[0]] = num_states
    first = _begin(rests, costs, words, spellings, ways)
    todo.append((num_states, first, len(ways)))
    return num_states, cost, num_states + 1


@kernel
def _go_on(ways, low, end, symbol, state, symbols, known, arcs, todo, num_states):
    """Leads the ways on that begin with a symbol and do not end with it; returns how many states there are.

    Args:
      low, end: those with the symbol. state: they all leave.
    """
    first = low
    while first < end and symbols.tails[ways[first][0]] == 0:  # shorter spellings stand first
        first += 1
    alone, word, cost, target = end - low == 1, 0, 0.0, num_states
    for k in range(first, end):
        left, its_word, rest, its_cost = ways[k]
        left = symbols.tails[left]
        ways[k] = (left, its_word, rest, its_cost)
        if alone:
            word, cost = its_word, its_cost
            ways[k] = (left, 0, rest, 0.0)
            target = known.get(left * _PART + rest, num_states)
            known[left * _PART + rest] = target
    if first < end:
        arcs.append((state, symbol, word, target, cost))
        if target == num_states:
            todo.append((target, first, end))
            num_states += 1
    return first, num_states


@kernel
def spelled(sequences, costs, words, spellings, symbols, gap, tell_ends):
    """Makes the graph; its state 0 is the beginning of all.

    Args:
      sequences: list of numbers among `words`, each once. costs: of each.
      words, symbols: `Ends` of the sequences, and of the spellings of their words. spellings, gap: see there.
      tell_ends: each last symbol has a final state of its own; else there is one, of symbol 0.

    Returns:
      int64 [A][4] source, symbol, word, target of arcs, float64 [A] their costs, how many states there are, and int64
      the final state of each last symbol, -1 where there is none.
    """
    arcs, ways, todo = List.empty_list(_ARC), List.empty_list(_WAY), List.empty_list(_ITEM)
    known = Dict.empty(key_type=types.int64, value_type=types.int64)  # what is left to spell, what follows → its state
    quiet = Dict.empty(key_type=types.int64, value_type=types.int64)  # a state → the one before a gap and it
    begun = np.full(len(words.heads), -1, np.int64)
    ends = np.full(max(symbols.heads.max(), gap.symbol) + 1, -1, np.int64)
    first = _begin(sequences, costs, words, spellings, ways)
    todo.append((0, first, len(ways)))
    num_states = 1
    while len(todo) > 0:
        state, low, high = todo.pop()
        while low < high:
            symbol, end = symbols.heads[ways[low][0]], low + 1
            while end < high and symbols.heads[ways[end][0]] == symbol:
                end += 1
            over, num_states = _go_on(ways, low, end, symbol, state, symbols, known, arcs, todo, num_states)
            while low < over:
                word, same = ways[low][1], low
                while same < over and ways[same][1] == word:
                    if ways[same][2] == 0:
                        last, num_states = _final(ends, symbol * tell_ends, num_states)
                        behind = last
                        if gap.one < np.inf:
                            behind, num_states = _final(ends, gap.symbol * tell_ends, num_states)
                        arc = (state, symbol, word, last, ways[same][3])
                        num_states = _step(arcs, quiet, num_states, gap, arc, behind)
                    same += 1
                target, cost, num_states = _said(ways, low, same, words, spellings, begun, todo, num_states)
                if target >= 0:
                    arc = (state, symbol, word, target, cost)
                    num_states = _step(arcs, quiet, num_states, gap, arc, target)
                low = same
            low = end
    return _columns(arcs), np.array([arc[4] for arc in arcs]), num_states, ends


@kernel
def _final(ends, symbol, num_states):
    """Returns the final state of a last symbol, and how many states there are."""
    if ends[symbol] < 0:
        ends[symbol] = num_states
        num_states += 1
    return ends[symbol], num_states


@kernel
def _columns(arcs):
    rows = np.empty((len(arcs), 4), np.int64)
    for k in range(len(arcs)):
        source, symbol, word, target, _ = arcs[k]
        rows[k, 0], rows[k, 1], rows[k, 2], rows[k, 3] = source, symbol, word, target
    return rows


@kernel
def pushed_ahead(splits, targets, costs):
    """Moves weights as far ahead as they can be, in an acyclic graph: what leaves a state sums to one.

    Args:
      splits: int64 [states + 1]. targets: int64 [A]. costs: float64 [A], changed in place.

    Returns:
      float64 [states], what all ways on from each state sum to, as a cost; 0 where none is.
    """
    totals, done = np.zeros(len(splits) - 1), np.zeros(len(splits) - 1, np.bool_)
    stack = List.empty_list(types.int64)
    for root in range(len(done)):
        if not done[root]:
            stack.append(root)
        while len(stack) > 0:
            state, waits = stack[-1], len(stack)
            for arc in range(splits[state], splits[state + 1]):
                if not done[targets[arc]]:
                    stack.append(targets[arc])
            if len(stack) > waits:
                continue
            stack.pop()
            if done[state] or splits[state] == splits[state + 1]:
                done[state] = True
                continue
            done[state], least, total = True, np.inf, 0.0
            for arc in range(splits[state], splits[state + 1]):
                costs[arc] += totals[targets[arc]]
                least = min(least, costs[arc])
            for arc in range(splits[state], splits[state + 1]):
                total += np.exp(least - costs[arc])
            totals[state] = least - np.log(total)
            for arc in range(splits[state], splits[state + 1]):
                costs[arc] -= totals[state]
    return totals
