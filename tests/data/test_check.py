"""Every problem of a set: its name, its repair or its failure."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hybrid.base.artifact import write_gzip
from hybrid.base.errors import HybridError, InputError
from hybrid.data.audio import AudioInfo
from hybrid.data.check import CheckConfig, CheckReport, check_cuts
from hybrid.data.check_report import read_vocabulary, summary_lines, write_report
from hybrid.data.manifest import load_samples, read_cuts
from hybrid.data.sets import cut_record
from hybrid.data.utterance import Utterance


class Set:
    """A set in the making: `add` writes audio and a manifest line, `check` checks it all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[bytes] = []

    def add(self, name: str, text: str | None = "HELLO WORLD", length: int = 4000, channels: int = 1, **change) -> dict:  # type: ignore[no-untyped-def]
        path = self.folder / f"{name.replace(' ', '')}.wav"
        noise = np.random.default_rng(len(self.lines)).standard_normal((length, channels)) * 0.1
        soundfile.write(path, noise.clip(-1, 1), 8000, "PCM_16")
        record = cut_record(Utterance(name, path, "spk", text), AudioInfo(str(path), 8000, channels, length, "WAV"))
        record.update(change)
        self.lines.append(json.dumps(record).encode())
        return record

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.wav"

    def check(self, config: CheckConfig | None = None, words: set[str] | None = None, jobs: int = 1) -> CheckReport:
        with write_gzip(self.folder / "cuts.jsonl.gz") as stream:
            stream.write(b"\n".join(self.lines) + b"\n")
        return check_cuts(self.folder, config or CheckConfig(), words, jobs)


@pytest.fixture
def made(tmp_path: Path) -> Set:
    found = Set(tmp_path)
    found.add("fine")
    return found


def only(report: CheckReport) -> tuple[str, str, str, bool]:
    assert len(report.findings) == 1, report.findings
    finding = report.findings[0]
    return finding.utterance, finding.problem, finding.detail, bool(finding.repair)


def test_nothing_to_find(made: Set) -> None:
    report = made.check()
    assert not report.findings and len(report.records) == 1 and report.num_words == 2 and report.seconds == 0.5


def test_broken_audio_fails_by_name(made: Set) -> None:
    for name in ("missing", "empty", "cut", "text", "slow", "silent", "shorter"):
        made.add(name)
    made.path("missing").unlink()
    made.path("empty").write_bytes(b"")
    made.path("cut").write_bytes(made.path("cut").read_bytes()[:3000])
    made.path("text").write_text("no audio at all")
    data = bytearray(made.path("slow").read_bytes())
    data[24:28] = (1).to_bytes(4, "little")
    made.path("slow").write_bytes(data)
    soundfile.write(made.path("silent"), np.zeros(4000), 8000)
    soundfile.write(made.path("shorter"), np.ones(1000) * 0.1, 8000)
    report = made.check()
    failed = {f.utterance: f.problem for f in report.findings if not f.repair}
    assert failed == {
        "missing": "missing", "empty": "empty", "cut": "truncated", "text": "unreadable", "slow": "rate",
        "silent": "silent", "shorter": "truncated",
    }  # fmt: skip
    assert [record["id"] for record in report.records] == ["fine"]
    assert any("has a sampling rate of 1 Hz" in reason for _, reason in report.failed)


def test_truncated_flac_is_found_by_reading_it(made: Set) -> None:
    noise = np.random.default_rng(0).standard_normal(80000) * 0.1
    path = made.folder / "cut.flac"
    soundfile.write(path, noise.clip(-1, 1), 8000)
    record = cut_record(Utterance("cut", path, "spk", "A"), AudioInfo(str(path), 8000, 1, 80000, "FLAC"))
    made.lines.append(json.dumps(record).encode())
    path.write_bytes(path.read_bytes()[:50000])
    assert only(made.check())[:2] == ("cut", "truncated")
    assert not made.check(CheckConfig(read_audio=False)).findings


def test_wrong_rate_is_resampled(made: Set) -> None:
    report = made.check(CheckConfig(rate=16000))
    assert only(report) == ("fine", "other-rate", "8000 Hz, wanted 16000", True)
    write_report(report, made.folder / "out", made.folder, CheckConfig(rate=16000))
    samples, rate = load_samples(read_cuts(made.folder / "out")[0])
    assert rate == 16000 and len(samples) == 8000


def test_channels(made: Set) -> None:
    record = made.add("stereo", channels=2)
    assert not made.check().findings  # a cut of channel 0 of two is no problem
    record["channel"] = record["supervisions"][0]["channel"] = 3
    made.lines[-1] = json.dumps(record).encode()
    assert only(made.check())[:2] == ("stereo", "channel")
    record["channel"] = 0
    record["recording"]["sources"][0]["channels"] = record["recording"]["channel_ids"] = [0]
    made.lines[-1] = json.dumps(record).encode()
    report = made.check()
    assert only(report)[1::2] == ("changed", True)
    assert report.records[1]["recording"]["channel_ids"] == [0, 1]


