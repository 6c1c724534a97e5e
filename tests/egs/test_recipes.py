"""Recipes end to end on a handful of real recordings, also killed in the middle of every stage."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from hybrid.score.results import read_results

STAGES = 11
MODELS = ["mono", "tri1", "tri2b", "tri3b", "chain_fmllr"]
OPTIONS = ("--num-gaussians", "150", "--lm-weights", "10", "--chain-lm-weights", "1", "--penalties", "0", "--jobs", "1",
           "--loso", "", "--grammars", "single")  # fmt: skip


def start(root: Path, environment: dict[str, str], digits: Path, out: Path, *options: str) -> subprocess.Popen:
    words = ["bash", root / "egs/fsdd/run.sh", "--corpus-dir", digits, "--work-dir", out, *OPTIONS, *options]
    command = [str(word) for word in words]
    return subprocess.Popen(
        command, env=environment, start_new_session=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def finish(process: subprocess.Popen) -> str:
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output


@pytest.fixture(scope="module")
def contents(script: Callable[[str], ModuleType]) -> Callable[[Path], dict[str, str]]:
    """Hashes of all files, without what the run cost."""
    return script("scripts/kill_ladder.py").contents


@pytest.fixture(scope="module")
def whole(root: Path, environment: dict[str, str], digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe run from begin to end."""
    out = tmp_path_factory.mktemp("whole")
    output = finish(start(root, environment, digits, out))
    for number in range(1, STAGES + 1):
        assert f"stage {number}: " in output
    return out


@pytest.mark.real
@pytest.mark.slow
def test_end_to_end(
    whole: Path, root: Path, environment: dict[str, str], digits: Path, contents: Callable[[Path], dict[str, str]]
) -> None:
    rows = read_results(whole / "exp/results.tsv")
    assert [row.system for row in rows] == MODELS and {row.lm for row in rows} == {"single"}
    for row in rows:
        # Two epochs of 80 utterances are six steps: enough to run the network's stages, not to learn digits.
        assert row.ins == row.dele == 0 and (row.wer <= 20 or row.system == "chain_fmllr")
        cost = json.loads((whole / f"exp/steps/decode_{row.system}_single_test.json").read_text())
        assert row.words == 10 and row.max_gb > 0 and row.cpu_s == pytest.approx(cost["cpu_s"], abs=0.06)
    before = contents(whole)
    output = finish(start(root, environment, digits, whole))
    assert output.count("done before") == len(list((whole / "exp/steps").glob("*.json")))
    assert contents(whole) == before


@pytest.mark.real
@pytest.mark.slow
def test_leave_one_speaker_out(
    whole: Path, root: Path, environment: dict[str, str], digits: Path, tmp_path: Path
) -> None:
    out = tmp_path / "loso"
    shutil.copytree(whole, out)
    finish(start(root, environment, digits, out, "--stage", "12", "--loso", "theo"))
    rows = read_results(out / "exp/results.tsv")[-len(MODELS) :]
    assert [row.key for row in rows] == [(model, "loso", "single") for model in MODELS]
    assert all(row.words == 10 and row.cpu_s > 0 for row in rows)
    decoded = json.loads((out / "exp/loso/theo/chain_fmllr/decode_single_loso/meta.json").read_text())
    assert "transforms" in decoded["inputs"]
    trained = json.loads((out / "exp/loso/theo/mono/meta.json").read_text())["facts"]
    assert trained["utterances"] == 80 and trained["failed"] == 0
    assert (out / "exp/loso/score_mono/sweep.tsv").read_text().splitlines()[1].startswith("10\t0\t")


def kill_in_stage(root: Path, environment: dict[str, str], digits: Path, out: Path, stage: int) -> None:
    """Runs one stage until its first step works, waits a moment, and kills everything."""
    logs = out / "exp/log"
    known = {p: p.stat().st_mtime_ns for p in logs.glob("*")} if logs.exists() else {}
    process = start(root, environment, digits, out, "--stop-stage", str(stage))

    def at_work() -> bool:
        return logs.exists() and any(known.get(p) != p.stat().st_mtime_ns for p in logs.glob("*"))

    deadline = time.monotonic() + 120
    while not at_work() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3 * stage)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_in_every_stage(
    whole: Path,
    root: Path,
    environment: dict[str, str],
    digits: Path,
    tmp_path: Path,
    contents: Callable[[Path], dict[str, str]],
) -> None:
    out = tmp_path / "killed"
    for stage in range(1, STAGES + 1):
        kill_in_stage(root, environment, digits, out, stage)
        finish(start(root, environment, digits, out, "--stop-stage", str(stage)))
    assert contents(out) == contents(whole)
    rows = [[(r.key, r.wer, r.words) for r in read_results(x / "exp/results.tsv")] for x in (out, whole)]
    assert rows[0] == rows[1]
