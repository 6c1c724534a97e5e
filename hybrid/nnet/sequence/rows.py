"""Arcs in compressed rows, as the kernels read them: by destination for the forward pass, by source for the backward.

Arcs of a shared graph that enter one state with one pdf form a group: what they bring is summed before it is multiplied
by the frame's likelihood, once for the group. In graphs of phones nearly all arcs into a state share a pdf.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hybrid.nnet.sequence.arcs import ArcBatch, Arcs

__all__ = ["GroupedArcs", "SequenceRows", "group_arcs", "sequence_rows"]


@dataclass(frozen=True, eq=False)
class GroupedArcs:
    """A shared graph in the probability domain.

    Attributes:
      initial, final: float64 [S], probabilities.
      state_groups: int32 [S+1], rows of the groups that enter each state.
      group_to, group_pdf: int32 [G]. group_initial: float64 [G], Σ over the group's arcs of weight × initial(source).
      group_arcs: int32 [G+1], rows of arcs. arc_from: int32 [A], arc_weight: float64 [A].
      out_rows: int32 [S+1], rows of the arcs that leave each state. out_group: int32 [A], out_weight: float64 [A].
    """

    initial: np.ndarray
    final: np.ndarray
    state_groups: np.ndarray
    group_to: np.ndarray
    group_pdf: np.ndarray
    group_initial: np.ndarray
    group_arcs: np.ndarray
    arc_from: np.ndarray
    arc_weight: np.ndarray
    out_rows: np.ndarray
    out_group: np.ndarray
    out_weight: np.ndarray


def _rows(sorted_ids: np.ndarray, count: int) -> np.ndarray:
    return np.searchsorted(sorted_ids, np.arange(count + 1)).astype(np.int32)


def _changes(*columns: np.ndarray) -> np.ndarray:
    """Returns bool [A], where a row of sorted columns differs from the one before."""
    starts = np.ones(len(columns[0]), bool)
    starts[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return starts


def group_arcs(arcs: Arcs) -> GroupedArcs:
    """Sorts the arcs of a shared graph into groups."""
    order = np.lexsort((arcs.from_state, arcs.pdf, arcs.to_state))
    to, pdf, source = arcs.to_state[order], arcs.pdf[order], arcs.from_state[order]
    starts = _changes(to, pdf, source)
    weight = np.bincount(np.cumsum(starts) - 1, np.exp(arcs.log_weight[order], dtype=np.float64), int(starts.sum()))
    to, pdf, source = to[starts], pdf[starts], source[starts]  # parallel arcs are one
    starts, initial = _changes(to, pdf), np.exp(arcs.initial, dtype=np.float64)
    group = np.cumsum(starts, dtype=np.int32) - np.int32(1)
    leaving = np.argsort(source, kind="stable")
    num_groups = int(starts.sum())
    return GroupedArcs(
        initial=initial,
        final=np.exp(arcs.final, dtype=np.float64),
        state_groups=_rows(to[starts], arcs.num_states),
        group_to=to[starts],
        group_pdf=pdf[starts],
        group_initial=np.bincount(group, weights=weight * initial[source], minlength=num_groups),
        group_arcs=_rows(group, num_groups),
        arc_from=source,
        arc_weight=weight,
        out_rows=_rows(source[leaving], arcs.num_states),
        out_group=group[leaving],
        out_weight=weight[leaving],
    )


@dataclass(frozen=True, eq=False)
class SequenceRows:
    """The graphs of a batch in the log domain, states numbered through the batch.

    Attributes:
      into, out: int32 [S+1], rows of arcs by destination and by source.
      into_arcs, out_arcs: int32 [A], the arcs in these orders.
    """

    into: np.ndarray
    into_arcs: np.ndarray
    out: np.ndarray
    out_arcs: np.ndarray


def sequence_rows(graphs: ArcBatch) -> SequenceRows:
    """Sorts the arcs of a batch by destination and by source."""
    arcs = graphs.arcs
    into, out = (np.argsort(states, kind="stable").astype(np.int32) for states in (arcs.to_state, arcs.from_state))
    return SequenceRows(
        into=_rows(arcs.to_state[into], arcs.num_states),
        into_arcs=into,
        out=_rows(arcs.from_state[out], arcs.num_states),
        out_arcs=out,
    )
