"""scripts/rescore.sh: second passes of recipes on tiny lattices, from texts to results; a second run does nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from hybrid.lattice.archive import write_lattices
from hybrid.lattice.trim import from_rows
from hybrid.score.results import read_results
from lexicon.symbols import SymbolTable

RUN = """. "{root}/scripts/recipe.sh"
option device cpu "of training"
option penalties 0 "swept"
start "$@"
dir=exp
. "{root}/scripts/rescore.sh"
if stage 1 "Second pass."; then
  arpa tg 2 0
  arpa fg 3 0
  neural_lm lstm "$recipe/lstm.yaml"
  second_pass m tg fg lstm 1,2 dev test
fi
"""
WORDS = ["A", "B", "C"]


@pytest.mark.slow
def test_from_texts_to_results(root: Path, environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text(RUN.format(root=root))
    (tmp_path / "lstm.yaml").write_text("network: {dim: 8}\ntraining: {epochs: 1, batch_tokens: 200}\n")
    data, model = tmp_path / "data", tmp_path / "exp/m"
    (data / "lm_text").mkdir(parents=True)
    (data / "lm_text/text.txt").write_text("A B C\nB C A\nC A B A\n" * 40)
    (data / "lm_text/vocab.txt").write_text("A\nB\nC\n")
    (model / "graph_tg").mkdir(parents=True)
    SymbolTable(("<eps>", *WORDS)).write(model / "graph_tg/words.txt")
    chance = np.random.default_rng(1)
    for name in ("dev", "test"):
        lattices, lines = [], []
        for number in range(6):
            words = [1 + (number + i) % 3 for i in range(4)]
            arcs = [(i, i + 1, word, 0.0, float(chance.normal()), (7,)) for i, right in enumerate(words)
                    for word in {right, 1 + int(chance.integers(3))}]  # fmt: skip
            lattices.append((f"{name}-{number}", from_rows(arcs, {4: (0.0, 0.0, ())}, 5)))
            lines.append(" ".join([f"{name}-{number}", *(WORDS[w - 1] for w in words)]))
        (model / f"decode_tg_{name}").mkdir()
        write_lattices(model / f"decode_tg_{name}/lat.1.gz", lattices, compact=True)
        (data / name).write_text("\n".join(lines) + "\n")

    def run() -> str:
        command = ["bash", str(tmp_path / "run.sh"), "--threads", "1"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    run()
    rows = read_results(tmp_path / "exp/results.tsv")
    assert [(row.lm, row.set) for row in rows] == [("fg", "dev"), ("lstm", "dev"), ("fg", "test"), ("lstm", "test")]
    assert run().count("done before") == len(list((tmp_path / "exp/steps").glob("*.json"))) == 12
