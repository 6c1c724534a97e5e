"""Lattices in Kaldi's binary form: OpenFst vector files with two-part weights.

Layout (OpenFst's vector-fst.h, Kaldi's lattice-weight.h): a header; then for each state the final weight, the
number of arcs, and the arcs; costs are float32, a compact weight ends in its counted transition-ids.
"""

from __future__ import annotations

import struct
from typing import Protocol

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.base.errors import quote
from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.files.stored import StoredLattice
from hybrid.lattice.lattice import Lattice, LatticeError

__all__ = ["MAGIC", "ByteSource", "pack_compact", "pack_lattice", "read_binary"]

MAGIC = 2125659606
ARC_TYPES = {b"lattice4": False, b"compactlattice44": True}


class ByteSource(Protocol):
    """Bytes that come as they are needed."""

    def take(self, count: int) -> bytes:
        """Consumes `count` bytes; LatticeError if they end before."""

    def skip(self, count: int) -> None:
        """Consumes `count` bytes that are in view."""

    def view(self) -> np.ndarray:
        """What is buffered and not consumed, uint8."""

    def more(self) -> bool:
        """Buffers more; False at the end of the file."""


def read_binary(source: ByteSource) -> StoredLattice | CompactLattice:
    """Reads one lattice, in the form in which it is stored.

    Raises:
      LatticeError: cut short, of another type, or no lattice.
    """
    if struct.unpack("<i", source.take(4))[0] != MAGIC:
        raise LatticeError("is no binary FST")
    kind, arc_type = _text(source), _text(source)
    if kind != b"vector" or arc_type not in ARC_TYPES:
        found, arcs = quote(kind.decode("latin-1")), quote(arc_type.decode("latin-1"))
        raise LatticeError(f"holds an FST '{found}' of '{arcs}' arcs, wanted a vector of lattice4 or compactlattice44")
    _, flags, _, start, states, _ = struct.unpack("<iiQqqq", source.take(40))
    if flags & 3:
        raise LatticeError("holds symbol tables, which lattices do not")
    if states < 0 or start >= states or states > 1 << 31:
        raise LatticeError(f"promises {states} states and start {start}")
    compact = ARC_TYPES[arc_type]
    while True:
        view = source.view()
        end, arcs, length, final_length = _measure(view, states, compact)
        if end == -2:
            raise LatticeError("has a negative number of arcs or transition-ids; the file is damaged")
        if end >= 0:
            break
        if not source.more():
            raise LatticeError("is cut short")
    parts = _unpack(view, states, compact, arcs, length, final_length)
    source.skip(end)
    return _assemble(start, compact, parts)


def _assemble(start: int, compact: bool, parts: tuple[np.ndarray, ...]) -> StoredLattice | CompactLattice:
    sources, next_states, ilabels, words, graph, acoustic, splits, strings = parts[:8]
    final_graph, final_acoustic, final_splits, final_strings = parts[8:]
    with np.errstate(invalid="ignore"):  # a damaged score may be a NaN that signals; it is refused by name later
        graph, acoustic, final_graph, final_acoustic = (
            0.0 - bits.view(np.float32) for bits in (graph, acoustic, final_graph, final_acoustic)
        )
    finals = (final_graph, final_acoustic)
    if compact:
        if len(words) and not np.array_equal(ilabels, words):
            raise LatticeError("has different input and output words on one arc")
        return CompactLattice(
            start, sources, next_states, words, graph, acoustic, splits, strings, final_graph, final_acoustic,
            final_splits, final_strings,
        )  # fmt: skip
    return StoredLattice.of(start, (sources, next_states, ilabels, words, graph, acoustic), finals)


def _text(source: ByteSource) -> bytes:
    (length,) = struct.unpack("<i", source.take(4))
    if not 0 <= length < 256:
        raise LatticeError(f"has a name of {length} characters in its header")
    return source.take(length)


@kernel
def _int32(view, p):
    low = np.uint32(view[p]) | np.uint32(view[p + 1]) << np.uint32(8)
    high = np.uint32(view[p + 2]) << np.uint32(16) | np.uint32(view[p + 3]) << np.uint32(24)
    return np.int32(low | high)


@kernel
def _int64(view, p):
    value = np.int64(0)
    for k in range(7, -1, -1):
        value = (value << np.int64(8)) | np.int64(view[p + k])
    return value


@kernel
def _measure(view, states, compact):
    """Returns (end, arcs, string length, final string length); end -1: more bytes are needed, -2: damaged."""
    size = len(view)
    p = arcs = length = final_length = np.int64(0)
    for _ in range(states):
        if p + (20 if compact else 16) > size:
            return -1, arcs, length, final_length
        p += 8
        if compact:
            n = np.int64(_int32(view, p))
            if n < 0:
                return -2, arcs, length, final_length
            p += 4 + 4 * n
            final_length += n
            if p + 8 > size:
                return -1, arcs, length, final_length
        count = _int64(view, p)
        p += 8
        if count < 0 or count > np.int64(1) << 40:
            return -2, arcs, length, final_length
        arcs += count
        if not compact:
            p += 20 * count
            if p > size:
                return -1, arcs, length, final_length
            continue
        for _ in range(count):
            if p + 24 > size:
                return -1, arcs, length, final_length
            n = np.int64(_int32(view, p + 16))
            if n < 0:
                return -2, arcs, length, final_length
            length += n
            p += 24 + 4 * n
            if p > size:
                return -1, arcs, length, final_length
    return p, arcs, length, final_length


