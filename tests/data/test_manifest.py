"""Manifests: lines there and back, what lhotse can express beyond plain cuts, damaged files."""

from __future__ import annotations

import gzip
import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hybrid.base.errors import InputError
from hybrid.data.audio import AudioInfo, resample
from hybrid.data.manifest import load_samples, parse_cut, read_cuts, read_texts, write_cuts
from hybrid.data.sets import cut_record, write_set
from hybrid.data.utterance import Utterance


def record(
    folder: Path, name: str = "utt", start: float = 0.0, duration: float | None = None, text: str = "A B"
) -> dict:
    path = folder / "rec.wav"
    if not path.exists():
        soundfile.write(path, np.arange(-8000, 8000) / 16000, 8000, "FLOAT")
    return cut_record(Utterance(name, path, "spk", text, start, duration), AudioInfo(str(path), 8000, 1, 16000, "WAV"))


def test_there_and_back(tmp_path: Path) -> None:
    lines = [record(tmp_path, "a"), record(tmp_path, "b", 0.5, 0.25, "Ü")]
    assert write_cuts(tmp_path / "cuts.jsonl.gz", lines) == 2
    found = read_cuts(tmp_path)
    assert [u.record for u in found] == lines
    assert (found[1].start, found[1].duration, found[1].speaker, found[1].text) == (0.5, 0.25, "spk", "Ü")
    assert read_texts(tmp_path / "cuts.jsonl.gz") == {"a": ["A", "B"], "b": ["Ü"]}


def test_a_segment_is_its_stretch_of_samples(tmp_path: Path) -> None:
    utterance = parse_cut(record(tmp_path, start=0.5, duration=0.25), "here")
    samples, rate = load_samples(utterance)
    assert rate == 8000 and len(samples) == 2000 and samples[0] == np.float32((4000 - 8000) / 16000)


def test_transforms_go_through_lhotse(tmp_path: Path) -> None:
    from lhotse.serialization import deserialize_item

    cut = deserialize_item(record(tmp_path)).resample(16000)
    utterance = parse_cut(json.loads(json.dumps(cut.to_dict())), "here")
    samples, rate = load_samples(utterance)
    assert rate == 16000
    np.testing.assert_allclose(samples, resample(np.arange(-8000, 8000) / 16000, 8000, 16000), atol=1e-5)
    padded = deserialize_item(record(tmp_path)).pad(duration=3.0)
    assert len(load_samples(parse_cut(json.loads(json.dumps(padded.to_dict())), "here"))[0]) == 24000


def test_segments_that_do_not_fit(tmp_path: Path) -> None:
    for start, duration in ((-1.0, 1.0), (0.0, 0.0), (5.0, 1.0), (float("nan"), 1.0), (0.0, float("nan"))):
        with pytest.raises(InputError, match=r"segment 'utt' from .* does not lie in 2.000 s"):
            record(tmp_path, start=start, duration=duration)
    late = record(tmp_path)
    late["start"] = 9.0
    with pytest.raises(InputError, match="segment 9 s .* is empty or past the recording's end"):
        load_samples(parse_cut(late, "here"))


def test_audio_that_changed_behind_the_manifest(tmp_path: Path) -> None:
    utterance = parse_cut(record(tmp_path), "here")
    soundfile.write(tmp_path / "rec.wav", np.zeros(20000), 16000)
    with pytest.raises(InputError, match="has a rate of 16000 Hz, the manifest says 8000"):
        load_samples(utterance)


def test_damaged_manifests(tmp_path: Path) -> None:
    path = tmp_path / "cuts.jsonl"
    with pytest.raises(InputError, match="manifest is missing. Make it with `hybrid data`"):
        read_cuts(path)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match=r"loop: cannot be read \(too many levels of symbolic links\)"):
        read_cuts(tmp_path / "loop")
    path.write_text("{not json\n")
    with pytest.raises(InputError, match="cuts.jsonl:1: is not JSON"):
        read_cuts(path)
    path.write_bytes(b'{"id": "caf\xe9"}\n')
    with pytest.raises(InputError, match="cuts.jsonl:1: is not UTF-8 text"):
        read_cuts(path)
    for line in ("[]", "{}", '{"duration": "long"}', "3"):
        path.write_text(f"\n{line}\n")
        with pytest.raises(InputError, match="cuts.jsonl:2: is no cut of a lhotse manifest"):
            read_cuts(path)
    write_cuts(tmp_path / "two.jsonl.gz", [record(tmp_path), record(tmp_path)])
    with pytest.raises(InputError, match="two.jsonl.gz:2: utterance id 'utt' stands already in line 1"):
        read_cuts(tmp_path / "two.jsonl.gz")
    whole = gzip.compress(json.dumps(record(tmp_path)).encode() * 200)
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cut.jsonl.gz: is damaged or cut short"):
        read_cuts(tmp_path / "cut.jsonl.gz")


def test_a_pipe_is_no_manifest(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(
        InputError, match=r"pipe: is a pipe or device, and a manifest is read more than once\. Write it"
    ):
        read_cuts(tmp_path / "pipe")


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


def test_a_manifest_edited_by_hand_is_told_and_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_set(
        [Utterance("utt", Path(record(tmp_path)["recording"]["sources"][0]["source"]), "spk", "A")],
        tmp_path / "s",
        "s",
        {},
    )
    assert read_texts(tmp_path / "s") == {"utt": ["A"]} and not warnings(caplog)
    write_cuts(tmp_path / "s" / "cuts.jsonl.gz", [record(tmp_path, text="B")])
    for _ in range(2):
        assert read_texts(tmp_path / "s") == {"utt": ["B"]}
    (said,) = warnings(caplog)
    assert said.startswith(f"{tmp_path}/s/cuts.jsonl.gz: was changed since it was made (meta.json records another")
