"""A small ladder on tones, on a disk that is full from the n-th write on: one line, and after that the same files.

The gate takes a few n of each command; HYBRID_EVERY_WRITE=1 takes all.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from hybrid.base.artifact import content_hash
from hybrid.cli import main
from hybrid.data.audio import write_audio
from tests.shims.full_disk import environment, full_disk

RATE = 8000
TONES = {"LO": 400.0, "HI": 1500.0}
EM = "--num-passes 3 --last-mix-up-pass 2 --total-gaussians 14"
SET = "--feats feats --lang lang"
LADDER = {
    "data": "data from-audio {audio} --text {audio}/text --rate 8000 --speakers prefix --out-dir data",
    "check": "data check --cuts data --rate 8000 --out-dir checked",
    "feats": "feats extract --cuts checked --set sampling_rate=8000 --set high_freq=3700 "
    "--set num_ceps=6 --out-dir feats",
    "lang": "lang prepare --dict-dir {audio}/dict --no-position-dependent-phones --out-dir lang",
    "lm": "lm train {audio}/text --with-ids --order 2 --out lm.arpa.gz",
    "grammar": "lm fst lm.arpa.gz --lang lang --out G.fst",
    "mono": f"gmm train-mono {SET} {EM} --out-dir mono",
    "align": f"gmm align --model mono {SET} --ctm --out-dir ali",
    "chain_tree": f"nnet chain-tree --model mono --ali ali {SET} --max-leaves 8 --out-dir ctree",
    "chain_den": "nnet chain-den --tree ctree --num-extra-lm-states 5 --out-dir den",
    "chain_sup": "nnet chain-sup --tree ctree --model mono --ali ali --out-dir sup",
    "chain_flat": f"nnet chain-flat {SET} --out-dir flat",
    "network": "nnet train --feats feats --tree ctree --den den --sup sup --set dim=12 --set bottleneck_dim=4 "
    "--set prefinal_dim=4 --set time_strides=[1,3] --chunk-frames 21 --batch-frames 210 --epochs 2 --heldout 2 "
    "--threads 1 --checkpoint-minutes 0 --out-dir network",
    "network_scores": "nnet scores --model network --feats feats --out network_scores",
    "tri": f"gmm train-deltas --model mono --ali ali {SET} {EM} --max-leaves 8 --out-dir tri",
    "lda": f"gmm train-lda-mllt --model tri --ali tri {SET} {EM} --max-leaves 8 --dim 6 --mllt-passes 2 --out-dir lda",
    "sat": f"gmm train-sat --model lda --ali lda {SET} {EM} --max-leaves 8 --fmllr-passes 2 --out-dir sat",
    "graph": "graph compile --model mono --lang lang --grammar G.fst --out-dir graph",
    "decode": "decode --model mono --graph graph --feats feats --nbest 2 --out-dir decoded",
    "sweep": "score sweep --ref data --lattices decoded --words graph/words.txt --lm-weights 10 --penalties 0 "
    "--out-dir score --results results.tsv --system mono --set tones --lm two --replications 100",
    "scores": "gmm scores --model mono --feats feats --out scores",
    "words": "align audio --model mono --lang lang --cuts data --out-dir times --format ctm "
    "--format textgrid --format json",
}


def tone(text: str, seed: int) -> np.ndarray:
    """Speaks words as tones in noise, half a second of noise around them: int16."""
    random = np.random.RandomState(seed)
    parts = [np.zeros(2400)]
    for word in text.split():
        time = np.arange(random.randint(1600, 2400)) / RATE
        parts += [0.3 * np.sin(2 * np.pi * TONES[word] * time), np.zeros(800)]
    signal = np.concatenate([*parts, np.zeros(1600)])
    return ((signal + 0.01 * random.randn(len(signal))) * 32000).astype(np.int16)


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve recordings of two speakers, their text, and a dictionary."""
    folder, random, lines = tmp_path_factory.mktemp("audio"), np.random.RandomState(3), []
    for number in range(12):
        name, text = f"s{number % 2}-{number:02d}", " ".join(random.choice(list(TONES), random.randint(1, 4)))
        write_audio(folder / f"{name}.wav", tone(text, number), RATE)
        lines.append(f"{name} {text}\n")
    (folder / "text").write_text("".join(lines))
    (folder / "dict").mkdir()
    files = {"lexicon": "LO l\nHI h\n<UNK> spn\n", "silence_phones": "sil\nspn\n", "optional_silence": "sil\n",
             "nonsilence_phones": "l\nh\n", "extra_questions": ""}  # fmt: skip
    for name, text in files.items():
        (folder / "dict" / f"{name}.txt").write_text(text)
    return folder


def words_of(name: str, audio: Path) -> list[str]:
    return shlex.split(LADDER[name].replace("{audio}", str(audio)))


