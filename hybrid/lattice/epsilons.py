"""Removal of arcs of a compact lattice that neither say a word nor cover a frame."""

from __future__ import annotations

import numpy as np

from hybrid.lattice.compact import CompactLattice, no_paths
from hybrid.lattice.trim import from_rows

__all__ = ["remove_epsilons"]

Weighted = tuple[float, float]  # graph score, acoustic score


def remove_epsilons(compact: CompactLattice) -> CompactLattice:
    """Returns the lattice with the same paths and no arc without word and frames (Kaldi's RmEpsilon).

    From the last state to the first, an epsilon arc is replaced with the arcs and the end of the state it leads to. Of
    two arcs between the same states with one word and alignment, and of two ends of one state, the better stays, by
    the unscaled sum of scores as Kaldi compares them.

    Args:
      compact: trimmed, see `hybrid.lattice.trim`.
    """
    if compact.start < 0:
        return no_paths()
    splits, graph, acoustic = (
        compact.string_splits.tolist(),
        compact.graph_scores.tolist(),
        compact.acoustic_scores.tolist(),
    )
    strings, words, nexts = compact.strings.tolist(), compact.word_ids.tolist(), compact.next_states.tolist()
    bounds = np.searchsorted(compact.sources, np.arange(compact.num_states + 1)).tolist()
    leaving: list[dict[tuple[int, int, tuple[int, ...]], Weighted]] = [{} for _ in range(compact.num_states)]
    ends: list[tuple[float, float, tuple[int, ...]] | None] = [None] * compact.num_states
    for state in range(compact.num_states - 1, -1, -1):
        if np.isfinite(compact.final_graph_scores[state]):
            ends[state] = (
                float(compact.final_graph_scores[state]), float(compact.final_acoustic_scores[state]),
                tuple(compact.final_string(state).tolist()),
            )  # fmt: skip
        here = leaving[state]
        for arc in range(bounds[state], bounds[state + 1]):
            to, one = nexts[arc], (graph[arc], acoustic[arc])
            string = tuple(strings[splits[arc] : splits[arc + 1]])
            if words[arc] or string:
                _keep(here, (to, words[arc], string), one)
                continue
            for key, other in leaving[to].items():
                _keep(here, key, (one[0] + other[0], one[1] + other[1]))
            end = ends[to]
            if end is not None:
                passed = (one[0] + end[0], one[1] + end[1], end[2])
                now = ends[state]
                ends[state] = passed if now is None or sum(passed[:2]) > sum(now[:2]) else now
    rows = [
        (state, to, word, *scores, string)
        for state, arcs in enumerate(leaving)
        for (to, word, string), scores in arcs.items()
    ]
    return from_rows(rows, {s: end for s, end in enumerate(ends) if end is not None}, compact.num_states)


def _keep(arcs: dict[tuple[int, int, tuple[int, ...]], Weighted], key: tuple, scores: Weighted) -> None:
    if key not in arcs or sum(scores) > sum(arcs[key]):
        arcs[key] = scores
