"""Arrays of a mapped file, mapped once more in front of new rows: the pages are shared, the file is not touched."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import sys
import weakref
from collections.abc import Mapping

import numpy as np

__all__ = ["MappedRows"]

FIXED = 0x10  # MAP_FIXED of Linux; other systems copy


class MappedRows:
    """Where the arrays of a mapped file lie in it; the file stays open as long as this lives."""

    def __init__(self, descriptor: int, begins: Mapping[str, int]) -> None:
        """Takes a descriptor, which is duplicated, and array → its first byte, each at the beginning of a page."""
        self._descriptor, self._begins = os.dup(descriptor), begins
        weakref.finalize(self, os.close, self._descriptor)

    def joined(self, name: str, own: np.ndarray, more: np.ndarray, room: int = 0) -> np.ndarray | None:
        """Returns an array followed by more rows, as bytes; None where this system cannot share memory so.

        Args:
          own: what is kept of it, uint8, from its beginning. more: uint8. room: bytes behind, for rows to come.
        """
        whole = len(own) // mmap.PAGESIZE * mmap.PAGESIZE
        if not sys.platform.startswith("linux") or not whole or self._begins[name] % mmap.PAGESIZE:
            return None
        region = mmap.mmap(-1, len(own) + len(more) + room, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        both = np.frombuffer(region, np.uint8)
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        protection, kind = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | FIXED
        place = both.ctypes.data
        if libc.mmap(place, whole, protection, kind, self._descriptor, self._begins[name]) != place:
            return None
        if hasattr(mmap, "MADV_HUGEPAGE"):  # as for the file itself, see `hybrid.search.layout`
            with contextlib.suppress(OSError):
                region.madvise(mmap.MADV_HUGEPAGE)
        both[whole : len(own)] = own[whole:]
        both[len(own) : len(own) + len(more)] = more
        return both
