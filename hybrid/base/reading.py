"""Reading of files that anybody may have made: missing, forbidden, damaged, packed to burst, nested to overflow.

Every stream opened here ends in data or in an InputError with the place; nothing else comes out of it, so readers need
not know the exceptions of gzip, zlib and the operating system.
"""

from __future__ import annotations

import errno
import gzip
import io
import json
import mmap
import os
import re
import stat
import tokenize
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from hybrid.base.errors import InputError, quote

__all__ = ["MAX_DEPTH", "MAX_LINE", "MAX_RATIO", "byte_lines", "map_bytes", "open_bytes", "open_text", "parse_json",
           "parse_yaml", "read_bytes", "read_json", "read_text", "reading", "require_followed", "require_readable",
           "text_lines", "unreadable", "whole_record"]  # fmt: skip

PathLike = str | os.PathLike

MAX_RATIO = 100  # gzip data may unpack to this many times their size; text packs 3 to 10 times
FREE_BYTES = 64 << 20  # unpacked bytes that are never refused
MAX_DEPTH = 100  # of JSON and YAML
MAX_LINE = 64 << 20  # bytes
MAX_YAML = 1 << 20  # bytes; settings are small, and the parser takes seconds for a megabyte
REMAKE = "Make or copy it again."


def why(error: OSError) -> str:
    """Returns what the operating system said, as a user would say it."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return "permissions do not allow it"
    return (error.strerror or str(error)).lower() if error.errno else str(error)


def is_url(path: object) -> bool:
    """Tells whether a path is a URL (`Path` has made one slash of two)."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(path)) is not None


def unreadable(path: object, error: Exception) -> InputError:
    """Returns what hindered reading a file as the error that a user can act on."""
    if isinstance(error, FileNotFoundError) and is_url(path):
        return InputError.at(path, "is a URL, wanted a file or folder", "Fetch it, and name the file.")
    if isinstance(error, FileNotFoundError):
        return InputError.at(path, "the file does not exist", "Make it or correct the path.")
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM):
        return InputError.at(path, f"cannot be read ({why(error)})", "Mend its permissions.")
    if isinstance(error, (EOFError, zlib.error, gzip.BadGzipFile)):
        return InputError.at(path, f"is damaged or cut short ({error})", REMAKE)
    if isinstance(error, OSError) and error.errno:
        return InputError.at(path, f"cannot be read ({why(error)})", "Correct the path.")
    return InputError.at(path, f"cannot be read ({error})", "Correct the path.")


class _Guarded(io.RawIOBase):
    """A stream whose failures are InputErrors and whose unpacked size is bounded by its packed one."""

    def __init__(self, stream: Any, path: object, limit: Callable[[], int] | None) -> None:
        self._stream, self._path, self._limit, self._count = stream, path, limit, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._stream.seekable()

    def readinto(self, buffer: Any) -> int:
        """Reads like any raw stream; see the class."""
        try:
            count = self._stream.readinto(buffer)
        except (OSError, EOFError, zlib.error) as error:
            raise unreadable(self._path, error) from error
        self._count += count
        if self._limit is not None and self._count > FREE_BYTES and self._count > self._limit():
            raise InputError.at(
                self._path,
                f"unpacks to more than {self._count >> 20} MiB, more than {MAX_RATIO} times its size",
                "Unpack it yourself if you trust it.",
            )
        return count

    def seek(self, offset: int, whence: int = 0) -> int:
        """Moves like any raw stream; see the class."""
        try:
            position = self._stream.seek(offset, whence)
        except (OSError, EOFError, zlib.error, ValueError, OverflowError) as error:
            raise unreadable(self._path, error) from error
        self._count = position
        return position

    def tell(self) -> int:
        return self._stream.tell()

    def fileno(self) -> int:
        if self._limit is not None:
            raise io.UnsupportedOperation("the file's bytes are packed")
        return self._stream.fileno()

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def open_bytes(path: PathLike) -> BinaryIO:
    """Opens a file for reading, through gzip where its first bytes say so.

    Raises:
      InputError: missing, a folder, forbidden, or a pipe that was read before; while reading: damaged, cut short, or
        unpacked to more than `MAX_RATIO` times its size (beyond 64 MiB).
    """
    try:
        _require_first(path)
        raw = open(path, "rb", buffering=0)  # noqa: SIM115 - closed with the stream it is given to
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise unreadable(quote(path, 300), error) from error
    try:
        limit, stream = _unpacked(raw)
    except OSError as error:
        raw.close()
        raise unreadable(path, error) from error
    return io.BufferedReader(_Guarded(stream, path, limit), 1 << 16)


