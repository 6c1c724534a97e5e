"""docs/confidence.md: its blocks of Python run one after the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages import Page


def test_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    Page("docs/confidence.md").run_python()
    sure, right = map(float, capsys.readouterr().out.split())
    assert abs(sure - right) < 0.02
