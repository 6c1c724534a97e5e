"""Composition of large transducers: L∘G and H∘CLG, on arrays.

The left one is a loop that writes a symbol at its first arc and nothing on the way back: few of its states write. The
right one reads a symbol on every arc, so no filter of epsilons: where the left writes nothing, the right stands still.
So a pronunciation or an HMM, once entered, is followed to its end without a look whether it was met before: its states
stand in a row, and what looks for them later finds them in the same lines of the processor's caches.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.formats.openfst import FstArrays
from hybrid.fst.ops import connect
from hybrid.fst.ops_kernels import first_at_least

__all__ = ["compose"]

_PAIRS, _ARCS, _TABLE = 1, 2, 3  # what there was no room for
_ODD, _FAR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)


class _Left(NamedTuple):
    """The left transducer, the arcs of each state sorted by output label.

    Attributes:
      chained: bool [num_states], whether a state's only arc is silent and its target's only way in.
      followers: bool [num_states], those targets.
      hub: the state with the most arcs.
      first: int32 [num_labels], its first arc that writes each label, or one further on.
    """

    splits: np.ndarray
    ilabels: np.ndarray
    olabels: np.ndarray
    next_states: np.ndarray
    costs: np.ndarray
    chained: np.ndarray
    followers: np.ndarray
    hub: int
    first: np.ndarray


class _Right(NamedTuple):
    splits: np.ndarray
    labels: np.ndarray
    olabels: np.ndarray
    next_states: np.ndarray
    costs: np.ndarray


class _Made(NamedTuple):
    """The result, in arrays with room for more.

    Attributes:
      pairs: int32 [states][2], states of the left and of the right; splits: int64 [states + 1], where their arcs begin.
      ilabels, olabels, next_states, costs: of arcs.
    """

    pairs: np.ndarray
    splits: np.ndarray
    ilabels: np.ndarray
    olabels: np.ndarray
    next_states: np.ndarray
    costs: np.ndarray


def compose(left: FstArrays, right: FstArrays) -> FstArrays:
    """Returns left∘right, trimmed; states are numbered as a search from the start meets them.

    Costs of paths are as in any composition (Mohri, Pereira and Riley, 2002).

    Args:
      left: quick where few states have arcs with output labels.
      right: no arc without an input label.

    Raises:
      ValueError: `right` has an arc without an input label.
    """
    if left.start < 0 or right.start < 0:
        return FstArrays.empty()
    if not right.ilabels.all():
        raise ValueError("composition: the right transducer has arcs without input labels")
    ways = _left(left)
    arcs = _Right(right.row_splits, right.ilabels, right.olabels, right.next_states, right.costs)
    pairs, splits, il, ol, to, costs = _pairs(ways, arcs, left.start, right.start)
    finals = left.final_costs[pairs[:, 0]] + right.final_costs[pairs[:, 1]]
    del pairs
    return connect(FstArrays(0, splits, il, ol, to, costs, finals), reached=True)


def _left(fst: FstArrays) -> _Left:
    sources, degrees = fst.sources(), np.diff(fst.row_splits)
    order = np.lexsort((fst.olabels, sources))
    il, ol, to, costs = (a[order] for a in (fst.ilabels, fst.olabels, fst.next_states, fst.costs))
    one_way_in = np.bincount(to, minlength=fst.num_states) == 1
    one_way_in[fst.start] = False
    alone = (degrees[sources] == 1) & (ol == 0) & one_way_in[to] & (to != sources)
    chained, followers = (np.zeros(fst.num_states, np.bool_) for _ in range(2))
    chained[sources[alone]], followers[to[alone]] = True, True
    hub = int(degrees.argmax())
    begin, end = fst.row_splits[hub : hub + 2]
    first = begin + np.searchsorted(ol[begin:end], np.arange(1 + int(ol.max(initial=0))))
    return _Left(fst.row_splits, il, ol, to, costs, chained, followers, hub, first.astype(np.int32))


def _pairs(left: _Left, right: _Right, left_start: int, right_start: int) -> _Made:
    """Finds the pairs of states that the start reaches, and their arcs."""
    states, arcs = 2 * len(right.splits) + 1024, 2 * len(right.labels) + 1024
    pairs, splits = np.empty((states, 2), np.int32), np.zeros(states + 1, np.int64)
    il, ol, to = np.empty(arcs, np.int32), np.empty(arcs, np.int32), np.empty(arcs, np.int32)
    made = _Made(pairs, splits, il, ol, to, np.empty(arcs, np.float32))
    del pairs, splits, il, ol, to
    made.pairs[0] = left_start, right_start
    state, used, arcs, short = 0, 1, 0, _TABLE
    listed, table = 0, np.empty(1 << max(10, len(right.splits).bit_length()), np.int32)
    while short:
        if short == _PAIRS:
            made = made._replace(pairs=_longer(made.pairs, used), splits=_longer(made.splits, state + 1))
        elif short == _ARCS:
            made = _Made(made.pairs, made.splits, *(_longer(array, arcs) for array in made[2:]))
        else:
            size = 2 * len(table)
            del table
            table = np.full(size, -1, np.int32)
            listed = _list_all(made.pairs[:used], left.followers, table)
        state, used, arcs, listed, short = _search(state, used, arcs, listed, left, right, made, table)
    return _Made(made.pairs[:used], made.splits[: used + 1], *(array[:arcs] for array in made[2:]))


def _longer(array: np.ndarray, used: int) -> np.ndarray:
    """Returns the array with half as much room again, and what it holds so far."""
    longer = np.empty((len(array) * 3 // 2, *array.shape[1:]), array.dtype)
    longer[:used] = array[:used]
    return longer


@kernel
def _slot(table, pairs, left, right):
    """Where a pair of states is in the table, or would be; those of one state of the right are neighbours."""
    mask = np.int64(len(table) - 1)
    slot = (4 * np.int64(right) + left) & mask
    tries = 0
    while table[slot] >= 0 and (pairs[table[slot], 0] != left or pairs[table[slot], 1] != right):
        tries += 1
        if tries % 8:
            slot = (slot & ~7) | ((slot + 1) & 7)
        else:
            key = (np.uint64(left) << np.uint64(32)) ^ np.uint64(right)
            slot = np.int64(((key + np.uint64(tries) * _FAR) * _ODD) >> np.uint64(33)) & mask
    return slot


@kernel
def _list_all(pairs, followers, table):
    """Puts the pairs that are looked for into an empty table and counts them."""
    listed = 0
    for state in range(len(pairs)):
        if not followers[pairs[state, 0]]:
            table[_slot(table, pairs, pairs[state, 0], pairs[state, 1])] = state
            listed += 1
    return listed


@kernel
def _add(used, left, right, splits, next_states, chained, pairs):
    """Appends a pair and those that follow it without choice; returns how many there are now, -1 without room."""
    while used < len(pairs):
        pairs[used, 0], pairs[used, 1] = left, right
        used += 1
        if not chained[left]:
            return used
        left = next_states[splits[left]]
    return -1


@kernel
def _first_way(label, begin, end, olabels, first, indexed):
    """Returns the first arc that writes a label, of a state's sorted arcs, or one further on."""
    if not indexed:
        return first_at_least(olabels, begin, end, label)
    return np.int64(first[label]) if label < len(first) else end


