"""What determinisation keeps while it works, as tuples of arrays, and names for their columns and counts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

DONE, ROOM, TWO_OUTPUTS, TOO_MANY = 0, 1, 2, 3
STATES, SETS, ELEMENTS, ARCS, STRINGS, WAYS, STACK, MEMBERS = range(8)  # what is counted
WANTED = 8  # from here on in `counts`: for how many of each of the first six there must be room
HASH, FOLLOWING, BEGIN, OF = range(4)  # columns of the table of sets


class Input(NamedTuple):
    """The input; `silent` marks states with arcs that read nothing."""

    splits: np.ndarray
    ilabels: np.ndarray
    olabels: np.ndarray
    next_states: np.ndarray
    costs: np.ndarray
    finals: np.ndarray
    silent: np.ndarray


class Sets(NamedTuple):
    """The set of input states that each state of the result stands for.

    Attributes:
      single: int32 [input states], the state of the result that stands for it alone; −1 if none does.
      member: int32 [states], the only input state, or −1 − the number of the set.
      heads: int32, the set met last in each slot of the table.
      rows: int64 [sets + 1][4], hash, the set of the same slot met before, the first element, the state of the result.
      elements: int64, input state · 2³² + string, sorted; weights: their costs.
    """

    single: np.ndarray
    member: np.ndarray
    heads: np.ndarray
    rows: np.ndarray
    elements: np.ndarray
    weights: np.ndarray


class Made(NamedTuple):
    """The result: arcs in the order in which states were done, states in that in which they were met.

    Attributes:
      stack: int32, states that are not done.
      begins, degrees, final_costs, final_strings: [states].
      ilabels, strings, targets, costs: [arcs].
    """

    stack: np.ndarray
    begins: np.ndarray
    degrees: np.ndarray
    final_costs: np.ndarray
    final_strings: np.ndarray
    ilabels: np.ndarray
    strings: np.ndarray
    targets: np.ndarray
    costs: np.ndarray


class Work(NamedTuple):
    """Of the state that is being done: the members of its closed set, and the ways out of them.

    Attributes:
      place: int32 [input states], which member a state is; −1 throughout between two calls.
      queue, queued: members whose `fresh` weight has not been sent on.
      keys: int64, input label · 2³² + target of each way; order: sorts them.
    """

    place: np.ndarray
    states: np.ndarray
    strings: np.ndarray
    weights: np.ndarray
    fresh: np.ndarray
    queue: np.ndarray
    queued: np.ndarray
    keys: np.ndarray
    way_strings: np.ndarray
    way_weights: np.ndarray
    order: np.ndarray
