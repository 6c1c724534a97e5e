"""The script that holds the engines' lattices of a set against each other, on the smallest recogniser."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from hybrid.lattice.lattice import Lattice
from hybrid.search.config import SearchConfig

PLACE = Path(__file__).resolve().parents[2] / "scripts/bench/same_lattices.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("same_lattices", PLACE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_engines_make_the_same_lattices(script, tiny, monkeypatch, capsys) -> None:
    given = ["--model", tiny.model, "--graph", tiny.graph, "--feats", tiny.feats]
    given += ["--utterances", 3, "--reference", 2, "--batch", 2, "--beam", 8]
    monkeypatch.setattr(sys, "argv", ["same_lattices.py", *map(str, given)])
    with pytest.raises(SystemExit) as ended:
        script.main()
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("|")][2:]
    assert [(int(row[2]), int(row[3])) for row in rows] == [(3, 3), (3, 3), (3, 3), (2, 2), (2, 2)]
    assert not ended.value.code


def test_a_difference_is_seen(script, build, tools) -> None:
    searcher = build("native", tools.fst(1), SearchConfig(20.0, 5.0, 1000, 0, 0.5))
    one, two = searcher.search([tools.scores(1, 9), tools.scores(2, 9)])
    assert script.difference(one, one) == 0.0 and script.difference(one, two) == np.inf
    arcs = one.lattice
    columns = [arcs.sources, arcs.next_states, arcs.transition_ids, arcs.word_ids, arcs.graph_scores]
    ends = arcs.final_graph_scores, arcs.final_acoustic_scores
    other = Lattice.from_arcs(arcs.num_states, 0, [*columns, arcs.acoustic_scores * np.float32(1.001)], ends)
    assert 1e-4 < script.difference(one, dataclasses.replace(one, lattice=other)) < 1e-2
