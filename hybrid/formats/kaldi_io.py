"""Kaldi's archives: float matrices and vectors (also compressed ones), int32 vectors; binary, text, gzip, scp.

An archive is a sequence of `key value`. A binary value starts with a zero byte and `B`; a text matrix stands
between `[` and `]`. Archives are read one entry at a time, and sizes in a file are never believed beyond the bytes
that follow them. Pipes, in scp files or as an archive (`ark:gunzip -c a.ark.gz |`), are refused: nothing that is read
is executed, unless the user has told the caller that it may.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from hybrid.base.artifact import atomic_path, write_gzip
from hybrid.base.errors import InputError, quote
from hybrid.base.reading import open_bytes, text_lines
from hybrid.formats.kaldi_values import ValueSource, array_bytes, int_bytes, int_vector, matrix_or_vector

__all__ = [
    "ScriptEntry",
    "read_int_vectors",
    "read_matrices",
    "read_matrix",
    "script_entries",
    "write_int_vectors",
    "write_matrices",
    "write_matrix",
]

T = TypeVar("T")
PathLike = str | os.PathLike


def _archive(path: PathLike, value: Callable[[ValueSource], T]) -> Iterator[tuple[str, T]]:
    with open_bytes(path) as stream:
        yield from _values(ValueSource(stream, path), value)


def _values(source: ValueSource, value: Callable[[ValueSource], T]) -> Iterator[tuple[str, T]]:
    while key := _key(source):
        yield key, value(source)


def _key(source: ValueSource) -> str:
    """Reads a key and the one space after it; a value that is empty leaves the newline to be read."""
    out = bytearray()
    while True:
        byte = source.peek(1)
        if not byte:
            break
        if byte.isspace():
            if out:
                if byte != b"\n":
                    source.read(1)
                break
            source.read(1)
            continue
        out += source.read(1)
        if len(out) > 4096:
            raise source.fail("is no archive: a key of more than 4096 bytes")
    try:
        return out.decode("utf-8")
    except UnicodeDecodeError as error:
        raise source.fail("is no archive: a key is not UTF-8") from error


_RANGE = re.compile(r"(.*)\[(\d{1,18}):(\d{1,18})\]", re.ASCII)


class ScriptEntry(NamedTuple):
    """A line of an scp file: `key FILE:OFFSET`, maybe with a range of rows `[from:to]`; or a command, where allowed."""

    line: int
    key: str
    file: Path
    offset: int
    rows: slice | None
    command: str = ""


def script_entries(path: PathLike, commands: bool = False) -> Iterator[ScriptEntry]:
    """Yields the lines of an scp file; files are looked for here and beside it.

    Raises:
      InputError: a command that is not allowed, or a name of no file.
    """
    for number, line in text_lines(path):
        key, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        if not key:
            continue
        if rest.endswith("|") and commands:
            yield ScriptEntry(number, key, Path(path), 0, None, rest)
            continue
        if rest.endswith("|") or not rest:
            what = "a command" if rest else "nothing"
            cure = "Write the archive to a file first; or, if you trust who made it, --allow-commands."
            raise InputError.at(path, f"'{quote(key)}' has {what} where FILE:OFFSET was expected", cure, number)
        match = _RANGE.fullmatch(rest)
        target = match[1] if match else rest
        name, colon, offset = target.rpartition(":")
        if not (colon and offset.isascii() and offset.isdigit() and len(offset) < 19):
            name, offset = target, "0"
        file = _target(name, Path(path).parent)
        if file is None:  # nor a device or pipe, which may never end
            found = f"'{quote(key)}' points at '{quote(name)}', which is no file"
            raise InputError.at(path, found, "Correct the path.", number)
        rows = slice(int(match[2]), int(match[3]) + 1) if match else None
        yield ScriptEntry(number, key, file, int(offset), rows)


def _script(path: PathLike, value: Callable[[ValueSource], Any], commands: bool = False) -> Iterator[tuple[str, Any]]:
    """Reads the entries that an scp file points at."""
    for entry in script_entries(path, commands):
        if entry.command:
            yield entry.key, value(ValueSource(io.BytesIO(_output_of(entry.command, path)), path))
            continue
        try:
            with open_bytes(entry.file) as stream:
                stream.seek(entry.offset)
                array = value(ValueSource(stream, entry.file, entry.offset))
        except InputError as error:
            raise InputError.at(path, f"'{quote(entry.key)}': {error}", line=entry.line) from error
        yield entry.key, array if entry.rows is None else array[entry.rows]


def _target(name: str, folder: Path) -> Path | None:
    """Returns the file of a name, here or beside the scp file; None where it is none."""
    try:
        return next((place for place in (Path(name), folder / name) if place.is_file()), None)
    except (OSError, ValueError):  # a name that no file can have
        return None


def _entries(path: PathLike, value: Callable[[ValueSource], Any], commands: bool = False) -> Iterator[tuple[str, Any]]:
    kind, name = _specifier(path)
    if name.rstrip().endswith("|"):
        if not commands:
            found = "is a shell command, which is not allowed"
            raise InputError.at(quote(name), found, "If you trust who made it: --allow-commands.")
        return _values(ValueSource(io.BytesIO(_output_of(name, name)), name), value)
    return _script(name, value, commands) if kind == "scp" else _archive(name, value)


def _specifier(path: PathLike) -> tuple[str, str]:
    """Returns "ark" or "scp", and the file or command: of Kaldi's `ark:FILE`, or of a path by its suffix."""
    name = "/dev/stdin" if os.fspath(path) == "-" else os.fspath(path)
    head, colon, rest = name.partition(":")
    kind = head.split(",")[0]
    if colon and kind in ("ark", "scp") and not os.path.exists(name):
        return kind, rest.strip()
    return ("scp" if Path(name).suffix == ".scp" else "ark"), name


