"""Transcripts by name: where a key ends, which file it names, and what is told of lines that name none."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from hybrid.aligner.speech_source import items_of_files
from hybrid.base.errors import InputError
from hybrid.data.named_texts import match_texts, read_named_texts
from lexicon.words.normaliser import Normaliser


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("hybrid"), "propagate", True)
    return caplog


def match(tmp_path: Path, table: str, *files: str) -> tuple[dict[str, str], dict[str, str]]:
    (tmp_path / "t.txt").write_text(table, encoding="utf-8")
    named, failed = read_named_texts(tmp_path / "t.txt")
    assert not failed
    found = [(f.replace("/", "-").rpartition(".")[0], Path(f)) for f in files]
    return match_texts(found, named, "t.txt")


@pytest.mark.parametrize("blank", [" ", "\t", "\u00a0", "  \t", "\u3000", "\u2003"])
def test_the_key_ends_at_the_first_blank(tmp_path: Path, blank: str) -> None:
    assert match(tmp_path, f"a{blank}one\ttwo three\nb two\n", "a.wav", "b.wav") == (
        {"a": "one\ttwo three", "b": "two"},
        {},
    )
    assert Normaliser().words("one\ttwo\u00a0three") == ["ONE", "TWO", "THREE"]


def test_a_name_of_two_files_fails_by_name(tmp_path: Path) -> None:
    texts, failures = match(tmp_path, "x y\n001 hello\nspkA-002 two\n002 other\n", "spkA/001.wav", "spkB/001.wav",
                            "spkA/002.wav", "spkB/002.wav")  # fmt: skip
    assert texts == {"spkA-002": "two", "spkB-002": "other"}
    wanted = "t.txt:2: '001' names 2 files (spkA-001, spkB-001). Write these ids instead."
    assert failures == {"spkA-001": wanted, "spkB-001": wanted}


def test_lines_that_name_no_file_are_counted_and_listed(tmp_path: Path, told: pytest.LogCaptureFixture) -> None:
    texts, failures = match(tmp_path, "a one\nghost two\nb.wav three\nspök four\n", "a.wav", "b.wav", "c.wav")
    assert texts == {"a": "one", "b": "three"}
    assert failures == {"c": "c.wav: has no line in t.txt. Add one, or leave it out."}
    assert "t.txt: 2 of 4 lines name no audio file: line 2 'ghost', line 4 'spök'" in told.text


def test_one_form_of_text_whatever_the_number_of_files(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    (tmp_path / "b.wav").write_bytes(b"RIFF")
    (tmp_path / "t.txt").write_text("".join(f"{name} text of {name}\n" for name in "abcdefghij"))
    one, failed = items_of_files([tmp_path / "a.wav"], tmp_path / "t.txt")
    assert [(i.id, i.text) for i in one] == [("a", "TEXT OF A")] and not failed
    (tmp_path / "book.txt").write_text("It was.\nA dark night.\n")
    whole, _ = items_of_files([tmp_path / "a.wav"], whole=tmp_path / "book.txt")
    assert [i.text for i in whole] == ["IT WAS A DARK NIGHT"]
    with pytest.raises(InputError, match=r"no line names a. If the whole file is the text of a.wav, give --whole-text"):
        items_of_files([tmp_path / "a.wav"], tmp_path / "book.txt")
    with pytest.raises(InputError, match="is the text of one file, and there are 2. Give --text with names."):
        items_of_files([tmp_path], whole=tmp_path / "book.txt")
