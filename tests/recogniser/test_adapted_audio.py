"""Models of speaker-adaptive training recognise a user's files: by a command and in Python, with one transform."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hybrid.adapt.recording_transform import adapts, transform_of
from hybrid.decode.sources import AudioFiles
from hybrid.feats.vad import VadConfig
from hybrid.gmm.adapt_config import FmllrConfig
from hybrid.gmm.speaker_transforms import load_transforms
from hybrid.model.recording import Recording
from hybrid.recogniser import Recogniser
from tests.tiny_recogniser import RATE, Tiny, must, run


@pytest.fixture(scope="module")
def sat(tiny: Tiny, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("sat")
    feats = ("--feats", tiny.root / "feats_train", "--lang", tiny.root / "lang")
    must("gmm", "align", "--model", tiny.model, *feats, "--out-dir", root / "ali")
    must("gmm", "train-sat", "--model", tiny.model, "--ali", root / "ali", *feats, "--max-leaves", 12,
         "--total-gaussians", 30, "--num-passes", 4, "--last-mix-up-pass", 2, "--min-speaker-frames", 50,
         "--out-dir", root / "sat")  # fmt: skip
    must("graph", "compile", "--model", root / "sat", "--lang", tiny.root / "lang", "--grammar", tiny.root / "G.fst",
         "--out-dir", root / "graph")  # fmt: skip
    return root


@pytest.fixture(scope="module")
def spoken(bursts, save_wav, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("users")
    for name, words, seed in (("one", ["LOW", "HIGH", "MID"], 77), ("two", ["MID", "LOW", "HIGH", "LOW"], 78)):
        save_wav(root / name / f"{name}.wav", 0.7 * bursts(words, seed))
    return root


def test_files_by_command_and_in_python(tiny: Tiny, sat: Path, spoken: Path, tmp_path: Path) -> None:
    given = ("--model", sat / "sat", "--graph", sat / "graph", "--lang", tiny.root / "lang", "--min-speaker-frames", 50)
    result = must("gmm", "decode-fmllr", *given, "--out-dir", tmp_path / "out", "--format", "srt",
                  spoken)  # fmt: skip
    assert sorted(p.name for p in (tmp_path / "out" / "recordings").iterdir()) == ["one.srt", "two.srt"]
    text = (tmp_path / "out" / "transcript.txt").read_text()
    assert text == "one LOW HIGH MID\ntwo MID LOW HIGH LOW\n" and text in result.stdout
    recogniser = Recogniser.load(sat / "sat", sat / "graph")
    system = recogniser.system
    assert adapts(system) and not adapts(Recogniser.load(tiny.model, tiny.graph).system)
    theirs = load_transforms(tmp_path / "out.transforms.2.safetensors", system.model.pipeline.dim)
    for name in ("one", "two"):
        file = spoken / name / f"{name}.wav"
        recording = Recording(system.model, file, whole_within=30.0)
        ours = transform_of(system, recording, recording.chunks, fmllr=FmllrConfig(min_speaker_frames=50))
        assert np.allclose(ours, theirs[name], atol=1e-5)
        assert not np.allclose(ours[:, :-1], np.eye(len(ours)))
        found = recogniser.recognise(file)
        assert f"{name} {found.text}\n" in text
        plain = Recogniser.load(sat / "sat", sat / "graph", adapt=False).recognise(file)
        assert plain.segments[0].path.acoustic_score != found.segments[0].path.acoustic_score
    usage = run("gmm", "decode-fmllr", *given, "--out-dir", tmp_path / "o")
    assert usage.exit_code == 2 and "give --feats STORE or audio FILES" in usage.output


def test_who_speaks_in_files(spoken: Path) -> None:
    files = tuple(str(spoken / name / f"{name}.wav") for name in ("one", "two"))
    for kind, wanted in (("file", ["one", "two"]), ("folder", ["one", "two"]), ("one", ["one"])):
        source = AudioFiles(files, VadConfig(), speakers=kind)
        speakers = {source.speaker(item) for item in source.utterances()[0]}
        assert len(speakers) == len(wanted)


def test_many_files_and_one_that_is_none(tiny: Tiny, spoken: Path, tmp_path: Path, bursts) -> None:
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    recogniser = Recogniser.load(tiny.model, tiny.graph)
    files = [spoken / "one" / "one.wav", tmp_path / "bad.wav", str(spoken / "two" / "two.wav")]
    found = recogniser.recognise(files)
    assert [one.recording for one in found] == ["one", "bad", "two"]
    assert found[0] == recogniser.recognise(files[0]) and found[2].text == "MID LOW HIGH LOW"
    assert found[1].text == "" and "cannot be read as audio" in found[1].error and "\n" not in found[1].error
    assert found[1].to_dict()["error"] == found[1].error and not found[0].error
    assert [one.text for one in recogniser.recognise([bursts(["LOW"], 3)], RATE)] == ["LOW"]
