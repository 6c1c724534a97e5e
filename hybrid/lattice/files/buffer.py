"""Bytes of a stream, buffered so that records of unknown length can be looked at before they are consumed."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from hybrid.lattice.lattice import LatticeError

__all__ = ["ByteBuffer"]

BLOCK = 1 << 20


class ByteBuffer:
    """A stream with a view of what comes; `line` counts the lines of text that its user has consumed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._buffer = bytearray()
        self._position = 0
        self.line = 0

    def more(self) -> bool:
        """Buffers more; False at the end of the file."""
        block = self._stream.read(max(BLOCK, len(self._buffer) - self._position))
        if not block:
            return False
        del self._buffer[: self._position]
        self._position = 0
        self._buffer = self._buffer + block
        return True

    def view(self) -> np.ndarray:
        """Returns what is buffered and not consumed, uint8."""
        return np.frombuffer(bytes(memoryview(self._buffer)[self._position :]), np.uint8)

    def skip(self, count: int) -> None:
        """Consumes `count` bytes that are in view."""
        self._position += count

    def take(self, count: int) -> bytes:
        """Consumes and returns `count` bytes.

        Raises:
          LatticeError: they end before.
        """
        while len(self._buffer) - self._position < count:
            if not self.more():
                raise LatticeError("is cut short")
        data = bytes(self._buffer[self._position : self._position + count])
        self._position += count
        return data

    def peek(self, count: int = 1) -> bytes:
        """Returns the next bytes, fewer or none at the end."""
        while len(self._buffer) - self._position < count and self.more():
            pass
        return bytes(self._buffer[self._position : self._position + count])

    def until(self, marks: bytes, limit: int = 1 << 24) -> bytes:
        """Consumes up to and including the first of the marks, to the end of the file, or to `limit` bytes and some."""
        found = bytearray()
        while self.peek():
            places = [i for i in (self._buffer.find(bytes([m]), self._position) for m in marks) if i >= 0]
            end = min(places) + 1 if places else len(self._buffer)
            found += self._buffer[self._position : end]
            self._position = end
            if places or len(found) > limit:
                break
        return bytes(found)
