"""docs/rescoring.md: its Python runs."""

from __future__ import annotations

from hybrid.lattice.compact import expand
from hybrid.lattice.paths import best_path
from tests.pages import Page


def test_python() -> None:
    page = Page("docs/rescoring.md")
    page.run_python()
    before, after = (best_path(expand(page.names[name]), 1.0) for name in ("lattice", "better"))  # type: ignore[arg-type]
    assert before is not None and before.word_ids.tolist() == [1, 3]
    assert after is not None and after.word_ids.tolist() == [1, 2]
