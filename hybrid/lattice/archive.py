"""Archives of lattices as Kaldi's programs read and write them: text or binary, plain or compact, gzip or not.

The name `-` is standard input or output, so that commands make pipes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from hybrid.agreement import part_of, require_fit, words_part
from hybrid.base.artifact import atomic_path, write_gzip
from hybrid.base.errors import InputError, quote
from hybrid.base.integrity import check
from hybrid.base.reading import open_bytes, require_followed
from hybrid.lattice.compact import CompactLattice, expand, factor
from hybrid.lattice.kaldi_binary import pack_compact, pack_lattice, read_binary
from hybrid.lattice.kaldi_text import format_compact, format_lattice, parse_text
from hybrid.lattice.lattice import Lattice, LatticeError
from hybrid.lattice.trim import trimmed

__all__ = [
    "LatticeWriter",
    "check_words",
    "is_stream",
    "lattice_files",
    "open_writer",
    "read_compact_folder",
    "read_lattice_folder",
    "read_lattices",
    "write_lattices",
]

BLOCK = 1 << 20
CURE = "Make the lattices again; the file may have been cut short or be something else."


class _Source:
    """Buffers a stream, so that records of unknown length can be looked at before they are consumed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._buffer = bytearray()
        self._position = 0
        self.line = 0

    def more(self) -> bool:
        block = self._stream.read(max(BLOCK, len(self._buffer) - self._position))
        if not block:
            return False
        del self._buffer[: self._position]
        self._position = 0
        self._buffer = self._buffer + block
        return True

    def view(self) -> np.ndarray:
        return np.frombuffer(bytes(memoryview(self._buffer)[self._position :]), np.uint8)

    def take(self, count: int) -> bytes:
        while len(self._buffer) - self._position < count:
            if not self.more():
                raise LatticeError("is cut short")
        data = bytes(self._buffer[self._position : self._position + count])
        self._position += count
        return data

    def peek(self) -> bytes:
        """The next byte, or nothing at the end."""
        if self._position == len(self._buffer) and not self.more():
            return b""
        return bytes(self._buffer[self._position : self._position + 1])

    def until(self, marks: bytes, limit: int = 1 << 24) -> bytes:
        """Consumes up to and including the first of the marks, or to the end of the file."""
        found = bytearray()
        while self.peek():
            places = [i for i in (self._buffer.find(bytes([m]), self._position) for m in marks) if i >= 0]
            end = min(places) + 1 if places else len(self._buffer)
            found += self._buffer[self._position : end]
            self._position = end
            if places or len(found) > limit:
                break
        return bytes(found)


def read_lattices(path: str | os.PathLike) -> Iterator[tuple[str, Lattice]]:
    """Yields (utterance id, lattice) of an archive in any of Kaldi's forms.

    Raises:
      InputError: missing, damaged, cut short, or no lattice archive; names the utterance.
      MismatchError: not the archive that was written; each state of it is looked at once.
    """
    for key, value in _entries(path):
        with _telling(path, key):
            lattice = expand(value) if isinstance(value, CompactLattice) else value
            lattice.state_frames  # noqa: B018 - checks that paths that meet have one length
        yield key, lattice


def is_stream(path: str | os.PathLike) -> bool:
    """Tells whether a name stands for standard input or output."""
    return os.fspath(path) == "-"


@contextmanager
def _telling(path: object, key: str) -> Iterator[None]:
    try:
        yield
    except LatticeError as error:
        raise InputError.at(path, f"utterance '{quote(key)}': {error}", CURE) from error


def _entries(path: str | os.PathLike) -> Iterator[tuple[str, Lattice | CompactLattice]]:
    """Yields the entries of an archive in the form in which they are stored."""
    if is_stream(path):
        with open_bytes("/dev/stdin") as stream:
            yield from _values(_Source(stream), "standard input")
        return
    check(path, cached=True)
    with open_bytes(path) as stream:
        yield from _values(_Source(stream), path)


def _values(source: _Source, path: object) -> Iterator[tuple[str, Lattice | CompactLattice]]:
    while source.peek():
        raw_key = source.until(b" \t\n", 1 << 16)
        source.line += raw_key.count(b"\n")
        try:
            key = raw_key[:-1].decode("utf-8")
        except UnicodeDecodeError:
            key = "\0"
        if not key.isprintable() or not key or not raw_key.endswith((b" ", b"\t", b"\n")):
            if not raw_key.strip():
                continue
            raise InputError.at(
                path, "is no archive of lattices (an utterance id was wanted)", CURE, line=source.line or None
            )
        with _telling(path, key):
            value = parse_text(list(_lines(source))) if raw_key.endswith(b"\n") else _value(source)
        yield key, value


def _value(source: _Source) -> Lattice | CompactLattice:
    head = source.peek()
    if head == b"\xd6":
        return read_binary(source)
    if head == b"\0":
        raise LatticeError("another kind of Kaldi archive was found, wanted lattices")
    if source.until(b"\n").strip():
        raise LatticeError("a lattice in text form starts on the line after the utterance id")
    source.line += 1
    return parse_text(list(_lines(source)))