@kernel
def _unpack(view, states, compact, arcs, length, final_length):
    sources, next_states = np.empty(arcs, np.int32), np.empty(arcs, np.int32)
    ilabels, words = np.empty(arcs, np.int32), np.empty(arcs, np.int32)
    graph, acoustic = np.empty(arcs, np.int32), np.empty(arcs, np.int32)
    splits, strings = np.zeros(arcs + 1, np.int64), np.empty(length, np.int32)
    final_graph, final_acoustic = np.empty(states, np.int32), np.empty(states, np.int32)
    final_splits, final_strings = np.zeros(states + 1, np.int64), np.empty(final_length, np.int32)
    p = np.int64(0)
    a = used = final_used = 0
    for s in range(states):
        final_graph[s], final_acoustic[s] = _int32(view, p), _int32(view, p + 4)
        p += 8
        if compact:
            n = _int32(view, p)
            p += 4
            for _ in range(n):
                final_strings[final_used] = _int32(view, p)
                final_used += 1
                p += 4
        final_splits[s + 1] = final_used
        count = _int64(view, p)
        p += 8
        for _ in range(count):
            sources[a] = s
            ilabels[a], words[a] = _int32(view, p), _int32(view, p + 4)
            graph[a], acoustic[a] = _int32(view, p + 8), _int32(view, p + 12)
            p += 16
            if compact:
                n = _int32(view, p)
                p += 4
                for _ in range(n):
                    strings[used] = _int32(view, p)
                    used += 1
                    p += 4
            splits[a + 1] = used
            next_states[a] = _int32(view, p)
            p += 4
            a += 1
    return (sources, next_states, ilabels, words, graph, acoustic, splits, strings, final_graph, final_acoustic,
            final_splits, final_strings)  # fmt: skip


def _header(arc_type: bytes, start: int, states: int) -> bytes:
    # kExpanded | kMutable; nothing more is claimed, readers compute the rest.
    head = struct.pack("<ii6si", MAGIC, 6, b"vector", len(arc_type)) + arc_type
    return head + struct.pack("<iiQqqq", 2, 0, 3, start, states, 0)


def _bits(scores: np.ndarray) -> np.ndarray:
    return (0.0 - scores.astype(np.float32)).astype("<f4").view("<i4")


def pack_lattice(lattice: Lattice | StoredLattice) -> bytes:
    """Returns the binary form with one transition-id per arc."""
    words = _pack(
        lattice.row_splits, lattice.next_states, lattice.transition_ids, lattice.word_ids, _bits(lattice.graph_scores),
        _bits(lattice.acoustic_scores), _bits(lattice.final_graph_scores), _bits(lattice.final_acoustic_scores),
    )  # fmt: skip
    return _header(b"lattice4", lattice.start, lattice.num_states) + words.astype("<i4").tobytes()


@kernel
def _pack(row_splits, next_states, ilabels, words, graph, acoustic, final_graph, final_acoustic):
    states = len(row_splits) - 1
    out = np.zeros(4 * states + 5 * len(next_states), np.int32)
    p = 0
    for s in range(states):
        out[p], out[p + 1] = final_graph[s], final_acoustic[s]
        out[p + 2] = row_splits[s + 1] - row_splits[s]
        p += 4
        for a in range(row_splits[s], row_splits[s + 1]):
            out[p], out[p + 1], out[p + 2] = ilabels[a], words[a], graph[a]
            out[p + 3], out[p + 4] = acoustic[a], next_states[a]
            p += 5
    return out


def pack_compact(compact: CompactLattice) -> bytes:
    """Returns the compact binary form."""
    bounds = np.searchsorted(compact.sources, np.arange(compact.num_states + 1))
    words = _pack_compact(
        bounds, compact.next_states, compact.word_ids, _bits(compact.graph_scores), _bits(compact.acoustic_scores),
        compact.string_splits, compact.strings, _bits(compact.final_graph_scores),
        _bits(compact.final_acoustic_scores), compact.final_string_splits, compact.final_strings,
    )  # fmt: skip
    return _header(b"compactlattice44", compact.start, compact.num_states) + words.astype("<i4").tobytes()


@kernel
def _pack_compact(
    bounds, next_states, words, graph, acoustic, splits, strings, final_graph, final_acoustic, final_splits,
    final_strings,
):  # fmt: skip
    states = len(bounds) - 1
    out = np.zeros(5 * states + len(final_strings) + 6 * len(next_states) + len(strings), np.int32)
    p = 0
    for s in range(states):
        out[p], out[p + 1], out[p + 2] = final_graph[s], final_acoustic[s], final_splits[s + 1] - final_splits[s]
        p += 3
        for n in range(final_splits[s], final_splits[s + 1]):
            out[p] = final_strings[n]
            p += 1
        out[p] = bounds[s + 1] - bounds[s]
        p += 2
        for a in range(bounds[s], bounds[s + 1]):
            out[p], out[p + 1], out[p + 2], out[p + 3] = words[a], words[a], graph[a], acoustic[a]
            out[p + 4] = splits[a + 1] - splits[a]
            p += 5
            for n in range(splits[a], splits[a + 1]):
                out[p] = strings[n]
                p += 1
            out[p] = next_states[a]
            p += 1
    return out
