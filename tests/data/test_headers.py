"""Headers that state less than the file holds: read to the end with a note, in every container that has a length."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hybrid.base.errors import InputError
from hybrid.data.audio import audio_blocks, probe_audio, read_audio
from hybrid.data.headers import find_samples

RATE, COUNT = 8000, 16001  # an odd number of bytes where samples have one byte
SAMPLES = (0.3 * np.sin(np.arange(COUNT) * 0.1)).astype(np.float32)


def written(path: Path, kind: str, subtype: str = "PCM_16", channels: int = 1) -> bytearray:
    values = np.stack([SAMPLES * (1 - 0.5 * c) for c in range(channels)], axis=1)
    soundfile.write(path, values, RATE, subtype, format=kind)
    return bytearray(path.read_bytes())


def with_length(data: bytearray, kind: str, length: int) -> bytes:
    """Writes another length of the samples, bytes, into a header."""
    if kind == "AU":
        data[8:12] = struct.pack(">I", length)
    elif kind == "AIFF":
        at = data.index(b"SSND") + 4
        data[at : at + 4] = struct.pack(">I", length + 8)
    elif kind == "RF64":
        at = data.index(b"ds64") + 16
        data[at : at + 8] = struct.pack("<Q", length)
    else:
        at = data.index(b"data") + 4
        data[at : at + 4] = struct.pack("<I", length)
    return bytes(data)


@pytest.mark.parametrize("length", [0, 2, 8000, 15998])
@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "RF64", "AIFF", "AU"])
def test_a_header_that_states_less_is_not_believed(tmp_path: Path, kind: str, length: int) -> None:
    path = tmp_path / "a.audio"
    path.write_bytes(with_length(written(path, kind), kind, length))
    info = probe_audio(path)
    assert info.num_samples == COUNT and info.kind == "RAW"
    assert info.notes == (f"its header states {length / 2 / RATE:.2f} s, it holds 2.00 s: read to the end",)
    found, _ = read_audio(path)
    np.testing.assert_allclose(found, SAMPLES, atol=1e-4)
    np.testing.assert_array_equal(read_audio(path, start=9000, count=100)[0], found[9000:9100])
    np.testing.assert_array_equal(np.concatenate([block for block, _ in audio_blocks(path, 0.3)]), found)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
def test_every_kind_of_samples(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.wav"
    data = written(path, "WAV", subtype, channels=2)
    path.write_bytes(with_length(data, "WAV", 0))
    assert (probe_audio(path).channels, probe_audio(path).num_samples) == (2, COUNT)
    np.testing.assert_allclose(read_audio(path, channel=1)[0], SAMPLES / 2, atol=0.02)


def test_right_headers_are_believed(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    plain = written(path, "WAV")
    assert probe_audio(path).notes == () and probe_audio(path).kind == "WAV"
    listed = b"LIST" + struct.pack("<I", 6) + b"INFOx\0"
    for more in (listed, listed + b"id3 " + struct.pack("<I", 3) + b"abc\0", b"\0\0\0"):
        path.write_bytes(bytes(plain) + more)
        assert (probe_audio(path).num_samples, probe_audio(path).notes) == (COUNT, ())
    for streamed in (0xFFFFFFFF, 0x7FFFFFFF):
        path.write_bytes(with_length(plain, "WAV", streamed))
        assert (probe_audio(path).num_samples, probe_audio(path).notes) == (COUNT, ())


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "RF64"])
def test_files_that_are_cut_short_still_fail(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.audio"
    data = written(path, kind)
    path.write_bytes(data[: len(data) - 4000])
    with pytest.raises(InputError, match="is cut short: its last [0-9]+ bytes are missing"):
        probe_audio(path)


def test_formats_without_such_a_length(tmp_path: Path) -> None:
    for kind in ("FLAC", "OGG"):
        written(tmp_path / "a", kind, {"FLAC": "PCM_16", "OGG": "VORBIS"}[kind])
        assert find_samples(tmp_path / "a") is None
    (tmp_path / "a").write_bytes(b"RIFF1234WAVE")
    assert find_samples(tmp_path / "a") is None
