"""Archives of lattices: Kaldi's in text or binary, plain or compact, gzip or not, by scp files; and lines of JSON.

Readers tell the form by themselves. The name `-` is standard input or output, so that commands make pipes.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid.agreement import part_of, require_fit, words_part
from hybrid.base.artifact import atomic_path, write_gzip
from hybrid.base.errors import InputError, quote
from hybrid.base.integrity import check
from hybrid.base.names import name_fault
from hybrid.base.reading import MAX_LINE, open_bytes, parse_json, require_followed, text_lines
from hybrid.formats.kaldi_io import script_entries
from hybrid.lattice.compact import CompactLattice, expand, factor
from hybrid.lattice.files.buffer import ByteBuffer
from hybrid.lattice.files.json_lines import lattice_of_json, lattice_to_json
from hybrid.lattice.files.kaldi_binary import pack_compact, pack_lattice, read_binary
from hybrid.lattice.files.kaldi_names import require_plain_name
from hybrid.lattice.files.kaldi_text import format_compact, format_lattice, read_text
from hybrid.lattice.files.slf import format_slf, parse_slf
from hybrid.lattice.files.stored import StoredLattice
from hybrid.lattice.lattice import Lattice, LatticeError
from hybrid.lattice.trim import trimmed
from lexicon.symbols import SymbolTable

__all__ = [
    "ArchiveForm",
    "LatticeWriter",
    "check_words",
    "copy_entries",
    "is_compact",
    "is_stream",
    "lattice_files",
    "open_writer",
    "read_compact_folder",
    "read_lattice_folder",
    "read_lattices",
    "read_slf",
    "read_stored_folder",
    "write_lattices",
    "write_slf",
]

CURE = "Make the lattices again; the file may have been cut short or be something else."


def read_lattices(path: str | os.PathLike) -> Iterator[tuple[str, Lattice]]:
    """Yields (utterance id, lattice) of an archive in any of Kaldi's forms.

    Raises:
      InputError: missing, damaged, cut short, or no lattice archive; names the utterance.
      MismatchError: not the archive that was written; each state of it is looked at once.
    """
    for key, value in _entries(path):
        with _telling(path, key):
            lattice = expand(value) if isinstance(value, CompactLattice) else value.lattice()
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


def _entries(path: str | os.PathLike) -> Iterator[tuple[str, StoredLattice | CompactLattice]]:
    """Yields the entries of an archive or scp file in the form in which they are stored."""
    if is_stream(path):
        with open_bytes("/dev/stdin") as stream:
            yield from _values(ByteBuffer(stream), "standard input")
        return
    check(path, cached=True)
    if Path(path).suffix == ".scp":
        for entry in script_entries(path):
            if entry.rows is not None:
                raise InputError.at(
                    path, f"'{quote(entry.key)}' has a range, which lattices have not", CURE, entry.line
                )
            with open_bytes(entry.file) as stream, _telling(entry.file, entry.key):
                stream.seek(entry.offset)
                value = _value(ByteBuffer(stream), entry.file)
            yield entry.key, value
        return
    with open_bytes(path) as stream:
        yield from _values(ByteBuffer(stream), path)


def _values(source: ByteBuffer, path: object) -> Iterator[tuple[str, StoredLattice | CompactLattice]]:
    while head := source.peek(2):
        if head == b'{"':
            yield _json_entry(source, path)
            continue
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
            value = read_text(source, path) if raw_key.endswith(b"\n") else _value(source, path)
        yield key, value


def _json_entry(source: ByteBuffer, path: object) -> tuple[str, CompactLattice]:
    line = source.until(b"\n", MAX_LINE)
    source.line += 1
    record = parse_json(line, path, source.line, CURE)
    try:
        key, value = lattice_of_json(record)
    except LatticeError as error:
        name = quote(record["utterance"]) if isinstance(record, dict) and "utterance" in record else "?"
        raise InputError.at(path, f"utterance '{name}': {error}", CURE, source.line) from error
    if fault := name_fault(key):
        raise InputError.at(path, f"utterance id '{quote(key)}' {fault}", CURE, source.line)
    return key, value


def _value(source: ByteBuffer, place: object) -> StoredLattice | CompactLattice:
    head = source.peek()
    if head == b"\xd6":
        return read_binary(source)
    if not head:
        raise LatticeError("is cut short")
    if head == b"\0":
        raise LatticeError("another kind of Kaldi archive was found, wanted lattices")
    if source.until(b"\n").strip():
        raise LatticeError("a lattice in text form starts on the line after the utterance id")
    source.line += 1
    return read_text(source, place)


class LatticeWriter:
    """Writes entries of an archive; made by `open_writer`."""

    def __init__(self, stream: Any, form: ArchiveForm) -> None:
        self._stream, self._form = stream, form
        self._position = 0
        self.offsets: list[tuple[str, int]] = []  # of each entry, its value's place in the file, for scp files

    def write_lines(self, lines: Iterable[str]) -> None:
        """Appends lines of text as they are."""
        self._stream.writelines(f"{line}\n".encode() for line in lines)

    def write(self, utterance: str, lattice: Lattice | StoredLattice | CompactLattice) -> None:
        """Appends one lattice.

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
        data = self._form.encode(utterance, lattice)
        self.offsets.append((utterance, self._position + len(utterance.encode()) + 1))
        self._position += len(data)
        self._stream.write(data)


