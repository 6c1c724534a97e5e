"""Strings of labels as nodes of a tree, for determinisation: compiled by numba.

Node n from 1 to the highest label is that label alone, 0 the empty string.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["Strings", "append", "common_prefix", "list_strings", "string_labels", "without_prefix"]

_ODD = np.uint64(0x9E3779B97F4A7C15)


class Strings(NamedTuple):
    """A tree of labels: each node's string without its last label, that label and the length; a table of nodes."""

    parents: np.ndarray
    labels: np.ndarray
    depths: np.ndarray
    following: np.ndarray
    heads: np.ndarray


@kernel
def _slot(strings, parent, label):
    key = np.uint64(parent) << np.uint64(32) | np.uint64(label)
    return np.int64((key * _ODD) >> np.uint64(33)) & (len(strings.heads) - 1)


@kernel
def append(strings, number, string, label):
    """Returns the node of a string with one label more, and how many nodes there are now; there must be room for it."""
    if string == 0:
        return label, number
    slot = _slot(strings, string, label)
    node = strings.heads[slot]
    while node >= 0 and (strings.parents[node] != string or strings.labels[node] != label):
        node = strings.following[node]
    if node >= 0:
        return node, number
    strings.parents[number], strings.labels[number] = string, label
    strings.depths[number] = strings.depths[string] + 1
    strings.following[number], strings.heads[slot] = strings.heads[slot], number
    return np.int32(number), number + 1


@kernel
def list_strings(strings, number):
    """Puts the nodes of several labels into an empty table."""
    for node in range(number):
        if strings.depths[node] > 1:
            slot = _slot(strings, strings.parents[node], strings.labels[node])
            strings.following[node], strings.heads[slot] = strings.heads[slot], node


@kernel
def common_prefix(strings, a, b):
    """Returns the longest string that both begin with."""
    while strings.depths[a] > strings.depths[b]:
        a = strings.parents[a]
    while strings.depths[b] > strings.depths[a]:
        b = strings.parents[b]
    while a != b:
        a, b = strings.parents[a], strings.parents[b]
    return a


@kernel
def string_labels(strings, string, begin):
    """Returns the labels of a string from the one numbered `begin` on: int32."""
    labels = np.empty(strings.depths[string] - begin, np.int32)
    for k in range(len(labels) - 1, -1, -1):
        labels[k] = strings.labels[string]
        string = strings.parents[string]
    return labels


@kernel
def without_prefix(strings, number, string, length):
    """Returns a string without its first labels, and how many nodes there are now."""
    rest = np.int32(0)
    for label in string_labels(strings, string, length):
        rest, number = append(strings, number, rest, label)
    return rest, number
