"""Audio that libsndfile does not know: decoded by FFmpeg's libraries, or failed by name with the cure."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hybrid.base.errors import InputError
from hybrid.data.audio import AudioError, probe_audio, read_audio
from hybrid.data.find_audio import scan
from hybrid.data.own import OwnConfig, prepare
from hybrid.formats import media

KINDS = {"m4a": ("ipod", "aac"), "aac": ("adts", "aac"), "mp4": ("mp4", "aac"), "webm": ("webm", "libopus"),
         "mka": ("matroska", "flac"), "ac3": ("ac3", "ac3"), "wv": ("wv", "wavpack")}  # fmt: skip


def chirp(rate: int, seconds: float = 1.0) -> np.ndarray:
    """Two channels, float32 [N][2]: a rising tone, and the same at half its height."""
    time = np.arange(int(rate * seconds)) / rate
    left = 0.4 * np.sin(2 * np.pi * (200 + 900 * time) * time)
    return np.stack([left, left / 2], axis=1).astype(np.float32)


def encode(path: Path, samples: np.ndarray, rate: int, kind: str = "") -> Path:
    """Writes samples, float32 [N][channels], with the codec of a kind of file."""
    av = pytest.importorskip("av")
    container, codec = KINDS[kind or path.suffix[1:]]
    layout = "stereo" if samples.shape[1] == 2 else "mono"
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = 128_000
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.reshape(1, -1)), format="flt", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        packed = av.AudioResampler(format=stream.format, layout=layout, rate=rate, frame_size=stream.frame_size or 1024)
        for part in [*packed.resample(frame), *packed.resample(None), None]:
            out.mux(stream.encode(part))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_sound_comes_back(tmp_path: Path, kind: str) -> None:
    wanted = chirp(48000)
    file = encode(tmp_path / f"a.{kind}", wanted, 48000)
    info = probe_audio(file)
    assert (info.rate, info.channels) == (48000, 2) and info.duration == pytest.approx(1.0, abs=0.06)
    for channel in (0, 1):
        found, rate = read_audio(file, channel=channel)
        best = max(np.corrcoef(found[lag : lag + 38000], wanted[:38000, channel])[0, 1] for lag in range(0, 8000, 2))
        assert rate == 48000 and best > 0.98
        assert np.std(found) == pytest.approx(np.std(wanted[:, channel]), rel=0.1)


def test_a_folder_with_m4a_is_used(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    encode(tmp_path / "in" / "a.m4a", chirp(44100), 44100)
    encode(tmp_path / "in" / "noname", chirp(16000)[:, :1], 16000, "m4a")  # told by its first bytes
    soundfile.write(tmp_path / "in" / "really_wav.m4a", chirp(16000), 16000, format="WAV")
    (tmp_path / "in" / "list.m4a").write_text(f"#EXTM3U\nfile://{tmp_path}/in/a.m4a\n")
    encode(tmp_path / "in" / "bare.aac", chirp(44100), 44100)
    assert [name for name, _ in scan([tmp_path / "in"]).audio] == ["a", "bare", "list", "noname", "really_wav"]
    assert prepare([tmp_path / "in"], tmp_path / "out", OwnConfig()) == 4
    (failed,) = (tmp_path / "out" / "failed.txt").read_text().splitlines()
    assert "list.m4a: cannot be read as audio (" in failed and "Copy or download it again, or" in failed


@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
def test_what_is_cut_short_fails_by_name(tmp_path: Path, share: float) -> None:
    whole = encode(tmp_path / "a.m4a", chirp(44100, 5.0), 44100).read_bytes()
    (tmp_path / "b.m4a").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(AudioError, match=r"b\.m4a: .*\. Copy or download it again, or convert it: "):
        probe_audio(tmp_path / "b.m4a")


def test_places_in_one_decoded_file_are_apart(tmp_path: Path) -> None:
    file = encode(tmp_path / "a.m4a", chirp(44100), 44100)
    one, other = media.decoded(file), media.decoded(file)
    head = one.read(4)
    assert one.tell() == 4 and other.tell() == 0 and other.read(4) == head == b"riff"
    assert one.seek(0, 2) > 44100 * 8 and one.read() == b""
    encode(file, chirp(44100, 2.0), 44100)  # another file of the same name is decoded anew
    assert probe_audio(file).duration == pytest.approx(2.0, abs=0.1)


def test_without_the_library_the_cure_is_told(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    with pytest.raises(
        InputError, match=r"a\.m4a: cannot be read as audio without PyAV\. Install it: `pip install av`"
    ):
        probe_audio(tmp_path / "a.m4a")
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(InputError, match=r"a\.wav: cannot be read as audio \(.*\)\. Wanted wav, flac, ogg, mp3 or"):
        probe_audio(tmp_path / "a.wav")
