"""docs/decoding.md: its blocks of shell and Python run one after the other with a tiny recogniser."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from hybrid.base.errors import InputError
from tests.pages import Page, run_line, unknown
from tests.tiny_recogniser import Tiny, must

PAGE = "docs/decoding.md"
PARSED = (
    "hybrid gmm decode-fmllr"  # wants a model of another kind: its options are looked at, see test_adapted_audio.py
)


@pytest.fixture
def place(tiny: Tiny, bursts, save_wav, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folders and files that the page names."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny.model, "exp/mono")
    shutil.copytree(tiny.graph, "exp/mono/graph")
    for name, target in (("exp/feats/test", tiny.feats), ("data/test", tiny.root / "test")):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).symlink_to(target)
    save_wav(Path("my.wav"), bursts(["LOW", "HIGH", "MID"], 77))
    save_wav(Path("recordings/other.wav"), bursts(["MID", "LOW"], 5))
    Path("text.txt").write_text("LOW HIGH MID\nHIGH LOW\nMID\nLOW\nMID LOW\n" * 4)
    for name, order in (("small", 1), ("big", 2)):
        must("lm", "train", "text.txt", "--order", order, "--smoothing", "witten-bell", "--out", f"{name}.arpa")
    must("lm", "fst", "small.arpa", "--lang", tiny.root / "lang", "--out", "G.fst")
    must("graph", "compile", "--model", "exp/mono", "--lang", tiny.root / "lang", "--grammar", "G.fst", "--out-dir",
         "exp/mono/graph_tg")  # fmt: skip
    must("gmm", "scores", "--model", "exp/mono", "--feats", "exp/feats/test", "--out", "scores.ark")
    return tmp_path


def test_shell(place: Path) -> None:
    lines = Page(PAGE).lines()
    assert len(lines) == 11
    for line in lines:
        if line.startswith(PARSED):
            assert not unknown(line.split())
            continue
        result = run_line(line)
        if line.startswith("hybrid confidence"):  # too few words, none of them wrong
            assert isinstance(result.exception, InputError) and "words" in str(result.exception), result.output
            continue
        assert result.exit_code == 0, (line, result.output, result.exception)
        if line.endswith(" my.wav"):
            assert "my LOW HIGH MID" in result.stdout
    assert Path("out/mine/recordings/other.srt").exists()


def test_python(place: Path, bursts, capsys: pytest.CaptureFixture) -> None:
    samples = np.repeat(bursts(["HIGH", "LOW"], 9), 2)  # 16 kHz
    page = Page(PAGE, {"microphone": lambda: np.array_split(samples, 7)})
    assert len(page.blocks("python")) == 3
    page.run_python()
    printed = capsys.readouterr().out
    assert printed.startswith("LOW HIGH MID 0.9") or printed.startswith("LOW HIGH MID 1.0")
    assert "my LOW HIGH MID\nother MID LOW\nabsent recordings/absent.wav: " in printed
    assert printed.rstrip().endswith("HIGH LOW")
