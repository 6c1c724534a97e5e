"""The language model of a graph, found by the records of graph and G."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hybrid.base.artifact import write_meta
from hybrid.base.errors import InputError
from hybrid.decode.language import SearchLm, search_lm
from hybrid.decode.system import SystemSpec
from hybrid.lattice.lattice_set import shared_facts
from hybrid.rescore.decoding_pass import passes_of


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A graph's record, that of its G in another folder, and the ARPA file."""
    for name in ("graph", "lm"):
        (tmp_path / name).mkdir()
    for name in ("lm/tg.arpa", "lm/G.fst", "graph/HCLG.fst"):
        (tmp_path / name).write_text(name)
    write_meta(tmp_path / "lm" / "G.fst", "G", inputs={"model": tmp_path / "lm" / "tg.arpa"})
    write_meta(tmp_path / "graph", "graph", inputs={"grammar": tmp_path / "lm" / "G.fst"})
    return tmp_path / "graph"


def test_records_lead_to_the_file(graph: Path) -> None:
    found = search_lm(graph)
    assert found.name == "tg.arpa" and found.arpa == graph.parent / "lm" / "tg.arpa"
    assert SystemSpec("m", str(graph)).language_models == {"search_lm": "tg.arpa"}
    named = SystemSpec("m", str(graph), search_arpa="elsewhere/other.arpa")
    assert named.language_models == {"search_lm": "other.arpa"} and named.search_lm.arpa is None


def test_a_file_that_has_changed_or_gone_keeps_its_name_only(graph: Path) -> None:
    file = graph.parent / "lm" / "tg.arpa"
    file.write_text("another")
    assert search_lm(graph).name == "tg.arpa" and search_lm(graph).arpa is None
    passes = passes_of([file])
    with pytest.raises(
        InputError, match=r"tg\.arpa: takes the place of .* or has changed\. Name it with --search-lm\."
    ):
        passes.open(None, search_lm(graph), 0.1)  # type: ignore[union-attr, arg-type]
    file.unlink()
    assert search_lm(graph) == SearchLm("tg.arpa", file, search_lm(graph).wanted) and search_lm(graph).arpa is None


def test_without_records_there_is_no_name(graph: Path, tmp_path: Path) -> None:
    (graph.parent / "lm" / "G.fst.meta.json").unlink()
    assert search_lm(graph).name == "G.fst"
    (graph / "meta.json").write_text(json.dumps({"kind": "graph"}))
    assert search_lm(graph) == search_lm(tmp_path / "none") == SearchLm()


def test_names_in_a_folder_of_lattices_are_text(tmp_path: Path) -> None:
    (tmp_path / "decode.json").write_text('{"search_lm": "a.arpa", "second_lm": "b.arpa"}')
    assert shared_facts(tmp_path).second_lm == "b.arpa"
    (tmp_path / "decode.json").write_text('{"search_lm": 3}')
    with pytest.raises(InputError, match=r"decode\.json: search_lm is '3', wanted text"):
        shared_facts(tmp_path)
