"""Own audio: any format and rate, text beside it or in one file, long files cut at pauses; and subsets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from hybrid.base.errors import HybridError, InputError
from hybrid.data.manifest import load_samples, read_cuts
from hybrid.data.named_texts import read_named_texts
from hybrid.data.own import OwnConfig, find_audio, prepare
from hybrid.data.subset import SubsetConfig, combine_sets, subset_set
from lexicon.words.config import TextConfig
from lexicon.words.normaliser import Normaliser


def sound(path: Path, rate: int = 16000, channels: int = 1, seconds: float = 0.5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(rate + channels)
    soundfile.write(path, (random.standard_normal((int(rate * seconds), channels)) * 0.1).clip(-1, 1), rate)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sound(tmp_path / "in" / "jane" / "a.wav")
    sound(tmp_path / "in" / "jane" / "b c.flac", 44100, 2)
    sound(tmp_path / "in" / "joe" / "d.ogg", 8000)
    return tmp_path / "in"


def test_formats_and_rates(folder: Path, tmp_path: Path) -> None:
    assert [name for name, _ in find_audio([folder])] == ["jane-a", "jane-b_c", "joe-d"]
    assert prepare([folder], tmp_path / "out", OwnConfig()) == 3
    found = read_cuts(tmp_path / "out")
    assert {u.rate for u in found} == {16000} and [u.speaker for u in found] == ["jane", "jane", "joe"]
    assert found[0].path == str(folder / "jane" / "a.wav")
    assert found[1].path == str(tmp_path / "out" / "audio" / "jane-b_c.flac")
    for utterance in found:
        assert len(load_samples(utterance)[0]) == pytest.approx(8000, abs=2)


def test_text_in_one_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("jane-a Hello, world!\nd.ogg\tgood-bye\n")
    assert prepare([folder], tmp_path / "out", OwnConfig(speakers="file"), tmp_path / "text") == 2
    assert {u.id: u.text for u in read_cuts(tmp_path / "out")} == {"jane-a": "HELLO WORLD", "joe-d": "GOOD-BYE"}
    assert "jane-b_c" in (tmp_path / "out" / "failed.txt").read_text()


def test_text_beside_the_audio(folder: Path, tmp_path: Path) -> None:
    (folder / "jane" / "a.txt").write_text("it's me\n")
    (folder / "joe" / "d.lab").write_bytes(b"caf\xe9\n")
    as_it_is = Normaliser(TextConfig(normalise=False))
    prepare([folder], tmp_path / "out", OwnConfig(speakers="prefix"), normaliser=as_it_is)
    found = {u.id: u.text for u in read_cuts(tmp_path / "out")}
    assert found == {"jane-a": "it's me", "jane-b_c": None}
    assert "d.lab:1: is not UTF-8 (byte 0xe9 at column 4)" in (tmp_path / "out" / "failed.txt").read_text()


def test_transcript_files(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"\xef\xbb\xbfa one two\na again\nb \xff\n\nc\r\n")
    texts, failed = read_named_texts(tmp_path / "t")
    assert {name: found.text for name, found in texts.items()} == {"a": "one two", "c": ""}
    assert [name for name, _ in failed] == ["line-3", "a"]


def test_broken_files_are_listed(folder: Path, tmp_path: Path) -> None:
    (folder / "joe" / "e.wav").write_bytes(b"")
    sound(folder / "jane" / "a.flac")
    assert prepare([folder], tmp_path / "out", OwnConfig()) == 3
    failed = (tmp_path / "out" / "failed.txt").read_text()
    assert "joe-e" in failed and "is empty (0 bytes)" in failed
    assert "utterance id 'jane-a' stands for two files" in failed


def test_long_files_are_cut_where_a_segmenter_says(folder: Path, tmp_path: Path) -> None:
    cut = lambda path: [(0.1, 0.2), (0.35, 0.1)] if path.endswith("a.wav") else []  # noqa: E731
    assert prepare([folder / "jane" / "a.wav"], tmp_path / "out", OwnConfig(speakers="one"), segmenter=cut) == 2
    found = read_cuts(tmp_path / "out")
    assert [(u.id, u.start, u.duration) for u in found] == [("a-0000010", 0.1, 0.2), ("a-0000035", 0.35, 0.1)]
    assert {u.recording_id for u in found} == {"a"} and {u.speaker for u in found} == {"speaker"}
    with pytest.raises(HybridError, match="holds no speech"):
        prepare([folder / "joe"], tmp_path / "none", OwnConfig(), segmenter=cut)


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        find_audio([tmp_path / "absent"])
    with pytest.raises(InputError, match="no audio files"):
        find_audio([tmp_path])
    for bad in ({"rate": 1}, {"channel": -2}, {"speakers": "x"}):
        with pytest.raises(ValueError, match="wanted"):
            OwnConfig(**bad)


@pytest.mark.real
def test_all_odd_files(corpora: Path, tmp_path: Path) -> None:
    assert prepare([corpora / "smoke_english" / "audio"], tmp_path, OwnConfig()) == 29
    assert (tmp_path / "failed.txt").read_text() == ""
    assert [p.name for p in (tmp_path / "audio").iterdir()] == ["jfk-jfk.flac"]


def test_subsets_and_combinations(folder: Path, tmp_path: Path) -> None:
    sound(folder / "joe" / "f.wav", seconds=0.3)
    prepare([folder], tmp_path / "all", OwnConfig())
    ids = lambda name: [u.id for u in read_cuts(tmp_path / name)]  # noqa: E731
    subset_set(tmp_path / "all", tmp_path / "short", SubsetConfig(count=1, order="shortest"))
    assert ids("short") == ["joe-f"]
    subset_set(tmp_path / "all", tmp_path / "rest", SubsetConfig(not_speakers=("joe",)))
    assert ids("rest") == ["jane-a", "jane-b_c"]
    subset_set(tmp_path / "all", tmp_path / "named", SubsetConfig(), ids={"joe-d"})
    assert ids("named") == ["joe-d"]
    for name in ("r1", "r2"):
        subset_set(tmp_path / "all", tmp_path / name, SubsetConfig(count=2, order="random", seed=3))
    assert ids("r1") == ids("r2") and len(ids("r1")) == 2
    assert combine_sets([tmp_path / "short", tmp_path / "rest"], tmp_path / "both") == 3
    assert ids("both") == ["jane-a", "jane-b_c", "joe-f"]
    with pytest.raises(InputError, match="utterance id 'joe-f' stands in .*short too"):
        combine_sets([tmp_path / "short", tmp_path / "all"], tmp_path / "twice")
    with pytest.raises(InputError, match="no speaker 'x'. *There are jane, joe"):
        subset_set(tmp_path / "all", tmp_path / "x", SubsetConfig(speakers=("x",)))
    with pytest.raises(InputError, match="no utterance 'x'"):
        subset_set(tmp_path / "all", tmp_path / "x", SubsetConfig(), ids={"x"})
    with pytest.raises(InputError, match="no utterance is left"):
        subset_set(tmp_path / "all", tmp_path / "x", SubsetConfig(max_duration=0.01))
