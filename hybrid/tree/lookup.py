"""A tree as flat arrays, so that many phones in context are looked up at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybrid.tree.nodes import PDF_CLASS_KEY, Leaf, Node, Split, iterate_nodes

__all__ = ["FlatTree", "flatten"]

_LEAF, _SPLIT, _TABLE, _NONE = 0, 1, 2, 3  # as in kernels.walk_tree


@dataclass(frozen=True, eq=False)
class FlatTree:
    """Nodes numbered in preorder.

    Attributes:
      kinds: int8 [node]: leaf, split, table, or the one node that means "no answer".
      keys: int64 [node]: position in the window, or -1 for the pdf-class.
      first: int64 [node]: leaf: pdf_id; split: node of "yes"; table: begin in `children`.
      second: int64 [node]: split: node of "no"; table: number of children.
      sets: int64 [node]: split: row of `members`.
      members: bool [set][value], the last column False: values of each question.
      children: int64: nodes of the tables.
    """

    kinds: np.ndarray
    keys: np.ndarray
    first: np.ndarray
    second: np.ndarray
    sets: np.ndarray
    members: np.ndarray
    children: np.ndarray

    def lookup(self, contexts: np.ndarray, pdf_classes: np.ndarray) -> np.ndarray:
        """Returns int32 [N] pdf_ids for int [N][width] contexts and int [N] pdf-classes; -1 without answer."""
        from hybrid.tree.kernels import walk_tree

        events = np.concatenate([contexts, pdf_classes.reshape(-1, 1)], axis=1, dtype=np.int64)
        answers = np.empty(len(events), np.int32)
        walk_tree(
            self.kinds, self.keys, self.first, self.second, self.sets, self.members, self.children, events, answers
        )
        return answers


def flatten(root: Node) -> FlatTree:
    """Turns nodes into arrays."""
    nodes = list(iterate_nodes(root))
    index = {id(node): i for i, node in enumerate(nodes)}
    kinds = np.full(len(nodes) + 1, _NONE, np.int8)
    keys, first, second, sets = (np.zeros(len(nodes) + 1, np.int64) for _ in range(4))
    rows: dict[tuple[int, ...], int] = {(): 0}
    children: list[int] = []
    for i, node in enumerate(nodes):
        if isinstance(node, Leaf):
            kinds[i], first[i] = _LEAF, node.pdf_id
            continue
        keys[i] = node.key if node.key != PDF_CLASS_KEY else -1
        if isinstance(node, Split):
            kinds[i], first[i], second[i] = _SPLIT, index[id(node.yes)], index[id(node.no)]
            sets[i] = rows.setdefault(node.values, len(rows))
        else:
            kinds[i], first[i], second[i] = _TABLE, len(children), len(node.children)
            children += [len(nodes) if child is None else index[id(child)] for child in node.children]
    width = 2 + max((values[-1] for values in rows if values), default=0)
    members = np.zeros((len(rows), width), bool)
    for values, row in rows.items():
        members[row, list(values)] = True
    return FlatTree(kinds, keys, first, second, sets, members, np.array([*children, len(nodes)], np.int64))
