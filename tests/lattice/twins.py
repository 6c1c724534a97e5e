"""Readable twins of the operations: a lattice as the list of its paths, and what each operation does to such a list."""

from __future__ import annotations

import numpy as np

from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.determinize import determinize

from .conftest import make_lattice

Paths = list[tuple[tuple[int, ...], tuple[int, ...], float, float]]


def enumerated(compact: CompactLattice, start: int = 0) -> Paths:
    """(words, transition-ids, graph score, acoustic score) of every path from a state on, sorted."""
    found, stack = [], [(start, (), (), 0.0, 0.0)] if compact.start >= 0 else []
    arcs: dict[int, list] = {}
    for arc, (source, word, graph, acoustic) in enumerate(
        zip(*(c.tolist() for c in (compact.sources, compact.word_ids, compact.graph_scores, compact.acoustic_scores)))
    ):
        to = int(compact.next_states[arc])
        arcs.setdefault(source, []).append(
            (to, (word,) * (word > 0), tuple(compact.string(arc).tolist()), graph, acoustic)
        )
    ends = list(zip(compact.final_graph_scores.tolist(), compact.final_acoustic_scores.tolist()))
    while stack:
        state, words, ids, graph, acoustic = stack.pop()
        if np.isfinite(ends[state][0]):
            string = tuple(compact.final_string(state).tolist())
            found.append((words, ids + string, graph + ends[state][0], acoustic + ends[state][1]))
        for to, word, string, *scores in arcs.get(state, ()):
            stack.append((to, words + word, ids + string, graph + scores[0], acoustic + scores[1]))
    return sorted(found)


def same(ours: Paths, wanted: Paths) -> bool:
    close = [np.allclose(a[2:], b[2:], atol=1e-3) for a, b in zip(ours, wanted)]
    return [p[:2] for p in ours] == [p[:2] for p in wanted] and all(close)


def some(seed: int, frames: int = 3) -> CompactLattice:
    """Determinised, with multiples of 1/8 as scores."""
    return determinize(make_lattice(seed, frames=frames, width=2), 1e9, 0.5).lattice
