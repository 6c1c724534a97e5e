"""Posterior probabilities of arcs and states by the forward-backward algorithm over a lattice."""

from __future__ import annotations

import numpy as np

from hybrid.lattice import kernels
from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.lattice import Lattice

__all__ = ["arc_posteriors", "frame_posteriors", "total_log_weight", "word_posteriors"]


def arc_posteriors(lattice: Lattice, acoustic_scale: float, lm_scale: float = 1.0) -> np.ndarray:
    """Returns float64 [A], the share of the lattice's path weight that crosses each arc.

    The posteriors of the arcs that cross one frame sum to one. An empty lattice has none.
    """
    scores, finals = lattice.arc_scores(acoustic_scale, lm_scale), lattice.final_scores(acoustic_scale, lm_scale)
    return _posteriors(lattice, scores, finals)


def word_posteriors(
    lattice: CompactLattice, acoustic_scale: float, lm_scale: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns how often each word is expected in what was said: word ids int32 [W], rising, and float64 [W].

    Args:
      lattice: trimmed, states in topological order.
    """
    scores, finals = lattice.arc_scores(acoustic_scale, lm_scale), lattice.final_scores(acoustic_scale, lm_scale)
    words, of = np.unique(lattice.word_ids, return_inverse=True)
    counts = np.bincount(of, _posteriors(lattice, scores, finals), len(words))
    return words[words != 0], counts[words != 0]


def _posteriors(lattice: Lattice | CompactLattice, scores: np.ndarray, finals: np.ndarray) -> np.ndarray:
    alpha = kernels.forward_sum(lattice.row_splits, lattice.next_states, scores)
    beta = kernels.backward_sum(lattice.row_splits, lattice.next_states, scores, finals)
    if lattice.is_empty or not np.isfinite(beta[0]):
        return np.zeros(lattice.num_arcs)
    with np.errstate(invalid="ignore"):
        log_posterior = alpha[lattice.sources] + scores + beta[lattice.next_states] - beta[0]
    return np.exp(np.where(np.isnan(log_posterior), -np.inf, log_posterior))


def total_log_weight(lattice: Lattice, acoustic_scale: float, lm_scale: float = 1.0) -> float:
    """Returns the log of the summed weights of all paths; -inf for an empty lattice."""
    if lattice.is_empty:
        return float("-inf")
    scores, finals = lattice.arc_scores(acoustic_scale, lm_scale), lattice.final_scores(acoustic_scale, lm_scale)
    return float(kernels.backward_sum(lattice.row_splits, lattice.next_states, scores, finals)[0])


def frame_posteriors(
    lattice: Lattice, acoustic_scale: float, lm_scale: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns what lattice-to-post gives: per frame, the posteriors of its transition-ids.

    Returns:
      frames int32 [K], transition_ids int32 [K], posteriors float64 [K], sorted by frame, then transition-id, each
      pair once.
    """
    posterior = arc_posteriors(lattice, acoustic_scale, lm_scale)
    emitting = lattice.transition_ids != 0
    frames = lattice.state_frames[lattice.sources][emitting].astype(np.int64)
    ids = lattice.transition_ids[emitting].astype(np.int64)
    width = int(ids.max()) + 1 if len(ids) else 1
    keys, inverse = np.unique(frames * width + ids, return_inverse=True)
    sums = np.bincount(inverse, weights=posterior[emitting], minlength=len(keys))
    return (keys // width).astype(np.int32), (keys % width).astype(np.int32), sums
