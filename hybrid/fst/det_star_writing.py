"""Writes what determinisation made as a transducer: compiled by numba."""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.fst.string_tree import string_labels

__all__ = ["measure", "written"]


@kernel
def measure(made, strings, num_states):
    """Counts what `written` writes: arcs of the states there are, states that long outputs add, arcs of those."""
    arcs = more_states = more_arcs = 0
    for state in range(num_states):
        length = strings.depths[made.final_strings[state]]
        arcs += made.degrees[state] + (length > 0)
        more_states += length
        more_arcs += max(0, length - 1)
        for arc in range(made.begins[state], made.begins[state] + made.degrees[state]):
            further = max(0, strings.depths[made.strings[arc]] - 1)
            more_states += further
            more_arcs += further
    return arcs, more_states, more_arcs


@kernel
def written(made, strings, num_states, splits, ilabels, olabels, targets, costs, finals):
    """Writes the result into arrays of the sizes that `measure` tells; long outputs get states of their own."""
    place = 0
    for state in range(num_states):
        place += made.degrees[state] + (made.final_strings[state] > 0)
        splits[state + 1] = place
    place, more = 0, num_states
    for state in range(num_states):
        string, final = made.final_strings[state], made.final_costs[state]
        finals[state] = np.inf if string else final
        if string:
            more = _spell(strings, string, place, 0, -1, final, more, splits, ilabels, olabels, targets, costs)
            finals[more - 1] = 0.0
            place += 1
        for arc in range(made.begins[state], made.begins[state] + made.degrees[state]):
            string = made.strings[arc]
            if strings.depths[string] > 1:
                more = _spell(
                    strings, string, place, made.ilabels[arc], made.targets[arc], made.costs[arc], more, splits,
                    ilabels, olabels, targets, costs,
                )  # fmt: skip
            else:
                ilabels[place], olabels[place], targets[place] = made.ilabels[arc], string, made.targets[arc]
                costs[place] = made.costs[arc]
            place += 1


@kernel
def _spell(strings, string, place, label, target, cost, more, splits, ilabels, olabels, targets, costs):
    """Writes a string of several labels from `place`, and states from `more` on; target −1: a state of its own.

    Returns:
      How many states there are now.
    """
    length = strings.depths[string]
    chain = string_labels(strings, string, 0)
    for k in range(length):
        last = k == length - 1
        at = place if k == 0 else splits[more - 1]
        ilabels[at], olabels[at], costs[at] = label if k == 0 else 0, chain[k], cost if k == 0 else 0.0
        targets[at] = target if last and target >= 0 else more
        if not (last and target >= 0):
            splits[more + 1] = splits[more] + (not last)
            more += 1
    return more
