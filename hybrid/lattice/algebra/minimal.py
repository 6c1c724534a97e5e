"""Minimisation: states from which the same can be said, with the same scores and alignments, become one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hybrid.lattice.algebra.pushing import push
from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.trim import trimmed

__all__ = ["minimize"]

DELTA = 1.0 / 512  # scores that differ by no more are the same: twice Kaldi's kDelta, as each of the two is rounded


def minimize(compact: CompactLattice, delta: float = DELTA) -> CompactLattice:
    """Returns a lattice of the same paths with as few states as can be (lattice-minimize); of a determinised one.

    Scores and transition-ids are pushed first. From the end backwards, states are one if they end alike and their arcs
    have the same words and alignments, lead to the same states and differ in each score by at most `delta`.

    Args:
      compact: trimmed, see `hybrid.lattice.trim`; of one that is not determinised not all that could be is found.
    """
    if compact.is_empty:
        return compact
    pushed = push(compact)
    rows, words, splits = pushed.row_splits.tolist(), pushed.word_ids.tolist(), pushed.string_splits.tolist()
    nexts, strings = pushed.next_states.tolist(), pushed.strings
    arc_scores = list(zip(pushed.graph_scores.tolist(), pushed.acoustic_scores.tolist()))
    ends = list(zip(pushed.final_graph_scores.tolist(), pushed.final_acoustic_scores.tolist()))
    become = list(range(pushed.num_states))
    known: dict[tuple, list[tuple[int, np.ndarray]]] = {}
    for state in range(pushed.num_states - 1, -1, -1):
        arcs = sorted(
            (words[a], become[nexts[a]], strings[splits[a] : splits[a + 1]].tobytes(), arc_scores[a])
            for a in range(rows[state], rows[state + 1])
        )
        final = pushed.final_string(state).tobytes() if np.isfinite(ends[state][0]) else None
        scores = np.array(
            [score for arc in arcs for score in arc[3]] + (list(ends[state]) if final is not None else [])
        )
        alike = known.setdefault((final, *(arc[:3] for arc in arcs)), [])
        for other, theirs in alike:
            if np.all(np.abs(scores - theirs) <= delta):
                become[state] = other
                break
        else:
            alike.append((state, scores))
    kept = np.array(become)
    stays = kept == np.arange(len(kept))
    merged = pushed.select(stays[pushed.sources], np.ones(len(kept), np.bool_))
    return trimmed(replace(merged, next_states=kept[merged.next_states].astype(np.int32)))
