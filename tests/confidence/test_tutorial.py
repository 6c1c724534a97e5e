"""docs/confidence.md: its blocks of Python run one after the other, and name commands that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hybrid.cli.results import combine, confidence

PAGE = Path(__file__).resolve().parents[2] / "docs" / "confidence.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    assert len(blocks("python")) == 2
    for block in blocks("python"):
        exec(compile(block, str(PAGE), "exec"), names)
    sure, right = map(float, capsys.readouterr().out.split())
    assert abs(sure - right) < 0.02


@pytest.mark.parametrize("group", [combine, confidence])
def test_commands(group) -> None:
    name = group.__name__.rpartition(".")[2]
    told = re.findall(rf"hybrid {name} ([a-z]+)", "".join(blocks("bash")))
    assert told and set(told) <= set(group.command.commands)
    for line in re.findall(rf"hybrid {name} [^|>\n]*", "".join(blocks("bash"))):
        command = group.command.commands[line.split()[2]]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in line.split() if word.startswith("--")} <= known
