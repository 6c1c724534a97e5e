"""Reads Kaldi's tree files, text and binary.

A file is `ContextDependency N P ToPdf NODE EndContextDependency`, where NODE is `CE pdf` (a leaf),
`SE key [ values ] { yes no }`, or `TE key size ( child … )` with `NULL` for an absent child.
"""

from __future__ import annotations

import os
import re
import struct
from abc import ABC, abstractmethod
from typing import NoReturn

from hybrid.base.errors import InputError, quote
from hybrid.base.reading import read_bytes
from hybrid.tree.context_tree import ContextTree
from hybrid.tree.nodes import Leaf, Node, Split, Table

__all__ = ["parse_tree", "read_tree"]

_MAX_DEPTH = 200
_MAX_VALUE = 1 << 16  # no phone or pdf-class is larger; also bounds the memory that a hostile file can ask for
_MAX_BYTES = 1 << 28
_CURE = "Copy the tree again from where it was made; it may have been cut short."


def read_tree(path: str | os.PathLike) -> ContextTree:
    """Reads a tree in text or binary form.

    Raises:
      InputError: the file is missing, cut short, or not a tree.
    """
    return parse_tree(read_bytes(path), path)


def parse_tree(data: bytes, place: object = "tree") -> ContextTree:
    """Parses the bytes of a tree file.

    Args:
      place: where the bytes come from, for errors.

    Raises:
      InputError: they are cut short or not a tree.
    """
    if len(data) > _MAX_BYTES:
        raise InputError.at(place, f"{len(data)} bytes are too many for a tree", "Give the path of a tree file.")
    source: _Tokens = _Binary(data[2:], place) if data[:2] == b"\0B" else _Text(data, place)
    source.expect("ContextDependency")
    width, position = source.integer(), source.integer()
    if not 1 <= width <= 100 or not 0 <= position < width:
        source.fail(f"context width {width} with central position {position} is impossible")
    source.expect("ToPdf")
    root = _parse_node(source, source.token(), width, 0)
    source.expect("EndContextDependency")
    if root is None:
        source.fail("the tree has no node")
    try:
        return ContextTree(width, position, root)
    except ValueError as error:
        raise InputError.at(place, str(error), _CURE) from error


def _parse_node(source: _Tokens, kind: str, width: int, depth: int) -> Node | None:
    if depth > _MAX_DEPTH:
        source.fail(f"more than {_MAX_DEPTH} questions below one another; no tree is that deep")
    if kind == "NULL":
        return None
    if kind == "CE":
        pdf = source.integer()
        return Leaf(pdf) if 0 <= pdf < 1 << 24 else source.fail(f"pdf {pdf} is out of range")
    if kind not in ("SE", "TE"):
        source.fail(f"found '{quote(kind, 20)}'; wanted one of CE, SE, TE, NULL")
    key = source.integer()
    if not -1 <= key < width:
        source.fail(f"a question asks about position {key} of a context of {width} phones")
    if kind == "SE":
        values = source.integers()
        if any(a >= b for a, b in zip(values, values[1:])) or any(not 0 <= v < _MAX_VALUE for v in values):
            source.fail("values of a question must be sorted, distinct and in range")
        source.expect("{")
        yes = _parse_node(source, source.token(), width, depth + 1)
        no = _parse_node(source, source.token(), width, depth + 1)
        source.expect("}")
        if yes is None or no is None:
            source.fail("a question has no node for one of its answers")
        return Split(key, values, yes, no)
    size = source.size()
    source.expect("(")
    children = tuple(_parse_node(source, source.token(), width, depth + 1) for _ in range(size))
    source.expect(")")
    return Table(key, children)


class _Tokens(ABC):
    """What a tree is read from, in either form."""

    @abstractmethod
    def fail(self, message: str) -> NoReturn:
        """Raises an InputError that names the place."""

    @abstractmethod
    def token(self) -> str:
        """The next word or bracket."""

    @abstractmethod
    def integer(self) -> int:
        """The next number."""

    @abstractmethod
    def integers(self) -> tuple[int, ...]:
        """The next vector of numbers."""

    def expect(self, wanted: str) -> None:
        found = self.token()
        if found != wanted:
            self.fail(f"found '{quote(found, 20)}'; wanted '{quote(wanted)}'")

    def size(self) -> int:
        number = self.integer()
        if not 0 <= number <= _MAX_VALUE:
            self.fail(f"{number} is impossible as a number of branches")
        return number


class _Text(_Tokens):
    """Tokens of the text form, with line numbers for errors."""

    def __init__(self, data: bytes, place: object) -> None:
        self._data, self._place = data, place
        self._tokens = re.finditer(rb"\S+", data)
        self._at = 0

    def fail(self, message: str) -> NoReturn:
        line = self._data.count(b"\n", 0, self._at) + 1
        raise InputError.at(self._place, message, _CURE, line)

    def token(self) -> str:
        """Returns the next token."""
        match = next(self._tokens, None)
        if match is None:
            self._at = len(self._data)
            self.fail("the tree ends here, in the middle of a node")
        self._at = match.start()
        return match.group().decode("ascii", "replace")

    def integer(self) -> int:
        found = self.token()
        if not re.fullmatch(r"-?[0-9]{1,10}", found):
            self.fail(f"found '{quote(found, 20)}'; wanted an integer")
        return int(found)

    def integers(self) -> tuple[int, ...]:
        """Returns the numbers of a vector in brackets."""
        self.expect("[")
        values = []
        while (found := self.token()) != "]":
            if not re.fullmatch(r"-?[0-9]{1,10}", found):
                self.fail(f"found '{quote(found, 20)}'; wanted an integer or ']'")
            values.append(int(found))
        return tuple(values)


class _Binary(_Tokens):
    """The same tokens from the binary form."""

    def __init__(self, data: bytes, place: object) -> None:
        self._data, self._place, self._at = data, place, 0

    def fail(self, message: str) -> NoReturn:
        raise InputError.at(self._place, f"byte {self._at + 2}: {message}", _CURE)

    def _take(self, count: int) -> bytes:
        if count < 0 or self._at + count > len(self._data):
            self.fail("the tree ends here, in the middle of a node")
        piece = self._data[self._at : self._at + count]
        self._at += count
        return piece

    def token(self) -> str:
        end = self._data.find(b" ", self._at, self._at + 40)
        if end < 0:
            self.fail("wanted a token of a tree" if self._at + 40 < len(self._data) else "the tree ends here")
        return self._take(end + 1 - self._at)[:-1].decode("ascii", "replace")

    def integer(self) -> int:
        if self._take(1) not in (b"\x04", b"\xfc"):
            self.fail("wanted a 32-bit integer")
        return int(struct.unpack("<i", self._take(4))[0])

    def integers(self) -> tuple[int, ...]:
        if self._take(1) != b"\x04":
            self.fail("wanted a vector of 32-bit integers")
        (count,) = struct.unpack("<i", self._take(4))
        return struct.unpack(f"<{max(count, 0)}i", self._take(4 * count))
