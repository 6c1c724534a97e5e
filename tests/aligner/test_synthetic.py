"""Synthetic speech of voices that were not trained on, whose phone times the synthesiser gives."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("espeakng_loader", reason="the package espeakng-loader is not installed")

from hybrid.score.boundaries import PhoneStart, compare_starts, report
from hybrid.synth.arpabet import starts_of

RECIPE = Path(__file__).resolve().parents[2] / "egs" / "assistant"
SETS = {
    "train": "bases: [en, en-us]\nvariants: [m1, m2, m4, m6, f1, f3, f5, klatt, klatt3]\nclean: 1\nseed: 1\n",
    "test": "bases: [en-us-nyc, en-gb-scotland]\nvariants: [m3, f2, klatt2]\nclean: 1\nseed: 2\n",
}


def run_hybrid(*arguments: object) -> None:
    from hybrid.cli.main import command

    result = CliRunner().invoke(command, [str(a) for a in arguments])
    assert result.exit_code == 0, (arguments, result.output, result.exception)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory) -> Path:
    """A monophone model trained on 150 sentences of 18 voices, and 24 sentences of six others."""
    root = tmp_path_factory.mktemp("spoken")
    sentences = [sys.executable, RECIPE / "local" / "sentences.py", "--grammar", RECIPE / "conf" / "grammar.yaml"]
    sentences += ["--lexicon", RECIPE / "local" / "dict" / "lexicon.txt", "--out-dir", root / "text"]
    sentences += ["--train", "150", "--test", "24", "--dev", "1"]
    subprocess.run([str(part) for part in sentences], check=True, capture_output=True)
    for name, config in SETS.items():
        (root / f"{name}.yaml").write_text(config)
        run_hybrid("synth", "corpus", "--text", root / "text" / name, "--config", root / f"{name}.yaml",
                   "--out-dir", root / name)  # fmt: skip
    run_hybrid("feats", "extract", "--cuts", root / "train", "--config", RECIPE / "conf" / "mfcc.yaml",
               "--out-dir", root / "feats")  # fmt: skip
    run_hybrid("lang", "prepare", "--dict-dir", RECIPE / "local" / "dict", "--oov", "<UNK>", "--out-dir", root / "lang")
    run_hybrid("gmm", "train-mono", "--feats", root / "feats", "--lang", root / "lang", "--cmvn", "utterance",
               "--total-gaussians", 500, "--num-passes", 25, "--last-mix-up-pass", 18,
               "--out-dir", root / "mono")  # fmt: skip
    return root


@pytest.mark.slow
def test_boundaries_of_unknown_voices(spoken, tmp_path):
    run_hybrid("align", "audio", "--model", spoken / "mono", "--lang", spoken / "lang", "--format", "lhotse",
               "--phone-marks", "--cuts", spoken / "test" / "cuts.jsonl.gz", "--out-dir", tmp_path)  # fmt: skip
    with gzip.open(spoken / "test" / "phones.jsonl.gz", "rt", encoding="utf-8") as stream:
        truth = {row["id"]: starts_of(row["phones"]) for row in map(json.loads, stream)}
    found = []
    with gzip.open(tmp_path / "supervisions.jsonl.gz", "rt", encoding="utf-8") as stream:
        for row in map(json.loads, stream):
            reference = [PhoneStart(label, start) for label, start in truth[row["id"]]]
            phones = [(name.split("_"), start) for name, start, *_ in row["alignment"]["phone"] if name != "SIL"]
            aligned = [PhoneStart(label, start, mark in "BS") for (label, mark), start in phones]
            found += compare_starts(row["id"], reference, aligned)
    total = report(found)
    assert total.count > 300 and total.mean < 20.0, str(total)
