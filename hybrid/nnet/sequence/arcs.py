"""Graphs of the forward-backward operator: weighted acceptors whose arcs each cover one frame and name its pdf."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hybrid.base.errors import HybridError
from hybrid.nnet.sequence.rows import GroupedArcs, SequenceRows, group_arcs, sequence_rows

__all__ = ["ArcBatch", "Arcs", "ArcsError", "batch"]


class ArcsError(HybridError, ValueError):
    """Arrays that are no graph of the operator, or that do not fit the scores."""


class OnDevices:
    """A graph, whose forms on devices are made once and kept with it."""

    def placed(self, form: Callable[..., Any], *arguments: Any) -> Any:
        """Returns form(self, *arguments), made at the first call."""
        forms = self.__dict__.setdefault("_forms", {})
        key = (form, *arguments)
        if key not in forms:
            forms[key] = form(self, *arguments)
        return forms[key]


@dataclass(frozen=True, eq=False)
class Arcs(OnDevices):
    """An acceptor without epsilon: a path of T arcs explains T frames.

    The weight of a path is initial(first state) + Σ (log_weight + score of the frame's pdf) + final(last state).
    Any number of states may be initial or final. Numerators are cyclic (flat start, full sum) or hold one arc per
    frame (cut from alignments); denominators are cyclic, with every state final.

    Attributes:
      from_state, to_state, pdf: int32 [A].
      log_weight: float32 [A], natural logs; -inf for an arc that cannot be taken.
      initial, final: float32 [S], natural logs; -inf where a state is not initial or not final.

    Raises:
      ArcsError: lengths that disagree, an id out of range, NaN or +inf.
    """

    from_state: np.ndarray
    to_state: np.ndarray
    pdf: np.ndarray
    log_weight: np.ndarray
    initial: np.ndarray
    final: np.ndarray

    def __post_init__(self) -> None:
        for name, kind in _DTYPES.items():
            array = np.ascontiguousarray(getattr(self, name))
            if kind == np.int32 and array.size and not -1 < int(array.min()) <= int(array.max()) < 2**31:
                raise ArcsError(f"arcs: {name} holds {int(array.min())} to {int(array.max())}, wanted ids from 0")
            object.__setattr__(self, name, array.astype(kind, copy=False))
            want = len(self.initial) if name == "final" else len(array) if name == "initial" else len(self.from_state)
            if array.shape != (want,):
                raise ArcsError(f"arcs: {name} has shape {array.shape}, wanted ({want},)")
        for name in ("from_state", "to_state"):
            if self.num_arcs and int(getattr(self, name).max()) >= self.num_states:
                raise ArcsError(
                    f"arcs: {name} holds {getattr(self, name).max()}, but there are {self.num_states} states"
                )
        for name in ("log_weight", "initial", "final"):
            array = getattr(self, name)
            if np.isnan(array).any() or (array == np.inf).any():
                raise ArcsError(f"arcs: {name} holds NaN or +inf, wanted natural logs below infinity")

    @property
    def num_states(self) -> int:
        """How many states there are."""
        return len(self.initial)

    @property
    def num_arcs(self) -> int:
        """How many arcs there are."""
        return len(self.from_state)

    @cached_property
    def num_pdfs(self) -> int:
        """The fewest columns that scores must have: the largest pdf-id and one."""
        return int(self.pdf.max()) + 1 if self.num_arcs else 0

    @cached_property
    def groups(self) -> GroupedArcs:
        """The graph as the passes over a shared graph read it; sorted once."""
        return group_arcs(self)


_DTYPES = {
    "from_state": np.int32,
    "to_state": np.int32,
    "pdf": np.int32,
    "log_weight": np.float32,
    "initial": np.float32,
    "final": np.float32,
}


@dataclass(frozen=True, eq=False)
class ArcBatch(OnDevices):
    """One graph per sequence, laid end to end: states and arcs of sequence n follow those of sequence n - 1.

    Attributes:
      arcs: all graphs as one, states renumbered.
      state_splits, arc_splits: int64 [N+1], where each sequence's states and arcs begin.
    """

    arcs: Arcs
    state_splits: np.ndarray
    arc_splits: np.ndarray

    def __len__(self) -> int:
        return len(self.state_splits) - 1

    @property
    def num_pdfs(self) -> int:
        """See `Arcs.num_pdfs`."""
        return self.arcs.num_pdfs

    @cached_property
    def rows(self) -> SequenceRows:
        """The graphs as the passes over one graph per sequence read them; sorted once."""
        return sequence_rows(self)


def batch(graphs: Sequence[Arcs]) -> ArcBatch:
    """Lays graphs end to end, one for each sequence of a minibatch.

    Raises:
      ArcsError: there is none.
    """
    if not graphs:
        raise ArcsError("a batch of graphs is empty, wanted one graph for each sequence")
    states = np.cumsum([0] + [graph.num_states for graph in graphs])
    joined = {name: np.concatenate([getattr(graph, name) for graph in graphs]) for name in _DTYPES}
    for name in ("from_state", "to_state"):
        joined[name] = joined[name] + np.repeat(states[:-1], [graph.num_arcs for graph in graphs])
    return ArcBatch(Arcs(**joined), states, np.cumsum([0] + [graph.num_arcs for graph in graphs]))
