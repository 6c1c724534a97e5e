"""README and docs: every command and option that they name exists, and every block of shell and Python is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages import ROOT, Page, unknown

PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md", "egs/**/*.md")
    for path in ROOT.glob(pattern)
    if not {"data", "exp", "download"} & set(path.relative_to(ROOT).parts)
)


@pytest.mark.parametrize("path", PAGES)
def test_commands_exist(path: str) -> None:
    wrong = [found for words in Page(path).commands() if (found := unknown(words))]
    assert not wrong


# Blocks that no test runs, and why; all others are run by the tests that name their page.
NOT_RUN = {
    ("README.md", "bash", 0): "the gate itself, and a recipe; tests/egs run recipes on a handful of recordings",
    ("README.md", "bash", 2): "installs packages; scripts/package.sh installs the wheel in the gate",
    ("README.md", "bash", 3): "completion of a shell; tests/cli/test_main.py asks for it",
    ("docs/confidence.md", "bash", 0): "wants fifty words and errors; tests/cli/test_confidence.py runs the commands",
    ("docs/confidence.md", "bash", 2): "a report of two systems; tests/report runs the command",
    ("docs/nnet.md", "bash", 0): "networks of a recipe's size; tests/train/nnet train small ones",
    ("docs/nnet.md", "bash", 4): "networks of a recipe's size; tests/nnet run the command",
}


def test_every_block_is_run() -> None:
    tests = {p: p.read_text(encoding="utf-8") for p in (ROOT / "tests").rglob("test_*.py") if p != Path(__file__)}
    for path in PAGES:
        blocks = [
            (path, language, n) for language in ("bash", "python") for n in range(len(Page(path).blocks(language)))
        ]
        if set(blocks) - NOT_RUN.keys():
            assert any(Path(path).name in text for text in tests.values()), f"no test runs {path}"
    assert all(path in PAGES and n < len(Page(path).blocks(language)) for path, language, n in NOT_RUN)
