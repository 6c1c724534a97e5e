"""scripts/domain.sh: which scores each model's chapters are searched with."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

RUN = """set -euo pipefail
root={root} recipe=. dir=exp threads=1
for part in ladder chain domain; do . "$root/scripts/$part.sh"; done
step() {{ while [ "$1" != -- ]; do shift; done; shift; echo "$*"; }}
book_adapted {model} tg dev
"""


@pytest.mark.parametrize(
    ("model", "scores", "wanted"),
    [
        ("tri2b", "hybrid gmm scores --model exp/tri2b --feats exp/feats/dev --out", "--model exp/tri2b"),
        ("chain", "hybrid nnet scores --model exp/chain --feats exp/hires/dev --out", "--model exp/chain"),
        (
            "chain_fmllr",
            "hybrid nnet scores --model exp/chain_fmllr --feats exp/feats/dev --transforms "
            "exp/tri3b/decode_tg_dev.transforms.2.safetensors --out",
            "--model exp/chain_fmllr",
        ),
        ("joint", None, "--model exp/chain --graph exp/joint/graph_books --scores exp/joint/scores_tg_dev.ark"),
    ],
)
def test_chapters_are_searched_with_the_models_own_scores(
    root: Path, model: str, scores: str | None, wanted: str
) -> None:
    script = RUN.format(root=root, model=model)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == (2 if scores is None else 3)
    assert scores is None or lines[0].startswith(f"{scores} exp/{model}/scores_dev.ark")
    assert wanted in lines[-1] and lines[-1].endswith(f"--out exp/{model}/books.txt")
    assert "--lang data/books_lang --lookahead" in lines[-2]


def test_no_model_is_adapted_where_no_book_has_other_chapters(root: Path, tmp_path: Path) -> None:
    lines = RUN.replace("book_adapted {model} tg dev", "cmudict=cmudict.dict\nbook_texts corpora").format(root=root)
    for names, wanted in (((), 0), (("11.txt", "12.txt"), 2)):
        for name in names:
            (tmp_path / "data/books/other").mkdir(parents=True, exist_ok=True)
            (tmp_path / "data/books/other" / name).write_text("A TALE\n")
        done = subprocess.run(["bash", "-c", lines], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("hybrid lm adapt") == wanted and "*" not in done.stdout
