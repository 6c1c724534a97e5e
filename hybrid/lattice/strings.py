"""Strings of transition-ids as nodes of a tree, so that equal strings are one number (Kaldi's LatticeStringRepository).

Node 0 is the empty string; a node is its parent's string and one symbol more. The tree lives in growing arrays, which
compiled loops hand around:

  parents, symbols, depths: int32, by node.
  table: int32, open addressing, (parent, symbol) → node, −1 where free; its size is a power of two.
  count: nodes in use.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["append", "common_prefix", "empty_tree", "spell", "suffix"]


@kernel
def empty_tree(size):
    """Returns the arrays of a tree that holds the empty string; `size` is a power of two."""
    parents, symbols = np.empty(size, np.int32), np.empty(size, np.int32)
    depths, table = np.empty(size, np.int32), np.full(2 * size, -1, np.int32)
    parents[0], symbols[0], depths[0] = -1, 0, 0
    return parents, symbols, depths, table, 1


@kernel
def _slot(parent, symbol, mask):
    key = np.uint64(parent) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(symbol) * np.uint64(0xC2B2AE3D27D4EB4F)
    key ^= key >> np.uint64(29)
    return np.int64((key * np.uint64(0xBF58476D1CE4E5B9)) >> np.uint64(33)) & mask


@kernel
def _grown(tree):
    parents, symbols, depths, table, count = tree
    size = 2 * len(parents)
    new_parents, new_symbols = np.empty(size, np.int32), np.empty(size, np.int32)
    new_depths, new_table = np.empty(size, np.int32), np.full(2 * size, -1, np.int32)
    new_parents[:count], new_symbols[:count], new_depths[:count] = parents[:count], symbols[:count], depths[:count]
    mask = len(new_table) - 1
    for node in range(1, count):
        place = _slot(parents[node], symbols[node], mask)
        while new_table[place] >= 0:
            place = (place + 1) & mask
        new_table[place] = node
    return new_parents, new_symbols, new_depths, new_table, count


@kernel
def append(tree, node, symbol):
    """Returns the tree and the node of a node's string with one symbol more."""
    parents, symbols, depths, table, count = tree
    mask = len(table) - 1
    place = _slot(node, symbol, mask)
    while table[place] >= 0:
        found = table[place]
        if parents[found] == node and symbols[found] == symbol:
            return tree, found
        place = (place + 1) & mask
    if count == len(parents):
        tree = _grown(tree)
        parents, symbols, depths, table, count = tree
        mask = len(table) - 1
        place = _slot(node, symbol, mask)
        while table[place] >= 0:
            place = (place + 1) & mask
    parents[count], symbols[count], depths[count] = node, symbol, depths[node] + 1
    table[place] = count
    return (parents, symbols, depths, table, count + 1), np.int32(count)


@kernel
def common_prefix(tree, a, b):
    """Returns the node of the longest string that both begin with."""
    parents, depths = tree[0], tree[2]
    while depths[a] > depths[b]:
        a = parents[a]
    while depths[b] > depths[a]:
        b = parents[b]
    while a != b:
        a, b = parents[a], parents[b]
    return a


@kernel
def spell(tree, node, drop):
    """Returns the symbols of a string, int32, without its first `drop` ones."""
    parents, symbols, depths = tree[0], tree[1], tree[2]
    length = depths[node] - drop
    out = np.empty(max(length, 0), np.int32)
    for i in range(length - 1, -1, -1):
        out[i] = symbols[node]
        node = parents[node]
    return out


@kernel
def suffix(tree, node, drop):
    """Returns the tree and the node of a string without its first `drop` symbols."""
    if drop == 0:
        return tree, np.int32(node)
    rest = spell(tree, node, drop)
    at = np.int32(0)
    for symbol in rest:
        tree, at = append(tree, at, symbol)
    return tree, at
