"""Strings of transition-ids as nodes of a tree: they share their beginnings (Kaldi's LatticeStringRepository).

Node 0 is the empty string; a node is its parent's string and one symbol more, and is never changed. Equal strings may
be several nodes, which saves a table of all. An element of a subset is a node without its first `drop` symbols, a
number that belongs to the subset: to take a common prefix off is to raise it. A tree is one int32 array [size][3]:
parent, symbol and depth of each node; the symbol of node 0, which has none, is the number of nodes in use.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["FULL", "agreement", "depth", "extended", "is_less", "new_tree", "nodes_used", "same", "spell"]

PARENT, SYMBOL, DEPTH = 0, 1, 2
FULL = -1  # in the place of a node: the tree had no room for it


@kernel
def new_tree(size):
    """Returns a tree with room for `size` nodes that holds the empty string."""
    tree = np.empty((size, 3), np.int32)
    tree[0, PARENT], tree[0, SYMBOL], tree[0, DEPTH] = 0, 1, 0
    return tree


@kernel
def nodes_used(tree):
    """Returns how many nodes there are."""
    return np.int64(tree[0, SYMBOL])


@kernel
def depth(tree, node):
    """Returns how many symbols a string has."""
    return tree[node, DEPTH]


@kernel
def extended(tree, node, symbols, begin, end):
    """Returns the node of a string and symbols[begin:end]; FULL where there is no room, or no string but FULL."""
    count = tree[0, SYMBOL]
    if node < 0 or count + end - begin > len(tree):
        node, end = FULL, begin
    for k in range(begin, end):
        tree[count, PARENT], tree[count, SYMBOL], tree[count, DEPTH] = node, symbols[k], tree[node, DEPTH] + 1
        node = count
        count += 1
    tree[0, SYMBOL] = count
    return np.int32(node)


@kernel
def agreement(tree, a, b, drop):
    """Returns how many symbols two strings begin with alike, at least `drop`, in which they are known to agree."""
    while tree[a, DEPTH] > tree[b, DEPTH]:
        a = tree[a, PARENT]
    while tree[b, DEPTH] > tree[a, DEPTH]:
        b = tree[b, PARENT]
    alike = tree[a, DEPTH]
    while a != b and tree[a, DEPTH] > drop:
        if tree[a, SYMBOL] != tree[b, SYMBOL]:
            alike = tree[a, DEPTH] - 1
        a, b = tree[a, PARENT], tree[b, PARENT]
    return alike


@kernel
def same(tree, a, drop_a, b, drop_b):
    """Tells whether two strings are equal, each without the first symbols that are dropped."""
    length = tree[a, DEPTH] - drop_a
    if tree[b, DEPTH] - drop_b != length:
        return False
    for _ in range(length):
        if a == b:
            return True
        if tree[a, SYMBOL] != tree[b, SYMBOL]:
            return False
        a, b = tree[a, PARENT], tree[b, PARENT]
    return True


@kernel
def is_less(tree, a, b, drop):
    """Tells whether a string is shorter than another, or as long and before it in order; `drop` symbols are equal."""
    if tree[a, DEPTH] != tree[b, DEPTH]:
        return tree[a, DEPTH] < tree[b, DEPTH]
    less = False
    while a != b and tree[a, DEPTH] > drop:
        if tree[a, SYMBOL] != tree[b, SYMBOL]:
            less = tree[a, SYMBOL] < tree[b, SYMBOL]
        a, b = tree[a, PARENT], tree[b, PARENT]
    return less


@kernel
def spell(tree, node, begin, end, out, at):
    """Writes the symbols `begin` … `end` of a string to `out`, from place `at` on; returns the place behind them."""
    while tree[node, DEPTH] > end:
        node = tree[node, PARENT]
    for k in range(end - 1, begin - 1, -1):
        out[at + k - begin] = tree[node, SYMBOL]
        node = tree[node, PARENT]
    return at + end - begin
