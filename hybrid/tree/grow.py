"""Growing a tree: the question that gains most likelihood, at the leaf where it gains most, again and again."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hybrid.tree.nodes import Leaf, Node, Split, Table
from hybrid.tree.objective import gaussian_objective
from hybrid.tree.questions import Questions
from hybrid.tree.stats import TreeStats, sum_by

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
        self._events, self._moments = stats.events, stats.moments
        self._floor, self._min_count = variance_floor, min_count
        highest = int(self._events.max(initial=0))
        self._questions = dict(sorted(questions.by_key.items()))
        self._members = {}
        for key, sets in self._questions.items():
            table = np.zeros((len(sets), highest + 1), bool)
            for row, values in enumerate(sets):
                table[row, [v for v in values if v <= highest]] = True
            self._members[key] = table

    def best(self, entries: np.ndarray) -> BestSplit | None:
        """Returns the best split of the entries (indices), or None where no question separates them."""
        best: BestSplit | None = None
        if len(entries) < 2:
            return None
        moments = self._moments[entries]
        total = moments.sum(axis=0)
        whole = float(gaussian_objective(total, self._floor))
        for key, sets in self._questions.items():
            values = self._events[entries, key]
            if not sets or values.min() < 0:
                continue
            present = np.flatnonzero(np.bincount(values))
            if len(present) < 2:
                continue
            by_value = sum_by(np.searchsorted(present, values), moments, len(present))
            rows, masks = _distinct(self._members[key][:, present])
            if not len(rows):
                continue
            yes = masks @ by_value
            no = total - yes
            gains = gaussian_objective(yes, self._floor) + gaussian_objective(no, self._floor) - whole
            gains[np.minimum(yes[:, 0], no[:, 0]) < self._min_count] = -np.inf
            winner = int(np.argmax(gains))
            if gains[winner] > (best.gain if best else 0.0):
                best = BestSplit(float(gains[winner]), key, sets[int(rows[winner])])
        return best


def _distinct(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drops questions that do not separate the present values, or separate them as an earlier one does.

    Returns:
      the rows kept, in order, and their masks as float64.
    """
    sizes = masks.sum(axis=1)
    rows = np.flatnonzero((sizes > 0) & (sizes < masks.shape[1]))
    masks = masks[rows].astype(np.float64)
    width = masks.shape[1]
    if width <= 50 and len(rows) > 1:
        codes = masks @ np.exp2(np.arange(width))
        codes = np.minimum(codes, np.exp2(width) - 1 - codes)
        first = np.sort(np.unique(codes, return_index=True)[1])
        rows, masks = rows[first], masks[first]
    return rows, masks


@dataclass
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
