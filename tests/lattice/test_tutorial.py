"""docs/lattices.md: its blocks of Python run one after the other, and name commands that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hybrid.cli.lattice import command

PAGE = Path(__file__).resolve().parents[2] / "docs" / "lattices.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    assert len(blocks("python")) == 8
    for block in blocks("python"):
        exec(compile(block, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    told = re.findall(r"^print\(lattice\)  # (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert told == printed[:1]
    assert "1.0 2.0 [(3, 0.6" in printed[4]


def test_commands() -> None:
    told = {name for block in blocks("bash") for name in re.findall(r"hybrid lattice ([a-z-]+)", block)}
    assert told and told <= set(command.commands)
