"""Lattices from lattices: scaled, united, and combined as systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hybrid.lattice import kernels
from hybrid.lattice.compact import CompactLattice, no_paths
from hybrid.lattice.epsilons import remove_epsilons
from hybrid.lattice.trim import from_rows

__all__ = ["combine", "log_weight", "scaled", "union"]


def scaled(
    compact: CompactLattice, acoustic_scale: float = 1.0, lm_scale: float = 1.0, word_insertion_penalty: float = 0.0
) -> CompactLattice:
    """Returns the lattice with scaled scores: graph · lm_scale − penalty per word, acoustic · acoustic_scale.

    The penalty is scaled with the graph scores it is taken from, as in `Lattice.arc_scores`.
    """
    graph = lm_scale * (compact.graph_scores.astype(np.float64) - word_insertion_penalty * (compact.word_ids != 0))
    final = np.isfinite(compact.final_graph_scores)
    ends = [np.full(compact.num_states, -np.inf, np.float32) for _ in range(2)]
    ends[0][final] = lm_scale * compact.final_graph_scores[final].astype(np.float64)
    ends[1][final] = acoustic_scale * compact.final_acoustic_scores[final].astype(np.float64)
    return replace(
        compact, graph_scores=graph.astype(np.float32),
        acoustic_scores=(acoustic_scale * compact.acoustic_scores.astype(np.float64)).astype(np.float32),
        final_graph_scores=ends[0], final_acoustic_scores=ends[1],
    )  # fmt: skip


def log_weight(compact: CompactLattice, acoustic_scale: float, lm_scale: float = 1.0) -> float:
    """Returns the log of the summed weights of all paths of a trimmed lattice; -inf without paths."""
    if compact.start < 0:
        return float("-inf")
    weighted = scaled(compact, acoustic_scale, lm_scale)
    rows = np.searchsorted(compact.sources, np.arange(compact.num_states + 1)).astype(np.int64)
    scores = weighted.graph_scores.astype(np.float64) + weighted.acoustic_scores
    ends = weighted.final_graph_scores.astype(np.float64) + weighted.final_acoustic_scores
    return float(kernels.backward_sum(rows, compact.next_states, scores, ends)[0])


def union(lattices: Sequence[CompactLattice], graph_scores: Sequence[float] | None = None) -> CompactLattice:
    """Returns a lattice with the paths of all (lattice-union).

    Args:
      lattices: trimmed, of one utterance: they cover as many frames each.
      graph_scores: added to the paths of each.

    Raises:
      LatticeError: they differ in frames.
    """
    gains = [0.0] * len(lattices) if graph_scores is None else list(graph_scores)
    rows: list[tuple] = []
    finals: dict[int, tuple[float, float, tuple[int, ...]]] = {}
    count = 1
    end = 1 + sum(each.num_states for each in lattices)
    for compact, gain in zip(lattices, gains):
        if compact.start < 0:
            continue
        rows.append((0, count, 0, gain, 0.0, ()))
        for arc in range(compact.num_arcs):
            rows.append(
                (
                    count + int(compact.sources[arc]), count + int(compact.next_states[arc]),
                    int(compact.word_ids[arc]), float(compact.graph_scores[arc]), float(compact.acoustic_scores[arc]),
                    compact.string(arc).tolist(),
                )
            )  # fmt: skip
        for state in np.flatnonzero(np.isfinite(compact.final_graph_scores)).tolist():
            scores = float(compact.final_graph_scores[state]), float(compact.final_acoustic_scores[state])
            rows.append((count + state, end, 0, *scores, compact.final_string(state).tolist()))
        count += compact.num_states
    finals[end] = (0.0, 0.0, ())
    return remove_epsilons(from_rows(rows, finals, end + 1)) if rows else no_paths()


def combine(
    lattices: Sequence[CompactLattice], weights: Sequence[float], acoustic_scale: float, lm_scale: float = 1.0
) -> CompactLattice:
    """Returns the union in which each system's paths have its weight as their probability (lattice-combine).

    Minimum Bayes risk decoding of it, with the same scales, is the combination of the systems.

    Raises:
      ValueError: not one positive weight for each.
    """
    if len(weights) != len(lattices) or not all(0 < w < np.inf for w in weights):
        raise ValueError(f"weights {list(weights)} for {len(lattices)} lattices: wanted one above 0 for each")
    gains = [
        0.0 if each.start < 0 else (float(np.log(w)) - log_weight(each, acoustic_scale, lm_scale)) / lm_scale
        for each, w in zip(lattices, weights)
    ]
    return union(lattices, gains)
