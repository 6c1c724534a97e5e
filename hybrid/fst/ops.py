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
    "stochasticity",
    "symbols_to_epsilon",
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


def symbols_to_epsilon(fst: FstArrays, symbols: Sequence[int]) -> FstArrays:
    """Returns the FST with these input symbols replaced by epsilon."""
    wanted = np.asarray(symbols, np.int32)
    return replace(fst, ilabels=np.where(np.isin(fst.ilabels, wanted), np.int32(0), fst.ilabels))


def connect(fst: FstArrays) -> FstArrays:
    """Returns the FST without states that no path from the start to a final state passes; order is kept."""
    from hybrid.fst.ops_kernels import useful_states

    if fst.start < 0:
        return fst
    useful = useful_states(fst.start, fst.row_splits, fst.next_states, fst.final_costs)
    if not useful[fst.start]:
        return FstArrays.empty()
    if useful.all():
        return fst
    number = (np.cumsum(useful) - 1).astype(np.int32)
    keep = useful[fst.next_states] & np.repeat(useful, np.diff(fst.row_splits))
    counts = np.add.reduceat(np.append(keep, False), fst.row_splits[:-1], dtype=np.int64) if len(keep) else None
    degrees = np.zeros(fst.num_states, np.int64) if counts is None else counts
    degrees = np.where(np.diff(fst.row_splits) > 0, degrees, 0)[useful]
    return FstArrays(
        int(number[fst.start]), np.concatenate([[0], np.cumsum(degrees)]), fst.ilabels[keep], fst.olabels[keep],
        number[fst.next_states[keep]], fst.costs[keep], fst.final_costs[useful],
    )  # fmt: skip
