"""The benchmark for a GPU runs to its end on a CPU, on a small graph: pack, agreement, speeds, latencies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hybrid.formats.kaldi_io import write_matrices
from hybrid.model.folder import load_model
from tests.tiny_recogniser import tiny  # noqa: F401  (a fixture)

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "bench" / "search_gpu.py"


@pytest.mark.slow
def test_it_packs_and_runs(tiny, tmp_path) -> None:  # noqa: F811
    num_pdfs = load_model(tiny.model).transition_model.num_pdfs
    rng = np.random.default_rng(0)
    scores = [(f"u{i}", rng.normal(-3, 2, (12 + i, num_pdfs)).astype(np.float32)) for i in range(3)]
    write_matrices(tmp_path / "scores.ark", scores)

    def run(*arguments: object) -> str:
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    packed = run(SCRIPT, "pack", "--model", tiny.model, "--graph", tiny.graph, "--scores", tmp_path / "scores.ark",
                 "--out", tmp_path / "pack.npz", "--utterances", 3)  # fmt: skip
    assert "3 utterances" in packed
    run(SCRIPT, "run", tmp_path / "pack.npz", "--out", tmp_path / "table.md", "--device", "cpu", "--lanes", "1,3",
        "--streams", "1,2")  # fmt: skip
    table = (tmp_path / "table.md").read_text()
    assert "Lattices equal the CPU's in 3 of 3 utterances, words in 3." in table
    assert table.count("\n| 1 |") == 2 and "\n| 3 | 39 |" in table and table.rstrip().endswith("s in all.")
    beside = run(SCRIPT.with_name("search_host.py"), tmp_path / "pack.npz", "--repeat", "1")
    assert "µs of CPU" in beside and beside.count("| beside 8 threads") == 2
