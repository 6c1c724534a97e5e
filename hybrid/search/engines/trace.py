"""Back-pointers of token passing: the best path into each living token, and how much of it can no longer change.

Every token is a node that points at the token its best path came from. Living tokens soon share their past: their
common ancestors form a trunk, the part of the best path that no later frame can change. What no living token comes from
is forgotten, so that the nodes kept, and the time to follow them, do not grow with the utterance.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["Trace"]


class Trace:
    """The tree of best paths of one stream.

    Attributes:
      trunk: int32, graph arcs of the common past, from the start (or from what was forgotten) on.
    """

    def __init__(self) -> None:
        self._nodes = np.full((1024, 2), -1, np.int32)  # the node before, and the graph arc from there
        self._used, self._first = 0, 0  # the tokens alive are the nodes from `_first` on
        self._root = 0
        self._parts: list[np.ndarray] = []

    def extend(self, entries: np.ndarray, epsilons: np.ndarray) -> None:
        """Takes in the tokens of a level.

        Args:
          entries: int32 [M][2], token of the level before and graph arc, of the first M tokens.
          epsilons: int32 [N][2], N >= M: token of this level and graph arc, -1 where `entries` holds.
        """
        need = self._used + len(epsilons)
        if need > len(self._nodes):
            larger = np.empty((2 * need, 2), np.int32)
            larger[: self._used] = self._nodes[: self._used]
            self._nodes = larger
        _append(self._nodes, self._used, self._first, entries, epsilons)
        self._first, self._used = self._used, need

    def start(self, epsilons: np.ndarray) -> None:
        """Takes in the tokens that the start reaches by epsilons; token 0 is the start itself."""
        self.extend(np.full((1, 2), -1, np.int32), epsilons)
        self._root = self._first

    def settle(self) -> None:
        """Moves the common past to the trunk and forgets the nodes that no living token comes from."""
        if self._first == self._used:
            return
        self._nodes, arcs, self._first, self._root = _settle(self._nodes[: self._used], self._first, self._root)
        self._used = len(self._nodes)
        if len(arcs):
            self._parts.append(arcs)

    @property
    def trunk(self) -> np.ndarray:
        if len(self._parts) != 1:
            self._parts = [np.concatenate([np.zeros(0, np.int32), *self._parts])]
        return self._parts[0]

    def branch(self, token: int) -> np.ndarray:
        """Returns the graph arcs from the trunk's end to a token of the last level, int32."""
        return _follow(self._nodes, self._first + token, self._root)

    def cut(self, count: int) -> None:
        """Forgets the first `count` arcs of the trunk."""
        self._parts = [self.trunk[count:].copy()]


@kernel
def _append(nodes, used, before, entries, epsilons):
    for j in range(len(epsilons)):
        if epsilons[j, 0] >= 0:
            nodes[used + j, 0], nodes[used + j, 1] = used + epsilons[j, 0], epsilons[j, 1]
        elif entries[j, 0] >= 0:
            nodes[used + j, 0], nodes[used + j, 1] = before + entries[j, 0], entries[j, 1]
        else:
            nodes[used + j, 0] = nodes[used + j, 1] = -1


@kernel
def _settle(nodes, first, root):
    """Returns the nodes that are left, the arcs from the old root to the new one, and the places of both."""
    count = len(nodes)
    place = np.full(count, -1, np.int32)  # -1 forgotten, 0 kept
    children, child = np.zeros(count, np.int32), np.zeros(count, np.int32)
    for token in range(first, count):
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
    left = 0
    for node in range(count):
        if place[node] >= 0:
            place[node] = left
            left += 1
    kept = np.empty((left, 2), np.int32)
    for node in range(count):
        if place[node] >= 0:
            kept[place[node], 0] = -1 if node == end else place[nodes[node, 0]]
            kept[place[node], 1] = nodes[node, 1]
    return kept, arcs, place[first], place[end]


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
