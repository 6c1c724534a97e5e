"""`graph estimate`: L∘G counted, the rest within a factor of two of the graphs that were measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hybrid.formats.openfst import read_fst
from hybrid.fst.compose import compose
from hybrid.graph.decoding import DecodingGraph
from hybrid.lint.forecast import Forecast, composition_size, forecast, in_proportion, peak_gb
from lexicon.lang_dir import LangDir
from tests.tiny_recogniser import Tiny, run

PAGE = Path(__file__).parents[2] / "docs" / "graph.md"
# CPU seconds, GB, and the last states and arcs, of the trigram of 33 thousand words; of the assistant's commands.
LARGE, SMALL = (985098, 2550132), (12308, 27293)
MEASURED = {
    "triphones": (LARGE, (3, 1, 3.0), 64.1, 1.83, 4832082, 12183235),
    "chain": (LARGE, (2, 1, 1.0), 26.7, 0.74, 1381344, 4609483),
    "small, triphones": (SMALL, (3, 1, 3.0), 0.74, 0.20, 59079, 145693),
    "small, monophones": (SMALL, (1, 0, 3.0), 0.40, 0.19, 55067, 133948),
}


def close(found: float, measured: float) -> bool:
    return 0.5 <= found / measured <= 2


def test_every_operation_of_the_page() -> None:
    pattern = r"^(.+?) +(\d+) states +(\d+) arcs +([\d.]+) CPU s +([\d.]+) GB"
    rows = re.findall(pattern, PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    found = in_proportion(int(rows[0][1]), int(rows[0][2]), 1, 0, 3.0)
    assert [row[0] for row in rows] == [operation.name for operation in found] and len(rows) == 10
    for (name, states, arcs, _, size), operation in zip(rows, found):
        assert close(operation.states, int(states)) and close(operation.arcs, int(arcs)), name
        assert close(operation.peak_gb, float(size)), name
    assert close(sum(o.cpu_seconds for o in found), sum(float(row[3]) for row in rows))


@pytest.mark.parametrize("name", MEASURED)
def test_other_graphs(name: str) -> None:
    (states, arcs), shape, seconds, size, last_states, last_arcs = MEASURED[name]
    found = in_proportion(states, arcs, *shape)
    assert close(sum(o.cpu_seconds for o in found), seconds) and close(peak_gb(found), size)
    assert close(found[-1].states, last_states) and close(found[-1].arcs, last_arcs)


def test_the_composition_is_counted(tiny: Tiny) -> None:
    lang = LangDir.load(tiny.root / "lang")
    lexicon, grammar = lang.L_arrays(disambig=True), read_fst(tiny.root / "G.fst")
    states, arcs = composition_size(lexicon, grammar)
    made = compose(lexicon, grammar)
    assert abs(states - made.num_states) <= 4 and abs(arcs - made.num_arcs) <= 6
    assert forecast(lexicon, grammar)[0] == Forecast("L∘G", states, arcs, 0.01, 0.17)


def test_the_command(tiny: Tiny) -> None:
    lang = tiny.root / "lang"
    result = run("graph", "estimate", "--model", tiny.model, "--lang", lang, "--grammar", tiny.root / "G.fst")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert len(lines) == 11 and lines[0].startswith("L∘G ") and lines[-1].startswith("in all ")
    made = DecodingGraph.load(tiny.graph).meta["facts"]
    states = int(lines[-2].split(":")[1].split()[1])
    assert close(states, made["states"])
    result = run("graph", "estimate", "--lang", lang, "--grammar", tiny.root / "G.fst", "--memory-gb", "0.01")
    assert result.exit_code == 1
    assert "its graph will want about 0.17 GB, 0.01 GB are there. Prune the model" in str(result.exception)
