"""Real speech: digits of six speakers in one file, without any mark of where they begin."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "egs" / "fsdd"


def run_hybrid(line: str) -> None:
    from hybrid.cli.main import command

    result = CliRunner().invoke(command, line.split())
    assert result.exit_code == 0, (line, result.output, result.exception)


@pytest.mark.real
@pytest.mark.slow
def test_a_long_file_of_digits_against_the_digits_one_by_one(corpora, tmp_path):
    for line in (
        f"data fsdd --corpus-dir {corpora}/fsdd --out-dir {tmp_path}",
        f"data subset --cuts {tmp_path}/train --count 500 --order random --out-dir {tmp_path}/some",
        f"feats extract --cuts {tmp_path}/some --config {RECIPE}/conf/mfcc.yaml --out-dir {tmp_path}/feats",
        f"lang prepare --dict-dir {RECIPE}/local/dict --oov <UNK> --out-dir {tmp_path}/lang",
        f"gmm train-mono --feats {tmp_path}/feats --lang {tmp_path}/lang --total-gaussians 300 --num-passes 12 "
        f"--last-mix-up-pass 8 --out-dir {tmp_path}/mono",
    ):
        run_hybrid(line)
    command = [
        sys.executable,
        ROOT / "scripts" / "bench" / "long_alignment.py",
        "--cuts",
        tmp_path / "test/cuts.jsonl.gz",
    ]
    command += ["--model", tmp_path / "mono", "--lang", tmp_path / "lang", "--minutes", "3"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "120 utterances, 120 words, 0 stretches left out" in done.stdout
    share = re.search(r"within 0.2 s: ([\d.]+) %; .* (\d+) by more than 2 s", done.stdout)
    assert share and float(share[1]) >= 99.0 and share[2] == "0", done.stdout
