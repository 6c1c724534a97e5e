"""Reading and writing of audio: formats of libsndfile or (with PyAV) FFmpeg, one channel, one rate, whole or in blocks.

Whatever is wrong with a file is told in one line: missing, empty, no audio, cut short, an impossible rate.
"""

from __future__ import annotations

import io
import itertools
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import InputError
from hybrid.base.reading import require_followed, require_readable
from hybrid.data.decoder_noise import may_be_mpeg, quiet_decoder
from hybrid.data.headers import Samples, Tail, find_samples, raw_layout
from hybrid.formats.media import decoded, demuxer_of

__all__ = ["MIX", "AudioError", "AudioInfo", "audio_blocks", "audio_comment", "audio_frames", "in_range", "probe_audio",
           "read_audio", "resample", "write_audio"]  # fmt: skip

LOWEST_RATE = 1000  # Hz; below this a header is wrong rather than the recording slow
HIGHEST_RATE = 768_000
MIX = -1  # channel number that means "the mean of all channels"


class AudioError(InputError):
    """Audio that cannot be used; `problem` names the kind: missing, empty, unreadable, truncated, rate, channel."""

    problem = "unreadable"


def _error(problem: str, place: object, message: str, cure: str = "Copy or download it again.") -> AudioError:
    error = AudioError.at(place, message, cure)
    assert isinstance(error, AudioError)
    error.problem = problem
    return error


@dataclass(frozen=True)
class AudioInfo:
    """What a file's header says.

    Attributes:
      kind: libsndfile's name of the format; RAW where the header was not to be believed.
      notes: what is odd about the file, though it can be read.
    """

    path: str
    rate: int
    channels: int
    num_samples: int
    kind: str
    notes: tuple[str, ...] = ()

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.num_samples / self.rate


def _open(path: str | os.PathLike) -> Any:
    import soundfile

    path = Path(path)
    if not os.path.isfile(path):
        if os.path.islink(path):
            require_followed(path)
        if os.path.exists(path):
            found = "a folder" if os.path.isdir(path) else "a device or pipe"
            raise _error("unreadable", path, f"is {found}, wanted an audio file", "Give a file.")
        raise _error("missing", path, "audio file is missing", "Mend the path, or restore the file.")
    if any("\ud800" <= c <= "\udfff" for c in str(path)):
        raise _error("unreadable", path, "has a name that is not UTF-8", "Rename the file.")
    if path.stat().st_size == 0:
        raise _error("empty", path, "audio file is empty (0 bytes)")
    try:
        with quiet_decoder(path, may_be_mpeg(path)):
            file = soundfile.SoundFile(str(path.absolute()))  # a file called - is not standard input
    except (soundfile.SoundFileError, TypeError, ValueError) as error:
        file = _open_media(path, error)
    extent = find_samples(path)
    if extent is not None and _is_understated(file, extent):
        file = _beyond_header(file, path, extent)
    if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
        rate = file.samplerate
        file.close()
        raise _error(
            "rate",
            path,
            f"has a sampling rate of {rate} Hz, wanted {LOWEST_RATE} to {HIGHEST_RATE}",
            "Mend its header.",
        )
    return file


def _open_media(path: Path, error: Exception) -> Any:
    """Opens what libsndfile does not know with FFmpeg's libraries, or tells why that cannot be."""
    import soundfile

    try:
        require_readable(path)
        if demuxer_of(path):
            return soundfile.SoundFile(decoded(path))
    except InputError as other:
        raise _error("unreadable", path, other.found, other.cure) from error
    reason = str(error).split(":")[-1].strip().rstrip(".")
    if (
        "not a regular file" in reason
    ):  # which libsndfile says of what its mp3 decoder does not know; it could be opened
        reason = "Format not recognised"
    raise _error(
        "unreadable",
        path,
        f"cannot be read as audio ({reason})",
        "Wanted wav, flac, ogg, mp3 or another format of libsndfile; convert others: `ffmpeg -i IN OUT.flac`.",
    ) from error


