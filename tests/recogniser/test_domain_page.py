"""docs/domain.md, section Grammars: its blocks run in an empty folder, one after the other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.pages import Page, must_run

PAGE = Page("docs/domain.md", section="Grammars")
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
