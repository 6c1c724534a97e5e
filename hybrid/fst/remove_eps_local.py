"""Removal of epsilons where that makes no graph larger.

An arc is joined with those that follow it where one of the two has no input label and one no output
label, and where the state between them has either one way in or one way out. Full epsilon removal
would multiply arcs; this never adds one.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.formats.openfst import FstArrays
from hybrid.fst.ops import kept_states
from hybrid.fst.ops_kernels import add_costs

__all__ = ["remove_eps_local"]


def remove_eps_local(fst: FstArrays) -> FstArrays:
    """Returns an equivalent, trimmed FST (tropical semiring) with most epsilons gone and not more arcs.

    Where only some of the arcs after an arc can be joined with it, the arc keeps the share of weight
    (log semiring) of those that stay, so that stochastic states stay stochastic.
    """
    if fst.start < 0:
        return fst
    return kept_states(fst.start, *_joined(fst))


def _joined(fst: FstArrays) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...], np.ndarray]:
    """Joins all that can be joined.

    Returns:
      int64 [num_states + 1] splits; int32 [num_kept] order; labels, targets and costs of all arcs that ever were, of
      which the order lists those that are left; and final weights.
    """
    room = fst.num_arcs // 16 + 1024
    il, ol, to, costs = (_with_room(array, room) for array in (fst.ilabels, fst.olabels, fst.next_states, fst.costs))
    finals, follow = fst.final_costs.copy(), np.empty(len(to), np.int32)
    first, last, ins, outs, silent = _lists(fst.start, fst.row_splits, fst.ilabels, fst.next_states, finals, follow)
    state, arc, used = 0, -2, fst.num_arcs
    while state < fst.num_states:
        state, arc, used = _join(state, arc, used, il, ol, to, costs, follow, first, last, ins, outs, silent, finals)
        if state < fst.num_states:  # no room for another join
            more = room + int(outs.max())
            il, ol, to, costs, follow = (_with_room(array, more) for array in (il, ol, to, costs, follow))
    splits, order = _in_order(first, to, follow)
    return splits, order, (il, ol, to, costs), finals


def _with_room(array: np.ndarray, more: int) -> np.ndarray:
    longer = np.empty(len(array) + more, array.dtype)
    longer[: len(array)] = array
    return longer


@kernel
def _lists(start, splits, ilabels, next_states, finals, follow):
    """Begins what `_join` keeps of each state: its first and last arc, ways in and out, whether one is silent.

    Args:
      follow: int32, of at least the number of arcs: the next arc of the same state is written into it, -1 at the last.
    """
    first, last = np.full(len(finals), -1, np.int32), np.full(len(finals), -1, np.int32)
    ins, outs = np.zeros(len(finals), np.int32), np.zeros(len(finals), np.int32)
    silent = np.zeros(len(finals), np.bool_)
    ins[start] = 1
    for state in range(len(finals)):
        begin, end = splits[state], splits[state + 1]
        outs[state] = end - begin + (finals[state] < np.inf)
        for arc in range(begin, end):
            ins[next_states[arc]] += 1
            silent[state] |= ilabels[arc] == 0
            follow[arc] = arc + 1
        if begin < end:
            first[state], last[state], follow[end - 1] = begin, end - 1, -1
    return first, last, ins, outs, silent


@kernel
def _in_order(first, to, follow):
    """Returns int64 [num_states + 1] splits and int32 [num_kept], the arcs that are left, state after state."""
    splits = np.zeros(len(first) + 1, np.int64)
    order = np.empty(len(to), np.int32)
    place = 0
    for state in range(len(first)):
        arc = first[state]
        while arc >= 0:
            if to[arc] >= 0:
                order[place] = arc
                place += 1
            arc = follow[arc]
        splits[state + 1] = place
    return splits, order[:place]


@kernel
def _join(state, arc, used, il, ol, to, costs, follow, first, last, ins, outs, silent, finals):
    """Visits every arc of every state in turn, those added on the way too; a removed arc leads to -1.

    Changes all arrays in place. Begins with `arc` of `state` (-2: its first) and returns where it ended:
    after the last state, or where the arrays of arcs (of which `used` are taken) had no room left. `silent` marks the
    states that may have an arc without input label: only with such a one can an arc be joined that has a label.
    """
    while state < len(first):
        if arc == -2:
            arc = first[state]
        while arc >= 0:
            after = to[arc]
            if after >= 0 and after != state and (il[arc] == 0 or silent[after]):
                if used + outs[after] + 1 > len(il):
                    return state, arc, used
                if ins[after] == 1 and outs[after] > 1:
                    used = _one_way_in(
                        state, arc, used, il, ol, to, costs, follow, first, last, ins, outs, silent, finals
                    )
                elif outs[after] == 1:
                    used = _one_way_out(
                        state, arc, used, il, ol, to, costs, follow, first, last, ins, outs, silent, finals
                    )
            arc = follow[arc]
        state += 1
        arc = -2
    return state, arc, used


@kernel
def _append(state, a, b, new, il, ol, to, costs, follow, last, silent):
    """Makes arc `new` the join of arcs a and b, last of the state's arcs; False if they cannot be joined."""
    if (il[a] != 0 and il[b] != 0) or (ol[a] != 0 and ol[b] != 0):
        return False
    il[new], ol[new] = il[a] + il[b], ol[a] + ol[b]
    silent[state] |= il[new] == 0
    to[new], costs[new] = to[b], costs[a] + costs[b]
    follow[new] = -1
    follow[last[state]] = new
    last[state] = new
    return True


