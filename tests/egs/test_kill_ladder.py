"""The script that kills a recipe: it finds what does not go on as it should, and passes what does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

GOES_ON = "for i in 1 2 3 4 5; do [ -e {}/$i ] || { sleep 0.2; echo $i > {}/.part; mv {}/.part {}/$i; }; done"
STARTS_AFRESH = "for i in 1 2 3 4 5; do sleep 0.2; echo $i >> {}/all; done"


def kill(root: Path, work: Path, *command: str | Path, longest: str = "0.8") -> subprocess.CompletedProcess:
    script = [sys.executable, root / "scripts/kill_ladder.py", "--work-dir", work, "--kills", "3", "--seed", "4"]
    words = [*script, "--longest", longest, "--", *command]
    return subprocess.run([str(word) for word in words], cwd=root, capture_output=True, text=True)


def test_what_goes_on_ends_in_the_same_files(root: Path, tmp_path: Path) -> None:
    done = kill(root, tmp_path / "work", "bash", "-c", f"mkdir -p {{}}; {GOES_ON}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("3 kills in ") and done.stdout.endswith("runs: 0 differences\n")


def test_what_does_not_is_named(root: Path, tmp_path: Path) -> None:
    done = kill(root, tmp_path / "work", "bash", "-c", f"mkdir -p {{}}; {STARTS_AFRESH}", longest="0.9")
    assert done.returncode == 1
    assert "all: another content" in done.stdout.splitlines()


def test_a_command_that_fails_is_one_line(root: Path, tmp_path: Path) -> None:
    done = kill(root, tmp_path / "work", "bash", "-c", "echo no such corpus; exit 3")
    assert done.returncode == 1
    assert done.stderr.endswith("work/whole: the command ended with status 3: no such corpus\n")


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_three_kills_of_a_recipe(root: Path, tmp_path: Path, corpora: Path, digits: Path) -> None:
    recipe = ["bash", root / "egs/fsdd/run.sh", "--corpus-dir", digits, "--work-dir", "{}", "--models", "mono"]
    options = ["--num-gaussians", "150", "--loso", "", "--grammars", "single", "--lm-weights", "10", "--jobs", "2"]
    done = kill(root, tmp_path / "work", *recipe, *options, longest="8")
    assert done.returncode == 0, done.stdout + done.stderr
