"""Chains of states that only lead on, taken out of a graph before it is minimised: compiled by numba."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.fst.arc_hashes import SPREAD, arc_hash, label_hash, mix, numbered

__all__ = ["Chains", "Nodes", "chain_classes", "contracted", "find_chains"]

_LAST = np.uint64(0xFFFF)
_INFINITE = np.int32(0x7F800000)  # the bits of an infinite cost
_ODD = np.uint64(0x94D049BB133111EB)


class Chains(NamedTuple):
    """States that only lead on: their one arc is all that can be done there.

    Attributes:
      ends: int32 [num_states], the number of the node where the chain ends; of a node, its own.
      tails: uint64 [num_states], hash of what the arcs on the way there read, write and cost; 0 of a node.
      num_nodes: states that are on no chain.
    """

    ends: np.ndarray
    tails: np.ndarray
    num_nodes: int


class Nodes(NamedTuple):
    """The FST without its chains: an arc leads to the end of the chain that it enters.

    Attributes:
      splits: int64 [num_nodes + 1].
      keys: uint64 [num_arcs], hash of an arc and of the chain behind it.
      next_states: int32 [num_arcs], nodes.
      finals: int32 [num_nodes], bits of their final weights.
    """

    splits: np.ndarray
    keys: np.ndarray
    next_states: np.ndarray
    finals: np.ndarray


@kernel
def find_chains(fst, repeats, seed):
    """Follows each state with one arc and no final weight to the first state that has a choice.

    A state whose arcs all look alike may turn out to have one arc: those that look like it are on no chain either.
    Most arcs lead to later states: in the order from the last, what a state leads to is mostly done.
    """
    splits, ilabels, olabels, next_states, costs, finals = fst
    ends, tails = np.full(len(finals), -1, np.int32), np.zeros(len(finals), np.uint64)
    alike = _alike(fst, repeats, seed)
    any_alike, num_nodes = alike.any(), 0
    for state in range(len(ends)):
        begin = splits[state]
        chained = splits[state + 1] - begin == 1 and finals[state] == _INFINITE
        if chained and any_alike:
            chained = not alike[label_hash(ilabels, olabels, costs, begin, seed) & _LAST]
        if not chained:
            ends[state] = num_nodes
            num_nodes += 1
    way = np.empty(1024, np.int32)
    for first in range(len(ends) - 1, -1, -1):
        length, state = 0, first
        while ends[state] < 0:
            if length == len(ends):
                raise ValueError("minimisation: a loop of states that no path leaves")
            if length == len(way):
                way = np.append(way, np.empty(length, np.int32))
            way[length] = state
            length, state = length + 1, next_states[splits[state]]
        end, tail = ends[state], tails[state]
        for k in range(length - 1, -1, -1):
            label = label_hash(ilabels, olabels, costs, splits[way[k]], seed)
            tail = mix(label + tail * SPREAD) | np.uint64(1)
            ends[way[k]], tails[way[k]] = end, tail
    return Chains(ends, tails, num_nodes)


@kernel
def _alike(fst, repeats, seed):
    """Marks the last bits of the hashes of arcs of states all of whose arcs, of several, look alike."""
    splits, ilabels, olabels, _, costs, _ = fst
    marks = np.zeros(1 + np.int64(_LAST), np.bool_)
    for state in np.flatnonzero(repeats):
        label, same = label_hash(ilabels, olabels, costs, splits[state], seed), True
        for arc in range(splits[state] + 1, splits[state + 1]):
            same &= label_hash(ilabels, olabels, costs, arc, seed) == label
        marks[label & _LAST] |= same
    return marks


@kernel
def contracted(fst, chains, repeats, seed):
    """Returns the graph of nodes, and which of them have arcs that may fall together."""
    splits, ilabels, olabels, next_states, costs, finals = fst
    ends, tails, num_nodes = chains
    num_arcs = len(next_states) - (len(finals) - num_nodes)
    node_splits, node_finals = np.zeros(num_nodes + 1, np.int64), np.empty(num_nodes, np.int32)
    keys, targets = np.empty(num_arcs, np.uint64), np.empty(num_arcs, np.int32)
    node_repeats = np.empty(num_nodes, np.bool_)
    node, place = 0, 0
    for state in range(len(finals)):
        if tails[state] != 0:
            continue
        for arc in range(splits[state], splits[state + 1]):
            to = next_states[arc]
            keys[place] = label_hash(ilabels, olabels, costs, arc, seed) + tails[to] * _ODD
            targets[place] = ends[to]
            place += 1
        node_finals[node], node_repeats[node] = finals[state], repeats[state]
        node += 1
        node_splits[node] = place
    return Nodes(node_splits, keys, targets, node_finals), node_repeats


@kernel
def chain_classes(chains, node_classes, num_classes):
    """Returns the classes of all states, int32 [num_states], those of chains by how and where they lead; how many."""
    ends, tails, num_nodes = chains
    keys = np.empty(len(ends) - num_nodes, np.uint64)
    count = 0
    for state in range(len(ends)):
        if tails[state] != 0:
            keys[count] = arc_hash(tails[state], node_classes[ends[state]])
            count += 1
    number, firsts, _ = numbered(keys)
    classes = np.empty(len(ends), np.int32)
    count = 0
    for state in range(len(ends)):
        if tails[state] != 0:
            classes[state] = num_classes + number[count]
            count += 1
        else:
            classes[state] = node_classes[ends[state]]
    return classes, num_classes + len(firsts)
