"""Minimisation of transducers: states from which the same labels and costs go on become one.

Labels and costs of an arc are one symbol (Mohri, 2000): nothing moves along paths, so states keep what they sum to.
Classes of states are refined (Moore, 1956): two stay together while the same symbols lead them to the same classes. The
first round tells states apart by what they accept in a few arcs, which takes no classes to know. A later one looks
again only at states with an arc to a state whose class has another name than before; of a class that is divided, the
members not looked at keep the name, or else the largest part, so that most of the work is in the first rounds. States
that only lead on, most of those of HMMs and pronunciations, are no part of it: an arc into a chain of them is an arc to
its end that says more, and they are put into classes when those of the ends are known. Works for any FST; of one that
is not deterministic as an acceptor of symbols, others may be smaller.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from hybrid.formats.openfst import FstArrays
from hybrid.fst.ops import connect

if TYPE_CHECKING:
    from hybrid.fst.arc_hashes import Leaving
    from hybrid.fst.minimize_chains import Nodes

__all__ = ["minimize_encoded", "minimize_encoded_reference", "quantize"]

DEPTH = 3  # arcs, chains left out, that the first round looks along
DELTA = 1.0 / 1024  # nats between costs that are told apart, OpenFst's


def quantize(fst: FstArrays, delta: float = DELTA) -> FstArrays:
    """Returns the FST with costs and final costs rounded to multiples of `delta`, a power of two."""
    costs, finals = (_rounded(array, delta) for array in (fst.costs, fst.final_costs))
    return FstArrays(fst.start, fst.row_splits, fst.ilabels, fst.olabels, fst.next_states, costs, finals)


def _rounded(costs: np.ndarray, delta: float) -> np.ndarray:
    rounded = costs * np.float32(1 / delta)
    rounded += np.float32(0.5)
    np.floor(rounded, out=rounded)
    rounded *= np.float32(delta)
    rounded += np.float32(0)  # no −0
    return rounded


def minimize_encoded(fst: FstArrays, delta: float = DELTA, connected: bool = False) -> FstArrays:
    """Returns the FST with states merged from which the same labels and (quantised) costs go on.

    Equal to Kaldi's `fstminimizeencoded` but for the numbers of states, which here keep the order of the first state of
    each class, and the order of arcs, which is kept.

    Args:
      fst: states on no path from the start to a final state are dropped.
      delta: nats; costs are rounded to its multiples. A power of two.
      connected: there are no such states: they are not looked for.

    Raises:
      ValueError: there are, nevertheless, and some lead round in a loop.
    """
    from hybrid.fst import minimize_kernels as kernels
    from hybrid.fst.arc_hashes import Leaving

    fst = quantize(fst if connected else connect(fst), delta)
    if not fst.num_states:
        return fst
    bits = (fst.costs.view(np.int32), fst.final_costs.view(np.int32))
    leaving = Leaving(fst.row_splits, fst.ilabels, fst.olabels, fst.next_states, *bits)
    for seed in itertools.count():
        repeats = kernels.repeating_states(leaving, np.uint64(seed))
        classes, num_classes = _classes(leaving, repeats, np.uint64(seed))
        merged, firsts = kernels.first_members(classes, num_classes)
        del classes
        # Else two signatures had one hash by chance.
        if not kernels.differ(leaving, repeats, merged, firsts, np.uint64(~seed & 0xFFFF)):
            break
    most = int(np.diff(fst.row_splits)[firsts].sum())
    arrays = (np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.int32))
    splits = kernels.merged_arcs(firsts, merged, repeats, leaving, arrays, np.uint64(seed))
    il, ol, to, costs = (array[: splits[-1]] for array in arrays)
    return FstArrays(int(merged[fst.start]), splits, il, ol, to, costs.view(np.float32), fst.final_costs[firsts])


def _classes(leaving: Leaving, repeats: np.ndarray, seed: np.uint64) -> tuple[np.ndarray, int]:
    """Divides states into classes of equal ones: int32 [num_states], number of classes."""
    from hybrid.fst.minimize_chains import chain_classes, contracted, find_chains

    chains = find_chains(leaving, repeats, seed)
    nodes, node_repeats = contracted(leaving, chains, repeats, seed)
    classes, num_classes = _refine(nodes, node_repeats, seed)
    del nodes
    return chain_classes(chains, classes, num_classes)


def _refine(nodes: Nodes, repeats: np.ndarray, seed: np.uint64) -> tuple[np.ndarray, int]:
    """Divides classes until no two nodes of one have different signatures: int32 [num_nodes], number of classes."""
    from hybrid.fst import minimize_kernels as kernels
    from hybrid.fst.ops_kernels import entering_states

    num_nodes = len(repeats)
    entering, sources = entering_states(nodes.splits, nodes.next_states)
    classes, sizes, touched = (np.zeros(num_nodes, np.int32) for _ in range(3))
    marks, largest = np.zeros(num_nodes, bool), np.full(num_nodes, -1, np.int32)
    sizes[0], num_classes = num_nodes, 1
    states = np.arange(num_nodes, dtype=np.int32)
    keys = np.zeros(num_nodes, np.uint64)
    for _ in range(DEPTH):
        keys = kernels.signatures(states, keys, repeats, nodes, seed)
    while len(states):
        num_classes, moved = kernels.group(states, keys, classes, sizes, num_classes, touched, largest)
        states = kernels.who_changes(moved, entering, sources, classes, sizes, marks)
        keys = kernels.signatures(states, classes, repeats, nodes, seed)
    return classes, num_classes


def minimize_encoded_reference(fst: FstArrays, delta: float = DELTA) -> FstArrays:
    """The readable reference: every state's set of what leaves it, again and again, until there are no more classes."""
    fst = quantize(connect(fst), delta)
    if not fst.num_states:
        return fst
    splits = fst.row_splits.tolist()
    rows = list(zip(fst.ilabels.tolist(), fst.olabels.tolist(), fst.costs.tolist(), fst.next_states.tolist()))
    classes, count = [0] * fst.num_states, 0
    while count < len(set(classes)):
        count = len(set(classes))
        leaving = [frozenset((*row[:3], classes[row[3]]) for row in rows[a:b]) for a, b in zip(splits, splits[1:])]
        names: dict[tuple, int] = {}  # by first appearance
        classes = [names.setdefault(key, len(names)) for key in zip(classes, fst.final_costs.tolist(), leaving)]
    members = {number: state for state, number in reversed(list(enumerate(classes)))}
    arcs: list[tuple] = []
    for number in range(count):
        state = members[number]
        own = [(number, *row[:3], classes[row[3]]) for row in rows[splits[state] : splits[state + 1]]]
        arcs += dict.fromkeys(own)
    source, il, ol, cost, to = (np.array(column) for column in zip(*arcs)) if arcs else np.zeros((5, 0))
    finals = fst.final_costs[[members[number] for number in range(count)]]
    return FstArrays.from_arcs(classes[fst.start], source, il, ol, to, cost, finals)
