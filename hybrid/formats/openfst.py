"""OpenFst's binary files as numpy arrays, and the bridge to kaldifst.

An FST of the standard (tropical) arc type is held in compressed sparse rows: the arcs of state
`s` are rows `row_splits[s]` to `row_splits[s + 1]` of four arrays (`FstArrays`).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from hybrid.base.disk import writing
from hybrid.base.errors import HybridError
from hybrid.formats.fst_arrays import FstArrays
from hybrid.formats.openfst_files import is_fst, read_fst, read_fst_stream, read_header, write_fst, write_stream

if TYPE_CHECKING:
    import kaldifst

__all__ = ["FstArrays", "from_kaldifst", "is_fst", "read_fst", "read_fst_stream", "to_kaldifst", "vector_stats",
           "write_fst"]  # fmt: skip

SMALL_STATES = 100_000  # FSTs up to here go to kaldifst through files in memory


@contextmanager
def _scratch_file(states: int) -> Iterator[str]:
    """Yields the name of a file for an FST on its way: in memory if it is small and the system has such files."""
    with writing("a temporary file (TMPDIR)"):
        if states <= SMALL_STATES and hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("fst")
            try:
                yield f"/proc/self/fd/{descriptor}"
            finally:
                os.close(descriptor)
            return
        descriptor, name = tempfile.mkstemp(prefix="hybrid-", suffix=".fst")
        os.close(descriptor)
        try:
            yield name
        finally:
            os.unlink(name)


def _write(fst: kaldifst.StdVectorFst, file: str) -> None:
    if not fst.write(file):
        raise HybridError(
            f"{file}: an FST of {fst.num_states} states could not be written. Make room in the temporary folder, or "
            "choose another with TMPDIR."
        )


def to_kaldifst(fst: FstArrays) -> kaldifst.StdVectorFst:
    """Copies an FST into kaldifst, through a temporary file (kaldifst has no door for arrays)."""
    import kaldifst

    with _scratch_file(fst.num_states) as file:
        with open(file, "wb") as stream:
            write_stream(stream, fst, "vector")
        copy = kaldifst.StdVectorFst.read(file)
    if copy is None:
        raise MemoryError(f"kaldifst could not take an FST of {fst.num_states} states and {fst.num_arcs} arcs")
    return copy


def from_kaldifst(fst: kaldifst.StdVectorFst) -> FstArrays:
    """Copies an FST out of kaldifst, through a temporary file."""
    with _scratch_file(fst.num_states) as file:
        _write(fst, file)
        return read_fst(file)


def vector_stats(fst: kaldifst.StdVectorFst) -> tuple[int, int, float, float]:
    """Returns states, arcs, and the smallest and largest cost that a state's arcs and final weight sum to.

    Sums are in the log semiring; the FST goes to a file, of which only one page at a time is in memory.
    """
    from hybrid.formats import openfst_kernels as kernels

    with _scratch_file(fst.num_states) as file:
        _write(fst, file)
        with open(file, "rb") as stream:
            header = read_header(stream, "FST")
            begin = stream.tell()
        if header.num_states == 0:
            return 0, 0, 0.0, 0.0
        words = np.memmap(file, np.uint8, "r", offset=begin)
        return kernels.vector_stats(words.view("<i4"), words.view("<f4"), header.num_states)
