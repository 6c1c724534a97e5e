"""Reading references and hypotheses, and pairing them."""

from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path

import pytest

from hybrid.base.errors import InputError
from hybrid.score.transcripts import Transcripts, pair, read_transcripts


def cut(name: str, text: str, speaker: str = "anna") -> str:
    supervision = {"id": name, "recording_id": name, "start": 0.0, "duration": 1.0, "text": text, "speaker": speaker}
    return json.dumps({"id": name, "start": 0.0, "duration": 1.0, "channel": 0, "supervisions": [supervision]})


def test_text_form(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("u2 ONE TWO\n\nu1\r\nu3 ÄÖ\n", encoding="utf-8")
    found = read_transcripts(file)
    assert found.words == {"u2": ["ONE", "TWO"], "u1": [], "u3": ["ÄÖ"]}
    assert not found.speakers


def test_gzipped_text_and_speakers(tmp_path: Path) -> None:
    file = tmp_path / "text.gz"
    file.write_bytes(gzip.compress(b"u1 A\nu2 B\n"))
    (tmp_path / "utt2spk").write_text("u1 anna\nother bob\n")
    assert read_transcripts(file, tmp_path / "utt2spk").speakers == {"u1": "anna"}


@pytest.mark.parametrize("as_folder", [False, True])
def test_cuts(tmp_path: Path, as_folder: bool) -> None:
    file = tmp_path / "cuts.jsonl.gz"
    file.write_bytes(gzip.compress((cut("u1", "A  B") + "\n" + cut("u2", "", "bob") + "\n").encode()))
    found = read_transcripts(tmp_path if as_folder else file)
    assert found.words == {"u1": ["A", "B"], "u2": []}
    assert found.speakers == {"u1": "anna", "u2": "bob"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"u1 A\nu1 B\n", ":2: utterance 'u1' stands here a second time. Remove one of them."),
        (b"u1 A\nu2 \xff\n", "is not UTF-8"),
        (b"\n", ": holds no transcript. Give"),
        (b"\x1f\x8b\x08cut", "is damaged or cut short"),
    ],
)
def test_bad_text(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "text"
    file.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_transcripts(file)
    assert str(error.value).startswith(str(file))
    assert message in str(error.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none: the file does not exist"):
        read_transcripts(tmp_path / "none")


def test_what_was_not_recognised_counts_as_deleted(caplog: pytest.LogCaptureFixture) -> None:
    reference = Transcripts("ref", {"u2": ["C"], "u1": ["A", "B"]})
    with caplog.at_level(logging.WARNING):
        pairs = pair(reference, Transcripts("hyp", {"u2": ["C"], "u9": ["X"]}))
    assert list(pairs.items()) == [("u1", (["A", "B"], [])), ("u2", (["C"], ["C"]))]
    assert "no line for 1 of 2 utterances" in caplog.text
    assert "1 utterances without reference" in caplog.text


def test_nothing_shared() -> None:
    with pytest.raises(InputError, match="hyp: shares no utterance with ref .its first is 'x', wanted e.g. 'u'"):
        pair(Transcripts("ref", {"u": ["A"]}), Transcripts("hyp", {"x": ["A"]}))
