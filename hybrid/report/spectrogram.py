"""The sound of an utterance as a page holds it: FLAC for the ear, a PNG of its spectrogram for the eye."""

from __future__ import annotations

import base64
import io
import struct
import zlib

import numpy as np

__all__ = ["flac_uri", "png", "png_uri", "spectrogram"]

RANGE = 70.0  # decibels from black to white
LONGEST = 4000  # columns


def spectrogram(samples: np.ndarray, rate: int) -> np.ndarray:
    """Returns uint8 [frequency, high first][time]: log power of 25 ms windows every 10 ms, dark where it is loud.

    Args:
      samples: float32 [N]. Long ones get fewer columns.
    """
    size, shift = int(0.025 * rate), int(0.01 * rate)
    padded = np.pad(np.asarray(samples, np.float64), (0, max(0, size - len(samples))))
    shift = max(shift, -(-len(padded) // LONGEST))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::shift]
    points = 1 << (size - 1).bit_length()
    power = np.abs(np.fft.rfft(frames * np.hanning(size), points)) ** 2
    decibels = 10.0 * np.log10(power[:, 1:] + 1e-10).T[::-1]
    top = decibels.max()
    return (255.0 * np.clip((top - decibels) / RANGE, 0.0, 1.0)).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    """Returns a grey picture, uint8 [row][column], as a PNG file."""
    height, width = pixels.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)) + chunk(
        b"IEND", b""
    )  # fmt: skip


def png_uri(samples: np.ndarray, rate: int) -> str:
    """Returns the spectrogram of samples as a data URI, in sixteen shades."""
    pixels = spectrogram(samples, rate) & 0xF0
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode()


def flac_uri(samples: np.ndarray, rate: int) -> str:
    """Returns samples, float32 [N] in [-1, 1], as a data URI of 16-bit FLAC."""
    import soundfile

    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format="FLAC", subtype="PCM_16")
    return "data:audio/flac;base64," + base64.b64encode(stream.getvalue()).decode()
