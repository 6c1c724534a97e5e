"""Pruning: what no good path crosses is removed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hybrid.lattice import kernels
from hybrid.lattice.lattice import Lattice

__all__ = ["connect", "prune"]


def prune(lattice: Lattice, beam: float, acoustic_scale: float, lm_scale: float = 1.0) -> Lattice:
    """Keeps the arcs and final states on some path within `beam` of the best one (lattice-prune).

    Args:
      beam: in the log units of the scaled scores; infinity only removes dead ends.
      acoustic_scale: factor of the acoustic scores while comparing; the result holds unscaled scores again.

    Raises:
      ValueError: a negative beam.
    """
    if not beam >= 0:
        raise ValueError(f"pruning beam {beam} is negative, wanted 0 or more")
    if lattice.is_empty:
        return Lattice.empty()
    scores, finals = lattice.arc_scores(acoustic_scale, lm_scale), lattice.final_scores(acoustic_scale, lm_scale)
    alpha = kernels.forward_max(lattice.row_splits, lattice.next_states, scores)
    beta, _ = kernels.backward_max(lattice.row_splits, lattice.next_states, scores, finals)
    threshold = beta[0] - beam - 1e-9 * abs(beta[0])
    arcs, states = kernels.keep_arcs(lattice.row_splits, lattice.next_states, scores, alpha, beta, threshold)
    drop_final = alpha + finals < threshold
    pruned = replace(
        lattice,
        final_graph_scores=np.where(drop_final, -np.inf, lattice.final_graph_scores),
        final_acoustic_scores=np.where(drop_final, -np.inf, lattice.final_acoustic_scores),
    )
    return pruned.select(arcs, states)


def connect(lattice: Lattice) -> Lattice:
    """Removes states and arcs on no complete path."""
    return prune(lattice, np.inf, 1.0)
