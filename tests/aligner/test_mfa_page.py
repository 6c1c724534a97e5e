"""docs/mfa.md: its blocks run one after the other on a small corpus with problems."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from hybrid.formats.praat import read_textgrid
from tests.pages import Page, must_run, run_line


@pytest.fixture
def place(toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus of two speakers, an OOV, a wrong text, empty files and a text without audio."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(toy.root / "dict", "data/dict")
    random = np.random.default_rng(1)
    for i in range(20):
        words = " ".join(str(w) for w in random.choice(["ALFA", "BRAVO", "CHARLIE", "DELTA", "ECHO"], size=4))
        toy.save(tmp_path / "corpus" / f"spk{'AB'[i % 2]}" / f"u{i}.wav", words, i)
    for name, text in (
        ("wrong", "echo echo bravo bravo alfa echo"),
        ("carlos", "alfa bravo carlos delta"),
        ("still", ""),
    ):
        said = "ALFA BRAVO CHARLIE DELTA" + (" ALFA BRAVO" if name == "wrong" else "")
        toy.save(tmp_path / "corpus" / "spkB" / f"{name}.wav", said, 90, text)
    Path("corpus/spkB/none.wav").write_bytes(b"")
    Path("corpus/spkB/none.lab").write_text("alfa")
    Path("corpus/spkB/alone.lab").write_text("alfa")
    return tmp_path


def test_the_page_of_mfas_users(place: Path) -> None:
    lines = Page("docs/mfa.md").lines()
    assert len(lines) == 10
    must_run(lines[:1])
    first = run_line(lines[1])
    assert str(first.exception) == "3 problems keep speech from use: mend them, or leave these files out"
    text = Page("docs/mfa.md").text
    for line in ("audio spkB-none: corpus/spkB/none.wav: audio file is empty (0 bytes). Copy or download it again.",
                 "text spkB-still: has an empty text", "note: oov CARLOS: has no pronunciation; stands 1 times",
                 "text corpus/spkB/alone.lab: is text without audio of its name beside it"):  # fmt: skip
        assert line in first.output and line in text
    must_run(lines[2:7])
    second = run_line(lines[7])
    assert "text spkB-wrong: text is not what is said: " in second.output
    assert str(second.exception).startswith("1 problems keep")
    must_run(lines[8:])
    made = {p.relative_to("out").with_suffix("") for p in Path("out").rglob("*.TextGrid")}
    audio = {p.relative_to("corpus").with_suffix("") for p in Path("corpus").rglob("*.wav")}
    assert made == audio - {Path("spkB/wrong")}
    words = read_textgrid("out/spkB/carlos.TextGrid").tiers[0]
    assert [i.label for i in words.intervals if i.label] == ["ALFA", "BRAVO", "CARLOS", "DELTA"]
