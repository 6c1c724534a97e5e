"""H∘CLG: HMMs in the place of phones in context.

H is a loop around state 0, which only it writes symbols in; inside an HMM it writes nothing. So a state of the
composition is a state of CLG, or a state of an HMM on its way to a state of CLG: no filter of epsilons is needed.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.base.openfst import FstArrays
from hybrid.graph.ops import connect

__all__ = ["compose_h"]


def compose_h(h: FstArrays, clg: FstArrays) -> FstArrays:
    """Returns H∘CLG, trimmed; states are numbered as a search from the start meets them.

    Args:
      h: of `h_transducer`: state 0 is start and only final state, and the only one whose arcs have output labels.
      clg: phones in context in, words out.
    """
    if clg.start < 0 or not h.num_states:
        return FstArrays.empty()
    begin, end = int(h.row_splits[0]), int(h.row_splits[1])
    by_label = h.olabels[begin:end]  # sorted
    labels = np.arange(1 + int(max(clg.ilabels.max(initial=0), by_label.max(initial=0))))
    first, last = (np.searchsorted(by_label, labels, side).astype(np.int32) + begin for side in ("left", "right"))
    inside, at, num_arcs = _states(
        clg.start, h.row_splits, h.next_states, first, last, clg.row_splits, clg.ilabels, clg.next_states
    )
    splits = np.zeros(len(at) + 1, np.int64)
    il, ol, to = (np.empty(num_arcs, np.int32) for _ in range(3))
    costs, finals = np.empty(num_arcs, np.float32), np.full(len(at), np.inf, np.float32)
    _arcs(
        inside, at, h.row_splits, h.ilabels, h.next_states, h.costs, h.final_costs[0], first, last,
        clg.row_splits, clg.ilabels, clg.olabels, clg.next_states, clg.costs, clg.final_costs,
        splits, il, ol, to, costs, finals,
    )  # fmt: skip
    return connect(FstArrays(0, splits, il, ol, to, costs, finals))


@kernel(inline="always")
def _slot(table, inside, at, hmm_state, state):
    """Where (state of H, state of CLG) is in the table, or would be."""
    mask = np.int64(len(table) - 1)
    key = (np.uint64(hmm_state) << np.uint64(32)) ^ np.uint64(state)
    slot = np.int64((key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(33)) & mask
    while table[slot] >= 0 and (inside[table[slot]] != hmm_state or at[table[slot]] != state):
        slot = (slot + 1) & mask
    return slot


@kernel
def _larger_table(inside, at, used, room):
    table = np.full(room, -1, np.int32)
    for state in range(used):
        table[_slot(table, inside, at, inside[state], at[state])] = state
    return table


@kernel
def _states(start, h_splits, h_next, first, last, splits, labels, next_states):
    """Finds the states that the start reaches.

    Returns:
      int32 [num_states] state of H and state of CLG, and how many arcs leave them all.
    """
    room = max(1024, 2 * (len(splits) - 1))
    inside, at = np.empty(room, np.int32), np.empty(room, np.int32)
    size = 2048
    while size < 2 * room:
        size *= 2
    inside[0], at[0] = 0, start
    used, arcs, state = 1, 0, 0
    table = _larger_table(inside, at, used, size)
    while state < used:
        hmm_state, of = inside[state], at[state]
        state += 1
        begin, end = (splits[of], splits[of + 1]) if hmm_state == 0 else (h_splits[hmm_state], h_splits[hmm_state + 1])
        for arc in range(begin, end):
            ways_begin, ways_end = arc, arc + 1
            if hmm_state == 0 and labels[arc] > 0:
                ways_begin, ways_end = first[labels[arc]], last[labels[arc]]
            for way in range(ways_begin, ways_end):
                arcs += 1
                target = next_states[arc] if hmm_state == 0 else of
                entered = 0 if hmm_state == 0 and labels[arc] == 0 else h_next[way]
                slot = _slot(table, inside, at, entered, target)
                if table[slot] >= 0:
                    continue
                if used == len(at):
                    inside, at = _longer(inside), _longer(at)
                    table = _larger_table(inside, at, used, 2 * len(table))
                    slot = _slot(table, inside, at, entered, target)
                inside[used], at[used], table[slot] = entered, target, used
                used += 1
    return inside[:used].copy(), at[:used].copy(), arcs


@kernel
def _longer(array):
    longer = np.empty(2 * len(array), array.dtype)
    longer[: len(array)] = array
    return longer


@kernel
def _arcs(
    inside, at, h_splits, h_labels, h_next, h_costs, h_final, first, last, clg_splits, clg_in, clg_out, clg_next,
    clg_costs, clg_finals, splits, il, ol, to, costs, finals,
):  # fmt: skip
    """Writes the arcs and final costs of all states."""
    size = 2048
    while size < 2 * len(at):
        size *= 2
    table = _larger_table(inside, at, len(at), size)
    place = 0
    for state in range(len(at)):
        hmm_state, of = inside[state], at[state]
        if hmm_state != 0:
            for way in range(h_splits[hmm_state], h_splits[hmm_state + 1]):
                il[place], ol[place], costs[place] = h_labels[way], 0, h_costs[way]
                to[place] = table[_slot(table, inside, at, h_next[way], of)]
                place += 1
        else:
            finals[state] = clg_finals[of] + h_final
            for arc in range(clg_splits[of], clg_splits[of + 1]):
                label = clg_in[arc]
                if label == 0:
                    il[place], ol[place], costs[place] = 0, clg_out[arc], clg_costs[arc]
                    to[place] = table[_slot(table, inside, at, 0, clg_next[arc])]
                    place += 1
                    continue
                for way in range(first[label], last[label]):
                    il[place], ol[place], costs[place] = h_labels[way], clg_out[arc], clg_costs[arc] + h_costs[way]
                    to[place] = table[_slot(table, inside, at, h_next[way], clg_next[arc])]
                    place += 1
        splits[state + 1] = place