def _is_understated(file: Any, extent: Samples) -> bool:
    """Tells whether a file goes on beyond what its header states, and can be read there."""
    width = raw_layout(file.subtype, file.channels)
    return width > 0 and extent.unstated >= width


def _beyond_header(file: Any, path: Path, extent: Samples) -> Any:
    """Opens a file again, its samples to the end of the file."""
    import soundfile

    layout = {"samplerate": file.samplerate, "channels": file.channels, "subtype": file.subtype}
    width = raw_layout(file.subtype, file.channels)
    file.close()
    tail = io.BufferedReader(Tail(path, extent.start, width), 1 << 16)
    return soundfile.SoundFile(tail, format="RAW", endian=extent.endian, **layout)


def _missing_bytes(path: Path) -> int:
    """Returns how many bytes of samples a file lacks; 0 where its header does not tell."""
    extent = find_samples(path)
    return 0 if extent is None else extent.missing


def probe_audio(path: str | os.PathLike) -> AudioInfo:
    """Reads the header.

    Raises:
      InputError: missing, empty, unreadable, impossible rate, no samples, or (wav, au, aiff) shorter than its header
        says.
    """
    with _open(path) as file:
        info = AudioInfo(str(path), file.samplerate, file.channels, file.frames, file.format)
        width = raw_layout(file.subtype, file.channels)
    extent = find_samples(path)
    if extent is not None and extent.missing:
        raise _error(
            "truncated",
            path,
            f"is cut short: its last {extent.missing} bytes are missing",
            "Copy or download it again.",
        )
    if info.num_samples <= 0:
        raise _error("empty", path, "holds no samples", "Leave it out, or record it again.")
    if info.num_samples >= 2**62:  # libsndfile's word for "the header does not say"
        with _open(path) as file:
            count = sum(len(block) for block in _blocks(file, path, 1 << 20))
        info = replace(info, num_samples=count)
    if info.kind == "RAW" and extent is not None and width:
        stated = extent.stated / width / info.rate
        note = f"its header states {stated:.2f} s, it holds {info.duration:.2f} s: read to the end"
        info = replace(info, notes=(note,))
    return info


def _blocks(file: Any, path: str | os.PathLike, size: int) -> Iterator[np.ndarray]:
    import soundfile

    while True:
        try:
            with quiet_decoder(path, file.format == "MP3"):
                block = file.read(size, dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, ValueError) as error:
            reason = str(error).split(":")[-1].strip().rstrip(".")
            raise _error(
                "truncated", path, f"is damaged or cut short at {file.tell() / file.samplerate:.2f} s ({reason})"
            ) from error
        if not len(block):
            return
        yield block


def read_audio(
    path: str | os.PathLike,
    rate: int | None = None,
    channel: int = 0,
    start: int = 0,
    count: int | None = None,
) -> tuple[np.ndarray, int]:
    """Reads one channel of a file, or a stretch of it.

    Args:
      rate: wanted, Hz; a file of another rate is resampled. None keeps the file's.
      channel: from 0, or -1 for the mean of all channels.
      start, count: stretch in samples at the file's rate; None reads to the end.

    Returns:
      float32 [N], of whole numbers in [-1, 1], and its rate.

    Raises:
      InputError: the file cannot be read whole, or has no such channel or stretch.
    """
    with _open(path) as file:
        _require_channel(file, path, channel)
        known = file.frames < 2**62
        if start and (start >= file.frames or start < 0):
            raise _error(
                "outside",
                path,
                f"ends at {file.frames / file.samplerate:.2f} s, wanted a segment from {start / file.samplerate:.2f} s",
                "Mend the segment's times.",
            )
        wanted = (file.frames - start if known else -1) if count is None else count
        samples = _read_exactly(file, path, start, wanted)
        if channel == MIX and file.channels > 1:
            samples = samples.mean(axis=1, dtype=np.float32)
        else:
            samples = samples[:, max(channel, 0)]
        found = file.samplerate
    if start + len(samples) >= (file.frames if known else 0) and _missing_bytes(Path(path)):
        raise _error("truncated", path, "is cut short: its header promises more samples")
    if not len(samples):
        raise _error("empty", path, "holds no samples", "Leave it out, or record it again.")
    samples = np.ascontiguousarray(samples)
    if rate is not None and rate != found:
        return resample(samples, found, rate), rate
    return samples, found


