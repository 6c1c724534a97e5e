"""Strings of transition-ids as nodes of a tree, so that equal strings are one number (Kaldi's LatticeStringRepository).

Node 0 is the empty string; a node is its parent's string and one symbol more. A tree is one int32 array [size][5] that
compiled loops hand around, and replace by a larger one where it is full: every array that a function is given or gives
back is counted, which would take longer than to append. Row n holds parent, symbol and depth of node n, and then the
slots 2n and 2n + 1 of the hash table (parent, symbol) → node, −1 where free. The size is a power of two; the symbol of
node 0, which has none, is the number of nodes in use.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["append", "common_prefix", "depth", "empty_tree", "grown_tree", "is_full", "spell", "suffix"]

PARENT, SYMBOL, DEPTH, SLOTS = 0, 1, 2, 3


@kernel
def empty_tree(size):
    """Returns a tree that holds the empty string; `size` is a power of two."""
    tree = np.full((size, 5), -1, np.int32)
    tree[0, SYMBOL], tree[0, DEPTH] = 1, 0
    return tree


@kernel
def depth(tree, node):
    """Returns how many symbols a string has."""
    return tree[node, DEPTH]


@kernel
def _slot(parent, symbol, mask):
    key = np.uint64(parent) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(symbol) * np.uint64(0xC2B2AE3D27D4EB4F)
    key ^= key >> np.uint64(29)
    return np.int64((key * np.uint64(0xBF58476D1CE4E5B9)) >> np.uint64(33)) & mask


@kernel
def _found(tree, parent, symbol):
    """Returns the node of a parent's string with one symbol more; −1 − its place in the table if there is none."""
    after = parent + 1  # where a string is spelt again, its nodes follow each other
    if after < tree[0, SYMBOL] and tree[after, PARENT] == parent and tree[after, SYMBOL] == symbol:
        return np.int64(after)
    mask = 2 * len(tree) - 1
    place = _slot(parent, symbol, mask)
    while True:
        node = tree[place >> 1, SLOTS + (place & 1)]
        if node < 0:
            return -1 - place
        if tree[node, PARENT] == parent and tree[node, SYMBOL] == symbol:
            return np.int64(node)
        place = (place + 1) & mask


@kernel
def is_full(tree, more):
    """Tells whether a tree is too small for `more` symbols that are appended; `grown_tree` makes a larger one."""
    return tree[0, SYMBOL] + more > len(tree)


@kernel
def grown_tree(tree, more):
    """Returns the same tree with room for `more` symbols that are appended."""
    size = len(tree)
    while size < tree[0, SYMBOL] + more:
        size *= 2
    new = np.full((size, 5), -1, np.int32)
    new[: len(tree), :SLOTS] = tree[:, :SLOTS]
    mask = 2 * size - 1
    for node in range(1, tree[0, SYMBOL]):
        place = _slot(new[node, PARENT], new[node, SYMBOL], mask)
        while new[place >> 1, SLOTS + (place & 1)] >= 0:
            place = (place + 1) & mask
        new[place >> 1, SLOTS + (place & 1)] = node
    return new


@kernel
def append(tree, node, symbol):
    """Returns the node of a node's string with one symbol more; the tree has room for it."""
    found = _found(tree, node, symbol)
    if found >= 0:
        return np.int32(found)
    count, place = tree[0, SYMBOL], -1 - found
    tree[count, PARENT], tree[count, SYMBOL], tree[count, DEPTH] = node, symbol, tree[node, DEPTH] + 1
    tree[place >> 1, SLOTS + (place & 1)] = count
    tree[0, SYMBOL] = count + 1
    return np.int32(count)


@kernel
def common_prefix(tree, a, b):
    """Returns the node of the longest string that both begin with."""
    while tree[a, DEPTH] > tree[b, DEPTH]:
        a = tree[a, PARENT]
    while tree[b, DEPTH] > tree[a, DEPTH]:
        b = tree[b, PARENT]
    while a != b:
        a, b = tree[a, PARENT], tree[b, PARENT]
    return a


@kernel
def spell(tree, node, drop):
    """Returns the symbols of a string, int32, without its first `drop` ones."""
    length = tree[node, DEPTH] - drop
    out = np.empty(max(length, 0), np.int32)
    for i in range(length - 1, -1, -1):
        out[i] = tree[node, SYMBOL]
        node = tree[node, PARENT]
    return out


@kernel
def suffix(tree, node, drop):
    """Returns the node of a string without its first `drop` symbols; the tree has room for the rest."""
    if drop == 0:
        return np.int32(node)
    rest = spell(tree, node, drop)
    at = np.int32(0)
    for symbol in rest:
        at = append(tree, at, symbol)
    return at