def test_segments(made: Set) -> None:
    made.add("zero", duration=0.0)
    made.add("late", start=7.0)
    made.add("beyond", start=0.25)
    report = made.check()
    found = {f.utterance: (f.problem, bool(f.repair)) for f in report.findings}
    assert found == {"zero": ("zero-length", False), "late": ("outside", False), "beyond": ("beyond-end", True)}
    assert report.records[0]["id"] == "beyond" and report.records[0]["duration"] == 0.25


def test_overlapping_segments(made: Set) -> None:
    base = made.add("long", length=32000)
    for name, start, duration in (("long-a", 3.0, 1.0), ("long-b", 1.0, 0.4)):
        other = copy.deepcopy(base)
        other.update(id=name, start=start, duration=duration)
        made.lines.append(json.dumps(other).encode())
    assert only(made.check())[:3] == ("long-a", "overlap", "shares 1.00 s of long with long")
    assert {f.utterance for f in made.check(CheckConfig(max_overlap=0.2)).findings} == {"long-a", "long-b"}
    assert not made.check(CheckConfig(max_overlap=1.0)).findings


def test_ids_and_speakers(made: Set) -> None:
    made.add("white space")
    record = made.add("nobody")
    del record["supervisions"][0]["speaker"]
    made.lines[-1] = json.dumps(record).encode()
    record = made.add("somebody")
    record["supervisions"][0]["speaker"] = "Jane Doe"
    made.lines[-1] = json.dumps(record).encode()
    report = made.check()
    assert {f.utterance: f.problem for f in report.findings} == {
        "white_space": "bad-id", "nobody": "no-speaker", "somebody": "bad-speaker",
    }  # fmt: skip
    assert not report.failed and len(report.records) == 4
    speakers = {r["id"]: r["supervisions"][0]["speaker"] for r in report.records}
    assert speakers["nobody"] == "nobody" and speakers["somebody"] == "Jane_Doe"


def test_duplicate_ids(made: Set) -> None:
    made.lines.append(made.lines[0])
    assert only(made.check())[1::2] == ("duplicate-id", True)
    made.lines[1] = made.lines[0].replace(b"HELLO", b"OTHER")
    report = made.check()
    assert only(report)[1::2] == ("duplicate-id", False) and len(report.records) == 1


def test_transcripts(made: Set) -> None:
    made.add("wordless", text="  ")
    made.add("none", text=None)
    made.add("spaced", text="TOO\u00a0 MANY \x07 SPACES")
    report = made.check(words={"HELLO", "TOO", "MANY"})
    found = {f.utterance: (f.problem, bool(f.repair)) for f in report.findings if f.problem != "bad-text" or f.repair}
    assert found["none"] == ("empty-text", False) and found["spaced"] == ("bad-text", True)
    assert ("wordless", "empty-text") in {(f.utterance, f.problem) for f in report.findings if not f.repair}
    assert dict(report.oov) == {"WORLD": 1, "SPACES": 1} and report.num_words == 5
    assert len(made.check(CheckConfig(need_text=False)).records) == 4


def test_lines_that_are_no_cuts(made: Set) -> None:
    made.lines += [b'{"id": "caf\xe9"}', b"{", b'{"id": "x"}', b"[1]"]
    report = made.check()
    assert [f.utterance for f in report.findings] == ["line-2", "line-3", "x", "line-5"]
    assert (
        "cuts" not in report.findings[0].problem
        and "is not UTF-8 text (byte 0xe9 at column 12)" in report.findings[0].detail
    )
    assert len(report.records) == 1


def test_report_and_summary(made: Set) -> None:
    made.add("gone")
    made.path("gone").unlink()
    report = made.check(words={"HELLO"}, jobs=1)
    lines = summary_lines(report)
    assert lines[0] == "utterances 2, usable 1, failed 1, 0.0 min, 2 words"
    assert lines[1].startswith("missing: 1 failed, 0 repaired; e.g. gone: ")
    assert lines[2:] == ["words outside the vocabulary: 1 kinds, 1 running (50.00 %)", "  WORLD 1"]
    out = made.folder / "out"
    write_report(report, out, made.folder, CheckConfig())
    assert (out / "oov.txt").read_text() == "WORLD 1\n"
    assert (out / "failed.txt").read_text().startswith("gone missing: ")
    assert (out / "findings.tsv").read_text().splitlines()[1].startswith("gone\tmissing\tfailed\t")
    assert [u.id for u in read_cuts(out)] == ["fine"]
    made.path("fine").unlink()
    with pytest.raises(HybridError, match="no utterance can be used"):
        write_report(made.check(), out, made.folder, CheckConfig())


def test_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("<eps> 0\nA 1\nB 2\n#0 3\n")
    assert read_vocabulary(tmp_path / "words.txt") == {"A", "B"}
    (tmp_path / "bad.txt").write_bytes(b"A\n\xff\n")
    with pytest.raises(InputError, match="bad.txt:2: is not UTF-8"):
        read_vocabulary(tmp_path / "bad.txt")
    (tmp_path / "none.txt").write_text("\n")
    with pytest.raises(InputError, match="holds no words"):
        read_vocabulary(tmp_path / "none.txt")
