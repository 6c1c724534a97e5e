"""OpenFst's binary files of type `vector` and `const`, without a Python loop over arcs.

The layout of the files was learnt from OpenFst 1.8 (fst.cc, vector-fst.h, const-fst.h).
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import InputError, quote
from hybrid.base.reading import unreadable
from hybrid.formats.fst_arrays import REMEDY, FstArrays

__all__ = ["is_fst", "read_fst", "read_fst_stream", "read_header", "write_fst", "write_stream"]

MAGIC = 2125659606
SYMBOL_MAGIC = 2125658996
ARC_WORDS = 4  # ilabel, olabel, weight, nextstate: int32, int32, float32, int32
STATE_WORDS = 3  # of a vector file: final weight float32, number of arcs int64
CONST_STATE_WORDS = 5  # final weight float32, first arc, arcs, input and output epsilons: uint32
CHUNK_ARCS = 1 << 20  # arcs packed at a time when writing
ALIGNMENT = 16


# --- reading -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Header:
    """What the file says of itself; a negative number of states is unknown."""

    kind: str
    aligned: bool
    start: int
    num_states: int
    num_arcs: int


def is_fst(path: str | os.PathLike) -> bool:
    """Tells by its first bytes whether a file is an OpenFst binary file."""
    try:
        with open(path, "rb") as stream:
            return stream.read(4) == struct.pack("<i", MAGIC)
    except OSError as error:
        raise unreadable(path, error) from error


def read_fst(path: str | os.PathLike) -> FstArrays:
    """Reads an OpenFst binary file of type vector or const with standard arcs.

    Raises:
      InputError: missing, no FST, of another type, cut short, or with arcs that lead nowhere.
    """
    try:
        with open(path, "rb") as stream:
            fst = read_fst_stream(stream, path)
            if stream.read(1):
                raise InputError.at(path, "has bytes after the end of the FST", REMEDY)
    except OSError as error:
        raise unreadable(path, error) from error
    return fst


def read_fst_stream(stream: BinaryIO, place: object = "FST") -> FstArrays:
    """Reads one FST from an open file and leaves the stream after it (archives hold many).

    Raises:
      InputError: as `read_fst`.
    """
    header = read_header(stream, place)
    left = os.fstat(stream.fileno()).st_size - stream.tell()
    try:
        fst = _read_vector(stream, header, left) if header.kind == "vector" else _read_const(stream, header, left)
    except ValueError as error:
        raise InputError.at(place, str(error), REMEDY) from error
    fst.check(place)
    return fst


def _take(stream: BinaryIO, size: int, place: object) -> bytes:
    data = stream.read(size) if 0 <= size <= 1 << 28 else b""
    if len(data) != size:
        raise InputError.at(place, "ends inside the header of an FST", REMEDY)
    return data


def _text(stream: BinaryIO, place: object) -> str:
    (length,) = struct.unpack("<i", _take(stream, 4, place))
    if not 0 <= length < 1 << 16:
        raise InputError.at(place, f"has a name of {length} characters in its header", REMEDY)
    return _take(stream, length, place).decode("latin-1")


def read_header(stream: BinaryIO, place: object) -> Header:
    """Reads what stands before the states, symbol tables (which are skipped) included."""
    (magic,) = struct.unpack("<i", _take(stream, 4, place))
    if magic != MAGIC:
        raise InputError.at(place, "is no OpenFst binary file", "Text FSTs: run fstcompile first.")
    kind, arc = _text(stream, place), _text(stream, place)
    if kind not in ("vector", "const"):
        raise InputError.at(
            place, f"is an FST of type '{quote(kind)}', wanted vector or const", "Run fstconvert on it."
        )
    if arc != "standard":
        raise InputError.at(place, f"has arcs of type '{quote(arc)}', wanted standard", "Convert its weights first.")
    version, flags, _, start, states, arcs = struct.unpack("<iiQqqq", _take(stream, 40, place))
    for bit in (1, 2):  # input and output symbols inside the file
        if flags & bit:
            _skip_symbols(stream, place)
    aligned = bool(flags & 4) or (kind == "const" and version == 1)
    return Header(kind, aligned, start, states, arcs)


def _skip_symbols(stream: BinaryIO, place: object) -> None:
    (magic,) = struct.unpack("<i", _take(stream, 4, place))
    if magic != SYMBOL_MAGIC:
        raise InputError.at(place, "promises a symbol table that is not there", REMEDY)
    _text(stream, place)
    _, size = struct.unpack("<qq", _take(stream, 16, place))
    for _ in range(size):
        _text(stream, place)
        _take(stream, 8, place)


def _read_vector(stream: BinaryIO, header: Header, left: int) -> FstArrays:
    """Reads the states of a vector file; the arcs of a state follow it, so states are found one after another."""
    from hybrid.formats import openfst_kernels as kernels

    begin = stream.tell()
    words = np.fromfile(stream, dtype="<i4", count=left // 4)
    states, arcs, used = kernels.measure_vector(words, header.num_states)
    if states < 0:
        raise ValueError(f"is cut short: state {-states - 1} of {header.num_states} is not whole")
    stream.seek(begin + 4 * used)
    splits = np.empty(states + 1, np.int64)
    final_costs = np.empty(states, np.float32)
    il, ol, to = (np.empty(arcs, np.int32) for _ in range(3))
    costs = np.empty(arcs, np.float32)
    kernels.unpack_vector(words, words.view(np.float32), splits, final_costs, il, ol, to, costs)
    return FstArrays(header.start if states else -1, splits, il, ol, to, costs, final_costs)


def _read_const(stream: BinaryIO, header: Header, left: int) -> FstArrays:
    """Reads a const file: an array of states, then an array of arcs."""
    states, arcs = header.num_states, header.num_arcs
    if states < 0 or arcs < 0 or 4 * (CONST_STATE_WORDS * states + ARC_WORDS * arcs) > left:
        raise ValueError(f"is cut short: {left} bytes cannot hold {states} states and {arcs} arcs")
    _align(stream, header.aligned)
    table = np.fromfile(stream, dtype="<u4", count=CONST_STATE_WORDS * states).reshape(-1, CONST_STATE_WORDS)
    _align(stream, header.aligned)
    body = np.fromfile(stream, dtype="<i4", count=ARC_WORDS * arcs).reshape(-1, ARC_WORDS)
    if len(table) != states or len(body) != arcs:
        raise ValueError("is cut short")
    splits = np.concatenate([[0], np.cumsum(table[:, 2], dtype=np.int64)])
    if splits[-1] != arcs or not np.array_equal(table[:, 1], splits[:-1]):
        raise ValueError("has states whose arcs do not lie one after another")
    il, ol, to = (np.ascontiguousarray(body[:, i]) for i in (0, 1, 3))
    costs = np.ascontiguousarray(body[:, 2]).view(np.float32)
    final_costs = np.ascontiguousarray(table[:, 0]).view(np.float32)
    return FstArrays(header.start if states else -1, splits, il, ol, to, costs, final_costs)


def _align(stream: BinaryIO, aligned: bool) -> None:
    if aligned and stream.tell() % ALIGNMENT:
        stream.seek(ALIGNMENT - stream.tell() % ALIGNMENT, os.SEEK_CUR)


# --- writing -------------------------------------------------------------------------------------


def write_fst(path: str | os.PathLike, fst: FstArrays, kind: str = "vector") -> None:
    """Writes an OpenFst binary file, atomically.

    Args:
      kind: "vector" (what most programs write) or "const" (smaller and quicker to load).
    """
    if kind not in ("vector", "const"):
        raise ValueError(f"kind of FST file is '{quote(kind)}', wanted vector or const")
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        write_stream(stream, fst, kind)


def write_stream(stream: Any, fst: FstArrays, kind: str) -> None:
    """Writes an FST to an open binary file; see `write_fst`."""
    # Only what every FST of the type has is claimed among the properties; OpenFst computes the rest on demand.
    properties = 3 if kind == "vector" else 1
    name, arc = kind.encode(), b"standard"
    stream.write(struct.pack(f"<ii{len(name)}si{len(arc)}s", MAGIC, len(name), name, len(arc), arc))
    stream.write(struct.pack("<iiQqqq", 2, 0, properties, fst.start, fst.num_states, fst.num_arcs))
    if kind == "const":
        _write_const_states(stream, fst)
        for begin in range(0, fst.num_arcs, CHUNK_ARCS):
            stream.write(_pack_arcs(fst, begin, min(begin + CHUNK_ARCS, fst.num_arcs)).tobytes())
        return
    from hybrid.formats import openfst_kernels as kernels

    begin = 0
    while begin < fst.num_states:
        end = int(np.searchsorted(fst.row_splits, fst.row_splits[begin] + CHUNK_ARCS, side="left"))
        end = min(max(end, begin + 1), begin + CHUNK_ARCS, fst.num_states)
        words = STATE_WORDS * (end - begin) + ARC_WORDS * int(fst.row_splits[end] - fst.row_splits[begin])
        out = np.empty(words, np.int32)
        kernels.pack_vector(
            begin, end, fst.row_splits, fst.final_costs, fst.ilabels, fst.olabels, fst.next_states, fst.costs,
            out, out.view(np.float32),
        )  # fmt: skip
        stream.write(out.tobytes())
        begin = end


def _write_const_states(stream: Any, fst: FstArrays) -> None:
    sources = fst.sources()
    table = np.empty((fst.num_states, CONST_STATE_WORDS), np.uint32)
    table[:, 0] = fst.final_costs.view(np.uint32)
    table[:, 1] = fst.row_splits[:-1]
    table[:, 2] = np.diff(fst.row_splits)
    table[:, 3] = np.bincount(sources[fst.ilabels == 0], minlength=fst.num_states)
    table[:, 4] = np.bincount(sources[fst.olabels == 0], minlength=fst.num_states)
    stream.write(table.tobytes())


def _pack_arcs(fst: FstArrays, begin: int, end: int) -> np.ndarray:
    block = np.empty((end - begin, ARC_WORDS), np.int32)
    block[:, 0] = fst.ilabels[begin:end]
    block[:, 1] = fst.olabels[begin:end]
    block[:, 2] = fst.costs[begin:end].view(np.int32)
    block[:, 3] = fst.next_states[begin:end]
    return block