_opened_pipes: set[tuple[int, int]] = set()  # device and inode


def _require_first(path: PathLike) -> None:
    """Raises InputError for a pipe that was opened before: it is read, and opening it would wait for another writer."""
    found = os.stat(path)
    if not stat.S_ISFIFO(found.st_mode):
        return
    if (found.st_dev, found.st_ino) in _opened_pipes:
        raise InputError.at(path, "is a pipe that was read, and it is wanted again", "Write it into a file first.")
    _opened_pipes.add((found.st_dev, found.st_ino))


def _unpacked(raw: io.FileIO) -> tuple[Callable[[], int] | None, Any]:
    """Returns the most bytes that a file may unpack to, if it is gzip, and its stream."""
    packed: Any
    if raw.seekable():
        start = raw.read(2)
        raw.seek(0)
        size, packed = os.fstat(raw.fileno()).st_size, raw
    else:  # a pipe
        size, packed = 0, io.BufferedReader(_Counted(raw))
        start = packed.peek(2)[:2]
    if start != b"\x1f\x8b":
        return None, packed
    stream = gzip.GzipFile(fileobj=packed, mode="rb")
    stream.myfileobj = packed  # closed with the stream
    return lambda: MAX_RATIO * (size or packed.raw.count), stream


class _Counted(io.RawIOBase):
    """Counts what is read from a pipe."""

    def __init__(self, raw: io.FileIO) -> None:
        self._raw, self.count = raw, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._raw.readinto(buffer) or 0
        self.count += count
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


def require_readable(path: PathLike) -> None:
    """Raises InputError where a file cannot be opened: asked when a library that opens files itself has failed."""
    open_bytes(path).close()


def open_text(path: PathLike, errors: str = "strict") -> io.TextIOWrapper:
    """Opens UTF-8 text, through gzip where it is gzip; see `open_bytes`. Line ends stay as they are.

    What is no UTF-8 raises UnicodeDecodeError while it is read, or is treated as `errors` says; `text_lines` and
    `read_text` name the line instead.
    """
    return io.TextIOWrapper(open_bytes(path), encoding="utf-8", errors=errors, newline="\n")  # type: ignore[type-var]


def require_followed(path: PathLike) -> None:
    """Raises InputError where a path leads nowhere for another reason than that nothing is there.

    A circle of links, a folder without permission, a name that no file can have: `exists` says of them what it says of
    nothing, or raises. What is not there passes, for readers to say what was wanted.
    """
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        if is_url(path):
            raise unreadable(quote(path, 300), FileNotFoundError()) from error
    except (OSError, ValueError) as error:
        raise unreadable(quote(path, 300), error) from error


def read_bytes(path: PathLike) -> bytes:
    """Returns a whole file, unpacked where it is gzip."""
    with open_bytes(path) as stream:
        return stream.read()


def map_bytes(path: PathLike) -> bytes | mmap.mmap:
    """Returns a whole file, mapped where it is not packed, so that what is not looked at is not read."""
    with open_bytes(path) as stream:
        try:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):  # packed, a pipe, or empty
            return stream.read()


def read_text(path: PathLike) -> str:
    """Returns a whole UTF-8 file, unpacked where it is gzip.

    Raises:
      InputError: it cannot be read, or a line is not UTF-8.
    """
    data = read_bytes(path)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(path, data.count(b"\n", 0, error.start) + 1, data[error.start]) from error


def _not_utf8(path: object, line: int, byte: int) -> InputError:
    cure = f"Convert it, e.g. `iconv -f latin1 -t utf-8 {quote(Path(str(path)).name)}`."
    return InputError.at(path, f"byte 0x{byte:02x} is not UTF-8 text", cure, line)


def byte_lines(path: PathLike, longest: int = MAX_LINE) -> Iterator[tuple[int, bytes]]:
    """Yields (number, line with its line feed) of a file; numbers from 1.

    Raises:
      InputError: it cannot be read, or a line has more than `longest` bytes.
    """
    with open_bytes(path) as stream:
        for number, line in enumerate(iter(lambda: stream.readline(longest + 1), b""), start=1):
            if len(line) > longest:
                raise InputError.at(path, f"has a line of more than {longest >> 20} MiB", "Is it text?", number)
            yield number, line


