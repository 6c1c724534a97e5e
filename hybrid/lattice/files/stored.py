"""A plain lattice as it stands in a file: its states in the file's order, which need not be a topological one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hybrid.lattice.lattice import Lattice, LatticeError

__all__ = ["StoredLattice"]


@dataclass(frozen=True, eq=False)
class StoredLattice:
    """Arrays as of `Lattice`, whose order of states they lack; what is copied is written as it came.

    Attributes:
      start: -1 for an empty one.
    """

    start: int
    row_splits: np.ndarray
    next_states: np.ndarray
    transition_ids: np.ndarray
    word_ids: np.ndarray
    graph_scores: np.ndarray
    acoustic_scores: np.ndarray
    final_graph_scores: np.ndarray
    final_acoustic_scores: np.ndarray

    @classmethod
    def of(cls, start: int, arcs: Sequence[np.ndarray], finals: Sequence[np.ndarray]) -> StoredLattice:
        """Builds one of the arguments of `Lattice.from_arcs`; arcs of a state keep their order.

        Raises:
          LatticeError: a state out of range.
        """
        states = len(finals[0])
        sources, nexts = (np.asarray(a, np.int64) for a in arcs[:2])
        for ends in (sources, nexts):
            if len(ends) and not 0 <= ends.min() <= ends.max() < states:
                raise LatticeError(f"a state is out of range (there are {states})")
        order = np.argsort(sources, kind="stable")
        splits = np.concatenate([[0], np.cumsum(np.bincount(sources, minlength=states))]).astype(np.int64)
        ids = [np.asarray(a)[order].astype(np.int32) for a in (nexts, *arcs[2:4])]
        scores = [np.asarray(a)[order].astype(np.float32) for a in arcs[4:]]
        return cls(start, splits, *ids, *scores, *(np.asarray(f, np.float32) for f in finals))

    @property
    def num_states(self) -> int:
        """How many states there are."""
        return len(self.final_graph_scores)

    def lattice(self) -> Lattice:
        """Returns the lattice with its states in order, and without those that the start does not reach.

        Raises:
          LatticeError: a cycle, or what `Lattice` refuses.
        """
        sources = np.repeat(np.arange(self.num_states), np.diff(self.row_splits))
        arcs = (sources, self.next_states, self.transition_ids, self.word_ids, self.graph_scores, self.acoustic_scores)
        return Lattice.from_arcs(
            self.num_states, self.start, arcs, (self.final_graph_scores, self.final_acoustic_scores)
        )
