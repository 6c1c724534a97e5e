"""Back-pointers of token passing: the best path into each living token, and how much of it can no longer change.

Every token is a node that points at the token its best path came from. Living tokens soon share their past: their
common ancestors form a trunk, the part of the best path that no later frame can change. What no living token comes from
is forgotten, so that the nodes kept, and the time to follow them, do not grow with the utterance.

Tokens far below the beam, which min-active keeps alive in small graphs, may have a past of their own for ever. They
have no say in what is settled; once it is, they are orphans, and so is whatever comes from them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.search.engines.trellis import enlarged

__all__ = ["Trace", "begin_trace", "best_epsilons", "best_links", "extend", "settle"]

ORPHAN = -2  # in place of the node before


class Trace(NamedTuple):
    """The tree of best paths of one stream; arrays may be longer than what is used of them.

    Attributes:
      used: nodes; those from `first` on are the tokens of the last level.
      root: the node that all living kin come from.
      nodes: int32 [≥ used][2], the node before, and the graph arc from there.
      settled: arcs of the trunk.
      arcs: int32 [≥ settled], the common past, from the start (or from what was forgotten) on.
    """

    used: int
    first: int
    root: int
    nodes: np.ndarray
    settled: int
    arcs: np.ndarray

    @property
    def trunk(self) -> np.ndarray:
        """The graph arcs that no later frame can change, int32."""
        return self.arcs[: self.settled]

    @property
    def kin(self) -> np.ndarray:
        """Which tokens of the last level come from the trunk: bool [N]."""
        return self.nodes[self.first : self.used, 0] != ORPHAN

    @property
    def memory(self) -> int:
        """Bytes of the arrays."""
        return int(self.nodes.nbytes + self.arcs.nbytes)

    def branch(self, token: int) -> np.ndarray:
        """Returns the graph arcs from the trunk's end to a token of the last level that comes from it, int32 [arcs]."""
        return _follow(self.nodes, self.first + token, self.root)

    def cut(self, count: int) -> Trace:
        """Forgets the first `count` arcs of the trunk."""
        return self._replace(arcs=self.trunk[count:].copy(), settled=self.settled - count)


@kernel
def begin_trace(epsilons):
    """Returns the trace of an utterance without frames; token 0 is the start, epsilons lead to the others.

    Args:
      epsilons: see `extend`.
    """
    trace = Trace(0, 0, 0, np.empty((64, 2), np.int32), 0, np.empty(64, np.int32))
    return extend(trace, np.full((1, 2), -1, np.int32), epsilons)


@kernel
def extend(trace, entries, epsilons):
    """Takes in the tokens of a level; the trace given is of no use afterwards.

    Args:
      entries: int32 [M][2], token of the level before and graph arc, of the first M tokens.
      epsilons: int32 [N][2], N >= M: token of this level and graph arc, -1 where `entries` holds.
    """
    need = trace.used + len(epsilons)
    nodes = enlarged(trace.nodes, trace.used, need)
    _append(nodes, trace.used, trace.first, entries, epsilons)
    return Trace(need, trace.used, trace.root, nodes, trace.settled, trace.arcs)


