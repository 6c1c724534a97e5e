"""Pages of the documentation: their blocks of shell and Python, run, or compared with the commands that there are."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import click
from click.testing import CliRunner

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Page:
    """A page by its path below the project, its text and what its blocks of Python have defined so far.

    Attributes:
      section: the heading (`## …`) of the part that is meant; "" for the whole page.
    """

    path: str
    names: dict[str, object] = field(default_factory=dict)
    section: str = ""

    @property
    def text(self) -> str:
        text = (ROOT / self.path).read_text(encoding="utf-8")
        return re.split(r"^## ", text.partition(f"\n## {self.section}\n")[2], flags=re.M)[0] if self.section else text

    def write_files(self, folder: Path) -> None:
        """Writes each block with a title, which is the name of a file: what a reader copies is the whole of it."""
        for name, body in re.findall(r'^```\w+ title="(\S+)"\n(.*?)^```', self.text, re.MULTILINE | re.DOTALL):
            (folder / name).write_text(body, encoding="utf-8")

    def blocks(self, language: str) -> list[str]:
        return re.findall(rf"^```{language}\n(.*?)^```", self.text, re.MULTILINE | re.DOTALL)

    def run_python(self) -> None:
        """Runs its blocks of Python, one after the other."""
        for block in self.blocks("python"):
            exec(compile(block, self.path, "exec"), self.names)

    def lines(self, *blocks: int) -> list[str]:
        """The lines of its blocks of shell (of those numbered), put together where they end with a backslash."""
        found = self.blocks("bash")
        return [line for block in ([found[n] for n in blocks] or found) for line in shell_lines(block)]

    def commands(self) -> list[list[str]]:
        """Each `hybrid …` of its blocks and of its text, as words."""
        spans = re.findall(r"`(hybrid [^`]+)`", re.sub(r"^```.*?^```", "", self.text, flags=re.MULTILINE | re.DOTALL))
        indented = re.findall(r"^    (hybrid .*)$", self.text, re.MULTILINE)
        parts = [part for line in self.lines() for part in re.split(r" [|>] |\$\(| && ", line)]
        return [words for text in (*parts, *indented, *spans) if (words := split(text))[:1] == ["hybrid"]]


def split(text: str) -> list[str]:
    """Words of a command; what is no shell, such as an example with an apostrophe, by its blanks."""
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return text.split()


def shell_lines(block: str) -> list[str]:
    joined = block.replace("\\\n", " ").splitlines()
    return [line.strip() for line in joined if line.strip() and not line.startswith("#")]


def unknown(words: list[str]) -> str:
    """Says what the command line has not got: a command or an option; "" if all is known."""
    from hybrid.cli.main import command

    found: click.Command = command
    context = click.Context(command)
    for word in words[1:]:
        if not isinstance(found, click.Group) or word.startswith("-") or not re.fullmatch(r"[a-z0-9-]+", word):
            break
        below = found.get_command(context, word)
        if below is None:
            return f"{word} of {' '.join(words)}"
        found = below
    every = [found, command]
    if isinstance(found, click.Group):  # a group's name with an option of those below it
        every += [below for name in found.list_commands(context) if (below := found.get_command(context, name))]
    known = {o for one in every for p in one.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
    wrong = [word for word in words[1:] if re.match(r"--[a-z]", word) and word.partition("=")[0] not in known]
    return f"{wrong[0]} of {' '.join(words)}" if wrong else ""


@dataclass(frozen=True)
class Ran:
    """What a line of shell did."""

    exit_code: int
    stdout: str
    output: str
    exception: BaseException | None = None


def run_line(line: str) -> Ran:
    """Runs a line of shell: a plain `hybrid` in this process, which is quick; pipes and all else by bash."""
    from hybrid.cli.main import command

    words = shlex.split(line, comments=True)
    if words[0] == "hybrid" and not {"|", ">", "&&"} & set(words):
        result = CliRunner().invoke(command, words[1:])
        return Ran(result.exit_code, result.stdout, result.output, result.exception)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], env=environment, capture_output=True, text=True, check=False
    )
    return Ran(done.returncode, done.stdout, done.stdout + done.stderr)


def must_run(lines: list[str]) -> list[str]:
    """Runs lines one after the other; returns what each printed."""
    printed = []
    for line in lines:
        result = run_line(line)
        assert result.exit_code == 0, (line, result.output, result.exception)
        printed.append(result.stdout)
    return printed
