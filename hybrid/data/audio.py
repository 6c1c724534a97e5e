"""Reading and writing of audio: any format that libsndfile knows, one channel, one rate, whole or in blocks.

Whatever is wrong with a file is told in one line: missing, empty, no audio, cut short, an impossible rate.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import InputError
from hybrid.base.reading import require_followed, require_readable

__all__ = ["AudioError", "AudioInfo", "audio_blocks", "probe_audio", "read_audio", "resample", "write_audio"]

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
    """What a file's header says."""

    path: str
    rate: int
    channels: int
    num_samples: int
    kind: str

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
        raise _error("missing", path, "audio file is missing", "Mend the path, or restore the file.")
    if any("\ud800" <= c <= "\udfff" for c in str(path)):
        raise _error("unreadable", path, "has a name that is not UTF-8", "Rename the file.")
    if path.stat().st_size == 0:
        raise _error("empty", path, "audio file is empty (0 bytes)")
    try:
        file = soundfile.SoundFile(str(path.absolute()))  # a file called - is not standard input
    except (soundfile.SoundFileError, TypeError, ValueError) as error:
        try:
            require_readable(path)
        except InputError as forbidden:
            raise _error("unreadable", path, forbidden.found, forbidden.cure) from error
        reason = str(error).split(":")[-1].strip().rstrip(".")
        raise _error(
            "unreadable",
            path,
            f"cannot be read as audio ({reason})",
            "Wanted wav, flac, ogg, mp3 or another format of libsndfile.",
        ) from error
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


def _missing_wav_bytes(path: Path) -> int:
    """Returns how many bytes a RIFF file's data chunk lacks; 0 for other formats and for streamed headers."""
    with open(path, "rb") as stream:
        head = stream.read(12)
        if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
            return 0
        size = path.stat().st_size
        while True:
            chunk = stream.read(8)
            if len(chunk) < 8:
                return 0
            length = int.from_bytes(chunk[4:], "little")
            if chunk[:4] == b"data":
                streamed = length >= 0x7FFFFFFF - 4096  # written to a pipe: the length was not known
                return 0 if streamed else max(0, length - (size - stream.tell()))
            stream.seek(length + length % 2, os.SEEK_CUR)


def probe_audio(path: str | os.PathLike) -> AudioInfo:
    """Reads the header.

    Raises:
      InputError: missing, empty, unreadable, impossible rate, no samples, or (wav) shorter than its header says.
    """
    with _open(path) as file:
        info = AudioInfo(str(path), file.samplerate, file.channels, file.frames, file.format)
    missing = _missing_wav_bytes(Path(path))
    if missing:
        raise _error(
            "truncated", path, f"is cut short: its last {missing} bytes are missing", "Copy or download it again."
        )
    if info.num_samples <= 0:
        raise _error("empty", path, "holds no samples", "Leave it out, or record it again.")
    if info.num_samples >= 2**62:  # libsndfile's word for "the header does not say"
        with _open(path) as file:
            count = sum(len(block) for block in _blocks(file, path, 1 << 20))
        info = AudioInfo(info.path, info.rate, info.channels, count, info.kind)
    return info


def _blocks(file: Any, path: object, size: int) -> Iterator[np.ndarray]:
    import soundfile

    while True:
        try:
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
      float32 [N] in [-1, 1], and its rate.

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
        if start:
            file.seek(start)
        samples = _read_exactly(file, path, wanted)
        if channel == MIX and file.channels > 1:
            samples = samples.mean(axis=1, dtype=np.float32)
        else:
            samples = samples[:, max(channel, 0)]
        found = file.samplerate
    if start + len(samples) >= (file.frames if known else 0) and _missing_wav_bytes(Path(path)):
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


def _read_exactly(file: Any, path: object, wanted: int) -> np.ndarray:
    import soundfile

    try:
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


def write_audio(path: str | os.PathLike, samples: np.ndarray, rate: int, kind: str = "WAV") -> None:
    """Writes one channel as 16-bit samples.

    Args:
      samples: int16, or float from -1 to 1 [N].
      kind: "WAV" or "FLAC".
    """
    import soundfile

    data = io.BytesIO()  # libsndfile itself does not tell that a disk is full
    soundfile.write(data, samples, rate, "PCM_16", format=kind)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.getbuffer())
