"""Exact back-off in the lattice of a search: ways that back off beside an n-gram of G are left out.

A model that backs off says a word by its longest history that has it. In a graph a back-off arc is an ε, and a path may
take it where the history that it leaves has the word. Failure arcs in the composition would forbid that, but a path
would have to remember what it left, and histories would share no word tree any more. So the search takes ε, and of the
few paths that it keeps each remembers: a state of the lattice is copied for each history from which paths came to it by
back-off since their last word,

    (state, first history left)     a word, or the end, only where none of the histories from that one on, back-off by
                                    back-off, to the last one left has it; behind a word nothing has been left

and what is left of the lattice is the language of the model within the beam: one way through G for a sentence. Copies
that cannot lie on a path that is good enough are not made: how good a path can still become is known of each state.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.lookahead.lent import lent
from hybrid.lookahead.mass_kernels import first_at_least
from hybrid.lookahead.numbered_grammar import BACKOFF, BEGIN, END, ROW
from hybrid.lookahead.reach import larger

__all__ = ["Ways", "part_histories"]


class Ways(NamedTuple):
    """A lattice whose arcs tell what they back off from.

    Attributes:
      rows: int64 [S+1]. nexts: int32 [A], each larger than the arc's own state.
      scores: float64 [A]. rest: float64 [S], the best score from a state to the end, back-off by ε.
      left: int64 [A], the state of G that an arc backs off from, -1 for others.
      numbers: int64 [A], of the words of arcs, see `reach.number_words`; -1 without.
    """

    rows: np.ndarray
    nexts: np.ndarray
    scores: np.ndarray
    rest: np.ndarray
    left: np.ndarray
    numbers: np.ndarray


class Parted(NamedTuple):
    """Copies of the states of a lattice as they are made; arrays have room for more.

    Attributes:
      copies: int64 [4 N], of each its state, the first and the last history left (-1: none), and another of that state.
      totals: float64 [N], the best score of a path to each copy.
      heads: int64 [S], a copy of each state, -1: none.
      order: int64 [2 N], copies in the order of their states, and where the arcs of each end.
      arcs: int64 [2 A], of each arc the copy that it leads to, and which arc of the lattice it is.
      counts: int64 [4]: copies, arcs, copies whose arcs are made, states whose copies they are.
    """

    copies: np.ndarray
    totals: np.ndarray
    heads: np.ndarray
    order: np.ndarray
    arcs: np.ndarray
    counts: np.ndarray


@kernel
def _has(language, number, first, last):
    """Tells whether a history from `first` to `last`, back-off by back-off, has a word; -1: there are none."""
    h = np.int64(first)
    while h >= 0:
        end = language.rows[ROW * h + END]
        b = first_at_least(language.numbers, language.rows[ROW * h + BEGIN], end, number)
        if b < end and language.numbers[b] == number:
            return True
        h = language.rows[ROW * h + BACKOFF] if h != last else np.int64(-1)
    return False


@kernel(inline="always")
def _copy_of(parted, state, first, last, total):
    """Returns the copy of a state for a first history, -1 for none, to which a path leads; it is added if it is new."""
    copies, c = parted.copies, parted.heads[state]
    while c >= 0 and copies[4 * c + 1] != first:
        c = copies[4 * c + 3]
    if c < 0:
        c = parted.counts[0]
        copies[4 * c], copies[4 * c + 1], copies[4 * c + 2], copies[4 * c + 3] = state, first, last, parted.heads[state]
        parted.heads[state], parted.counts[0], parted.totals[c] = c, c + 1, total
    parted.totals[c] = max(parted.totals[c], total)
    return c


@kernel
def _part_state(ways, language, parted, s, floor):
    """Makes the arcs of all copies of a state, for which there must be room."""
    copies, counts = parted.copies, parted.counts
    c = parted.heads[s]
    while c >= 0:
        first, last, done = copies[4 * c + 1], copies[4 * c + 2], counts[2]
        for a in range(ways.rows[s], ways.rows[s + 1]):
            since, behind, number, history = first, last, ways.numbers[a], ways.left[a]
            total = parted.totals[c] + ways.scores[a]
            if total + ways.rest[ways.nexts[a]] < floor:
                continue
            if number >= 0:
                if first >= 0 and _has(language, number, first, last):
                    continue
                since, behind = np.int64(-1), np.int64(-1)
            elif history >= 0:
                since, behind = first if first >= 0 else history, history
            place = counts[1]
            parted.arcs[2 * place] = _copy_of(parted, ways.nexts[a], since, behind, total)
            parted.arcs[2 * place + 1], counts[1] = a, place + 1
        parted.order[2 * done], parted.order[2 * done + 1], counts[2] = c, counts[1], done + 1
        c = copies[4 * c + 3]


@kernel
def _part(ways, language, parted, floor):
    """Makes the arcs of states as long as there is room; returns for how many more arcs there must be, 0: all is done.

    There is never more than one copy more than arcs.
    """
    room = min(len(parted.order) // 2, min(len(parted.totals), len(parted.copies) // 4)) - 1
    room = min(room, len(parted.arcs) // 2)
    lattice, g, made, counts, states = lent(ways), lent(language), lent(parted), parted.counts, len(ways.rows) - 1
    for s in range(counts[3], states):
        size, c = np.int64(0), made.heads[s]
        while c >= 0:
            size, c = size + lattice.rows[s + 1] - lattice.rows[s], made.copies[4 * c + 3]
        if counts[1] + size > room:
            return size
        _part_state(lattice, g, made, s, floor)
        counts[3] = s + 1
    return np.int64(0)


@kernel
def part_histories(ways, ends, language, first, last, floor):
    """Copies the states of a lattice for the histories that its paths have left, without arcs that they may not take.

    Args:
      ways: the lattice.
      ends: bool [S], states in which a sentence ends.
      language: G.
      first, last: histories left before state 0, -1: none.
      floor: only arcs are made on which, back-off by ε behind them, a path may reach this score.

    Returns:
      Rows int64 [N+1] and next states int32 of the copies, top-sorted; int64, of each arc which one it was; int64
      [N][3], of each copy its state, and the first and the last history left; float64 [N], the best score of a path to
      it; bool [N], it may not end.
    """
    room = len(ways.nexts) + 1
    parted = Parted(
        np.empty(4 * room, np.int64), np.empty(room, np.float64), np.full(len(ways.rows) - 1, -1, np.int64),
        np.empty(2 * room, np.int64), np.empty(2 * room, np.int64), np.zeros(4, np.int64),
    )  # fmt: skip
    _copy_of(parted, 0, first, last, 0.0)
    more = _part(ways, language, parted, floor)
    while more > 0:
        room = parted.counts[1] + more + 1
        parted = Parted(
            larger(parted.copies, 4 * room), larger(parted.totals, room), parted.heads, larger(parted.order, 2 * room),
            larger(parted.arcs, 2 * room), parted.counts,
        )  # fmt: skip
        more = _part(ways, language, parted, floor)
    count, done = parted.counts[1], parted.counts[2]
    number, made, barred = np.empty(done, np.int64), np.empty((done, 3), np.int64), np.zeros(done, np.bool_)
    splits, targets, totals = np.zeros(done + 1, np.int64), np.empty(count, np.int32), np.empty(done, np.float64)
    for i in range(done):
        c, splits[i + 1] = parted.order[2 * i], parted.order[2 * i + 1]
        number[c], made[i], totals[i] = i, parted.copies[4 * c : 4 * c + 3], parted.totals[c]
        if ends[made[i, 0]] and made[i, 1] >= 0:
            barred[i] = _has(lent(language), 0, made[i, 1], made[i, 2])
    for a in range(count):
        targets[a] = number[parted.arcs[2 * a]]
    return splits, targets, parted.arcs[1 : 2 * count : 2].copy(), made, totals, barred