def _require_channel(file: Any, path: object, channel: int) -> None:
    if not -1 <= channel < file.channels:
        found = f"has {file.channels} channel(s), wanted channel {channel} (from 0)"
        raise _error("channel", path, found, "Choose a channel.")


def _read_exactly(file: Any, path: str | os.PathLike, start: int, wanted: int) -> np.ndarray:
    import soundfile

    try:
        with quiet_decoder(path, file.format == "MP3"):
            if start:
                file.seek(start)
            samples = file.read(wanted, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, ValueError, MemoryError) as error:
        reason = str(error).split(":")[-1].strip().rstrip(".")
        raise _error("truncated", path, f"is damaged or cut short ({reason})") from error
    if 0 <= wanted != len(samples):
        raise _error("truncated", path, f"is cut short: {len(samples)} samples where {wanted} were promised")
    return samples


def audio_blocks(path: str | os.PathLike, seconds: float = 30.0, channel: int = 0) -> Iterator[tuple[np.ndarray, int]]:
    """Yields consecutive stretches (float32 [n], rate) of one channel, for files too long for the memory.

    Raises:
      InputError: the file cannot be read, or no such channel.
    """
    with _open(path) as file:
        _require_channel(file, path, channel)
        for block in _blocks(file, path, max(1, int(seconds * file.samplerate))):
            one = block.mean(axis=1, dtype=np.float32) if channel == MIX else block[:, channel]
            yield np.ascontiguousarray(one), file.samplerate


def audio_frames(path: str | os.PathLike, seconds: float, longest: float) -> Iterator[np.ndarray]:
    """Yields consecutive stretches of all channels, float32 [n][channels], up to `longest` seconds in all.

    Raises:
      InputError: the file cannot be read.
    """
    with _open(path) as file:
        size = max(1, int(seconds * file.samplerate))
        yield from itertools.islice(_blocks(file, path, size), max(1, round(longest / seconds)))


def resample(samples: np.ndarray, source: int, target: int) -> np.ndarray:
    """Changes the rate with a polyphase filter (scipy's, as lhotse does without torchaudio).

    Args:
      samples: float32 [N].

    Returns:
      float32 [ceil(N · target / source)].
    """
    from scipy.signal import resample_poly

    divisor = math.gcd(source, target)
    out = resample_poly(np.asarray(samples, np.float32), target // divisor, source // divisor)
    return np.ascontiguousarray(out, np.float32)


def in_range(samples: np.ndarray) -> tuple[np.ndarray, str]:
    """Scales samples, float32 [N], whose greatest lies beyond ±1, so that 16 bits hold them.

    Returns:
      The samples, and what was done to them; empty where nothing was.
    """
    peak = float(np.abs(samples).max(initial=0.0))
    if peak <= 1.0:
        return samples, ""
    gain = (1 - 2**-15) / peak
    return np.asarray(samples * np.float32(gain), np.float32), f"peaks at {peak:.4g}, beyond 1: scaled by {gain:.4g}"


def write_audio(path: str | os.PathLike, samples: np.ndarray, rate: int, kind: str = "WAV", comment: str = "") -> None:
    """Writes one channel as 16-bit samples.

    Args:
      samples: int16, or float from -1 to 1 [N]; see `in_range`.
      kind: "WAV" or "FLAC".
      comment: kept in the file; see `audio_comment`.
    """
    import soundfile

    data = io.BytesIO()  # libsndfile itself does not tell that a disk is full
    with soundfile.SoundFile(data, "w", rate, 1, "PCM_16", format=kind) as file:
        if comment:
            file.comment = comment
        file.write(samples if samples.dtype == np.int16 else np.clip(samples, -1, 1 - 2**-15))
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.getbuffer())


def audio_comment(path: str | os.PathLike) -> str:
    """Returns the comment that a file carries; empty where it has none or cannot be read."""
    try:
        with _open(path) as file:
            return str(file.comment)
    except InputError:
        return ""
