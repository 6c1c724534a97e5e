"""Lattices as arcs of the sequence-discriminative objectives: what the recogniser takes the utterance for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hybrid.nnet.sequence.arcs import ArcsError

__all__ = ["LatticeArcs", "LatticePasses", "pass_lattice"]

_DTYPES = {
    "from_state": np.int32, "to_state": np.int32, "begin_frame": np.int32, "pdf_splits": np.int64, "pdf": np.int32,
    "graph_score": np.float64, "final_score": np.float64,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class LatticeArcs:
    """The lattice of one utterance: arcs of no, one or several frames, sorted by source, each to a later state.

    State 0 is the start. An arc a covers the frames from `begin_frame[a]` with the pdfs `pdf[pdf_splits[a]:
    pdf_splits[a + 1]]`, one each; an epsilon covers none.

    Attributes:
      from_state, to_state, begin_frame: int32 [A].
      pdf_splits: int64 [A+1]. pdf: int32 [K].
      graph_score: float64 [A], natural logs of language model, lexicon and transitions, scaled as they shall count.
      final_score: float64 [S], -inf where a state is not final.

    Raises:
      ArcsError: lengths that disagree, arcs out of order, ids out of range, a NaN.
    """

    from_state: np.ndarray
    to_state: np.ndarray
    begin_frame: np.ndarray
    pdf_splits: np.ndarray
    pdf: np.ndarray
    graph_score: np.ndarray
    final_score: np.ndarray

    def __post_init__(self) -> None:
        for name, kind in _DTYPES.items():
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=kind))
        arcs, states = len(self.from_state), len(self.final_score)
        for name in ("to_state", "begin_frame", "graph_score"):
            if len(getattr(self, name)) != arcs:
                raise ArcsError(f"lattice: {len(getattr(self, name))} of {name}, but {arcs} arcs")
        splits = self.pdf_splits
        if len(splits) != arcs + 1 or splits[0] or splits[-1] != len(self.pdf) or (np.diff(splits) < 0).any():
            raise ArcsError(f"lattice: pdf_splits do not cut {len(self.pdf)} pdfs into the frames of {arcs} arcs")
        if arcs and ((self.from_state >= self.to_state).any() or (np.diff(self.from_state) < 0).any()
                     or self.to_state.max() >= states or self.from_state[0] < 0):  # fmt: skip
            raise ArcsError("lattice: wanted arcs sorted by source, each to a later state that exists")
        if arcs and (self.begin_frame.min() < 0 or self.pdf.min(initial=0) < 0):
            raise ArcsError("lattice: a negative frame or pdf")
        if np.isnan(self.graph_score).any() or np.isnan(self.final_score).any():
            raise ArcsError("lattice: a score is NaN")

    @property
    def arc_of_frame(self) -> np.ndarray:
        """int64 [K], the arc that each pdf belongs to."""
        return np.repeat(np.arange(len(self.from_state)), np.diff(self.pdf_splits))

    @property
    def frame(self) -> np.ndarray:
        """int64 [K], the frame that each pdf stands at."""
        arc = self.arc_of_frame
        return self.begin_frame[arc] + np.arange(len(self.pdf)) - self.pdf_splits[arc]


class LatticePasses(NamedTuple):
    """What the passes over a lattice give.

    Attributes:
      total: log of the summed weights of its paths; -inf where none is complete.
      accuracy: expected number of right frames.
      occupancy: float64 [T][P], each covered frame sums to one.
      accuracy_gradient: float64 [T][P], of `accuracy` by the weighed scores: occupancy × (mean accuracy of the paths
        through pdf and frame - accuracy).
    """

    total: float
    accuracy: float
    occupancy: np.ndarray
    accuracy_gradient: np.ndarray


def pass_lattice(lattice: LatticeArcs, scores: np.ndarray, right: np.ndarray, boost: float = 0.0) -> LatticePasses:
    """Passes forward and backward over a lattice (Veselý et al., 2013; Povey's thesis, 2003, for the accuracies).

    Args:
      scores: float64 [T][P], acoustic scale applied.
      right: bool [T][P], which pdfs count as right at each frame.
      boost: log weight that each wrong frame adds to a path (Povey et al., 2008).

    Raises:
      ArcsError: the lattice has a frame or pdf that the scores lack.
    """
    from hybrid.nnet.sequence.lattice_kernels import lattice_passes  # numba is not everywhere

    arc, frame, pdf = lattice.arc_of_frame, lattice.frame, lattice.pdf
    if len(pdf) and (frame.max() >= scores.shape[0] or pdf.max() >= scores.shape[1]):
        raise ArcsError(
            f"lattice: frame {frame.max()} or pdf {pdf.max()} lies outside scores of {scores.shape[0]} frames and "
            f"{scores.shape[1]} pdfs. Make the lattices with the tree and the frame rate of this network"
        )
    hits = right[frame, pdf].astype(np.float64)
    arcs = len(lattice.from_state)
    weights = lattice.graph_score + np.bincount(arc, scores[frame, pdf] + boost * (1 - hits), arcs)
    accuracies = np.bincount(arc, hits, arcs)
    total, accuracy, posteriors, through = lattice_passes(
        lattice.from_state, lattice.to_state, weights, accuracies, lattice.final_score
    )
    columns = frame * scores.shape[1] + pdf

    def spread(values: np.ndarray) -> np.ndarray:
        return np.bincount(columns, values[arc], scores.size).reshape(scores.shape)

    return LatticePasses(total, accuracy, spread(posteriors), spread(posteriors * (through - accuracy)))