def text_lines(path: PathLike) -> Iterator[tuple[int, str]]:
    """Yields (number, line without its line feed) of a UTF-8 file; numbers from 1.

    Raises:
      InputError: it cannot be read, a line is not UTF-8 or longer than `MAX_LINE`.
    """
    for number, line in byte_lines(path):
        try:
            yield number, line.decode("utf-8").rstrip("\n")
        except UnicodeDecodeError as error:
            raise _not_utf8(path, number, line[error.start]) from error


_SURROGATE = re.compile(r"[\ud800-\udfff]")


def _is_deep(value: Any) -> bool:
    """Tells whether lists and objects lie in each other more than `MAX_DEPTH` deep."""
    layer = [value]
    for _ in range(MAX_DEPTH + 1):
        layer = [x for v in layer for x in (v.values() if isinstance(v, dict) else v) if isinstance(x, (dict, list))]
        if not layer:
            return False
    return True


def parse_json(data: bytes | str, place: object, line: int | None = None, cure: str = REMAKE) -> Any:
    """Parses JSON of a bounded depth.

    Args:
      place, line, cure: for the error.

    Raises:
      InputError: no UTF-8, no JSON, nested deeper than `MAX_DEPTH`, or text that UTF-8 cannot hold (half a surrogate).
    """
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        value = json.loads(text)
    except UnicodeDecodeError as error:
        found = f"byte 0x{error.object[error.start]:02x} at column {error.start + 1}"
        raise InputError.at(place, f"is not UTF-8 text ({found})", cure, line) from error
    except RecursionError as error:
        raise InputError.at(place, f"is JSON nested deeper than {MAX_DEPTH} levels", cure, line) from error
    except ValueError as error:
        raise InputError.at(place, f"is not JSON ({error})", cure, line) from error
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_deep([value]):
        raise InputError.at(place, f"is JSON nested deeper than {MAX_DEPTH} levels", cure, line)
    if "\\u" in text and _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        raise InputError.at(place, "holds half of a surrogate pair, which is no text", cure, line)
    return value


def read_json(path: PathLike, cure: str = REMAKE) -> Any:
    """Reads a JSON file; see `parse_json`."""
    return parse_json(read_bytes(path), path, cure=cure)


def parse_yaml(text: str, place: object, cure: str = "Mend it.") -> Any:
    """Parses YAML of bounded size and depth; only plain values, never objects.

    Raises:
      InputError: no YAML, larger than 1 MiB, or nested deeper than `MAX_DEPTH`.
    """
    import yaml

    if len(text) > MAX_YAML:
        raise InputError.at(place, f"is larger than {MAX_YAML >> 10} KiB, wanted settings", cure)
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
                depth += 1
            elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
                depth -= 1
            elif isinstance(event, yaml.AliasEvent):
                raise InputError.at(place, "has an alias (*name), which settings do not need", cure)
            if depth > MAX_DEPTH:
                raise InputError.at(place, f"is YAML nested deeper than {MAX_DEPTH} levels", cure)
        return yaml.safe_load(text)
    except RecursionError as error:
        raise InputError.at(place, f"is YAML nested deeper than {MAX_DEPTH} levels", cure) from error
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, AttributeError, KeyError, IndexError) as error:
        raise InputError.at(place, f"is not YAML ({' '.join(str(error).split())})", cure) from error


@contextmanager
def reading(path: object, what: str, cure: str = REMAKE) -> Iterator[None]:
    """Turns what a parser of foreign data may raise into one InputError: for parsers of libraries, as the last resort.

    Args:
      what: what the file should have been, e.g. "a GMM".
    """
    try:
        yield
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, OSError, EOFError, RuntimeError,
            MemoryError, SyntaxError, tokenize.TokenError, zlib.error) as error:  # fmt: skip
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InputError.at(path, f"holds no usable {what} ({quote(reason, 200)})", cure) from error


def whole_record(path: Path, kinds: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns a JSON record of an unfinished run; None where there is none or it is damaged: that work is done again.

    Args:
      kinds: names that it must have, and the types of what stands there.
    """
    if not path.exists():
        return None
    try:
        record = read_json(path)
    except InputError:
        return None
    fits = isinstance(record, dict) and all(isinstance(record.get(name), kind) for name, kind in kinds.items())
    return record if fits else None
