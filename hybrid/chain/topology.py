"""The topology of chain models: one state, whose self-loop has a pdf-class of its own."""

from __future__ import annotations

from hybrid.base.errors import InputError
from hybrid.hmm import HmmTopology

__all__ = ["require_chain_topology"]


def require_chain_topology(topology: HmmTopology, place: object = "topology") -> None:
    """Checks that every phone has one state with a self-loop and a way out, as `HmmTopology.chain` has.

    Raises:
      InputError: a phone has another HMM.
    """
    for entry in topology.entries:
        if len(entry.states) != 1 or {target for target, _ in entry.states[0].transitions} != {0, 1}:
            found = f"{len(entry.states)} states" if len(entry.states) != 1 else "no self-loop"
            what = f"gives phone {entry.phones[0]} {found}; wanted one state with a self-loop"
            raise InputError.at(place, what, "Make the tree with `hybrid nnet chain-tree`.")
