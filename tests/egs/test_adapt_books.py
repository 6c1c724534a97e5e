"""adapt_books.py: missing files are one line, and an earlier table stays until another is whole."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from hybrid.base.errors import InputError


def test_a_missing_file_is_one_line_and_the_earlier_table_stays(root: Path, tmp_path: Path) -> None:
    (tmp_path / "books.txt").write_text("earlier\n")
    paths = [f"--{name}={tmp_path / 'none'}" for name in ("texts", "before", "after", "model", "graph", "scores")]
    done = subprocess.run(
        [sys.executable, root / "scripts/bench/adapt_books.py", *paths, f"--out={tmp_path / 'books.txt'}"],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(root)}, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("adapt_books.py: ") and done.stderr.count("\n") == 1
    assert (tmp_path / "books.txt").read_text() == "earlier\n" and len(list(tmp_path.iterdir())) == 1


def test_an_utterance_without_scores_is_named(script: Callable[[str], ModuleType]) -> None:
    module = script("scripts/bench/adapt_books.py")
    with pytest.raises(InputError, match="scores: lack the utterance '1-2-3'"):
        module.searched(None, {}, {"1-2-3": ["HELLO"]})
