"""Self-loops, added to a graph over transition-ids as its last step.

They are left out while the graph is composed and minimised, which keeps it small, and put after the
transition that they belong to ("reorder"): a state that is entered by arcs of transition-state t
carries t's self-loop, and what leaves it pays for leaving the loop.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.formats.openfst import FstArrays
from hybrid.hmm import TransitionModel

__all__ = ["add_self_loops", "numbered_pairs"]


def add_self_loops(fst: FstArrays, model: TransitionModel, self_loop_scale: float) -> FstArrays:
    """Returns the graph with self-loops.

    A state entered by several transition-states (or by one and by epsilon arcs) gets a state before it
    for each of them, joined to it by an epsilon arc.

    Args:
      fst: transition-ids of arcs that are no self-loops on the input side, and labels of slots.
      self_loop_scale: of the log-probabilities of taking and of leaving a self-loop.
    """
    if fst.start < 0:
        return fst
    known = fst.ilabels <= model.num_transition_ids  # others are of slots: no HMM is entered or left by them
    classes = model.transition_states[np.where(known, fst.ilabels, 0)]
    entered, mixed = _entering_classes(fst.start, fst.next_states, classes, fst.num_states)
    next_states = fst.next_states.copy()
    moved = np.flatnonzero(mixed[next_states] & (classes > 0))
    behind, new_class, number = numbered_pairs(
        next_states[moved], classes[moved], fst.num_states, model.num_transition_states
    )
    next_states[moved] = fst.num_states + number
    state_class = np.concatenate([np.where(mixed, 0, entered), new_class]).astype(np.int32)
    del moved, number, classes
    leave = -self_loop_scale * model.log_probs_not_self_loop.astype(np.float64)
    loop = -self_loop_scale * model.log_probs.astype(np.float64)[model.self_loops]
    return _assemble(fst, next_states, behind, state_class, model.self_loops, leave, loop)


def _assemble(
    fst: FstArrays,
    next_states: np.ndarray,
    behind: np.ndarray,
    state_class: np.ndarray,
    self_loops: np.ndarray,
    leave: np.ndarray,
    loop: np.ndarray,
) -> FstArrays:
    """Builds the graph: old states with their arcs, new states with an epsilon arc to the state behind, self-loops."""
    old, total = fst.num_states, len(state_class)
    has_loop = self_loops[state_class] > 0
    degrees = np.concatenate([np.diff(fst.row_splits), np.ones(len(behind), np.int64)]) + has_loop
    splits = np.concatenate([[0], np.cumsum(degrees)])
    il, ol, to = (np.zeros(int(splits[-1]), np.int32) for _ in range(3))
    costs = np.zeros(int(splits[-1]), np.float32)
    _fill(
        fst.row_splits, fst.ilabels, fst.olabels, next_states, fst.costs, behind, state_class, self_loops, leave, loop,
        splits, il, ol, to, costs,
    )  # fmt: skip
    finals = np.full(total, np.inf, np.float32)
    finals[:old] = fst.final_costs + leave[state_class[:old]]
    return FstArrays(fst.start, splits, il, ol, to, costs, finals)


@kernel
def _entering_classes(start, next_states, classes, num_states):
    """Returns the transition-state that enters each state (0: epsilons or nothing), and which have several."""
    entered = np.full(num_states, -1, np.int32)
    mixed = np.zeros(num_states, np.bool_)
    entered[start] = 0
    for arc in range(len(next_states)):
        to = next_states[arc]
        if entered[to] < 0:
            entered[to] = classes[arc]
        elif entered[to] != classes[arc]:
            mixed[to] = True
    for state in range(num_states):
        entered[state] = max(entered[state], 0)
    return entered, mixed


@kernel
def numbered_pairs(states, classes, num_states, num_classes):
    """Numbers the pairs of state and transition-state in their order, by counting.

    Args:
      states, classes: int32 [N], below num_states and up to num_classes.

    Returns:
      int32 [num_pairs] states, int32 [num_pairs] classes, int32 [N] the pair that each is.
    """
    order = np.arange(len(states)).astype(np.int32)
    for keys, highest in ((classes, num_classes), (states, num_states)):
        begins = np.zeros(highest + 2, np.int32)
        for key in keys:
            begins[key + 1] += 1
        for key in range(highest + 1):
            begins[key + 1] += begins[key]
        after = np.empty_like(order)
        for i in order:
            after[begins[keys[i]]] = i
            begins[keys[i]] += 1
        order = after
    number = np.empty_like(order)
    first = np.empty_like(order)
    count = 0
    for k in range(len(order)):
        i = order[k]
        if k == 0 or states[i] != states[order[k - 1]] or classes[i] != classes[order[k - 1]]:
            first[count] = i
            count += 1
        number[i] = count - 1
    return states[first[:count]], classes[first[:count]], number


@kernel
def _fill(
    old_splits, ilabels, olabels, next_states, old_costs, behind, state_class, self_loops, leave, loop,
    splits, il, ol, to, costs,
):  # fmt: skip
    old = len(old_splits) - 1
    for state in range(len(splits) - 1):
        place = splits[state]
        kind = state_class[state]
        if state < old:
            for arc in range(old_splits[state], old_splits[state + 1]):
                il[place], ol[place], to[place] = ilabels[arc], olabels[arc], next_states[arc]
                costs[place] = old_costs[arc] + leave[kind]
                place += 1
        else:
            to[place], costs[place] = behind[state - old], leave[kind]
            place += 1
        if self_loops[kind] > 0:
            il[place], to[place], costs[place] = self_loops[kind], state, loop[kind]