def _lines(source: _Source) -> Iterator[tuple[int, str]]:
    """Yields the numbered lines up to the empty line that ends an entry."""
    while source.peek():
        line = source.until(b"\n")
        source.line += 1
        if not line.strip():
            return
        yield source.line, line.decode("utf-8", "replace").rstrip("\r\n")


class LatticeWriter:
    """Writes entries of an archive; made by `open_writer`."""

    def __init__(self, stream: Any, compact: bool, text: bool) -> None:
        self._stream, self._compact, self._text = stream, compact, text

    def write(self, utterance: str, lattice: Lattice | CompactLattice) -> None:
        """Appends one lattice; a compact one keeps its arcs where the archive is compact.

        Raises:
          InputError: an utterance id with white space, which would break the archive.
          LatticeError: the lattice has more columns of scores than an archive.
        """
        if not utterance or utterance.split() != [utterance]:
            raise InputError.at("lattice archive", f"utterance id '{quote(utterance)}' is empty or has white space")
        if isinstance(lattice, Lattice) and lattice.columns:
            names = ", ".join(lattice.columns)
            raise LatticeError(
                f"lattice of '{quote(utterance)}' has scores {names}, Kaldi's archives have graph and acoustic alone; "
                "fold them: lattice.folded()"
            )
        if isinstance(lattice, CompactLattice):
            value = lattice if self._compact else expand(lattice)
        else:
            value = factor(lattice) if self._compact else lattice
        if self._text:
            lines = format_compact(value) if self._compact else format_lattice(value)  # type: ignore[arg-type]
            self._stream.write("\n".join([f"{utterance} ", *lines, "", ""]).encode())
        else:
            packed = pack_compact(value) if self._compact else pack_lattice(value)  # type: ignore[arg-type]
            self._stream.write(utterance.encode() + b" " + packed)


@contextmanager
def open_writer(path: str | os.PathLike, compact: bool = False, text: bool = False) -> Iterator[LatticeWriter]:
    """Yields a writer of an archive, which appears under its name when all is written; `.gz` is compressed."""
    if is_stream(path):
        yield LatticeWriter(sys.stdout.buffer, compact, text)
        sys.stdout.buffer.flush()
    elif str(path).endswith(".gz"):
        with write_gzip(path, level=3) as stream:  # half the time of level 6 for a seventh more bytes
            yield LatticeWriter(stream, compact, text)
    else:
        with atomic_path(path) as temporary, open(temporary, "wb") as stream:
            yield LatticeWriter(stream, compact, text)


def write_lattices(
    path: str | os.PathLike, entries: Iterable[tuple[str, Lattice | CompactLattice]], compact: bool = False,
    text: bool = False,
) -> int:  # fmt: skip
    """Writes (utterance id, lattice) pairs as one archive and returns how many there were."""
    count = 0
    with open_writer(path, compact, text) as writer:
        for utterance, lattice in entries:
            writer.write(utterance, lattice)
            count += 1
    return count


def lattice_files(path: str | os.PathLike) -> list[Path]:
    """Returns the archives of a decoding folder (lat.1.gz, lat.2.gz, …) by number, or the file itself.

    Raises:
      InputError: nothing there.
    """
    path = Path(path)
    require_followed(path)
    if is_stream(path) or path.is_file():
        return [path]
    files = [f for f in path.glob("lat.*.gz") if f.name.split(".")[1].isdigit()]
    if not files:
        raise InputError.at(path, "holds no lattices (lat.1.gz, …)", "Give the folder that `hybrid decode` wrote.")
    return sorted(files, key=lambda f: int(f.name.split(".")[1]))


def check_words(lattices: str | os.PathLike, words: str | os.PathLike) -> None:
    """Checks that a word table is the one of the graph that made the lattices of a decoding folder or an archive.

    Raises:
      MismatchError: it is another; both are named. Archives without provenance pass.
    """
    require_fit(part_of(lattices, "lattices"), words_part(words))


def read_lattice_folder(path: str | os.PathLike) -> Iterator[tuple[str, Lattice]]:
    """Yields (utterance id, lattice) of all archives of a decoding folder, or of one archive."""
    for file in lattice_files(path):
        yield from read_lattices(file)


def read_compact_folder(path: str | os.PathLike) -> Iterator[tuple[str, CompactLattice]]:
    """Yields (utterance id, compact lattice) of a folder or an archive, states in topological order from 0.

    Compact archives keep their arcs, those of plain lattices are joined (`factor`).

    Raises:
      InputError: as `read_lattices`.
    """
    for file in lattice_files(path):
        for key, value in _entries(file):
            with _telling("standard input" if is_stream(file) else file, key):
                if isinstance(value, Lattice):
                    value.state_frames  # noqa: B018 - checks that paths that meet have one length
                compact = trimmed(value if isinstance(value, CompactLattice) else factor(value))
            yield key, compact
