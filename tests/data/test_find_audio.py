"""Folders of audio: every file is used, or listed with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from hybrid.base.errors import InputError
from hybrid.data.audio import read_audio
from hybrid.data.find_audio import place_of, scan
from hybrid.data.manifest import read_cuts
from hybrid.data.own import OwnConfig, prepare


def sound(path: Path, kind: str = "WAV", rate: int = 16000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(0).standard_normal(rate // 2)
    if kind == "OPUS":
        soundfile.write(path, samples, 48000, "OPUS", format="OGG")
    else:
        soundfile.write(path, samples, rate, format=kind)


def test_every_file_is_used_or_listed(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name, kind in (("a.wav", "WAV"), ("b.oga", "OGG"), ("c.OPUS", "OPUS"), ("d.dat", "FLAC"), ("x/e.wave", "WAV")):
        sound(folder / name, kind)
    sound(tmp_path / "elsewhere" / "l.wav")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "linked" / "loop").symlink_to(folder)
    (folder / "f.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    (folder / "g").write_bytes(b"\0\0\0\x20ftypisom" + bytes(100))
    (folder / "dead.wav").symlink_to(tmp_path / "nothing.wav")
    (folder / "a.txt").write_text("hello\n")
    (folder / "notes.pdf").write_bytes(b"%PDF-1.4")
    (folder / ".hidden.wav").write_bytes(b"")
    found = scan([folder])
    assert [name for name, _ in found.audio] == ["a", "b", "c", "d", "f", "g", "linked-l", "x-e"]
    assert found.dead == (("dead", f"{folder / 'dead.wav'}: is a link that leads nowhere. Mend or remove it."),)
    assert found.others == (folder / "notes.pdf",)
    assert prepare([folder], tmp_path / "out", OwnConfig()) == 6
    failed = (tmp_path / "out" / "failed.txt").read_text().splitlines()
    assert [line.split()[0] for line in failed] == ["dead", "f", "g"]
    assert "f.m4a: cannot be read as audio" in failed[1] and "ffmpeg -i" in failed[1]
    assert f"{folder / 'notes.pdf'} is no audio; left out" in (tmp_path / "out" / "notes.txt").read_text()


def test_places_below_folders(tmp_path: Path) -> None:
    assert place_of(tmp_path / "in" / "spkA" / "x.y.wav", [tmp_path / "in"]) == "spkA/x.y"
    assert place_of(tmp_path / "x.wav", [tmp_path / "x.wav"]) == "x"


def converted(out: Path) -> np.ndarray:
    (cut,) = read_cuts(out)
    return read_audio(cut.path)[0]


def test_conversions_are_kept_by_settings_and_content(tmp_path: Path) -> None:
    source, out = tmp_path / "a.wav", tmp_path / "out"
    left, right = (0.1 * np.random.default_rng(s).standard_normal(22050).astype(np.float32) for s in (0, 1))
    soundfile.write(source, np.stack([left, right], axis=1), 44100)
    prepare([source], out, OwnConfig())
    mean, file = converted(out), out / "audio" / "a.flac"
    before = file.stat().st_mtime_ns
    prepare([source], out, OwnConfig())
    assert file.stat().st_mtime_ns == before
    prepare([source], out, OwnConfig(channel=1))
    other = converted(out)
    assert np.abs(other - mean).max() > 0.01
    prepare([source], out, OwnConfig(rate=8000, channel=1))
    assert len(converted(out)) == 4000
    state = source.stat()
    soundfile.write(source, np.stack([right, left], axis=1), 44100)
    import os

    os.utime(source, ns=(state.st_atime_ns, state.st_mtime_ns - 10**12))  # replaced by an older recording
    prepare([source], out, OwnConfig(channel=0))
    np.testing.assert_array_equal(converted(out), other)


def test_float_beyond_one_is_scaled_and_noted(tmp_path: Path) -> None:
    wave = np.sin(np.arange(44100) * 0.05)
    for peak in (3.2, 32000.0):
        for subtype in ("FLOAT", "DOUBLE"):
            soundfile.write(tmp_path / "a.wav", wave * peak, 44100, subtype)
            prepare([tmp_path / "a.wav"], tmp_path / "out", OwnConfig(rate=44100 // 2))
            found = converted(tmp_path / "out")
            assert 0.99 < np.abs(found).max() < 1.0 and np.abs(found[1000:-1000]).mean() > 0.6  # a sine, not clipped
            assert " beyond 1: scaled by " in (tmp_path / "out" / "notes.txt").read_text()


def test_a_url_is_told_from_a_missing_file(tmp_path: Path) -> None:
    from hybrid.base.reading import read_bytes

    for url in ("https://example.org/a.wav", "s3://bucket/a.wav"):
        with pytest.raises(InputError, match=r":/\S+: is a URL, wanted a file or folder. Fetch it, and name the file."):
            scan([url])
        with pytest.raises(InputError, match="is a URL, wanted a file or folder"):
            read_bytes(url)
    with pytest.raises(InputError, match="c: no such file or folder"):
        scan([tmp_path / "c"])
