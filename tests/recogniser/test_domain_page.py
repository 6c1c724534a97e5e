"""docs/domain.md, sections Grammars, Classes and slots, New words: their blocks run in an empty folder, in order."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.pages import Page, must_run

PAGE = Page("docs/domain.md", section="Grammars")
SLOTS = Page("docs/domain.md", section="Classes and slots")
pytestmark = [pytest.mark.real, pytest.mark.slow]


def test_the_section_runs(corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audio = corpora / "smoke_english" / "audio"
    shutil.copy(audio / "ps_misc" / "goforward.wav", tmp_path / "my.wav")
    shutil.copy(audio / "sb_asr" / "spk1_snt5.wav", tmp_path / "other.wav")
    monkeypatch.chdir(tmp_path)
    PAGE.write_files(tmp_path)
    printed = must_run(PAGE.lines())
    assert printed[0] in PAGE.text, "what `check` prints"
    assert "my GO FORWARD TEN METERS\n" in printed and printed[-1].strip() == "other"
    assert json.loads(Path("my.json").read_text())["utterances"][0]["rule"] == "move"
    PAGE.run_python()


def test_the_sections_of_slots_run(corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audio = corpora / "smoke_english" / "audio"
    shutil.copy(audio / "ps_misc" / "goforward.wav", tmp_path / "call.wav")
    monkeypatch.chdir(tmp_path)
    SLOTS.write_files(tmp_path)
    assert Path("contacts.txt").read_text().splitlines()[1] == "NGUYEN\t3\tW IH N"
    must_run(SLOTS.lines())
    assert "slots" in json.loads(Path("call.json").read_text())["utterances"][0]
    SLOTS.run_python()
    words = Page("docs/domain.md", section="New words", names=SLOTS.names)
    must_run(words.lines())
    words.run_python()
