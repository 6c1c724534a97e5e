"""Operations on graphs that kaldifst lacks: stochasticity, symbols to epsilon, pruning of arcs.

Costs are negated natural logs; sums over arcs are in the log semiring.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hybrid.formats.openfst import FstArrays

__all__ = [
    "connect",
    "is_deterministic",
    "log_sums",
    "replace_symbols",
    "stochasticity",
]


def log_sums(fst: FstArrays) -> np.ndarray:
    """Returns the log of each state's total probability, arcs and final, float64 [num_states].

    0 where a state is stochastic, -inf where it has neither arcs nor a final weight.
    """
    from hybrid.fst.ops_kernels import log_sums as kernel

    return kernel(fst.row_splits, fst.costs, fst.final_costs)


def stochasticity(fst: FstArrays) -> tuple[float, float]:
    """Returns the smallest and the largest cost that a state's arcs and final weight sum to.

    Both are 0 for a stochastic FST. A positive cost is lost probability, a negative one too much of it.
    """
    sums = 0.0 - log_sums(fst)  # no −0
    return (float(sums.min()), float(sums.max())) if len(sums) else (0.0, 0.0)


def is_deterministic(fst: FstArrays) -> bool:
    """Tells whether no state has two arcs with one input label, or an arc without input."""
    from hybrid.fst.ops_kernels import has_one_way

    return has_one_way(fst.row_splits, fst.ilabels, 1 + int(fst.ilabels.max(initial=0)))


def replace_symbols(fst: FstArrays, symbols: Sequence[int], by: Sequence[int] | np.ndarray) -> FstArrays:
    """Returns the FST with each of these input symbols replaced by another; 0 makes an epsilon of it."""
    wanted = np.asarray(symbols, np.int32)
    labels = np.arange(1 + max(int(fst.ilabels.max(initial=0)), int(wanted.max(initial=0))), dtype=np.int32)
    labels[wanted] = by
    return replace(fst, ilabels=labels[fst.ilabels])


def connect(fst: FstArrays) -> FstArrays:
    """Returns the FST without states that no path from the start to a final state passes; order is kept."""
    from hybrid.fst.ops_kernels import copy_useful, count_useful, useful_states

    if fst.start < 0:
        return fst
    useful = useful_states(fst.start, fst.row_splits, fst.next_states, fst.final_costs)
    if not useful[fst.start]:
        return FstArrays.empty()
    if useful.all():
        return fst
    number, splits = count_useful(useful, fst.row_splits, fst.next_states)
    il, ol, to = (np.empty(int(splits[-1]), np.int32) for _ in range(3))
    costs = np.empty(len(il), np.float32)
    arcs = (fst.ilabels, fst.olabels, fst.next_states, fst.costs)
    copy_useful(number, fst.row_splits, arcs, (il, ol, to, costs))
    return FstArrays(int(number[fst.start]), splits, il, ol, to, costs, fst.final_costs[useful])
