"""Determinisation of a transducer that is entered in several states and left by several.

For det* all of these are arcs with labels of their own, from one start and to one end; the others are labelled by input
and output together, so that ways with other outputs stay apart.
"""

from __future__ import annotations

import numpy as np

from hybrid.formats.openfst import FstArrays
from hybrid.fst.det_star import determinize_star

__all__ = ["determinized"]


def determinized(
    fst: FstArrays, begins: np.ndarray, ends: np.ndarray, delta: float
) -> tuple[FstArrays, np.ndarray, np.ndarray]:
    """Returns an equivalent graph.

    Args:
      fst: its start and final states mean nothing.
      begins: int64 [B], the states that it is entered in. ends: int64 [E], those that it is left by; each once.
      delta: see `determinize_star`.

    Returns:
      The graph, whose final states are the ends; and the states that are those of `begins` and `ends` there.
    """
    pairs = (fst.ilabels.astype(np.int64) << 32) | fst.olabels
    codes = np.unique(np.append(pairs, 0))
    first_begin, first_end = len(codes), len(codes) + len(begins)
    start, last, none = fst.num_states, fst.num_states + 1, np.zeros(len(begins) + len(ends))
    labels = np.concatenate([np.searchsorted(codes, pairs), first_begin + np.arange(len(none))])
    finals = np.full(last + 1, np.inf, np.float32)
    finals[last] = 0.0
    joined = FstArrays.from_arcs(
        start, np.concatenate([fst.sources(), np.full(len(begins), start), ends]), labels, 0 * labels,
        np.concatenate([fst.next_states, begins, np.full(len(ends), last)]), np.concatenate([fst.costs, none]), finals,
    )  # fmt: skip
    made = determinize_star(joined, what="what fills a slot", delta=delta)
    sources, labels = made.sources(), made.ilabels
    out, inner = labels >= first_end, labels < first_begin
    into = ~out & ~inner
    begin_states = np.zeros(len(begins), np.int64)
    begin_states[labels[into] - first_begin] = made.next_states[into]
    end_states = made.num_states + np.arange(len(ends))
    found, words = codes[labels[inner]], codes[labels[inner]] & 0xFFFFFFFF
    finals = np.full(made.num_states + len(ends), np.inf, np.float32)
    finals[end_states] = 0.0
    nothing = np.zeros(int(out.sum()), np.int64)
    targets = np.concatenate([made.next_states[inner], end_states[labels[out] - first_end]])
    split = FstArrays.from_arcs(
        0, np.concatenate([sources[inner], sources[out]]), np.concatenate([found >> 32, nothing]),
        np.concatenate([words, nothing]), targets, np.concatenate([made.costs[inner], made.costs[out]]), finals,
    )  # fmt: skip
    return split, begin_states, end_states
