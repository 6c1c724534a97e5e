"""Loops of the training-graph compiler, compiled by numba."""

from __future__ import annotations

import numpy as np
from numba import types
from numba.typed import Dict

from hybrid.base.compiled import kernel
from hybrid.fst.ops_kernels import first_at_least

__all__ = ["compose_text", "count_hmm_arcs", "expand_hmm"]


@kernel
def _with_room(rows, used):
    """Returns the 2-D array, twice as long where row `used` would not fit."""
    if used < len(rows):
        return rows
    bigger = np.empty((2 * len(rows), rows.shape[1]), rows.dtype)
    bigger[: len(rows)] = rows
    return bigger


@kernel
def compose_text(start, splits, olabels, next_states, words):
    """Composes L with the straight line of a text.

    Args:
      start, splits, olabels, next_states: of L; arcs of each state sorted by output label.
      words: int32 [num_words], word ids, none 0.

    Returns:
      nodes int64 [num_nodes][2] (state of L, words read; node 0 is the start), arcs int64
      [num_arcs][3] (source node, arc of L, target node), and how many words could be read: fewer
      than there are if one has no pronunciation.
    """
    num_states = len(splits) - 1
    nodes = np.empty((64, 2), np.int64)
    arcs = np.empty((128, 3), np.int64)
    index = Dict.empty(key_type=types.int64, value_type=types.int64)
    nodes[0, 0], nodes[0, 1] = start, 0
    index[start] = 0
    num_nodes, num_arcs, furthest, node = 1, 0, 0, 0
    while node < num_nodes:
        state, read = nodes[node, 0], nodes[node, 1]
        for step in range(2 if read < len(words) else 1):
            label = words[read] if step else 0
            position = read + step
            arc = first_at_least(olabels, splits[state], splits[state + 1], label)
            while arc < splits[state + 1] and olabels[arc] == label:
                key = position * num_states + next_states[arc]
                if key not in index:
                    nodes = _with_room(nodes, num_nodes)
                    nodes[num_nodes, 0], nodes[num_nodes, 1] = next_states[arc], position
                    index[key] = num_nodes
                    num_nodes += 1
                    furthest = max(furthest, position)
                arcs = _with_room(arcs, num_arcs)
                arcs[num_arcs, 0], arcs[num_arcs, 1], arcs[num_arcs, 2] = node, arc, index[key]
                num_arcs += 1
                arc += 1
        node += 1
    return nodes[:num_nodes], arcs[:num_arcs], furthest


# --- HMMs in place of phones -------------------------------------------------------------------
#
# Self-loops follow the transition that they belong to ("reorder"): the state that an arc of
# transition-state t enters carries t's self-loop. So a state of the graph is entered by one
# transition-state only:
#
#   inside a phone    one state per (HMM state i left, HMM state j entered), j not final;
#   between phones    one copy of the phone graph's node per transition-state that enters it.


@kernel
def count_hmm_arcs(sources, entry_of, entry_splits, trans_from, trans_to, num_final, copies_of_node):
    """Counts arcs without self-loops of the expanded graph, per arc of the phone graph.

    Args:
      sources: int32 [num_arcs], source node of each phone arc.
      entry_of: int32 [num_arcs], topology entry of each phone arc.
      entry_splits: int32 [num_entries + 1] into trans_from, trans_to: the transitions of each entry that
        are not self-loops, in the order of (HMM state left, transition_index).
      num_final: int32 [num_entries], the final HMM state.
      copies_of_node: int32 [num_nodes].
    """
    counts = np.zeros(len(sources), np.int64)
    for arc in range(len(sources)):
        entry = entry_of[arc]
        for first in range(entry_splits[entry], entry_splits[entry + 1]):
            if trans_from[first] == 0:
                counts[arc] += copies_of_node[sources[arc]]
            if trans_to[first] != num_final[entry]:
                for second in range(entry_splits[entry], entry_splits[entry + 1]):
                    if trans_from[second] == trans_to[first]:
                        counts[arc] += 1
    return counts


@kernel
def expand_hmm(
    arc_sources, arc_targets, arc_words, arc_costs, entry_of, entry_splits, trans_from, trans_to, trans_tid_offset,
    num_final, first_inner, tid_base, copy_splits, exit_copy, out,
):  # fmt: skip
    """Writes the arcs, without self-loops, of the expanded graph.

    Args:
      arc_*: the phone graph's arcs: source node, target node, word, cost.
      trans_tid_offset: int32 [num_trans], transition_index of each transition.
      first_inner: int64 [num_arcs], number of the first inner state of each phone arc; inner states follow
        the transitions of its entry that do not end in the final state.
      tid_base: int32 [num_arcs][max_states], transition_id of arc 0 out of each HMM state.
      copy_splits: int64 [num_nodes + 1], numbers of the copies of each node.
      exit_copy: int64 [num_arcs][max_states]: the copy entered by the final transition out of each HMM state.
      out: rows (source, transition_id, word, target) int64 [N][4] and cost float32 [N].
    """
    rows, costs = out
    n = 0
    for arc in range(len(arc_sources)):
        entry = entry_of[arc]
        begin, end = entry_splits[entry], entry_splits[entry + 1]
        inner = first_inner[arc]
        targets = np.empty(end - begin, np.int64)
        for t in range(begin, end):
            if trans_to[t] == num_final[entry]:
                targets[t - begin] = exit_copy[arc, trans_from[t]]
            else:
                targets[t - begin] = inner
                inner += 1
        for t in range(begin, end):  # into the HMM, from every copy of the node before it
            if trans_from[t] == 0:
                for copy in range(copy_splits[arc_sources[arc]], copy_splits[arc_sources[arc] + 1]):
                    rows[n, 0], rows[n, 1] = copy, tid_base[arc, 0] + trans_tid_offset[t]
                    rows[n, 2], rows[n, 3] = arc_words[arc], targets[t - begin]
                    costs[n] = arc_costs[arc]
                    n += 1
        for t in range(begin, end):  # onwards from every inner state
            if trans_to[t] != num_final[entry]:
                for u in range(begin, end):
                    if trans_from[u] == trans_to[t]:
                        rows[n, 0] = targets[t - begin]
                        rows[n, 1] = tid_base[arc, trans_from[u]] + trans_tid_offset[u]
                        rows[n, 2], rows[n, 3] = 0, targets[u - begin]
                        costs[n] = 0.0
                        n += 1
    return n
