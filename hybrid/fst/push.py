"""Weight pushing that makes every state of a graph sum to the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hybrid.base.errors import HybridError
from hybrid.base.log import get_logger
from hybrid.formats.openfst import FstArrays

__all__ = ["push_special"]

DELTA = 1.0 / 1024
DAMPING = 0.1  # keeps the power method from swinging where states alternate
MAX_STEPS = 2000


def push_special(fst: FstArrays, delta: float = DELTA, max_steps: int = MAX_STEPS) -> FstArrays:
    """Pushes weights so that the arcs and final weight of every state sum to one common value.

    Ordinary pushing in the log semiring needs sums over all paths, which diverge when a back-off model
    sums to a little over one. Here the final weights lead back to the start, and the potentials are
    the eigenvector of the matrix of arc probabilities (Mohri's reweighting with the Perron vector in
    place of the distance to the end): v(s) = Σ p(arc) v(next) / λ. Costs of whole paths do not change.

    Args:
      fst: every state on a path from the start to a final state.
      delta: how far, in nats, the sum of a state may stay from the others.
      max_steps: of the power method; a warning tells if it was not enough.

    Raises:
      HybridError: a state is on no such path.
    """
    from hybrid.fst.ops_kernels import reweight, spread_potentials

    if fst.num_states == 0:
        return fst
    probabilities, finals = np.exp(-fst.costs.astype(np.float64)), np.exp(-fst.final_costs.astype(np.float64))
    values = np.full(fst.num_states, 1.0 / np.sqrt(fst.num_states))
    new = np.empty_like(values)
    for _ in range(max_steps):
        low, high = spread_potentials(
            fst.start, fst.row_splits, fst.next_states, probabilities, finals, values, new, DAMPING
        )
        if low <= 0:
            raise HybridError("a state of the graph has no probability of going on; trim the graph before pushing")
        if np.log(high / low) < delta:
            break
    else:
        get_logger(__name__).warning(
            "pushing stopped after %d steps; sums of states still differ by %.3g", max_steps, np.log(high / low)
        )
    costs, final_costs = fst.costs.copy(), fst.final_costs.copy()
    reweight(fst.start, fst.row_splits, fst.next_states, costs, final_costs, -np.log(values))
    return replace(fst, costs=costs, final_costs=final_costs)
