"""LM text of the LibriSpeech recipe: hand-worked prose, pieces, and the same words as the peers' script makes."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

PROSE = "“Well,” said Mr. Smith’s aunt; 'Tis nothing! “No?” she\nasked.\n \nTHE END 1872—by Dr. O'Brien, 'twas 'so'\n"
SENTENCES = [
    "WELL SAID MISTER SMITH'S AUNT",
    "'TIS NOTHING",
    "NO",
    "SHE ASKED",
    "THE END BY DOCTOR O'BRIEN 'TWAS SO",
]


@pytest.fixture(scope="module")
def lm_text(script):  # type: ignore[no-untyped-def]
    return script("egs/librispeech/local/lm_text.py")


def test_prose_by_hand(lm_text) -> None:  # type: ignore[no-untyped-def]
    assert [" ".join(words) for words in lm_text.sentences_of_prose(PROSE)] == SENTENCES


def test_sources(lm_text, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "b.txt").write_text("A b. C")
    (tmp_path / "train.txt").write_text("id-1 X Y\n")
    assert list(lm_text.sentences_of(tmp_path)) == [["X", "Y"], ["A", "B"], ["C"]]
    (tmp_path / "norm.gz").write_bytes(gzip.compress(b"HOW ARE YOU\ni am well. (Good\xff)\n"))
    assert list(lm_text.sentences_of(tmp_path / "norm.gz")) == [["HOW", "ARE", "YOU"], ["I", "AM", "WELL"], ["GOOD"]]


def test_vocabulary_order(lm_text) -> None:  # type: ignore[no-untyped-def]
    counts = Counter({"B": 2, "A": 2, "C": 5, "X": 9})
    assert lm_text.vocabulary(counts, ["A", "B", "C"]) == ["C", "B", "A"]


def test_nothing_there(root: Path, tmp_path: Path) -> None:
    words = [sys.executable, root / "egs/librispeech/local/lm_text.py", "--source", tmp_path, "--cmudict", tmp_path]
    done = subprocess.run([*words, "--out-dir", tmp_path / "o"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"lm_text.py: {tmp_path}: holds no *.txt and no books/*.txt.")


@pytest.mark.real
@pytest.mark.peer
def test_equals_the_peers_script(root: Path, corpora: Path, peers: Path, tmp_path: Path) -> None:
    books = tmp_path / "corpora" / "text" / "books"
    books.mkdir(parents=True)
    (tmp_path / "corpora" / "cmudict").symlink_to(corpora / "cmudict")
    for name, size in (("36.txt", 150_000), ("1661.txt", 200_000)):
        (books / name).write_bytes((corpora / "text" / "books" / name).read_bytes()[:size])
    transcripts = (corpora / "text" / "librispeech-train-clean-100.txt").read_text().splitlines(keepends=True)
    (books.parent / "librispeech-train-clean-100.txt").write_text("".join(transcripts[:2000]))
    (tmp_path / "peers" / "kaldi").mkdir(parents=True)
    theirs = shutil.copy(peers / "kaldi" / "libri_lm_text.py", tmp_path / "peers" / "kaldi")
    subprocess.run([sys.executable, theirs], cwd=tmp_path / "peers", check=True, capture_output=True)
    ours = [sys.executable, root / "egs/librispeech/local/lm_text.py", "--source", books.parent]
    ours += ["--cmudict", corpora / "cmudict" / "cmudict.dict", "--out-dir", tmp_path / "ours"]
    subprocess.run(ours, check=True, capture_output=True)
    assert (tmp_path / "ours" / "text.txt").read_text() == (tmp_path / "peers" / "lm_text.txt").read_text()
    vocabulary = (tmp_path / "ours" / "vocab.txt").read_text().split()
    assert vocabulary == (tmp_path / "peers" / "vocab.txt").read_text().split()
