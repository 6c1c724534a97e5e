"""The pages of the documentation site: what is copied and made, and that each has its place."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def site(script) -> ModuleType:  # type: ignore[no-untyped-def]
    return script("scripts/site_pages.py")


def test_pages_and_their_links(site: ModuleType, tmp_path: Path) -> None:
    pages = site.copy_pages(tmp_path)
    assert Path("README.md") in pages and Path("docs/decisions/hashes.md") in pages
    assert "([`docs/lang.md`](lang.md); " in (tmp_path / "docs/align.md").read_text()
    toc = str(site.contents(pages, ["gmm"], ["hybrid.gmm"]))
    assert all(repr(str(page)) in toc for page in pages)


def test_every_command_has_its_options(site: ModuleType, tmp_path: Path) -> None:
    assert "gmm" in site.write_commands(tmp_path / "commands")
    text = (tmp_path / "commands/gmm.md").read_text()
    assert "## hybrid gmm train-mono" in text and "| `--total-gaussians" in text
    assert "```text\nhybrid gmm" in text  # its example


def test_rooms_of_the_python_api(site: ModuleType) -> None:
    rooms = site.rooms()
    assert "hybrid.score.sweep" in rooms["hybrid.score"] and "hybrid.recogniser" in rooms["hybrid.recogniser"]
    assert not any("cli" in room.split(".") for room in rooms)
    assert not any(module.endswith("_kernels") for modules in rooms.values() for module in modules)
