"""A tiny recogniser of three "words" (bands of noise), trained on made-up audio in a few seconds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from hybrid.formats.openfst import FstArrays, write_fst

RATE = 8000
BANDS = {"LOW": (300, 600), "MID": (1200, 1700), "HIGH": (2600, 3400)}


def make_audio(words: list[str], seed: int, pause: float = 0.2) -> np.ndarray:
    """Words as bursts of band-limited noise with pauses around them, float32 at 8 kHz."""
    rng = np.random.default_rng(seed)
    parts = [np.zeros(int(pause * RATE))]
    for word in words:
        size = int(RATE * rng.uniform(0.25, 0.4))
        spectrum = np.fft.rfft(rng.normal(size=size))
        frequency = np.fft.rfftfreq(size, 1 / RATE)
        low, high = BANDS[word]
        spectrum[(frequency < low) | (frequency > high)] = 0
        burst = np.fft.irfft(spectrum, size)
        parts += [0.2 * burst / np.abs(burst).max(), np.zeros(int(pause * RATE))]
    samples = np.concatenate(parts)
    return (samples + 0.002 * rng.normal(size=len(samples))).astype(np.float32)


def run(*arguments: object) -> Result:
    """Runs `hybrid …` in this process."""
    from hybrid.cli.main import command

    return CliRunner().invoke(command, [str(a) for a in arguments])


def must(*arguments: object) -> Result:
    result = run(*arguments)
    assert result.exit_code == 0, (arguments, result.output, result.exception)
    return result


@dataclass(frozen=True)
class Tiny:
    """Folders of the tiny recogniser."""

    root: Path
    model: Path
    graph: Path
    feats: Path
    audio: Path


def write_wav(path: Path, samples: np.ndarray) -> None:
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(str(path), samples, RATE, subtype="PCM_16")


def _record(root: Path, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for i in range(count):
        words = [str(w) for w in rng.choice(list(BANDS), size=int(rng.integers(1, 4)))]
        write_wav(root / "ann" / f"ann_{i:02d}.wav", make_audio(words, 1000 * seed + i))
        (root / "ann" / f"ann_{i:02d}.txt").write_text(" ".join(words) + "\n")


def _write_dict(folder: Path) -> None:
    folder.mkdir()
    (folder / "lexicon.txt").write_text("!SIL SIL\n<UNK> SPN\nHIGH H\nLOW L\nMID M\n")
    (folder / "nonsilence_phones.txt").write_text("H\nL\nM\n")
    (folder / "silence_phones.txt").write_text("SIL\nSPN\n")
    (folder / "optional_silence.txt").write_text("SIL\n")
    (folder / "extra_questions.txt").write_text("")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    root = tmp_path_factory.mktemp("tiny")
    _record(root / "train_audio", 30, 1)
    _record(root / "test_audio", 10, 2)
    _write_dict(root / "dict")
    (root / "mfcc.yaml").write_text("sampling_rate: 8000\nnum_mel_bins: 23\nlow_freq: 20\nhigh_freq: 3800\n")
    for name in ("train", "test"):
        must("data", "from-audio", root / f"{name}_audio", "--out-dir", root / name, "--rate", 8000)
        must(
            "feats",
            "extract",
            "--cuts",
            root / name,
            "--config",
            root / "mfcc.yaml",
            "--out-dir",
            root / f"feats_{name}",
        )
    must("lang", "prepare", "--dict-dir", root / "dict", "--oov", "<UNK>", "--out-dir", root / "lang")
    must("gmm", "train-mono", "--feats", root / "feats_train", "--lang", root / "lang", "--total-gaussians", 40,
         "--cmvn", "none", "--num-passes", 8, "--last-mix-up-pass", 5, "--out-dir", root / "mono")  # fmt: skip
    from lexicon.symbols import SymbolTable

    words = SymbolTable.read(root / "lang" / "words.txt")
    ids = np.array(sorted(words[w] for w in BANDS), np.int32)
    cost = math.log(len(ids) + 1)
    grammar = FstArrays(0, np.array([0, 3]), ids, ids, np.zeros(3), np.full(3, cost), np.array([cost]))
    write_fst(root / "G.fst", grammar)
    must("graph", "compile", "--model", root / "mono", "--lang", root / "lang", "--grammar", root / "G.fst",
         "--out-dir", root / "graph")  # fmt: skip
    return Tiny(root, root / "mono", root / "graph", root / "feats_test", root / "test_audio")


@pytest.fixture(scope="session")
def hybrid() -> Callable[..., Result]:
    """hybrid("decode", "--model", …) → click's result."""
    return run


@pytest.fixture(scope="session")
def bursts() -> Callable[..., np.ndarray]:
    return make_audio


@pytest.fixture(scope="session")
def save_wav() -> Callable[[Path, np.ndarray], None]:
    return write_wav
