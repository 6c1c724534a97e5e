"""Composition of large transducers: L∘G and H∘CLG, on arrays.

The left one is a loop that writes a symbol at its first arc and nothing on the way back: few of its states write. The
right one reads a symbol on every arc, so no filter of epsilons: where the left writes nothing, the right stands still.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.base.openfst import FstArrays
from hybrid.graph.kernels import first_at_least
from hybrid.graph.ops import connect

__all__ = ["compose"]


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
    order = np.lexsort((left.olabels, left.sources()))
    il, ol, to, cost = (a[order] for a in (left.ilabels, left.olabels, left.next_states, left.costs))
    inside, at, next_states = _search(left.start, right.start, left.row_splits, ol, to, *_moves(right))
    splits = np.zeros(len(at) + 1, np.int64)
    ilabels, olabels = (np.empty(len(next_states), np.int32) for _ in range(2))
    costs, finals = np.empty(len(next_states), np.float32), left.final_costs[inside] + right.final_costs[at]
    _write_arcs(
        inside, at, left.row_splits, il, ol, cost, right.row_splits, right.ilabels, right.olabels, right.costs,
        splits, ilabels, olabels, costs,
    )  # fmt: skip
    del inside, at
    return connect(FstArrays(0, splits, ilabels, olabels, next_states, costs, finals))


def _moves(fst: FstArrays) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return fst.row_splits, fst.ilabels, fst.next_states


@kernel
def _slot(table, inside, at, left, right):
    """Where a pair of states is in the table, or would be."""
    mask = np.int64(len(table) - 1)
    key = (np.uint64(left) << np.uint64(32)) ^ np.uint64(right)
    slot = np.int64((key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(33)) & mask
    while table[slot] >= 0 and (inside[table[slot]] != left or at[table[slot]] != right):
        slot = (slot + 1) & mask
    return slot


@kernel
def _table(inside, at, used, room):
    """Puts `used` pairs of states into a table of at least twice `room` slots."""
    size = 2048
    while size < 2 * room:
        size *= 2
    table = np.full(size, -1, np.int32)
    for state in range(used):
        table[_slot(table, inside, at, inside[state], at[state])] = state
    return table


@kernel
def _longer(array):
    longer = np.empty(2 * len(array), array.dtype)
    longer[: len(array)] = array
    return longer


@kernel
def _search(start, right_start, left_splits, left_out, left_next, splits, labels, next_states):
    """Finds the pairs of states that the start reaches, and where each of their arcs leads.

    Returns:
      int32 [num_states] state of the left, and of the right, and int32 [num_arcs] number of the pair entered.
    """
    room = max(1024, 2 * (len(splits) - 1))
    inside, at, to = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(2 * room, np.int32)
    inside[0], at[0] = start, right_start
    used, arcs, state = 1, 0, 0
    table = _table(inside, at, used, room)
    while state < used:
        left, right = inside[state], at[state]
        state += 1
        begin, end = left_splits[left], left_splits[left + 1]
        writes = first_at_least(left_out, begin, end, 1)
        # All of the left's silent arcs, then for each arc of the right those that write what it reads.
        for arc in range(splits[right] - 1, splits[right + 1] if writes < end else splits[right]):
            silent = arc < splits[right]
            way = begin if silent else first_at_least(left_out, writes, end, labels[arc])
            target = right if silent else next_states[arc]
            while way < end and left_out[way] == (0 if silent else labels[arc]):
                slot = _slot(table, inside, at, left_next[way], target)
                if table[slot] < 0:
                    if used == len(at):
                        inside, at = _longer(inside), _longer(at)
                        table = _table(inside, at, used, len(at))
                        slot = _slot(table, inside, at, left_next[way], target)
                    inside[used], at[used], table[slot] = left_next[way], target, used
                    used += 1
                if arcs == len(to):
                    to = _longer(to)
                to[arcs] = table[slot]
                arcs += 1
                way += 1
    return inside[:used].copy(), at[:used].copy(), to[:arcs].copy()


@kernel
def _write_arcs(
    inside, at, left_splits, left_in, left_out, left_costs, right_splits, labels, right_out, right_costs,
    splits, il, ol, costs,
):  # fmt: skip
    """Writes labels and costs of the arcs of all pairs of states, in the order of `_search`."""
    place = 0
    for state in range(len(at)):
        left, right = inside[state], at[state]
        begin, end = left_splits[left], left_splits[left + 1]
        writes = first_at_least(left_out, begin, end, 1)
        for way in range(begin, writes):
            il[place], ol[place], costs[place] = left_in[way], 0, left_costs[way]
            place += 1
        for arc in range(right_splits[right], right_splits[right + 1] if writes < end else right_splits[right]):
            way = first_at_least(left_out, writes, end, labels[arc])
            while way < end and left_out[way] == labels[arc]:
                il[place], ol[place], costs[place] = left_in[way], right_out[arc], left_costs[way] + right_costs[arc]
                place += 1
                way += 1
        splits[state + 1] = place
