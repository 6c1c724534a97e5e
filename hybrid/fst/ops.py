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
    "kept_states",
    "log_sums",
    "number_rows",
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


def connect(fst: FstArrays, reached: bool = False) -> FstArrays:
    """Returns the FST without states that no path from the start to a final state passes; order is kept.

    Args:
      reached: the start leads to all states, as it was made: that is not looked at.
    """
    if fst.start < 0:
        return fst
    arcs = fst.ilabels, fst.olabels, fst.next_states, fst.costs
    return kept_states(fst.start, fst.row_splits, None, arcs, fst.final_costs, fst, reached)


def kept_states(
    start: int,
    splits: np.ndarray,
    order: np.ndarray | None,
    arcs: tuple[np.ndarray, ...],
    finals: np.ndarray,
    whole: FstArrays | None = None,
    reached: bool = False,
) -> FstArrays:
    """Returns the FST of the states that some path from the start to a final state passes.

    Args:
      splits, finals: as of `FstArrays`.
      arcs: input labels, output labels, targets and costs, as of `FstArrays`.
      order: int32 [num_arcs], where labels, targets and costs of each arc stand, if not in order.
      whole: what is returned where there are no other states; None: what is kept, in new arrays.
      reached: the start leads to all states.
    """
    from hybrid.fst.ops_kernels import copy_useful, count_useful, useful_states

    ilabels, olabels, next_states, costs = arcs
    targets = next_states if order is None else next_states[order]
    useful = useful_states(start, splits, targets, finals, reached)
    if not useful[start]:
        return FstArrays.empty()
    if whole is not None and useful.all():
        return whole
    number, new_splits = count_useful(useful, splits, targets)
    il, ol, to = (np.empty(int(new_splits[-1]), np.int32) for _ in range(3))
    new_costs = np.empty(len(il), np.float32)
    places = np.empty(0, np.int32) if order is None else order
    copy_useful(number, splits, targets, places, (ilabels, olabels, costs), (il, ol, to, new_costs))
    return FstArrays(int(number[start]), new_splits, il, ol, to, new_costs, finals[useful])


def number_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers the distinct rows of an array in their order, as `np.unique` along an axis does, but by sorting integers.

    Args:
      rows: int [N][M], none negative.

    Returns:
      int64 [K], where the first of each stands; int64 [N], the number of each row.
    """
    number, first = np.zeros(len(rows), np.int64), np.zeros(min(1, len(rows)), np.int64)
    for column in rows.T:
        keys = number * (int(column.max(initial=0)) + 1) + column
        _, first, number = np.unique(keys, return_index=True, return_inverse=True)
        number = number.reshape(-1).astype(np.int64)
    return first, number
