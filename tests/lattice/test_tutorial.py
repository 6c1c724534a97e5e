"""docs/lattices.md: its blocks of Python run one after the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.pages import Page


def test_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    page = Page("docs/lattices.md")
    page.run_python()
    printed = capsys.readouterr().out.splitlines()
    assert re.findall(r"^print\(lattice\)  # (.*)$", page.text, re.MULTILINE) == printed[:1]
    assert "1.0 2.0 [(3, 0.6" in printed[4]
