"""A graph in a few lines."""

from __future__ import annotations

import numpy as np

from hybrid.formats.openfst import FstArrays
from hybrid.fst.ops import stochasticity

__all__ = ["describe"]


def describe(fst: FstArrays) -> str:
    """Returns states, arcs, epsilons, labels, size and stochasticity, one a line."""
    low, high = stochasticity(fst)
    size = 20 * fst.num_states + 16 * fst.num_arcs
    facts = {
        "states": fst.num_states,
        "arcs": fst.num_arcs,
        "final states": int(np.isfinite(fst.final_costs).sum()),
        "arcs without input": int((fst.ilabels == 0).sum()),
        "arcs without output": int((fst.olabels == 0).sum()),
        "highest input label": int(fst.ilabels.max(initial=0)),
        "highest output label": int(fst.olabels.max(initial=0)),
        "most arcs of a state": int(np.diff(fst.row_splits).max(initial=0)),
        "megabytes (const)": round(size / 1e6, 1),
        "state costs": f"{low:+.4f} to {high:+.4f}",
    }
    return "\n".join(f"{name}: {value}" for name, value in facts.items())