@kernel
def best_links(trellis, before, scale):
    """Returns the link by which the best path enters each token of the last level: int32 [N][2], source and arc.

    Args:
      before: float64 [N], scores of the tokens that links lead to, before epsilons made them better.
    """
    first, end = trellis.splits[trellis.levels - 1], trellis.splits[trellis.levels]
    scores, acoustic = trellis.scores[trellis.splits[trellis.levels - 2, 0] :], trellis.acoustic[first[1] :]
    links = trellis.links[first[1] : end[1]].reshape(-1)
    weights = links.view(np.float32)
    entries = np.full((len(before), 2), -1, np.int32)
    for k in range(len(links) // 4):
        i, j = np.uint32(links[4 * k]), np.uint32(links[4 * k + 1])
        total = scores[i] + np.float64(weights[4 * k + 3]) + scale * np.float64(acoustic[k])
        if total == before[j] and entries[j, 0] < 0:
            entries[j, 0], entries[j, 1] = i, links[4 * k + 2]
    return entries


@kernel
def best_epsilons(trellis, before):
    """Returns by which epsilon arc the best path enters the tokens of the last level, int32 [M][2], else -1.

    Args:
      before: float64 [N], scores of the first of them before epsilons made them better; the others came by one.
    """
    begin, end = trellis.splits[trellis.levels - 1], trellis.splits[trellis.levels]
    scores, epsilons = trellis.scores[begin[0] : end[0]], trellis.epsilons[begin[2] : end[2]].reshape(-1)
    weights = epsilons.view(np.float32)
    entries = np.full((len(scores), 2), -1, np.int32)
    for k in range(0, len(epsilons), 4):
        i, j = np.uint32(epsilons[k]), np.uint32(epsilons[k + 1])
        better = j >= len(before) or scores[j] > before[j]
        if better and scores[i] + np.float64(weights[k + 3]) == scores[j] and entries[j, 0] < 0:
            entries[j, 0], entries[j, 1] = i, epsilons[k + 2]
    return entries


@kernel
def settle(trace, inside):
    """Moves the common past to the trunk and forgets the nodes that no living token comes from.

    Args:
      inside: bool [N], the tokens of the last level that have a say; where all of them are orphans, nothing is
        settled.
    """
    say = inside & (trace.nodes[trace.first : trace.used, 0] != ORPHAN)
    if not say.any():
        return trace
    nodes, new, first, root = _settle(trace.nodes[: trace.used], trace.first, trace.root, say)
    settled = trace.settled + len(new)
    arcs = enlarged(trace.arcs, trace.settled, settled)
    arcs[trace.settled : settled] = new
    return Trace(len(nodes), first, root, nodes, settled, arcs)


@kernel
def _append(nodes, used, before, entries, epsilons):
    waiting = False
    for j in range(len(epsilons)):
        if epsilons[j, 0] >= 0:
            nodes[used + j, 0], nodes[used + j, 1] = used + epsilons[j, 0], epsilons[j, 1]
        elif entries[j, 0] >= 0:
            nodes[used + j, 0], nodes[used + j, 1] = before + entries[j, 0], entries[j, 1]
            if nodes[before + entries[j, 0], 0] == ORPHAN:
                nodes[used + j, 0] = ORPHAN
        else:
            nodes[used + j, 0] = nodes[used + j, 1] = -1
        waiting |= nodes[used + j, 0] == ORPHAN
    while waiting:  # tokens that epsilons lead to from orphans
        waiting = False
        for j in range(len(epsilons)):
            node = used + j
            if epsilons[j, 0] >= 0 and nodes[node, 0] != ORPHAN and nodes[nodes[node, 0], 0] == ORPHAN:
                nodes[node, 0] = ORPHAN
                waiting = True


@kernel
def _settle(nodes, first, root, inside):
    """Returns the nodes that are left, the arcs from the old root to the new one, the first token, the new root."""
    count = len(nodes)
    place = np.full(count, -1, np.int32)  # -1 forgotten, 0 kept
    children, child = np.zeros(count, np.int32), np.zeros(count, np.int32)
    for token in range(first, count):
        if not inside[token - first]:
            continue
        node = token
        while place[node] < 0:
            place[node] = 0
            if node == root:
                break
            before = nodes[node, 0]
            children[before] += 1
            child[before] = node
            node = before
    steps, end = 0, root
    while end < first and children[end] == 1:
        end = child[end]
        steps += 1
    arcs = np.empty(steps, np.int32)
    node = root
    for k in range(steps):
        place[node] = -1
        node = child[node]
        arcs[k] = nodes[node, 1]
    orphans = np.zeros(count, np.bool_)
    for token in range(first, count):
        # A token without a say is kin still if its past meets what is kept.
        node = token
        while place[node] < 0 and node != root and nodes[node, 0] >= 0:
            node = nodes[node, 0]
        if place[node] < 0:
            orphans[token] = True
            continue
        node = token
        while place[node] < 0:
            place[node] = 0
            node = nodes[node, 0]
    left = 0
    for node in range(count):
        if place[node] >= 0 or node >= first:
            place[node] = left
            left += 1
    kept = np.empty((left, 2), np.int32)
    for node in range(count):
        if place[node] >= 0:
            kept[place[node], 0] = -1 if node == end else ORPHAN if orphans[node] else place[nodes[node, 0]]
            kept[place[node], 1] = nodes[node, 1]
    return kept, arcs, np.int64(place[first]), np.int64(place[end])


@kernel
def _follow(nodes, node, root):
    count, at = 0, node
    while at != root:
        count += 1
        at = nodes[at, 0]
    arcs = np.empty(count, np.int32)
    for k in range(count - 1, -1, -1):
        arcs[k] = nodes[node, 1]
        node = nodes[node, 0]
    return arcs
