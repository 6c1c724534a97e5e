"""README and docs: every command and option that they name exists, and every block of shell and Python is run."""

from __future__ import annotations

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