@dataclass(frozen=True)
class ArchiveForm:
    """How lattices stand in an archive.

    Attributes:
      compact: Kaldi's compact form; None: each as it comes.
      text: text, not binary.
      json_lines: lines of JSON instead (`hybrid.lattice.files.json_lines`).
      spell: word id → word, told beside the ids in lines of JSON.
    """

    compact: bool | None = False
    text: bool = False
    json_lines: bool = False
    spell: Callable[[int], str] | None = None

    def encode(self, utterance: str, lattice: Lattice | StoredLattice | CompactLattice) -> bytes:
        """Returns an entry as bytes."""
        compact = isinstance(lattice, CompactLattice) if self.compact is None else self.compact
        value: Any
        if isinstance(lattice, StoredLattice) and (compact or self.json_lines):
            lattice = lattice.lattice()
        if isinstance(lattice, CompactLattice):
            value = lattice if compact or self.json_lines else expand(lattice)
        else:
            value = factor(lattice) if isinstance(lattice, Lattice) and (compact or self.json_lines) else lattice
        if self.json_lines:
            record = lattice_to_json(utterance, value, self.spell)
            return (json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
        if self.text:
            lines = format_compact(value) if compact else format_lattice(value)
            return "\n".join([f"{utterance} ", *lines, "", ""]).encode()
        return utterance.encode() + b" " + (pack_compact(value) if compact else pack_lattice(value))


@contextmanager
def open_writer(
    path: str | os.PathLike, compact: bool | None = False, text: bool = False, scp: str | os.PathLike | None = None,
    form: ArchiveForm | None = None,
) -> Iterator[LatticeWriter]:  # fmt: skip
    """Yields a writer of an archive, which appears under its name when all is written; `.gz` is compressed.

    Args:
      compact, text: see `ArchiveForm`, which `form` gives as a whole.
      scp: an index of the archive, written there.

    Raises:
      InputError: an index of what has no places to point at (compressed, lines of JSON, standard output), or an archive
        with an index's name.
    """
    form = ArchiveForm(compact, text) if form is None else form
    if scp is not None and (form.json_lines or is_stream(path) or str(path).endswith(".gz")):
        raise InputError.at(scp, "an scp file can only point into a plain file of Kaldi's", "Write one of the two.")
    if Path(path).suffix == ".scp":
        raise InputError.at(path, "is the name of an index, as which it would be read", "Give the archive another.")
    require_plain_name(path)
    if is_stream(path):
        if sys.stdout is None:
            raise InputError.at("standard output", "is closed", "Leave it open, or name a file.")
        yield LatticeWriter(sys.stdout.buffer, form)
        sys.stdout.buffer.flush()
    elif str(path).endswith(".gz"):
        with write_gzip(path, level=3) as stream:  # half the time of level 6 for a seventh more bytes
            yield LatticeWriter(stream, form)
    else:
        with atomic_path(path) as temporary, open(temporary, "wb") as stream:
            yield (writer := LatticeWriter(stream, form))
        if scp is not None:
            with atomic_path(scp) as temporary:
                lines = (f"{key} {os.fspath(path)}:{offset}\n" for key, offset in writer.offsets)
                temporary.write_text("".join(lines), encoding="utf-8")


def write_lattices(
    path: str | os.PathLike, entries: Iterable[tuple[str, Lattice | StoredLattice | CompactLattice]],
    compact: bool | None = False,
    text: bool = False, scp: str | os.PathLike | None = None, form: ArchiveForm | None = None,
) -> int:  # fmt: skip
    """Writes (utterance id, lattice) pairs as one archive and returns how many there were; see `open_writer`."""
    count = 0
    with open_writer(path, compact, text, scp, form) as writer:
        for utterance, lattice in entries:
            writer.write(utterance, lattice)
            count += 1
    return count


def is_compact(path: str | os.PathLike) -> bool:
    """Tells whether a folder or archive holds Kaldi's compact form, as its first lattice tells; not of an empty one."""
    for file in lattice_files(path):
        for _, value in _entries(file):
            return isinstance(value, CompactLattice)
    return False


def lattice_files(path: str | os.PathLike) -> list[Path]:
    """Returns the archives of a decoding folder (lat.1.gz, lat.2.gz, …) by number, or the file itself.

    Raises:
      InputError: nothing there.
    """
    path = Path(path)
    require_plain_name(path)
    require_followed(path)
    if not is_stream(path) and not path.exists():
        raise InputError.at(path, "does not exist", "Give an archive, or the folder that `hybrid decode` wrote.")
    if is_stream(path) or (path.exists() and not path.is_dir()):  # a pipe of the shell too: <(zcat …)
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


def read_stored_folder(path: str | os.PathLike) -> Iterator[tuple[str, Lattice | CompactLattice]]:
    """Yields (utterance id, lattice) of a folder or an archive in the form in which it is stored; compact ones trimmed.

    Raises:
      InputError: as `read_lattices`.
    """
    for key, _, value in _checked(path):
        yield key, value


def _checked(
    path: str | os.PathLike,
) -> Iterator[tuple[str, StoredLattice | CompactLattice, Lattice | CompactLattice]]:
    """Yields the entries of a folder or archive as they stand there, and as operations want them."""
    for file in lattice_files(path):
        for key, stored in _entries(file):
            value: Lattice | CompactLattice
            with _telling("standard input" if is_stream(file) else file, key):
                if isinstance(stored, StoredLattice):
                    value = stored.lattice()
                    value.state_frames  # noqa: B018 - checks that paths that meet have one length
                else:
                    value = trimmed(stored)
            yield key, stored, value


def copy_entries(path: str | os.PathLike) -> Iterator[tuple[str, StoredLattice | CompactLattice]]:
    """Yields the entries of a folder or archive for `write_lattices` as they stand there, state by state.

    Raises:
      InputError: as `read_lattices`.
    """
    for key, stored, _ in _checked(path):
        yield key, stored


def read_compact_folder(path: str | os.PathLike) -> Iterator[tuple[str, CompactLattice]]:
    """Yields (utterance id, compact lattice) of a folder or an archive, states in topological order from 0.

    Compact archives keep their arcs, those of plain lattices are joined (`factor`).

    Raises:
      InputError: as `read_lattices`.
    """
    for key, value in read_stored_folder(path):
        yield key, value if isinstance(value, CompactLattice) else trimmed(factor(value))


def read_slf(path: str | os.PathLike, words: SymbolTable, frame_shift: float) -> Iterator[tuple[str, CompactLattice]]:
    """Yields (utterance id, lattice) of a file in HTK's standard lattice format; see `hybrid.lattice.files.slf`.

    Args:
      path: gzip or not; a lattice whose header has no UTTERANCE is called as the file is, up to its first dot.

    Raises:
      InputError: no lattice, cut short, or with a word that the table lacks; names file and line.
    """
    place = "standard input" if is_stream(path) else path
    lines = text_lines("/dev/stdin" if is_stream(path) else path)
    yield from parse_slf(lines, words, frame_shift, Path(path).name.split(".")[0], place)


def write_slf(
    path: str | os.PathLike, entries: Iterable[tuple[str, CompactLattice]], words: SymbolTable, frame_shift: float
) -> int:
    """Writes lattices in HTK's standard lattice format, one after the other, and returns how many there were."""
    count = 0
    with open_writer(path) as writer:
        for utterance, compact in entries:
            writer.write_lines(format_slf(utterance, compact, words, frame_shift))
            count += 1
    return count