def _output_of(command: str, place: PathLike) -> bytes:
    """Runs a pipe of Kaldi's, `… |`, which the user has allowed.

    Raises:
      InputError: it failed.
    """
    done = subprocess.run(command.rstrip()[:-1], shell=True, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or [""])[-1]
        raise InputError.at(place, f"the command '{quote(command)}' failed ({quote(last)})", "Try it in a shell.")
    return done.stdout


def read_matrices(path: PathLike, commands: bool = False) -> Iterator[tuple[str, np.ndarray]]:
    """Yields (key, matrix) of an archive or scp file, one at a time.

    Args:
      path: a file, an scp file by its suffix, or as Kaldi writes it: `ark:FILE`, `scp:FILE`, `ark:COMMAND |`.
      commands: commands are run, for files that the user trusts.

    Returns:
      float32 or float64 [rows][columns] as stored (text and compressed: float32); a vector has one axis.

    Raises:
      InputError: not there, cut short, damaged, or of another kind.
    """
    return _entries(path, matrix_or_vector, commands)


def read_int_vectors(path: PathLike) -> Iterator[tuple[str, np.ndarray]]:
    """Yields (key, int32 [N]) of an archive or scp file of integer vectors, such as alignments."""
    return _entries(path, int_vector)


def read_matrix(path: PathLike) -> np.ndarray:
    """Reads a file that holds one matrix or vector without a key, such as a transform."""
    with open_bytes(path) as stream:
        return matrix_or_vector(ValueSource(stream, path))


def _write(
    path: PathLike,
    items: Iterable[tuple[str, np.ndarray]] | Mapping[str, np.ndarray],
    encode: Callable[[np.ndarray, bool], bytes],
    text: bool,
    scp: PathLike | None,
) -> int:
    path = Path(path)
    if scp is not None and path.suffix == ".gz":
        raise InputError.at(scp, "an scp file cannot point into a compressed archive", "Write one of the two.")
    count, position, index = 0, 0, []
    with ExitStack() as stack:
        if path.suffix == ".gz":
            stream = stack.enter_context(write_gzip(path))
        else:
            stream = stack.enter_context(open(stack.enter_context(atomic_path(path)), "wb"))
        for key, value in items.items() if isinstance(items, Mapping) else items:
            if not key or key.split() != [key]:
                raise ValueError(f"key '{quote(key)}' is empty or has white space")
            head = f"{key} ".encode()
            data = encode(value, text)
            index.append(f"{key} {path}:{position + len(head)}\n")
            stream.write(head + data)
            position += len(head) + len(data)
            count += 1
    if scp is not None:
        with atomic_path(scp) as temporary:
            temporary.write_text("".join(index), encoding="utf-8")
    return count


def write_matrices(
    path: PathLike,
    items: Iterable[tuple[str, np.ndarray]] | Mapping[str, np.ndarray],
    text: bool = False,
    scp: PathLike | None = None,
) -> int:
    """Writes an archive of matrices [rows][columns] or vectors [N]; float64 stays double, the rest becomes float.

    Args:
      path: compressed where it ends in `.gz`; written under a temporary name and renamed.
      scp: also write an index there.

    Returns:
      How many entries.
    """
    return _write(path, items, array_bytes, text, scp)


def write_int_vectors(
    path: PathLike,
    items: Iterable[tuple[str, np.ndarray]] | Mapping[str, np.ndarray],
    text: bool = False,
    scp: PathLike | None = None,
) -> int:
    """Writes an archive of int32 vectors; returns how many entries."""
    return _write(path, items, int_bytes, text, scp)


def write_matrix(path: PathLike, matrix: np.ndarray, text: bool = False) -> None:
    """Writes one matrix or vector without a key, as Kaldi keeps transforms."""
    data = array_bytes(matrix, text)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
