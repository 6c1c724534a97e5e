"""Training of neural language models: it learns, goes on after SIGKILL to the same weights, stops early, refuses."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hybrid.base.errors import InputError
from hybrid.cli.main import command
from hybrid.formats.tensors import load_arrays
from hybrid.train.lm.lm_settings import LmTrainingConfig
from hybrid.train.lm.text_batches import read_tokens, stretches, word_units
from hybrid.train.lm.train_lm import LmSources, train_neural_lm
from hybrid.train.nnet.log import read_rows
from hybrid.train.nnet.loop import Loop
from lexicon.pieces import PieceConfig, train_pieces
from lm.neural.config import NeuralLmConfig

LSTM = NeuralLmConfig(dim=16, cutoffs=(6,), dropout=0.1)
TRANSFORMER = NeuralLmConfig("transformer", dim=16, heads=2, feed_forward=32, positions=64, cutoffs=(6,), dropout=0.0)
CONFIG = LmTrainingConfig(epochs=3, batch_tokens=200, heldout=20, context=20, checkpoint_minutes=0, threads=1,
                          learning_rate=0.02)  # fmt: skip


class Killed(BaseException):
    """Stands for SIGKILL inside one process."""


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:  # type: ignore[no-untyped-def]
    """Counting: each word follows from the one before it."""
    path = tmp_path_factory.mktemp("text") / "text.txt"
    words, chance = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"], random.Random(5)
    lines = []
    for _ in range(300):
        begin = chance.randrange(10)
        lines.append(" ".join(words[(begin + i) % 10] for i in range(chance.randrange(1, 9))))
    path.write_text("\n".join(lines) + "\n")
    return path


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load_arrays(folder / "final.safetensors")[0]


def assert_same(one: Path, other: Path) -> None:
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], name)
    assert (one / "passes.tsv").read_text() == (other / "passes.tsv").read_text()


@pytest.mark.parametrize("shape", [LSTM, TRANSFORMER], ids=["lstm", "transformer"])
def test_it_learns_and_an_interrupted_one_ends_in_the_same(text, tmp_path, monkeypatch, shape) -> None:  # type: ignore[no-untyped-def]
    lm = train_neural_lm(LmSources((text,)), tmp_path / "whole", shape, CONFIG)
    rows = read_rows(tmp_path / "whole" / "passes.tsv")
    assert len(rows) == 6 and rows[-1]["heldout_objective"] > rows[0]["heldout_objective"] > np.log(1 / 14)
    assert lm.units.of_word("three") != lm.units.of_word("four") and len(lm.units) == 12
    again = train_neural_lm(LmSources((text,)), tmp_path / "whole", shape, CONFIG)  # nothing to do
    assert again.config == shape
    done, chance = Loop._step, random.Random(3)

    def step(self, batches):  # type: ignore[no-untyped-def]
        if chance.random() < 0.1:
            raise Killed
        done(self, batches)

    monkeypatch.setattr(Loop, "_step", step)
    kills, model = 0, None
    while model is None:
        try:
            model = train_neural_lm(LmSources((text,)), tmp_path / "killed", shape, CONFIG)
        except Killed:
            kills += 1
    assert kills >= 3
    assert_same(tmp_path / "whole", tmp_path / "killed")
    assert not (tmp_path / "killed" / "work").exists()


@pytest.mark.slow
def test_sigkill_and_the_same_final_weights(text, tmp_path) -> None:  # type: ignore[no-untyped-def]
    def start(name: str) -> subprocess.Popen:
        words = ["lm", "train-neural", text, "--out-dir", tmp_path / name, "--dim", "16", "--epochs", "4",
                 "--context", "20", "--checkpoint-minutes", "0", "--batch-tokens", "100"]  # fmt: skip
        return subprocess.Popen([sys.executable, "-m", "hybrid.cli.main", *map(str, words)], stderr=subprocess.PIPE)

    begin = time.monotonic()
    assert start("whole").wait() == 0
    seconds, kills = time.monotonic() - begin, 0
    for turn in range(20):
        process = start("killed")
        try:
            process.wait(seconds * (0.4 + 0.05 * turn))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            continue
        assert process.returncode == 0
        break
    assert kills >= 1
    assert_same(tmp_path / "whole", tmp_path / "killed")


def test_it_stops_early(text, tmp_path) -> None:  # type: ignore[no-untyped-def]
    config = LmTrainingConfig(epochs=50, batch_tokens=400, heldout=20, context=0, patience=1, threads=1,
                              learning_rate=0.05, warmup=0.0)  # fmt: skip
    train_neural_lm(LmSources((text,)), tmp_path / "out", LSTM, config)
    rows = read_rows(tmp_path / "out" / "passes.tsv")
    values = [row["heldout_objective"] for row in rows]
    assert len(rows) < 100 and values[-1] <= max(values[:-1])


def test_commands(text, tmp_path) -> None:  # type: ignore[no-untyped-def]
    def run(*words: object) -> str:
        done = CliRunner().invoke(command, [str(w) for w in words])
        assert done.exit_code == 0, done.output
        return done.output

    (tmp_path / "lm.yaml").write_text(
        "network: {dim: 8, cutoffs: []}\ntraining: {epochs: 9, context: 20, threads: 1}\n"
    )
    out = tmp_path / "lm"
    run("lm", "train-neural", text, "--config", tmp_path / "lm.yaml", "--epochs", "2", "--heldout-text", text,
        "--batch-tokens", "200", "--out-dir", out)  # fmt: skip
    assert "epochs: 2" not in (out / "config.yaml").read_text() and "dim: 8" in (out / "config.yaml").read_text()
    run("lm", "train", text, "--order", "2", "--out", tmp_path / "bg.arpa")
    lines = run("lm", "perplexity-neural", out, text, "--ngram", tmp_path / "bg.arpa").splitlines()
    own, ngram, mixed = (float(line.split(" perplexity ")[1].split()[0]) for line in lines[-3:])
    assert mixed <= min(own, ngram) + 0.01 and own < 14
    arpa = run("lm", "perplexity", tmp_path / "bg.arpa", text)
    assert arpa.split(": ", 1)[1].strip() == lines[-2].split(": ", 1)[1]
    run("lm", "perplexity-neural", out, text, "--history", "20", "--ngram", tmp_path / "bg.arpa", "--share", "0.5")


def test_pieces(text, tmp_path) -> None:  # type: ignore[no-untyped-def]
    train_pieces(text.read_text().splitlines(), tmp_path / "pieces.model", PieceConfig(vocab_size=40))
    sources = LmSources((text,), pieces=tmp_path / "pieces.model")
    lm = train_neural_lm(sources, tmp_path / "out", LSTM, LmTrainingConfig(epochs=1, batch_tokens=400, threads=1))
    (tmp_path / "pieces.model").unlink()
    assert any(len(lm.units.of_word(w)) > 1 for w in ("seven", "eleven", "zone"))
    with pytest.raises(InputError, match="--vocabulary: is of no use with --pieces"):
        train_neural_lm(LmSources((text,), vocabulary=text, pieces=text), tmp_path / "x", LSTM, CONFIG)


def test_stretches_by_hand(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("a b\nc\n\nd e f g\na zz\n")
    units = word_units([tmp_path / "t"], False, 1, ["a", "b", "c", "d", "e", "f", "g"])
    assert units.symbols[2] == "a"  # the most frequent
    text = read_tokens([tmp_path / "t"], units, False)
    assert text.words == 9 and text.unknown == 1
    said = [units.symbols[t] for t in text.tokens]
    assert " ".join(said) == "</s> a b </s> c </s> </s> d e f g </s> a <unk> </s>"
    cut = {n: [(s.begin, s.frames) for s in stretches(text.tokens, n)] for n in (0, 5, 6, 100)}
    assert cut[0] == [(0, 3), (3, 2), (5, 1), (6, 5), (11, 3)]
    assert cut[5] == [(0, 5), (5, 1), (6, 5), (11, 3)]
    assert cut[6] == [(0, 6), (6, 5), (11, 3)]
    assert cut[100] == [(0, 14)]
    assert [s.frames for s in stretches(np.array([0, *[3] * 1000, 0], np.int32), 60)] == [512, 489]


def test_text_without_words(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n\n")
    with pytest.raises(InputError, match="holds no word"):
        train_neural_lm(LmSources((tmp_path / "empty",)), tmp_path / "out", LSTM, CONFIG)
    for values, message in (({"amp": "int8"}, "amp is 'int8', wanted none, float16 or bfloat16"),
                            ({"epochs": 0.0}, "epochs is 0, wanted more than 0")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            LmTrainingConfig(**values)
