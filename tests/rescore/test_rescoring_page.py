"""docs/rescoring.md: its Python runs, and its commands and options exist."""

from __future__ import annotations

import re
from pathlib import Path

import click

from hybrid.cli.main import command
from hybrid.lattice.compact import expand
from hybrid.lattice.paths import best_path

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "rescoring.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_python() -> None:
    names: dict = {}
    (block,) = blocks("python")
    exec(compile(block, "rescoring.md", "exec"), names)
    before, after = (best_path(expand(names[name]), 1.0) for name in ("lattice", "better"))
    assert before is not None and before.word_ids.tolist() == [1, 3]
    assert after is not None and after.word_ids.tolist() == [1, 2]


def test_commands() -> None:
    (block,) = blocks("bash")
    for line in block.splitlines():
        group, name = line.split()[1:3]
        found = command.get_command(click.Context(command), group).commands[name]  # type: ignore[union-attr]
        options = {o for p in found.params if isinstance(p, click.Option) for o in p.opts}
        assert set(re.findall(r"--[a-z-]+", line)) <= options
