"""Pushing: scores and transition-ids stand as early on their paths as they can (lattice-push)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.prune import connect

__all__ = ["push", "push_scores", "push_strings"]


def push(compact: CompactLattice) -> CompactLattice:
    """Returns the lattice with transition-ids and scores pushed towards the start; every path keeps its own.

    Args:
      compact: trimmed, see `hybrid.lattice.trim`.
    """
    return push_scores(push_strings(compact))


def push_scores(compact: CompactLattice) -> CompactLattice:
    """Returns the lattice in which the best path from every state but the first to the end has score 0.

    Best is, as in Kaldi, what has the largest sum of unscaled scores; both scores of that path move. What is left
    stays on the arcs of the start.
    """
    compact = connect(compact)
    if compact.is_empty:
        return compact
    scores = [compact.graph_scores, compact.acoustic_scores]
    finals = [compact.final_graph_scores, compact.final_acoustic_scores]
    graph, acoustic = (s.astype(np.float64) for s in scores)
    ends = [f.astype(np.float64) for f in finals]
    to_end = _to_end(compact.row_splits, compact.next_states, graph, acoustic, *ends)
    to_end[:, 0] = 0.0
    moved = to_end[:, compact.next_states] - to_end[:, compact.sources]
    last = [np.where(np.isfinite(e), e - t, -np.inf).astype(np.float32) for e, t in zip(ends, to_end)]
    return replace(
        compact, graph_scores=(graph + moved[0]).astype(np.float32),
        acoustic_scores=(acoustic + moved[1]).astype(np.float32), final_graph_scores=last[0],
        final_acoustic_scores=last[1],
    )  # fmt: skip


@kernel
def _to_end(rows, nexts, graph, acoustic, final_graph, final_acoustic):
    """Returns float64 [2][S], graph and acoustic score of the best path from each state to the end."""
    states = len(rows) - 1
    best = np.empty((2, states))
    for s in range(states - 1, -1, -1):
        best[0, s], best[1, s] = final_graph[s], final_acoustic[s]
        for a in range(rows[s], rows[s + 1]):
            g, c = graph[a] + best[0, nexts[a]], acoustic[a] + best[1, nexts[a]]
            old = best[0, s] + best[1, s]
            if g + c > old or (g + c == old and g - c > best[0, s] - best[1, s]):
                best[0, s], best[1, s] = g, c
    return best


def push_strings(compact: CompactLattice) -> CompactLattice:
    """Returns the lattice in which no state but the first has a transition-id that begins all ways from it."""
    if compact.is_empty:
        return compact
    ends = np.isfinite(compact.final_graph_scores)
    parts = (
        compact.row_splits, compact.next_states, compact.string_splits, compact.strings, ends,
        compact.final_string_splits, compact.final_strings,
    )  # fmt: skip
    shifts = _shifts(*parts)
    lengths = np.diff(compact.string_splits) + shifts[compact.next_states] - shifts[compact.sources]
    splits = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    final_lengths = np.where(ends, np.diff(compact.final_string_splits) - shifts, 0)
    final_splits = np.concatenate([[0], np.cumsum(final_lengths)]).astype(np.int64)
    strings, final_strings = _shifted(*parts, compact.sources, shifts, splits, final_splits)
    return replace(
        compact, string_splits=splits, strings=strings, final_string_splits=final_splits, final_strings=final_strings
    )


@kernel
def _copy(rows, nexts, splits, strings, ends, final_splits, final_strings, state, skip, out):
    """Writes transition-ids of some path from a state on, without the first `skip`; all paths agree on them."""
    at = 0
    while at < len(out):
        if ends[state]:
            begin = final_splits[state] + skip
            out[at:] = final_strings[begin : begin + len(out) - at]
            return
        a = rows[state]
        own = splits[a + 1] - splits[a]
        if own > skip:
            count = min(own - skip, len(out) - at)
            out[at : at + count] = strings[splits[a] + skip : splits[a] + skip + count]
            at += count
        skip = max(skip - own, 0)
        state = nexts[a]


@kernel
def _shifts(rows, nexts, splits, strings, ends, final_splits, final_strings):
    """Returns int64 [S], how many transition-ids begin all ways from a state to the end; 0 for the start."""
    states = len(rows) - 1
    shifts = np.zeros(states, np.int64)
    for s in range(states - 1, 0, -1):
        shift = final_splits[s + 1] - final_splits[s] if ends[s] else np.int64(1) << 40
        for a in range(rows[s], rows[s + 1]):
            shift = min(shift, splits[a + 1] - splits[a] + shifts[nexts[a]])
        if rows[s + 1] - rows[s] + ends[s] > 1 and shift > 0:
            first = np.empty(shift, np.int32)
            _copy(rows, nexts, splits, strings, ends, final_splits, final_strings, s, 0, first)
            for a in range(rows[s], rows[s + 1]):
                other = np.empty(shift, np.int32)
                own = min(splits[a + 1] - splits[a], shift)
                other[:own] = strings[splits[a] : splits[a] + own]
                _copy(rows, nexts, splits, strings, ends, final_splits, final_strings, nexts[a], 0, other[own:])
                same = 0
                while same < shift and first[same] == other[same]:
                    same += 1
                shift = same
        shifts[s] = shift
    return shifts


@kernel
def _shifted(rows, nexts, splits, strings, ends, final_splits, final_strings, sources, shifts, out_splits, out_finals):
    """Returns the strings of all arcs and ends after pushing."""
    out = np.empty(out_splits[-1], np.int32)
    for a in range(len(sources)):
        string = out[out_splits[a] : out_splits[a + 1]]
        own, drop = splits[a + 1] - splits[a], shifts[sources[a]]
        kept = max(own - drop, 0)
        if kept:
            string[:kept] = strings[splits[a] + drop : splits[a + 1]]
        _copy(rows, nexts, splits, strings, ends, final_splits, final_strings, nexts[a], max(drop - own, 0),
              string[kept:])  # fmt: skip
    last = np.empty(out_finals[-1], np.int32)
    for s in range(len(rows) - 1):
        if ends[s]:
            last[out_finals[s] : out_finals[s + 1]] = final_strings[final_splits[s] + shifts[s] : final_splits[s + 1]]
    return out, last
