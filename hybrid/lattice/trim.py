"""Compact lattices as the operations want them: states in topological order from 0, each on a complete path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.lattice import kernels
from hybrid.lattice.compact import CompactLattice, gather, no_paths, require_sound
from hybrid.lattice.lattice import LatticeError

__all__ = ["from_rows", "no_paths", "state_times", "trimmed"]


def trimmed(compact: CompactLattice) -> CompactLattice:
    """Puts states into topological order, drops those on no complete path, and arcs into the order of their states.

    States and arcs that are in order keep it. The start becomes state 0.

    Raises:
      LatticeError: a cycle, a state out of range, NaN or +inf, or paths of different lengths that meet.
    """
    states = compact.num_states
    if compact.start < 0 or states == 0:
        return no_paths()
    require_sound(compact)
    by_source = np.argsort(compact.sources, kind="stable")
    rows = np.searchsorted(compact.sources[by_source], np.arange(states + 1)).astype(np.int64)
    nexts = np.ascontiguousarray(compact.next_states[by_source], np.int32)
    order, reached = kernels.topological_order(rows, nexts, compact.start)
    if reached < 0:
        raise LatticeError("the lattice has a cycle")
    useful = np.isfinite(compact.final_graph_scores) & np.isfinite(compact.final_acoustic_scores)
    _mark_useful(rows, nexts, order[:reached], useful)
    marked = np.zeros(states, np.bool_)
    marked[order[:reached]] = useful[order[:reached]]
    if not marked[compact.start]:
        return no_paths()
    inside = marked[compact.sources] & marked[compact.next_states]
    in_order = compact.start == 0 and bool(np.all(compact.next_states[inside] > compact.sources[inside]))
    if in_order and marked.all() and inside.all() and np.array_equal(by_source, np.arange(compact.num_arcs)):
        kinds: dict[str, Any] = dict.fromkeys(("sources", "next_states", "word_ids"), np.int32) | {
            f"{end}{name}_scores": np.float32 for name in ("graph", "acoustic") for end in ("", "final_")
        }
        compact = replace(compact, **{n: getattr(compact, n).astype(k, copy=False) for n, k in kinds.items()})
        state_times(compact)
        return compact
    order = np.flatnonzero(marked) if in_order else order[:reached][useful[order[:reached]]]
    number = np.full(states, -1, np.int64)
    number[order] = np.arange(len(order))
    kept = by_source[inside[by_source]]
    kept = kept[np.argsort(number[compact.sources[kept]], kind="stable")]
    splits, strings = gather(compact.string_splits, compact.strings, kept)
    final_splits, final_strings = gather(compact.final_string_splits, compact.final_strings, order)
    result = CompactLattice(
        0, number[compact.sources[kept]].astype(np.int32), number[compact.next_states[kept]].astype(np.int32),
        compact.word_ids[kept], compact.graph_scores[kept].astype(np.float32),
        compact.acoustic_scores[kept].astype(np.float32), splits, strings,
        compact.final_graph_scores[order].astype(np.float32), compact.final_acoustic_scores[order].astype(np.float32),
        final_splits, final_strings,
    )  # fmt: skip
    state_times(result)
    return result


@kernel
def _mark_useful(rows, nexts, order, useful):
    """Marks the states from which a marked one is reached."""
    for i in range(len(order) - 1, -1, -1):
        state = order[i]
        for a in range(rows[state], rows[state + 1]):
            if useful[nexts[a]]:
                useful[state] = True


def state_times(compact: CompactLattice) -> np.ndarray:
    """Returns int32 [S], the frames before each state of a trimmed compact lattice.

    Raises:
      LatticeError: two paths to one state differ in length.
    """
    times, bad = _times(compact.sources, compact.next_states, compact.string_splits, compact.num_states)
    if bad >= 0:
        raise LatticeError(f"paths of different lengths meet in state {bad}")
    return times


@kernel
def _times(sources, nexts, splits, states):
    times = np.full(states, -1, np.int32)
    if states:
        times[0] = 0
    for a in range(len(sources)):
        here = times[sources[a]] + np.int32(splits[a + 1] - splits[a])
        if times[nexts[a]] < 0:
            times[nexts[a]] = here
        elif times[nexts[a]] != here:
            return times, np.int64(nexts[a])
    return times, np.int64(-1)


def from_rows(
    arcs: Sequence[tuple[int, int, int, float, float, Sequence[int]]],
    finals: Mapping[int, tuple[float, float, Sequence[int]]],
    num_states: int,
) -> CompactLattice:
    """Builds a trimmed compact lattice that starts in state 0.

    Args:
      arcs: (source, next state, word id, graph score, acoustic score, transition-ids).
      finals: state → (graph score, acoustic score, transition-ids).
    """
    if not num_states:
        return no_paths()
    columns = [np.array(column) for column in zip(*(arc[:5] for arc in arcs))] or [np.zeros(0)] * 5
    sources, nexts, words = (column.astype(np.int32) for column in columns[:3])
    graph, acoustic = (column.astype(np.float32) for column in columns[3:])
    scores = np.full((2, num_states), -np.inf, np.float32)
    for state, end in finals.items():
        scores[:, state] = end[:2]
    splits, strings = _ragged([arc[5] for arc in arcs])
    final_splits, final_strings = _ragged([finals[s][2] if s in finals else () for s in range(num_states)])
    return trimmed(
        CompactLattice(
            0, sources, nexts, words, graph, acoustic, splits, strings, scores[0], scores[1], final_splits,
            final_strings,
        )
    )  # fmt: skip


def _ragged(rows: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    splits = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)]).astype(np.int64)
    return splits, np.array([x for row in rows for x in row], np.int32)
