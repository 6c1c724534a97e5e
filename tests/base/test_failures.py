"""failed.txt: one line for each, whatever names and reasons hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from hybrid.base.failures import failed_text, write_failed


@pytest.mark.parametrize(
    ("failed", "wanted"),
    [
        ({}, ""),
        ({"b": "no sound", "a": "no text"}, "a no text\nb no sound\n"),
        ([("b", "first"), ("a", "second")], "b first\na second\n"),
        ([("a b\tc\n", "two\nlines")], "a_b_c two lines\n"),
        ([("\x1b[2J", "\x1b]0;title\x07")], "\\x1b[2J \\x1b]0;title\\x07\n"),
        ([("x" * 1_000_000, "long")], "x" * 199 + "… long\n"),
        ([("क्\u200dष", "ok")], "क्\u200dष ok\n"),
    ],
)
def test_lines(failed, wanted: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert failed_text(failed) == wanted
    write_failed(tmp_path / "failed.txt", failed)
    assert (tmp_path / "failed.txt").read_text(encoding="utf-8") == wanted
