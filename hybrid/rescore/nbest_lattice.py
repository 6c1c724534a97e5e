"""The best word sequences of a lattice as a lattice of their own: what an n-best list is, with its alignments."""

from __future__ import annotations

from hybrid.lattice.compact import CompactLattice, expand
from hybrid.lattice.paths import nbest
from hybrid.lattice.trim import from_rows, no_paths

__all__ = ["nbest_lattice"]


def nbest_lattice(compact: CompactLattice, count: int, acoustic_scale: float) -> CompactLattice:
    """Returns the `count` best word sequences, each a path of its own from the start."""
    if compact.start < 0:
        return no_paths()
    lattice = expand(compact)
    rows: list[tuple] = []
    finals: dict[int, tuple] = {}
    states = 1
    for path in nbest(lattice, count, acoustic_scale):
        here = 0
        parts = _parts(lattice.word_ids[path.arcs].tolist())
        for begin, end in parts:
            arcs = path.arcs[begin:end]
            ids = lattice.transition_ids[arcs]
            word = int(lattice.word_ids[arcs].max(initial=0))
            graph, acoustic = (s[arcs].sum(dtype="f8") for s in (lattice.graph_scores, lattice.acoustic_scores))
            rows.append((here, states, word, float(graph), float(acoustic), ids[ids != 0].tolist()))
            here, states = states, states + 1
        last = int(lattice.next_states[path.arcs[-1]]) if len(path.arcs) else 0
        finals[here] = (float(lattice.final_graph_scores[last]), float(lattice.final_acoustic_scores[last]), ())
    return from_rows(rows, finals, states) if finals else no_paths()


def _parts(words: list[int]) -> list[tuple[int, int]]:
    """Stretches of a path's arcs, each with one word at most."""
    cuts = [i for i, word in enumerate(words) if word][1:]
    return list(zip([0, *cuts], [*cuts, len(words)])) if words else []
