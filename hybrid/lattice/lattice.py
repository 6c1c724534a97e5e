"""The lattice of one utterance as arrays: every path that the search kept, acoustic and graph scores apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from hybrid.base.content import ByContent
from hybrid.base.errors import quote
from hybrid.lattice import kernels
from hybrid.lattice.columns import RESERVED, LatticeError, ScoreColumn, checked_columns

__all__ = ["Lattice", "LatticeError"]


@dataclass(frozen=True, eq=False)
class Lattice(ByContent):
    """A top-sorted acyclic graph of one utterance in compressed rows; state 0 is the start, no states: empty.

    Arcs of state s are `row_splits[s]:row_splits[s + 1]`. An arc with a transition-id covers one frame of the
    acoustic model, an arc with transition-id 0 none. Scores are natural logs, larger is better; acoustic
    scores are unscaled.

    Attributes:
      row_splits: int64 [S+1].
      next_states: int32 [A], each larger than the arc's own state.
      transition_ids: int32 [A], 0 for epsilon.
      word_ids: int32 [A], 0 for epsilon.
      graph_scores: float32 [A], language model, transitions and pronunciations.
      acoustic_scores: float32 [A].
      final_graph_scores, final_acoustic_scores: float32 [S], -inf where a state is not final.
      columns: further scores by name (`transition`, `pronunciation`, `lm`, …), beside the two; they count where a
        weight is given (`arc_scores`), and go to Kaldi's archives when they are folded into the graph's (`folded`).

    Raises:
      LatticeError: lengths that disagree, an arc that leads backwards or out of range, NaN or +inf.
    """

    row_splits: np.ndarray
    next_states: np.ndarray
    transition_ids: np.ndarray
    word_ids: np.ndarray
    graph_scores: np.ndarray
    acoustic_scores: np.ndarray
    final_graph_scores: np.ndarray
    final_acoustic_scores: np.ndarray
    columns: Mapping[str, ScoreColumn] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, kind in _DTYPES.items():
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=kind))
        arcs, states = self.num_arcs, self.num_states
        for name in _DTYPES:
            want = states + 1 if name == "row_splits" else states if name.startswith("final") else arcs
            if getattr(self, name).shape != (want,):
                raise LatticeError(f"{name} has shape {getattr(self, name).shape}, wanted ({want},)")
        if self.row_splits[0] != 0 or self.row_splits[-1] != arcs or np.any(np.diff(self.row_splits) < 0):
            raise LatticeError("row_splits do not cover the arcs in order")
        if arcs and (np.any(self.next_states >= states) or np.any(self.next_states <= self.sources)):
            raise LatticeError("an arc leads backwards or to a state that does not exist")
        if arcs and (self.transition_ids.min() < 0 or self.word_ids.min() < 0):
            raise LatticeError("a negative transition-id or word")
        for name in ("graph_scores", "acoustic_scores", "final_graph_scores", "final_acoustic_scores"):
            if not np.all(getattr(self, name) < np.inf):
                raise LatticeError(f"{name} hold NaN or +inf")
        object.__setattr__(self, "columns", checked_columns(self.columns, arcs, states))

    def __repr__(self) -> str:
        names = ", ".join((*RESERVED, *self.columns))
        frames = "empty" if self.is_empty else f"{self.num_frames} frames, depth {self.depth:.1f}"
        return f"<Lattice: {self.num_states} states, {self.num_arcs} arcs, {frames}; scores {names}>"

    @property
    def start(self) -> int:
        """The start state: 0, or -1 where there are no states."""
        return 0 if self.num_states else -1

    @property
    def num_states(self) -> int:
        """How many states there are; 0 for an empty lattice."""
        return len(self.row_splits) - 1

    @property
    def num_arcs(self) -> int:
        """How many arcs there are."""
        return len(self.next_states)

    @property
    def is_empty(self) -> bool:
        """Whether no path leads from the start to a final state."""
        return self.num_states == 0 or not np.any(np.isfinite(self.final_graph_scores))

    @cached_property
    def sources(self) -> np.ndarray:
        """int32 [A], the state that each arc leaves."""
        return np.repeat(np.arange(self.num_states, dtype=np.int32), np.diff(self.row_splits))

    @cached_property
    def state_frames(self) -> np.ndarray:
        """int32 [S], the frame at which each state stands (0: before the first frame; -1: unreachable).

        Raises:
          LatticeError: two paths to one state differ in length.
        """
        frames, bad = kernels.frames_of_states(self.row_splits, self.next_states, self.transition_ids)
        if bad >= 0:
            raise LatticeError(f"paths of different lengths meet in state {bad}")
        return frames

    @property
    def num_frames(self) -> int:
        """The frames that the lattice covers, in frames of the acoustic model."""
        if self.is_empty:
            return 0
        return int(self.state_frames[np.isfinite(self.final_graph_scores)].max())

    @property
    def depth(self) -> float:
        """Arcs that cross a frame, on average (lattice-depth); 0 for a lattice without frames."""
        return float(np.count_nonzero(self.transition_ids)) / self.num_frames if self.num_frames else 0.0

    def arc_scores(
        self,
        acoustic_scale: float,
        lm_scale: float = 1.0,
        word_insertion_penalty: float = 0.0,
        weights: Mapping[str, float] | None = None,
    ) -> np.ndarray:
        """Returns float64 [A]: lm_scale · (graph - penalty per word) + acoustic_scale · acoustic + Σ weight · column.

        Raises:
          LatticeError: a weight for a column that is not there.
        """
        graph = self.graph_scores.astype(np.float64) - word_insertion_penalty * (self.word_ids != 0)
        total = lm_scale * graph + acoustic_scale * self.acoustic_scores.astype(np.float64)
        for name, weight in (weights or {}).items():
            total += weight * self.column(name).arcs.astype(np.float64)
        return total

    def final_scores(
        self, acoustic_scale: float, lm_scale: float = 1.0, weights: Mapping[str, float] | None = None
    ) -> np.ndarray:
        """Returns float64 [S], combined final scores; -inf where a state is not final. See `arc_scores`."""
        total = np.full(self.num_states, -np.inf)
        final = np.isfinite(self.final_graph_scores) & np.isfinite(self.final_acoustic_scores)
        total[final] = lm_scale * self.final_graph_scores[final].astype(np.float64)
        total[final] += acoustic_scale * self.final_acoustic_scores[final].astype(np.float64)
        for name, weight in (weights or {}).items():
            total[final] += weight * self.column(name).finals[final].astype(np.float64)
        return total

    def column(self, name: str) -> ScoreColumn:
        """Returns one column of scores; `graph` and `acoustic` too.

        Raises:
          LatticeError: there is none of this name.
        """
        if name in RESERVED:
            return ScoreColumn(getattr(self, f"{name}_scores"), getattr(self, f"final_{name}_scores"))
        if name not in self.columns:
            names = ", ".join((*RESERVED, *self.columns))
            raise LatticeError(f"has no scores '{quote(name)}', wanted one of {names}")
        return self.columns[name]

    def with_column(self, name: str, arcs: np.ndarray, finals: np.ndarray | None = None) -> Lattice:
        """Returns the lattice with one more column, or another in its place: arcs [A], finals [S] (by default 0)."""
        column = ScoreColumn(arcs, np.zeros(self.num_states) if finals is None else finals)
        return replace(self, columns={**self.columns, name: column})

    def folded(self, weights: Mapping[str, float] | None = None) -> Lattice:
        """Returns the lattice with the two columns of Kaldi's: the others, weighted, are part of the graph's.

        Args:
          weights: by name; 1 for those not named.
        """
        given = dict.fromkeys(self.columns, 1.0) | dict(weights or {})
        arcs, finals = self.graph_scores.astype(np.float64), self.final_graph_scores.astype(np.float64)
        for name, weight in given.items():
            arcs += weight * self.column(name).arcs
            finals += weight * self.column(name).finals
        return replace(self, graph_scores=arcs, final_graph_scores=finals, columns={})

    @classmethod
    def unchecked(cls, *arrays: np.ndarray) -> "Lattice":
        """Returns a lattice of arrays that a loop made so: of the right kinds, arcs in order and finite scores.

        For engines that make hundreds at a time, while other threads wait; `tests/search` compares them with checked
        ones.

        Args:
          arrays: as above, without `columns`.
        """
        lattice = object.__new__(cls)
        for name, array in zip(_DTYPES, arrays, strict=True):
            object.__setattr__(lattice, name, array)
        object.__setattr__(lattice, "columns", {})
        return lattice

    @classmethod
    def empty(cls) -> "Lattice":
        """The lattice of an utterance for which the search found nothing."""
        none = np.zeros(0)
        return cls(np.zeros(1), none, none, none, none, none, none, none)

    @classmethod
    def from_arcs(
        cls,
        num_states: int,
        start: int,
        arcs: Sequence[np.ndarray],
        finals: Sequence[np.ndarray] | np.ndarray,
    ) -> "Lattice":
        """Builds a lattice from arcs in any order: drops what the start does not reach and sorts the rest.

        States keep their numbers' order where that already is a topological order.

        Args:
          num_states: states are 0 .. num_states - 1.
          start: the start state; negative for an empty lattice.
          arcs: (sources, next_states, transition_ids, word_ids, graph_scores, acoustic_scores), each [A].
          finals: (final_graph_scores, final_acoustic_scores), each [S], -inf where not final.

        Raises:
          LatticeError: a cycle, or a state out of range.
        """
        if start < 0 or num_states == 0:
            return cls.empty()
        sources, next_states = (np.asarray(a, np.int64) for a in arcs[:2])
        if start >= num_states or (
            len(sources)
            and (min(sources.min(), next_states.min()) < 0 or max(sources.max(), next_states.max()) >= num_states)
        ):
            raise LatticeError(f"a state is out of range (there are {num_states})")
        by_source = np.argsort(sources, kind="stable")
        splits = np.concatenate([[0], np.cumsum(np.bincount(sources, minlength=num_states))]).astype(np.int64)
        order, count = kernels.topological_order(splits, next_states[by_source].astype(np.int32), start)
        if count < 0:
            raise LatticeError("the lattice has a cycle")
        reached = np.zeros(num_states, bool)
        reached[order[:count]] = True
        live = reached[sources]
        if start == 0 and np.all(next_states[live] > sources[live]):
            order = np.flatnonzero(reached)
        else:
            order = order[:count]
        number = np.full(num_states, -1, np.int64)
        number[order] = np.arange(count)
        kept = by_source[live[by_source]]
        kept = kept[np.argsort(number[sources[kept]], kind="stable")]
        splits = np.concatenate([[0], np.cumsum(np.bincount(number[sources[kept]], minlength=count))])
        rest = [np.asarray(a)[kept] for a in arcs[2:]]
        return cls(splits, number[next_states[kept]], *rest, *[np.asarray(f)[order] for f in finals])

    def select(self, arcs: np.ndarray, states: np.ndarray, ends: np.ndarray | None = None) -> "Lattice":
        """Returns the lattice of the marked arcs (bool [A]) between marked states (bool [S]), in the same order.

        Args:
          ends: bool [S], states that stay final; by default all that are.
        """
        if not states.any() or not states[0]:
            return Lattice.empty()
        arcs = arcs & states[self.sources] & states[self.next_states]
        number = np.cumsum(states) - 1
        counts = np.bincount(number[self.sources[arcs]], minlength=int(states.sum()))
        lost = np.zeros(len(counts), np.bool_) if ends is None else ~ends[states]
        return Lattice(
            np.concatenate([[0], np.cumsum(counts)]),
            number[self.next_states[arcs]],
            self.transition_ids[arcs],
            self.word_ids[arcs],
            self.graph_scores[arcs],
            self.acoustic_scores[arcs],
            np.where(lost, -np.inf, self.final_graph_scores[states]),
            np.where(lost, -np.inf, self.final_acoustic_scores[states]),
            {name: column.select(arcs, states) for name, column in self.columns.items()},
        )


_DTYPES = {
    "row_splits": np.int64,
    "next_states": np.int32,
    "transition_ids": np.int32,
    "word_ids": np.int32,
    "graph_scores": np.float32,
    "acoustic_scores": np.float32,
    "final_graph_scores": np.float32,
    "final_acoustic_scores": np.float32,
}
