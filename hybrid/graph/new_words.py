"""A slot for new words in an n-gram graph: an arc of G from the state of single words back to it."""

from __future__ import annotations

import math

import numpy as np

from hybrid.base.errors import InputError
from hybrid.formats.openfst import FstArrays

__all__ = ["NEW", "NEW_COST", "open_grammar"]

NEW = "$NEW"  # the slot
NEW_COST = math.log(1e4)  # of its arc; the words in it say how much likelier or less likely they are


def open_grammar(grammar: FstArrays, backoff: int, label: int, place: object = "G") -> tuple[FstArrays, np.ndarray]:
    """Returns G with the slot, and the cost of each word where no words before it are known.

    Args:
      grammar: of an n-gram model with back-off arcs.
      backoff: word id of #0. label: of the slot, larger than all word ids.

    Returns:
      G, and float32 [label], inf for words that it lacks.

    Raises:
      InputError: G does not back off to one state of single words.
    """
    state, seen = grammar.start, set()
    while state not in seen:
        seen.add(state)
        arcs = slice(int(grammar.row_splits[state]), int(grammar.row_splits[state + 1]))
        back = np.flatnonzero(grammar.ilabels[arcs] == backoff)
        if len(back):
            state = int(grammar.next_states[arcs][back[0]])
    costs = np.full(label, np.inf, np.float32)
    costs[grammar.ilabels[arcs]] = grammar.costs[arcs]
    if len(back) or len(seen) < 2:
        cure = "New words need the graph of an n-gram model of order 2 or more; use a slot of its own in a grammar."
        raise InputError.at(place, "does not back off to a state of single words", cure)
    opened = FstArrays.from_arcs(
        grammar.start, np.append(grammar.sources(), state), np.append(grammar.ilabels, label),
        np.append(grammar.olabels, label), np.append(grammar.next_states, state), np.append(grammar.costs, NEW_COST),
        grammar.final_costs,
    )  # fmt: skip
    return opened, costs
