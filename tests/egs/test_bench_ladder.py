"""The benchmark of the ladder measures what the recipe runs."""

from __future__ import annotations

import importlib.util
import shlex
from pathlib import Path

PLACE = Path(__file__).resolve().parents[2] / "scripts/bench/ladder.py"


def test_settings_are_those_of_the_recipe(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("bench_ladder", PLACE)
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    steps = [step for stage in bench.recipe_steps().values() for step in stage]
    names = ["mono", "mono_ali", "tri1", "tri1_ali", "tri2b", "tri2b_ali", "tri3b", "tri3b_ali"]
    assert [name for name, _, _ in steps] == names
    recipe = tmp_path / "run.sh"
    recipe.write_text(bench.RECIPE.read_text().replace("option tri1 1500,8000", "option tri1 1234,5678"))
    monkeypatch.setattr(bench, "RECIPE", recipe)
    _, ours, theirs = bench.recipe_steps()["tri1"][0]
    assert shlex.split(ours)[:10] == [
        "train-deltas", "--model", "mono", "--ali", "mono_ali", "{t}", "--max-leaves", "1234",
        "--total-gaussians", "5678",
    ]  # fmt: skip
    assert theirs == "train_deltas.sh --boost-silence 1.25 {c} 1234 5678 data/train lang mono_ali tri1"