def run(words: list[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs a command here; returns what it says when it fails, or nothing."""
    monkeypatch.setattr(sys, "argv", ["hybrid", *words])
    try:
        main.main()
    except SystemExit as error:
        assert isinstance(error.code, str), error.code
        return error.code
    return ""


def contents(folder: Path) -> dict[str, str]:
    """Path → hash of all files but those that hold times."""
    files = [p for p in folder.rglob("*") if p.is_file() and not p.name.endswith("meta.json")]
    return {str(p.relative_to(folder)): content_hash(p) for p in files if p.name not in ("decode.json", "decode.log")}


class Stage(NamedTuple):
    """One command: the folder before and after it, how many writes it took, what a loss of power may take back."""

    before: Path
    after: Path
    writes: int
    unsynced: list[str]


class Syncs:
    """Records what was synced, and in which folders names came after that."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._files: dict[int, int] = {}  # inode → size when synced
        self._unsure: set[str] = set()  # folders
        self._fsync, self._replace = os.fsync, os.replace
        monkeypatch.setattr(os, "fsync", self._sync)
        monkeypatch.setattr(os, "replace", self._rename)

    def _sync(self, descriptor: int) -> None:
        self._fsync(descriptor)
        self._unsure.discard(os.readlink(f"/proc/self/fd/{descriptor}"))
        self._files[os.fstat(descriptor).st_ino] = os.fstat(descriptor).st_size

    def _rename(self, source: str, target: str) -> None:
        if str(target).endswith(".kernel"):  # a cache, which heals itself
            return self._replace(source, target)
        assert Path(source).is_dir() or self._synced(Path(source)), f"{target} renamed before it was synced"
        self._replace(source, target)
        self._unsure.add(os.path.dirname(os.path.realpath(target)))

    def _synced(self, file: Path) -> bool:
        return self._files.get(file.stat().st_ino) == file.stat().st_size

    def missing(self, before: Path, after: Path) -> list[str]:
        """Files of `after` that are new and not synced, and folders that are there and have names that are not."""
        files = [p for p in after.rglob("*") if p.is_file() and not p.name.startswith(".") and p.suffix != ".log"]
        old = {p.relative_to(before): p.stat().st_mtime_ns for p in before.rglob("*")}
        new = [p for p in files if old.get(p.relative_to(after)) != p.stat().st_mtime_ns]
        return [str(p) for p in new if not self._synced(p)] + [p for p in self._unsure if Path(p).exists()]


@pytest.fixture(scope="module")
def stages(audio: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stage]:
    """The whole ladder, undisturbed, by the name of each command."""
    base = tmp_path_factory.mktemp("stages")
    before, found = base / "start", {}
    before.mkdir()
    with pytest.MonkeyPatch.context() as monkeypatch:
        syncs = Syncs(monkeypatch)
        for name in LADDER:
            after = base / name
            shutil.copytree(before, after)
            monkeypatch.chdir(after)
            with full_disk(after, base / "count", 0):
                assert run(words_of(name, audio), monkeypatch) == ""
            found[name] = Stage(before, after, (base / "count").stat().st_size, syncs.missing(before, after))
            before = after
    return found


@pytest.mark.slow
def test_a_loss_of_power_takes_nothing_back(stages):
    assert {name: stage.unsynced for name, stage in stages.items() if stage.unsynced} == {}


def some(writes: int) -> list[int]:
    """The numbers of the writes that fail first."""
    if os.environ.get("HYBRID_EVERY_WRITE"):
        return list(range(1, writes + 1))
    return sorted({1, (writes + 1) // 2, writes})


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", LADDER)
def test_one_line_and_then_the_same_files(name, stages, audio, tmp_path, monkeypatch):
    before, after, writes, _ = stages[name]
    assert writes > 2
    for first in some(writes):
        folder = tmp_path / str(first)
        shutil.copytree(before, folder)
        monkeypatch.chdir(folder)
        with full_disk(folder, tmp_path / "count", first):
            said = run(words_of(name, audio), monkeypatch)
        assert "\n" not in said and said.startswith("hybrid: ") and "the disk is full" in said, (first, said)
        assert ".tmp" not in said, (first, said)
        assert run(words_of(name, audio), monkeypatch) == ""
        assert contents(folder) == contents(after), first
        shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["feats", "decode"])
def test_workers_pass_it_on(name, stages, audio, tmp_path):
    before, after, writes, _ = stages[name]
    folder = tmp_path / "work"
    shutil.copytree(before, folder)
    command = [sys.executable, "-m", "hybrid.cli.main", *words_of(name, audio), "--jobs", "2"]
    full = environment(folder, tmp_path / "count", writes // 2)
    done = subprocess.run(command, cwd=folder, env=full, capture_output=True, text=True)
    assert done.returncode == 1
    assert "the disk is full" in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr, done.stderr
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert contents(folder) == contents(after)
