"""Reading of .npy files from strangers: one array of plain numbers, nothing evaluated, no size believed."""

from __future__ import annotations

import math
import os
import re
import struct
from typing import BinaryIO

import numpy as np

from hybrid.base.errors import InputError, quote
from hybrid.base.reading import open_bytes

__all__ = ["read_npy"]

MAGIC = b"\x93NUMPY"
LONGEST_HEADER = 4096  # of an array without fields, padding included
TYPE = r"'descr': '([<>=|](?:[iuf][1248]|b1|f2))'"
SHAPE = r"'shape': \(((?:\d{1,9}, ?)*(?:\d{1,9})?)\)"
ORDER = r"'fortran_order': (True|False)"
STEP = 1 << 26  # bytes asked for at once, so that a lying header cannot claim the memory
CURE = "Write it again with numpy.save."


def read_npy(path: str | os.PathLike) -> np.ndarray:
    """Reads the array of a .npy file.

    Returns:
      Integers or real numbers of the file's own type, at most 32 axes.

    Raises:
      InputError: missing, damaged, cut short, or an array of something else (objects, text, records).
    """
    with open_bytes(path) as stream:
        kind, shape, by_columns = _header(stream, path)
        count = math.prod(shape)
        parts, left = [], count * kind.itemsize
        while left > 0:
            part = stream.read(min(left, STEP))
            if not part:
                raise InputError.at(path, f"is cut short: {left} of {count * kind.itemsize} bytes are missing", CURE)
            parts.append(part)
            left -= len(part)
    flat = np.frombuffer(b"".join(parts), kind) if count else np.zeros(0, kind)
    return flat.reshape(shape, order="F" if by_columns else "C").copy()


def _header(stream: BinaryIO, path: object) -> tuple[np.dtype, tuple[int, ...], bool]:
    """Returns type, shape, and whether the array lies column by column."""
    start = stream.read(8)
    if start[:6] != MAGIC or len(start) < 8 or start[6] not in (1, 2, 3):
        raise InputError.at(path, "is no .npy file", CURE)
    width, form = (2, "<H") if start[6] == 1 else (4, "<I")
    size = stream.read(width)
    length = struct.unpack(form, size)[0] if len(size) == width else 0
    text = stream.read(min(length, LONGEST_HEADER)).decode("latin-1")
    found = [re.search(pattern, text, re.ASCII) for pattern in (TYPE, SHAPE, ORDER)]
    if len(text) != length or None in found:
        raise InputError.at(path, f"has no header of an array of numbers (found '{quote(text.strip())}')", CURE)
    name, sizes, order = (match[1] for match in found if match)
    shape = tuple(int(n) for n in sizes.split(",") if n.strip())
    if len(shape) > 32:
        raise InputError.at(path, f"has {len(shape)} axes", CURE)
    try:
        return np.dtype(name), shape, order == "True"
    except TypeError as error:  # a float of one byte
        raise InputError.at(path, f"holds numbers of a type that there is not ('{quote(name)}')", CURE) from error
