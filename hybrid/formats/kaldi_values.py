"""Single values of Kaldi's files: matrices (also compressed ones), vectors, integer vectors; bytes there and back.

Sizes in a file are never believed beyond the bytes that follow them. `hybrid.formats.kaldi_io` reads and writes whole
archives of these values.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

import numpy as np

from hybrid.base.errors import InputError

__all__ = [
    "ValueSource",
    "array_bytes",
    "int_bytes",
    "int_vector",
    "matrix_or_vector",
]

STEP = 1 << 26  # bytes asked for at once, so that a lying header cannot claim the memory
INTEGER = np.dtype([("size", "i1"), ("value", "<i4")])  # each integer of a vector carries its size
CURE = "Write the archive again; it may have been cut short."


class ValueSource:
    """A stream with its name and position, for errors; one byte may be looked at ahead."""

    def __init__(self, stream: BinaryIO, name: object, position: int = 0) -> None:
        self.stream, self.name, self.position = stream, name, position
        self._ahead = b""

    def fail(self, message: str) -> InputError:
        """Returns the error that names the file and what is wrong with it."""
        return InputError.at(self.name, f"{message} (byte {self.position})", CURE)

    def read(self, count: int) -> bytes:
        """Up to `count` bytes."""
        data = self._ahead[:count]
        self._ahead = self._ahead[count:]
        if len(data) < count:
            data += self.stream.read(count - len(data))
        self.position += len(data)
        return data

    def peek(self, count: int) -> bytes:
        """Up to `count` bytes, which stay unread."""
        if len(self._ahead) < count:
            self._ahead += self.stream.read(count - len(self._ahead))
        return self._ahead[:count]

    def exactly(self, count: int) -> bytes:
        """`count` bytes; an InputError where the stream ends before."""
        parts = []
        left = count
        while left:
            part = self.read(min(left, STEP))
            if not part:
                raise self.fail(f"is cut short: {left} of {count} bytes are missing")
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def line(self) -> bytes:
        """Bytes up to the next newline, it included; empty at the end."""
        data = self._ahead
        if b"\n" in data:
            cut = data.index(b"\n") + 1
            self._ahead = data[cut:]
            data = data[:cut]
        else:
            self._ahead = b""
            data += self.stream.readline()
        self.position += len(data)
        return data

    def token(self, limit: int = 4096) -> str:
        """Bytes up to a space (taken), without leading white space; empty at the end."""
        out = bytearray()
        while True:
            byte = self.read(1)
            if not byte or (byte.isspace() and out):
                break
            if not byte.isspace():
                out += byte
            if len(out) > limit:
                raise self.fail(f"is no archive: a key of more than {limit} bytes")
        try:
            return out.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.fail("is no archive: a key is not UTF-8") from error


def _integer(source: ValueSource) -> int:
    size, value = struct.unpack("<bi", source.exactly(5))
    if size != 4:
        raise source.fail(f"an integer of {size} bytes where 4 were expected")
    return value


def _binary_array(source: ValueSource) -> np.ndarray:
    kind = source.token(8)
    if kind in ("FM", "DM"):
        shape: tuple[int, ...] = (_integer(source), _integer(source))
    elif kind in ("FV", "DV"):
        shape = (_integer(source),)
    elif kind in ("CM", "CM2", "CM3"):
        return _compressed(source, kind)
    else:
        raise source.fail(f"holds '{kind[:20]}' where a float matrix or vector was expected")
    if min(shape) < 0:
        raise source.fail(f"claims a matrix of shape {shape}")
    dtype = np.dtype("<f4" if kind[0] == "F" else "<f8")
    count = int(np.prod(np.array(shape, dtype=object)))
    return np.frombuffer(source.exactly(count * dtype.itemsize), dtype).reshape(shape).copy()


def _compressed(source: ValueSource, kind: str) -> np.ndarray:
    """Reads one of the three compressed forms: values as bytes or 16-bit integers between a least and a greatest."""
    low, extent, rows, cols = struct.unpack("<ffii", source.exactly(16))
    if rows < 0 or cols < 0:
        raise source.fail(f"claims a matrix of shape ({rows}, {cols})")
    if kind == "CM2":
        values = np.frombuffer(source.exactly(2 * rows * cols), "<u2").reshape(rows, cols)
        return (low + values * np.float32(extent / 65535.0)).astype(np.float32)
    if kind == "CM3":
        values = np.frombuffer(source.exactly(rows * cols), np.uint8).reshape(rows, cols)
        return (low + values * np.float32(extent / 255.0)).astype(np.float32)
    header = np.frombuffer(source.exactly(8 * cols), "<u2").reshape(cols, 4)
    p0, p25, p75, p100 = (low + header * np.float32(extent / 65535.0)).astype(np.float32).T[:, :, None]
    code = np.frombuffer(source.exactly(rows * cols), np.uint8).reshape(cols, rows).astype(np.float32)
    below = p0 + (p25 - p0) * code * np.float32(1 / 64)
    middle = p25 + (p75 - p25) * (code - 64) * np.float32(1 / 128)
    above = p75 + (p100 - p75) * (code - 192) * np.float32(1 / 63)
    return np.ascontiguousarray(np.where(code <= 64, below, np.where(code <= 192, middle, above)).T)


def _text_array(source: ValueSource, dtype: Any) -> np.ndarray:
    head = source.line().strip()
    if not head.startswith(b"["):
        raise source.fail(f"holds {head[:20]!r} where a matrix was expected")
    rows: list[np.ndarray] = []
    line, first = head[1:], True
    one_line = b"]" in line
    while True:
        end = line.find(b"]")
        words = (line if end < 0 else line[:end]).split()
        if words:
            try:
                rows.append(np.array(words, dtype))
            except ValueError as error:
                raise source.fail(f"holds something that is no number: {error}") from error
            if len(rows[-1]) != len(rows[0]):
                raise source.fail(f"row {len(rows)} has {len(rows[-1])} values, the first has {len(rows[0])}")
        if end >= 0:
            break
        line = source.line()
        if not line:
            raise source.fail("is cut short: a matrix has no closing bracket")
        first = False
    if not rows:
        return np.zeros((0, 0), dtype)
    return rows[0] if one_line and first else np.stack(rows)


def matrix_or_vector(source: ValueSource, dtype: Any = np.float32) -> np.ndarray:
    """Reads a float matrix or vector in any of its forms; text becomes `dtype`.

    Raises:
      InputError: cut short, damaged, or of another kind.
    """
    if source.peek(2) == b"\0B":
        source.exactly(2)
        return _binary_array(source)
    return _text_array(source, dtype)


def int_vector(source: ValueSource) -> np.ndarray:
    """Reads an int32 vector, binary or the rest of a text line."""
    if source.peek(2) == b"\0B":
        source.exactly(2)
        count = _integer(source)
        if count < 0:
            raise source.fail(f"claims {count} integers")
        values = np.frombuffer(source.exactly(5 * count), INTEGER)
        if (values["size"] != 4).any():
            raise source.fail("holds integers of another size than 4 bytes")
        return values["value"].copy()
    try:
        wide = np.array([int(word) for word in source.line().split()], np.int64)
        if len(wide) and (wide.min() < -(2**31) or wide.max() >= 2**31):
            raise OverflowError("out of range")
        return wide.astype(np.int32)
    except (ValueError, OverflowError) as error:
        raise source.fail(f"holds something that is no 32-bit integer: {error}") from error


def array_bytes(array: np.ndarray, text: bool) -> bytes:
    """Encodes a matrix or vector; float64 stays double, anything else becomes float."""
    array = np.asarray(array)
    if array.ndim not in (1, 2):
        raise ValueError(f"array of {array.ndim} axes, wanted 1 or 2")
    if text:
        digits = 17 if array.dtype == np.float64 else 9
        rows = [" ".join(f"{value:.{digits}g}" for value in row) for row in np.atleast_2d(array)]
        if array.ndim == 1:
            return f" [ {rows[0]} ]\n".encode()
        return (" [\n" + "".join(f"  {row} \n" for row in rows)[:-1] + "]\n").encode() if rows else b" [ ]\n"
    double = array.dtype == np.float64
    sizes = b"".join(struct.pack("<bi", 4, size) for size in array.shape)
    kind = ("D" if double else "F") + ("M" if array.ndim == 2 else "V")
    return b"\0B" + f"{kind} ".encode() + sizes + np.ascontiguousarray(array, "<f8" if double else "<f4").tobytes()


def int_bytes(vector: np.ndarray, text: bool) -> bytes:
    """Encodes an int32 vector."""
    vector = np.ascontiguousarray(vector, "<i4")
    if vector.ndim != 1:
        raise ValueError(f"array of {vector.ndim} axes, wanted 1")
    if text:
        return (" ".join(map(str, vector.tolist())) + "\n").encode()
    values = np.empty(len(vector), INTEGER)
    values["size"], values["value"] = 4, vector
    return b"\0B" + struct.pack("<bi", 4, len(vector)) + values.tobytes()
