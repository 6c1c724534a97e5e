"""FstArrays: a weighted transducer as numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybrid.base.errors import InputError

__all__ = ["FstArrays"]

REMEDY = "Make the file again; it may have been cut short or be something else."


@dataclass(frozen=True, eq=False)
class FstArrays:
    """A weighted transducer over the tropical semiring in compressed sparse rows.

    Attributes:
      start: the initial state, or -1 for the empty FST.
      row_splits: int64 [num_states + 1], first arc of each state; the last is num_arcs.
      ilabels: int32 [num_arcs], 0 is epsilon.
      olabels: int32 [num_arcs], 0 is epsilon.
      next_states: int32 [num_arcs].
      costs: float32 [num_arcs], negated natural logs.
      final_costs: float32 [num_states], inf where a state is not final.
    """

    start: int
    row_splits: np.ndarray
    ilabels: np.ndarray
    olabels: np.ndarray
    next_states: np.ndarray
    costs: np.ndarray
    final_costs: np.ndarray

    def __post_init__(self) -> None:
        wanted = {"row_splits": np.int64, "costs": np.float32, "final_costs": np.float32}
        for name in ("row_splits", "ilabels", "olabels", "next_states", "costs", "final_costs"):
            array = np.ascontiguousarray(getattr(self, name), dtype=wanted.get(name, np.int32))
            object.__setattr__(self, name, array)
        states, arcs = len(self.final_costs), len(self.ilabels)
        if len(self.row_splits) != states + 1 or int(self.row_splits[0]) != 0 or int(self.row_splits[-1]) != arcs:
            raise ValueError(f"row_splits do not describe {states} states and {arcs} arcs")
        if not len(self.olabels) == len(self.next_states) == len(self.costs) == arcs:
            raise ValueError("arrays of arcs differ in length")
        if not (self.start == -1 and states == 0) and not 0 <= self.start < max(states, 1):
            raise ValueError(f"start state {self.start} is not one of {states} states")

    @classmethod
    def from_arcs(
        cls,
        start: int,
        sources: np.ndarray,
        ilabels: np.ndarray,
        olabels: np.ndarray,
        next_states: np.ndarray,
        costs: np.ndarray,
        final_costs: np.ndarray,
    ) -> FstArrays:
        """Builds an FST from arcs in any order; the arcs of a state keep their order."""
        sources = np.asarray(sources, dtype=np.int64)
        order = np.argsort(sources, kind="stable")
        counts = np.bincount(sources, minlength=len(final_costs))
        splits = np.concatenate([[0], np.cumsum(counts)])
        il, ol, to, cost = (np.asarray(a)[order] for a in (ilabels, olabels, next_states, costs))
        return cls(start, splits, il, ol, to, cost, final_costs)

    @classmethod
    def empty(cls) -> FstArrays:
        """The FST without states, which accepts nothing."""
        none = np.zeros(0)
        return cls(-1, np.zeros(1), ilabels=none, olabels=none, next_states=none, costs=none, final_costs=none)

    @property
    def num_states(self) -> int:
        """How many states there are."""
        return len(self.final_costs)

    @property
    def num_arcs(self) -> int:
        """How many arcs there are."""
        return len(self.ilabels)

    def sources(self) -> np.ndarray:
        """Returns the source state of every arc, int32 [num_arcs]."""
        return np.repeat(np.arange(self.num_states, dtype=np.int32), np.diff(self.row_splits))

    def equals(self, other: FstArrays) -> bool:
        """Tells whether both hold the same states and arcs in the same order, to the bit."""
        return self.start == other.start and all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("row_splits", "ilabels", "olabels", "next_states", "costs", "final_costs")
        )

    def check(self, place: object = "FST") -> None:
        """Checks that states have their arcs in order, and that arcs lead to states.

        Labels may not be negative, weights not NaN or -inf.

        Raises:
          InputError: names the first arc or state that breaks this.
        """
        if np.any(np.diff(self.row_splits) < 0):
            state = int(np.flatnonzero(np.diff(self.row_splits) < 0)[0])
            raise InputError.at(place, f"state {state} has a negative number of arcs", REMEDY)
        tests = (
            ((self.next_states < 0) | (self.next_states >= self.num_states), "leads to no state"),
            ((self.ilabels < 0) | (self.olabels < 0), "has a negative label"),
            (~(self.costs > -np.inf), "has a weight that is NaN or -inf"),
        )
        for bad, what in tests:
            if bad.any():
                arc = int(np.flatnonzero(bad)[0])
                state = int(np.searchsorted(self.row_splits, arc, side="right")) - 1
                raise InputError.at(place, f"arc {arc - int(self.row_splits[state])} of state {state} {what}", REMEDY)
        bad = ~(self.final_costs > -np.inf)
        if bad.any():
            state = int(np.flatnonzero(bad)[0])
            raise InputError.at(place, f"state {state} has a final weight that is NaN or -inf", REMEDY)
