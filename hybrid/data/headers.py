"""Headers of audio files that state another length than the file has: of pipes, and of recorders that were stopped.

A header is believed where the file ends as it says, or where what follows the samples is a chain of chunks. Where it
states less, the samples are read to the end of the file, and that is noted.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from hybrid.base.reading import require_readable

__all__ = ["Samples", "Tail", "find_samples", "raw_layout"]

STREAMED = 0x7FFFFFFF - 4096  # from here on a length in 32 bits says that it was not known
_WIDTHS = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8, "ULAW": 1,
           "ALAW": 1}  # fmt: skip


@dataclass(frozen=True)
class Samples:
    """Where the samples of a file lie, in bytes.

    Attributes:
      start: of the first. stated: how many bytes the header states. found: how many there are, at most.
      endian: "LITTLE" or "BIG".
    """

    start: int
    stated: int
    found: int
    endian: str

    @property
    def missing(self) -> int:
        """Bytes that the header states and the file lacks."""
        return max(0, self.stated - self.found)

    @property
    def unstated(self) -> int:
        """Bytes of samples that the header does not state."""
        return max(0, self.found - self.stated)


def find_samples(path: str | os.PathLike) -> Samples | None:
    """Looks where the samples of a file lie; None for formats whose length is no matter of the header, and streams.

    Raises:
      InputError: it cannot be read.
    """
    require_readable(path)
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        head = stream.read(12)
        if head[:4] in (b"RIFF", b"RIFX") and head[8:12] == b"WAVE":
            return _in_chunks(stream, size, b"data", 0, "little" if head[:4] == b"RIFF" else "big")
        if head[:4] == b"RF64" and head[8:12] == b"WAVE":
            return _in_rf64(stream, size)
        if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
            return _in_chunks(stream, size, b"SSND", 8, "big")
        if head[:4] in (b".snd", b"dns."):
            return _in_au(head, size)
    return None


def _in_chunks(stream: BinaryIO, size: int, wanted: bytes, extra: int, order: str) -> Samples | None:
    """Looks for the chunk of samples; `extra` bytes of it stand before them."""
    while True:
        head = stream.read(8)
        if len(head) < 8:
            return None
        length = int.from_bytes(head[4:], order)  # type: ignore[arg-type]
        if head[:4] != wanted:
            stream.seek(length + length % 2, os.SEEK_CUR)
            continue
        if length >= STREAMED:
            return None
        start, stated = stream.tell() + extra, max(0, length - extra)
        end = start - extra + length + length % 2
        found = stated if stated and _is_chain(stream, end, size, order) else size - start
        return Samples(start, stated, found, order.upper())


def _is_chain(stream: BinaryIO, place: int, size: int, order: str) -> bool:
    """Tells whether chunks, each with name and length, follow up to the end of the file; a few bytes may be left."""
    while size - place >= 8:
        stream.seek(place)
        head = stream.read(8)
        if not all(32 <= byte < 127 for byte in head[:4]):
            return False
        length = int.from_bytes(head[4:], order)  # type: ignore[arg-type]
        place += 8 + length + length % 2
    return place <= size + 1


def _in_rf64(stream: BinaryIO, size: int) -> Samples | None:
    """The length stands in the chunk `ds64`; the samples' own chunk says that it does."""
    head = stream.read(8)
    if head[:4] != b"ds64":
        return None
    table = stream.read(int.from_bytes(head[4:], "little"))
    stated = int.from_bytes(table[8:16], "little")
    while (head := stream.read(8))[:4] != b"data":
        if len(head) < 8:
            return None
        length = int.from_bytes(head[4:], "little")
        stream.seek(length + length % 2, os.SEEK_CUR)
    start = stream.tell()
    if stated >= 2**62:
        return None
    whole = stated and _is_chain(stream, start + stated + stated % 2, size, "little")
    return Samples(start, stated, stated if whole else size - start, "LITTLE")


def _in_au(head: bytes, size: int) -> Samples | None:
    order = "big" if head[:4] == b".snd" else "little"
    start, stated = (int.from_bytes(head[a : a + 4], order) for a in (4, 8))  # type: ignore[arg-type]
    return None if stated >= STREAMED or start > size else Samples(start, stated, size - start, order.upper())


def raw_layout(subtype: str, channels: int) -> int:
    """Returns the bytes of one sample of all channels; 0 for codecs that have no such thing."""
    return _WIDTHS.get(subtype, 0) * channels


class Tail(io.RawIOBase):
    """A file from one of its bytes on, as many whole units as there are, for readers of raw samples."""

    def __init__(self, path: str | os.PathLike, start: int, unit: int) -> None:
        super().__init__()
        self.name = str(Path(path).absolute())
        self._stream, self._start = open(path, "rb"), start  # noqa: SIM115 - closed with this stream
        size = os.fstat(self._stream.fileno()).st_size - start
        self._size = size - size % unit
        self._stream.seek(start)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Reads like any raw stream."""
        view = memoryview(buffer)[: max(0, self._size - self.tell())]
        return self._stream.readinto(view)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves like any raw stream; places count from the start of the samples."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self._size}[whence]
        return self._stream.seek(self._start + base + offset) - self._start

    def tell(self) -> int:
        return self._stream.tell() - self._start

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()