@kernel
def _search(state, used, arcs, listed, left, right, made, table):
    """Goes on with the search from a state that was not done; its arguments and results are how far it came.

    Returns:
      The state, pairs, arcs and entries of the table so far, and what there was no room for: 0 if nothing.
    """
    # In a loop an array of a tuple costs the counting of references.
    splits, ilabels, olabels, ways_to, left_costs, chained, _, hub, first = left
    right_splits, labels, right_olabels, right_to, right_costs = right
    pairs, new_splits, il, ol, to, costs = made
    while state < used:
        here, at = pairs[state, 0], pairs[state, 1]
        done, begin, end = arcs, splits[here], splits[here + 1]
        if chained[here]:
            if arcs == len(to):
                return state, used, arcs, listed, _ARCS
            il[arcs], ol[arcs], to[arcs], costs[arcs] = ilabels[begin], 0, state + 1, left_costs[begin]
            arcs, state = arcs + 1, state + 1
            new_splits[state] = arcs
            continue
        writes = first_at_least(olabels, begin, end, 1)
        # All of the left's silent arcs, then for each arc of the right those that write what it reads.
        for arc in range(right_splits[at] - 1, right_splits[at + 1] if writes < end else right_splits[at]):
            silent = arc < right_splits[at]
            label = 0 if silent else labels[arc]
            way = begin if silent else _first_way(label, writes, end, olabels, first, here == hub)
            target = at if silent else right_to[arc]
            while way < end and olabels[way] == label:
                slot = _slot(table, pairs, ways_to[way], target)
                if table[slot] < 0:
                    more = _add(used, ways_to[way], target, splits, ways_to, chained, pairs)
                    if more < 0 or 2 * listed >= len(table):
                        return state, used, done, listed, _PAIRS if more < 0 else _TABLE
                    table[slot] = used
                    used, listed = more, listed + 1
                if arcs == len(to):
                    return state, used, done, listed, _ARCS
                il[arcs], to[arcs], costs[arcs] = ilabels[way], table[slot], left_costs[way]
                ol[arcs] = 0
                if not silent:
                    ol[arcs], costs[arcs] = right_olabels[arc], left_costs[way] + right_costs[arc]
                arcs += 1
                way += 1
        state += 1
        new_splits[state] = arcs
    return state, used, arcs, listed, 0
