"""Growing a tree: the question that gains most likelihood, at the leaf where it gains most, again and again."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hybrid.tree.nodes import Leaf, Node, Split, Table
from hybrid.tree.questions import Questions
from hybrid.tree.stats import TreeStats

__all__ = ["BestSplit", "SplitSearch", "grow", "replace_leaves"]

_MAX_DEPTH = 100  # splits below one root


@dataclass(frozen=True)
class BestSplit:
    """The best question for some entries: its gain, the key asked about, and the values that answer yes."""

    gain: float
    key: int
    values: tuple[int, ...]


class SplitSearch:
    """Finds the best question for any subset of the entries of tree statistics."""

    def __init__(self, stats: TreeStats, questions: Questions, variance_floor: float, min_count: float) -> None:
        """Prepares membership tables.

        Args:
          variance_floor: least variance of a dimension.
          min_count: frames that each side of a split must keep.
        """
        self._moments = np.ascontiguousarray(stats.moments)
        self._floor, self._min_count = float(variance_floor), float(min_count)
        self._columns = {key: np.ascontiguousarray(stats.events[:, key]) for key in questions.by_key}
        highest = int(stats.events.max(initial=0))
        self._questions = dict(sorted(questions.by_key.items()))
        self._members = {}
        for key, sets in self._questions.items():
            table = np.zeros((len(sets), highest + 1), bool)
            for row, values in enumerate(sets):
                table[row, [v for v in values if v <= highest]] = True
            self._members[key] = table

    def best(self, entries: np.ndarray) -> BestSplit | None:
        """Returns the best split of the entries (indices), or None where no question gains anything.

        Keys that some entry does not know (neighbours of context-independent phones) are not asked about.
        """
        from hybrid.tree.kernels import best_question

        best: BestSplit | None = None
        if len(entries) < 2:
            return None
        for key, sets in self._questions.items():
            values = self._columns[key]
            if not sets or values[entries].min() < 0:
                continue
            gain, row = best_question(values, entries, self._moments, self._members[key], self._floor, self._min_count)
            if row >= 0 and gain > (best.gain if best else 0.0):
                best = BestSplit(float(gain), key, sets[row])
        return best


@dataclass(eq=False)
class _Growing:
    """A leaf that may still be split, or a split with two of them."""

    leaf: int
    entries: np.ndarray
    depth: int
    split: BestSplit | None
    children: tuple[_Growing, _Growing] | None = field(default=None)

    def node(self) -> Node:
        if self.children is None or self.split is None:
            return Leaf(self.leaf)
        yes, no = self.children
        return Split(self.split.key, self.split.values, yes.node(), no.node())


def grow(
    stats: TreeStats,
    leaves: np.ndarray,
    num_leaves: int,
    search: SplitSearch,
    threshold: float,
    max_leaves: int,
) -> tuple[dict[int, Node], int, float, float]:
    """Splits leaves, the one with most to gain first.

    Args:
      stats: all entries.
      leaves: int [entry], the leaf that each entry is at; −1 for entries that are not to be split.
      num_leaves: leaves so far.
      threshold: a split must gain more than this.
      max_leaves: stop there; 0 for no limit.

    Returns:
      leaf → the subtree that takes its place; leaves now; total gain; smallest gain of a split (inf if none).
    """
    roots: dict[int, _Growing] = {}
    heap: list[tuple[float, int, _Growing]] = []
    order = 0

    def offer(growing: _Growing) -> None:
        nonlocal order
        if growing.split is not None and growing.split.gain > threshold and growing.depth < _MAX_DEPTH:
            heapq.heappush(heap, (-growing.split.gain, order, growing))
            order += 1

    for leaf in np.unique(leaves[leaves >= 0]).tolist():
        entries = np.flatnonzero(leaves == leaf)
        roots[leaf] = _Growing(leaf, entries, 0, search.best(entries))
        offer(roots[leaf])
    gain, smallest = 0.0, np.inf
    while heap and (max_leaves <= 0 or num_leaves < max_leaves):
        negative, _, growing = heapq.heappop(heap)
        gain, smallest = gain - negative, min(smallest, -negative)
        split = growing.split
        assert split is not None
        yes = np.isin(stats.events[growing.entries, split.key], split.values)
        parts = []
        for leaf, entries in ((growing.leaf, growing.entries[yes]), (num_leaves, growing.entries[~yes])):
            parts.append(_Growing(leaf, entries, growing.depth + 1, search.best(entries)))
            offer(parts[-1])
        growing.children, growing.entries = (parts[0], parts[1]), growing.entries[:0]
        num_leaves += 1
    return {leaf: root.node() for leaf, root in roots.items()}, num_leaves, gain, smallest


def replace_leaves(node: Node, replacements: Mapping[int, Node]) -> Node:
    """Returns a tree with leaves (by pdf_id) replaced by subtrees; others stay."""
    if isinstance(node, Leaf):
        return replacements.get(node.pdf_id, node)
    if isinstance(node, Split):
        return Split(
            node.key, node.values, replace_leaves(node.yes, replacements), replace_leaves(node.no, replacements)
        )
    return Table(
        node.key, tuple(None if child is None else replace_leaves(child, replacements) for child in node.children)
    )
