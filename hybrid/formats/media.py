"""Audio that libsndfile does not know (m4a, webm, wma, amr, …), decoded by FFmpeg's libraries where PyAV is installed.

The container is told by the file's name, or its first bytes, and never guessed: FFmpeg also knows playlists and lists
of other files, and none of them is read because it was called x.m4a.
"""

from __future__ import annotations

import io
import itertools
import os
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from hybrid.base.disk import writing
from hybrid.base.errors import InputError, quote

__all__ = ["MEDIA", "decoded", "demuxer_of"]

# FFmpeg's name for the container of each suffix.
MEDIA = {
    ".m4a": "mov", ".m4b": "mov", ".mp4": "mov", ".3gp": "mov", ".aac": "aac", ".wma": "asf",
    ".webm": "matroska", ".mka": "matroska", ".amr": "amr", ".ape": "ape", ".wv": "wv",
    ".ac3": "ac3", ".ra": "rm",
}  # fmt: skip
BARE = ("aac", "ac3", "amr")  # streams without a header; FFmpeg guesses their length
CURE = "Copy or download it again, or convert it: `ffmpeg -i IN OUT.flac`."
SHORTEST = 0.9  # of what the header states; less is a file that was cut short


class MediaView(io.RawIOBase):
    """A file with a place of its own in it, of those that share one descriptor."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._place = stream, 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """Any place can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fills a buffer from the place on."""
        data = os.pread(self._stream.fileno(), len(buffer), self._place)
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Goes to a place."""
        size = os.fstat(self._stream.fileno()).st_size
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: size}[whence]
        return self._place


def demuxer_of(path: Path) -> str:
    """Returns what takes a file apart, by its name or else its first bytes; "" for what is no such file."""
    if known := MEDIA.get(path.suffix.lower()):
        return known
    with open(path, "rb") as stream:
        return "mov" if stream.read(8)[4:] == b"ftyp" else ""


def decoded(path: Path) -> io.BufferedReader:
    """Returns the first audio stream of a file as a W64 file of 32-bit floats, at its own rate, with its channels.

    The decoded samples lie in a temporary file without a name, kept for the next call with the same file.

    Raises:
      InputError: PyAV is not installed; no audio is in the file, it is damaged, or ends before what its header states.
    """
    status = os.stat(path)
    return io.BufferedReader(MediaView(_decoded(str(path.absolute()), (status.st_mtime_ns, status.st_size))), 1 << 16)


@lru_cache(maxsize=2)
def _decoded(path: str, _state: object) -> IO[bytes]:
    try:
        import av
    except ImportError as error:
        cure = "Install it: `pip install av` (the extra `media`), or convert the file: `ffmpeg -i IN OUT.flac`."
        raise InputError.at(path, "cannot be read as audio without PyAV", cure) from error
    av.logging.set_level(av.logging.PANIC)  # what it says is said by the error
    try:
        with open(path, "rb") as stream, av.open(stream, "r", format=demuxer_of(Path(path))) as container:
            return _written(path, container, av.AudioResampler(format="flt"))
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError.at(path, f"cannot be read as audio ({quote(reason)})", CURE) from error


def _written(path: str, container: Any, packed: Any) -> IO[bytes]:
    """Writes the samples of a container's first audio stream into a file of their own."""
    import soundfile

    if not container.streams.audio:
        raise InputError.at(path, "holds no audio", "Leave it out.")
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise InputError.at(path, "cannot be read as audio (unknown codec)", CURE)
    frames = container.decode(stream)
    first = next(frames, None)
    if first is None:
        raise InputError.at(path, "holds no samples", "Leave it out, or record it again.")
    channels, rate, count = len(first.layout.channels), first.sample_rate, 0
    result = tempfile.TemporaryFile(prefix="hybrid-media-")  # noqa: SIM115  # handed out
    with (
        writing(Path(tempfile.gettempdir())),
        soundfile.SoundFile(result.fileno(), "w", rate, channels, "FLOAT", format="W64", closefd=False) as file,
    ):
        for frame in itertools.chain([first], frames):
            for part in packed.resample(frame):
                file.write(part.to_ndarray().reshape(-1, channels))
                count += part.samples
    known = stream.duration and container.format.name not in BARE
    stated = float(stream.duration * stream.time_base) if known else 0.0
    if count / rate < SHORTEST * stated:
        raise InputError.at(path, f"is cut short: it states {stated:.2f} s and holds {count / rate:.2f} s", CURE)
    return result