@kernel
def _one_way_in(state, arc, used, il, ol, to, costs, follow, first, last, ins, outs, silent, finals):
    """Joins `arc` with what leaves its target, a state that nothing else enters."""
    after = to[arc]
    removed, kept = np.inf, np.inf
    begin = used
    other = first[after]
    while other >= 0:
        if to[other] >= 0:
            if _append(state, arc, other, used, il, ol, to, costs, follow, last, silent):
                used += 1
                removed = add_costs(removed, np.float64(costs[other]))
                outs[after] -= 1
                ins[to[other]] -= 1
                to[other] = -1
            else:
                kept = add_costs(kept, np.float64(costs[other]))
        other = follow[other]
    if finals[after] < np.inf:
        if il[arc] == 0 and ol[arc] == 0:
            removed = add_costs(removed, np.float64(finals[after]))
            if finals[state] == np.inf:
                outs[state] += 1
            finals[state] = min(finals[state], costs[arc] + finals[after])
            outs[after] -= 1
            finals[after] = np.inf
        else:
            kept = add_costs(kept, np.float64(finals[after]))
    if removed < np.inf and kept == np.inf:
        outs[state] -= 1
        ins[after] -= 1
        to[arc] = -1
    elif removed < np.inf:
        share = np.float32(kept - add_costs(removed, kept))
        costs[arc] += share
        finals[after] -= share
        other = first[after]
        while other >= 0:
            costs[other] -= share
            other = follow[other]
    for new in range(begin, used):
        outs[state] += 1
        ins[to[new]] += 1
    return used


@kernel
def _one_way_out(state, arc, used, il, ol, to, costs, follow, first, last, ins, outs, silent, finals):
    """Joins `arc` with the only thing that leaves its target: a final weight or one arc."""
    after = to[arc]
    alone = ins[after] == 1
    if finals[after] < np.inf:
        if il[arc] != 0 or ol[arc] != 0:
            return used
        if finals[state] == np.inf:
            outs[state] += 1
        finals[state] = min(finals[state], costs[arc] + finals[after])
        if alone:
            outs[after] -= 1
            finals[after] = np.inf
    else:
        other = first[after]
        while to[other] < 0:
            other = follow[other]
        if not _append(state, arc, other, used, il, ol, to, costs, follow, last, silent):
            return used
        outs[state] += 1
        ins[to[used]] += 1
        used += 1
        if alone:
            outs[after] -= 1
            ins[to[other]] -= 1
            to[other] = -1
    outs[state] -= 1
    ins[after] -= 1
    to[arc] = -1
    return used
