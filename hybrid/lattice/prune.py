"""Pruning: what no good path crosses, or what is too improbable, is removed; of lattices in both forms."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from hybrid.lattice import kernels
from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.lattice import Lattice

__all__ = ["connect", "prune", "prune_posteriors"]

L = TypeVar("L", Lattice, CompactLattice)


def prune(lattice: L, beam: float, acoustic_scale: float, lm_scale: float = 1.0) -> L:
    """Keeps the arcs and final states on some path within `beam` of the best one (lattice-prune).

    Args:
      lattice: a compact one is trimmed, see `hybrid.lattice.trim`.
      beam: in the log units of the scaled scores; infinity only removes dead ends.
      acoustic_scale: factor of the acoustic scores while comparing; the result holds unscaled scores again.

    Raises:
      ValueError: a negative beam.
    """
    if not beam >= 0:
        raise ValueError(f"pruning beam {beam} is negative, wanted 0 or more")
    states = np.zeros(lattice.num_states, np.bool_)
    if lattice.is_empty:
        return lattice.select(np.zeros(lattice.num_arcs, np.bool_), states)
    scores, finals = lattice.arc_scores(acoustic_scale, lm_scale), lattice.final_scores(acoustic_scale, lm_scale)
    alpha = kernels.forward_max(lattice.row_splits, lattice.next_states, scores)
    beta, _ = kernels.backward_max(lattice.row_splits, lattice.next_states, scores, finals)
    threshold = beta[0] - beam - 1e-9 * abs(beta[0])
    arcs, states = kernels.keep_arcs(lattice.row_splits, lattice.next_states, scores, alpha, beta, threshold)
    return lattice.select(arcs, states, alpha + finals >= threshold)


def prune_posteriors(lattice: L, least: float, acoustic_scale: float, lm_scale: float = 1.0) -> L:
    """Keeps the arcs and ends that hold at least a share `least` of the weight of all paths, and the best path.

    Args:
      lattice: as of `prune`.
      least: posterior probability, 0 … 1.

    Raises:
      ValueError: no probability.
    """
    if not 0 <= least <= 1:
        raise ValueError(f"least posterior {least}, wanted 0 to 1")
    states = np.zeros(lattice.num_states, np.bool_)
    if lattice.is_empty:
        return lattice.select(np.zeros(lattice.num_arcs, np.bool_), states)
    scores, finals = lattice.arc_scores(acoustic_scale, lm_scale), lattice.final_scores(acoustic_scale, lm_scale)
    rows, nexts = lattice.row_splits, lattice.next_states
    alpha, beta = kernels.forward_sum(rows, nexts, scores), kernels.backward_sum(rows, nexts, scores, finals)
    with np.errstate(invalid="ignore"):
        kept = alpha[lattice.sources] + scores + beta[nexts] - beta[0] >= np.log(max(least, 1e-300))
        ends = np.isfinite(finals) & (alpha + finals - beta[0] >= np.log(max(least, 1e-300)))
    _, first = kernels.backward_max(rows, nexts, scores, finals)
    state = 0
    while (arc := int(first[state])) >= 0:
        kept[arc], state = True, int(nexts[arc])
    ends[state] = True
    arcs, states = kernels.on_paths(rows, nexts, kept, ends)
    return lattice.select(arcs, states, ends)


def connect(lattice: L) -> L:
    """Removes states and arcs on no complete path."""
    return prune(lattice, np.inf, 1.0)
