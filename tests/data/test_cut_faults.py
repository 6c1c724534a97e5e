"""One bad cut of thirty fails by name wherever cuts are gone over, and `data check` lists it; bad ids stop it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from hybrid.base.artifact import write_gzip
from hybrid.base.errors import HybridError, InputError
from hybrid.base.failures import write_failed
from hybrid.base.names import file_stem, mended_name, name_fault
from hybrid.data.audio import AudioInfo
from hybrid.data.check import CheckConfig, check_cuts
from hybrid.data.manifest import read_cuts, usable_cuts, write_cuts
from hybrid.data.sets import cut_record, write_set
from hybrid.data.subset import SubsetConfig, combine_sets, subset_set
from hybrid.data.utterance import Utterance

INFINITY, NAN = float("inf"), float("nan")


def record(folder: Path, name: str) -> dict[str, Any]:
    path = folder / "a.wav"
    if not path.exists():
        soundfile.write(path, np.random.default_rng(0).standard_normal(4000) * 0.1, 8000)
    return cut_record(Utterance(name, path, "spk", "HELLO"), AudioInfo(str(path), 8000, 1, 4000, "WAV"))


def change(*path: str | int, value: Any) -> Callable[[dict], None]:
    def apply(cut: Any) -> None:
        for key in path[:-1]:
            cut = cut[key]
        cut[path[-1]] = value

    return apply


def without(*path: str) -> Callable[[dict], None]:
    def apply(cut: Any) -> None:
        for key in path[:-1]:
            cut = cut[key]
        del cut[path[-1]]

    return apply


SOURCE = ("recording", "sources", 0)
FAULTS: dict[str, tuple[Callable[[dict], None], str]] = {
    "no num_samples": (without("recording", "num_samples"), "has num_samples None, wanted a number of samples"),
    "num_samples is text": (change("recording", "num_samples", value="4000"), "has num_samples '4000'"),
    "num_samples huge": (change("recording", "num_samples", value=10**30), "has num_samples 1000000000000"),
    "duration of 400 digits": (change("duration", value=10**400), "has duration 1000"),
    "start infinite": (change("start", value=INFINITY), "has start inf, wanted seconds"),
    "start huge": (change("start", value=1e300), "has start 1e\\+300, wanted seconds"),
    "start is text": (change("start", value="0"), "has start '0', wanted seconds"),
    "duration NaN": (change("duration", value=NAN), "has duration nan, wanted seconds"),
    "duration huge": (change("duration", value=-1e300), "has duration -1e\\+300, wanted seconds"),
    "no duration": (without("duration"), "has no duration"),
    "channels a number": (change(*SOURCE, "channels", value=5), "has channels 5, wanted a list"),
    "channel a text": (change("channel", value="left"), "has channel 'left', wanted numbers from 0"),
    "channel negative": (change("channel", value=-1), "has channel -1, wanted numbers from 0"),
    "rate 0": (change("recording", "sampling_rate", value=0), "has sampling_rate 0, wanted Hz"),
    "rate a text": (change("recording", "sampling_rate", value="8000"), "has sampling_rate '8000', wanted Hz"),
    "rate true": (change("recording", "sampling_rate", value=True), "has sampling_rate True, wanted Hz"),
    "no recording": (without("recording"), "has no recording"),
    "recording a list": (change("recording", value=[]), "has no recording"),
    "no sources": (change("recording", "sources", value=[]), r"has sources \[\], wanted a list of files"),
    "source a number": (change("recording", "sources", value=[3]), r"has sources \[3\], wanted a list of files"),
    "path a number": (change("recording", "sources", value=[{"type": "file", "source": 3}]), "has a source 3"),
    "text a number": (change("supervisions", 0, "text", value=5), "has text 5, wanted text"),
    "supervisions a text": (change("supervisions", value="HELLO"), "has supervisions 'HELLO', wanted a list"),
    "speaker a list": (change("supervisions", 0, "speaker", value=[]), r"has speaker id \[\], which is \[\]"),
    "speaker with a tab": (change("supervisions", 0, "speaker", value="a\tb"), "has speaker id .* has white space"),
    "recording id long": (change("recording", "id", value="x" * 300), "has recording id .* has 300 bytes"),
    "tracks empty": (change("tracks", value=[]), r"has tracks \[\], wanted a list of cuts"),
    "track without cut": (change("tracks", value=[{"type": "MonoCut"}]), "has a track without a cut"),
    "track infinite": (change("tracks", value=[{"cut": {"duration": INFINITY}}]), "has a track that has duration inf"),
    "padding huge": (
        change("tracks", value=[{"type": "PaddingCut", "cut": {"duration": 1e12, "sampling_rate": 8000}}]),
        "has padding of duration 1000000000000.0",
    ),
}  # fmt: skip


def thirty(folder: Path, spoil: Callable[[dict], None], number: int = 17) -> Path:
    """A set of 30 cuts of which one is spoilt."""
    cuts = [record(folder, f"utt-{i:02d}") for i in range(30)]
    spoil(cuts[number])
    write_cuts(folder / "cuts.jsonl.gz", cuts)
    return folder


@pytest.mark.parametrize("name", FAULTS)
def test_one_bad_cut_of_thirty_fails_by_name(name: str, tmp_path: Path) -> None:
    spoil, reason = FAULTS[name]
    usable, failed = usable_cuts(thirty(tmp_path, spoil))
    assert len(usable) == 29 and [utterance for utterance, _ in failed] == ["utt-17"]
    with pytest.raises(InputError, match=rf"cut 'utt-17': {reason}.*`hybrid data check --cuts SET --out-dir OUT`"):
        raise InputError(failed[0][1])
    config = CheckConfig(read_audio=False, max_overlap=9.0)
    report = check_cuts(tmp_path, config)
    left = {kept["id"] for kept in report.records}
    problems = {f.problem for f in report.findings if f.utterance == "utt-17"}
    assert problems & {"bad-cut", "bad-speaker", "bad-recording"} and len(left - {"utt-17"}) == 29
    assert ("utt-17" in left) == ("bad-cut" not in problems)
    assert subset_set(tmp_path, tmp_path / "out", SubsetConfig()) == 29
    assert (tmp_path / "out" / "failed.txt").read_text().startswith("utt-17 cut 'utt-17': has ")
    assert combine_sets([tmp_path], tmp_path / "both") == 29


def test_what_goes_over_cuts_goes_on(tmp_path: Path) -> None:
    from hybrid.aligner.speech_source import items_of_cuts
    from hybrid.decode.sources import CutSource
    from hybrid.feats.build import extract_features
    from hybrid.feats.config import FeatureConfig
    from hybrid.score.transcripts import read_transcripts

    for name in ("no num_samples", "start infinite", "duration NaN", "channels a number", "speaker with a tab"):
        folder = tmp_path / name
        folder.mkdir()
        thirty(folder, FAULTS[name][0])
        store = extract_features(folder, folder / "feats", FeatureConfig(sampling_rate=8000))
        assert len(store) == 29 and "utt-17" not in store
        assert (folder / "feats" / "failed.txt").read_text().startswith("utt-17 cut 'utt-17': has ")
        speech, failed = CutSource(str(folder)).utterances()
        assert len(speech) == 29 and failed[0][0] == "utt-17"
        items, failures = items_of_cuts(folder)
        assert len(items) == 29 and failures["utt-17"].startswith("cut 'utt-17': has ")
    assert len(read_transcripts(tmp_path / "no num_samples").words) == 30
    with pytest.raises(InputError, match="utterance 'utt-17' has speaker id 'a"):
        read_transcripts(tmp_path / "speaker with a tab")


BAD_IDS: dict[str, tuple[Any, str, str]] = {
    "tab": ("a\tb", "has white space", "a_b"),
    "newline": ("a\nb", "has white space", "a_b"),
    "odd space": ("a\u2003b", "has white space", "a_b"),
    "escape": ("a\x1b[31m", "has control characters", "a_[31m"),
    "zero byte": ("a\0b", "has control characters", "a_b"),
    "turned around": ("a\u202eb", "has control characters", "a_b"),
    "above": ("../a", "is a path with an empty, '.' or '..' part", "a"),
    "root": ("/etc/passwd", "is a path with an empty, '.' or '..' part", "etc/passwd"),
    "dots": ("..", "is a path with an empty, '.' or '..' part", ""),
    "empty": ("", "is empty", ""),
    "long": ("x" * 300, "has 300 bytes, wanted at most 200", "x" * 191 + "-"),
    "long in bytes": ("ü" * 101, "has 202 bytes, wanted at most 200", "ü" * 95 + "-"),
    "number": (5, "is 5, wanted text", "5"),
    "nothing": (None, "is None, wanted text", ""),
    "list": (["a"], r"is ['a'], wanted text", ""),
}


@pytest.mark.parametrize("name", BAD_IDS)
def test_ids_are_checked_where_they_enter(name: str, tmp_path: Path) -> None:
    bad, reason, mended = BAD_IDS[name]
    assert name_fault(bad) == reason and mended_name(bad).startswith(mended) and bool(mended_name(bad)) == bool(mended)
    assert not mended or not name_fault(mended_name(bad))
    thirty(tmp_path, change("id", value=bad))
    with pytest.raises(InputError) as error:
        read_cuts(tmp_path)
    message = str(error.value)
    assert message.startswith(f"{tmp_path}/cuts.jsonl.gz:18: utterance id ") and "hybrid data check" in message
    assert reason in message and "\x1b" not in message and len(message) < 400 + len(str(tmp_path))
    report = check_cuts(tmp_path, CheckConfig(read_audio=False, max_overlap=9.0))
    assert len(report.records) == (30 if mended else 29)
    finding = report.findings[0]
    assert (finding.problem, finding.repair) == (("bad-id", "replaced by _") if mended else ("bad-line", ""))


def test_ids_that_may_stand(tmp_path: Path) -> None:
    for name in ("a", "1", "a/b-0", "Ärger.wav", "…", "क्\u200dष", "a:b*?", "x" * 200):
        assert name_fault(name) == "" and mended_name(name) == name
    assert file_stem("medium/968/a") == "medium_968_a"


def test_prepared_sets_have_usable_ids(tmp_path: Path) -> None:
    record(tmp_path, "a")
    items = [Utterance(name, tmp_path / "a.wav", speaker, "HELLO") for name, speaker in (
        ("fine", "spk"), ("fine2", "spk"), ("a\tb", "spk"), ("c", "two words"))]  # fmt: skip
    assert write_set(items, tmp_path / "set", "set", {}) == 2
    failed = (tmp_path / "set" / "failed.txt").read_text().splitlines()
    assert len(failed) == 2 and failed[0].startswith("a_b ") and "utterance id 'a b' has white space" in failed[0]
    assert "speaker id 'two words' has white space" in failed[1]
    write_failed(tmp_path / "f.txt", [("a\nb", "two\nlines\x1b[0m")])
    assert (tmp_path / "f.txt").read_text() == "a_b two lines\\x1b[0m\n"


def test_odd_names_of_files_give_usable_ids(tmp_path: Path) -> None:
    from hybrid.data.own import OwnConfig, prepare
    from hybrid.decode.sources import AudioFiles
    from hybrid.feats.vad import VadConfig

    record(tmp_path, "a")
    sound = (tmp_path / "a.wav").read_bytes()
    folder = tmp_path / "two\nlines"
    folder.mkdir()
    files = [folder / "x\x1b[0m.wav", folder / "t\tab.wav", folder / "plain.wav"]
    for file in files:
        file.write_bytes(sound)
    with open(os.fsencode(folder) + b"/latin\xe9.wav", "wb") as stream:
        stream.write(sound)
    assert prepare([folder], tmp_path / "out", OwnConfig(rate=8000)) == 3
    found = read_cuts(tmp_path / "out")
    assert [cut.id for cut in found] == ["plain", "t_ab", "x_[0m"] and {cut.speaker for cut in found} == {"two_lines"}
    assert "is not UTF-8. Rename the file." in (tmp_path / "out" / "failed.txt").read_text()
    assert list(AudioFiles(tuple(map(str, files)), VadConfig()).names()) == ["x_[0m", "t_ab", "plain"]


def test_lines_that_burst(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cuts.jsonl"
    path.write_text('{"id": ' + "[" * 200_000 + "]" * 200_000 + "}\n")
    with pytest.raises(InputError, match="cuts.jsonl:1: is JSON nested deeper than 100 levels"):
        read_cuts(path)
    assert check_cuts(path, CheckConfig()).failed[0][0] == "line-1"
    path.write_text(json.dumps({"id": "a", "custom": "x" * (17 << 20)}))
    with pytest.raises(InputError, match="cuts.jsonl:1: has a line of more than 16 MiB"):
        read_cuts(path)
    with write_gzip(tmp_path / "bomb.jsonl.gz") as stream:
        for _ in range(130):
            stream.write(b" " * (1 << 20) + b"\n")
    with pytest.raises(InputError, match="bomb.jsonl.gz: unpacks to more than 64 MiB"):
        read_cuts(tmp_path / "bomb.jsonl.gz")
    with pytest.raises(HybridError, match="cuts.jsonl.gz: manifest is missing. Make it with `hybrid data`."):
        read_cuts(tmp_path)  # a folder without cuts.jsonl.gz
