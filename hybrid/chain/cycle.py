"""Minimisation of cyclic weighted acceptors by the push–minimise–reverse cycle (Povey et al., 2016).

Minimisation merges states whose futures are equal; of the reversed acceptor, states whose pasts are. Pushing before
each makes weights of equal meaning equal numbers. Costs are then rounded, not to be told apart by trifles.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.log import get_logger
from hybrid.formats.openfst import FstArrays, from_kaldifst, to_kaldifst
from hybrid.fst.minimize import minimize_encoded
from hybrid.fst.push import push_special

__all__ = ["minimize_cycle", "reverse"]

logger = get_logger(__name__)

CYCLES = 3
PUSH_DELTA = 0.01 / 1024  # nats by which the sums of states may still differ
ROUNDING = 0.1 / 1024  # nats: costs that are not told apart


def reverse(fst: FstArrays) -> FstArrays:
    """Returns the acceptor of the reversed strings: state 0 leads by epsilons to what were final states."""
    finals = np.flatnonzero(np.isfinite(fst.final_costs))
    none = np.zeros(len(finals), np.int32)
    new_finals = np.full(fst.num_states + 1, np.inf, np.float32)
    new_finals[fst.start + 1] = 0.0
    return FstArrays.from_arcs(
        0,
        np.concatenate([none, fst.next_states + 1]),
        np.concatenate([none, fst.ilabels]),
        np.concatenate([none, fst.olabels]),
        np.concatenate([finals + 1, fst.sources() + 1]),
        np.concatenate([fst.final_costs[finals], fst.costs]),
        new_finals,
    )


def minimize_cycle(fst: FstArrays, cycles: int = CYCLES) -> FstArrays:
    """Returns a smaller acceptor that gives every string nearly the same cost, and every path the same.

    Args:
      fst: an acceptor without epsilons, trimmed.

    Returns:
      An acceptor without epsilons whose states each sum to nearly one common value.
    """
    import kaldifst

    for cycle in range(1, cycles + 1):
        for back in (True, False):
            fst = minimize_encoded(push_special(reverse(fst), PUSH_DELTA), ROUNDING)
            what = "reversed" if back else "forward"
            logger.debug("cycle %d, %s: %d states, %d arcs", cycle, what, fst.num_states, fst.num_arcs)
    plain = to_kaldifst(fst)
    kaldifst.rmepsilon(plain)
    return push_special(from_kaldifst(plain), PUSH_DELTA)
