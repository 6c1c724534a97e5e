"""The search graph in a mapped file: what is mapped is what would be laid out, and nobody else's file ever is."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from hybrid.base import integrity
from hybrid.base.cache import cache_folder
from hybrid.base.errors import MismatchError
from hybrid.base.output import check_folder
from hybrid.decode.system import _load_system, load_system
from hybrid.graph.decoding import DecodingGraph
from hybrid.model.folder import load_model
from hybrid.search import layout
from hybrid.search.choose import make_searcher
from hybrid.search.config import SearchConfig
from hybrid.search.graph import SearchGraph

ARRAYS = ("bounds", "arcs", "transition_ids", "word_ids", "final_scores")


@pytest.fixture
def folder(tiny, tmp_path, monkeypatch) -> Path:
    """A graph folder of its own, with a cache of its own."""
    import shutil

    monkeypatch.setenv("HYBRID_CACHE_DIR", str(tmp_path / "cache"))
    shutil.copytree(tiny.graph, tmp_path / "graph", ignore=shutil.ignore_patterns(".*"))
    return tmp_path / "graph"


@pytest.fixture
def model(tiny):
    return load_model(tiny.model).transition_model


def is_mapped(graph: SearchGraph) -> bool:
    return not graph.arcs.flags.owndata and graph.arcs.base is not None and not isinstance(graph.arcs.base, bytes)


def same(one: SearchGraph, two: SearchGraph) -> bool:
    return (one.start, one.num_pdfs) == (two.start, two.num_pdfs) and all(
        np.array_equal(getattr(one, name), getattr(two, name)) for name in ARRAYS
    )


def refuse(*_: object) -> None:
    raise AssertionError("laid out again")


def test_the_second_process_maps_what_the_first_laid_out(folder, model, monkeypatch) -> None:
    graph = DecodingGraph.load(folder)
    wanted = SearchGraph.from_fst(graph.fst, model.pdf_ids, model.num_pdfs)
    first = layout.load_search_graph(graph, model)
    monkeypatch.setattr(SearchGraph, "from_fst", refuse)
    monkeypatch.setattr(integrity, "_memory", integrity._Memory())  # as another process finds it
    second = layout.load_search_graph(DecodingGraph.load(folder), model)
    assert same(first, wanted) and same(second, wanted)
    second.arcs[0, 0] += 1  # private to who writes
    assert same(layout.load_search_graph(graph, model), wanted)


def test_a_file_that_this_user_did_not_make_is_not_mapped(folder, model, tmp_path, monkeypatch) -> None:
    """A stranger's folder brings a layout whose arcs lead out of the graph; kernels would follow them."""
    graph = DecodingGraph.load(folder)
    wanted = layout.load_search_graph(graph, model)
    file = folder / layout.NAME
    data = bytearray(file.read_bytes())
    begin = layout.HEAD + -(-wanted.bounds.nbytes // layout.HEAD) * layout.HEAD
    data[begin : begin + 4] = b"\xff\xff\xff\x7f"
    file.unlink()
    file.write_bytes(data)  # another file of the same name
    assert same(layout.load_search_graph(graph, model), wanted)
    os.chmod(file, 0o666)  # now that everybody may write to it
    assert layout._mapped(file, layout._key(graph, model)) is None
    other = tmp_path / "elsewhere"
    os.rename(file, other)
    file.symlink_to(other)
    assert layout._mapped(file, layout._key(graph, model)) is None


def test_another_graph_or_model_is_laid_out_anew(folder, model, tiny) -> None:
    graph = DecodingGraph.load(folder)
    layout.load_search_graph(graph, model)
    key = layout._key(graph, model)
    pdfs = model.pdf_ids.copy()
    pdfs[1] = (pdfs[1] + 1) % model.num_pdfs

    class Other:
        pdf_ids, num_pdfs = pdfs, model.num_pdfs

    found = layout.load_search_graph(graph, Other())  # type: ignore[arg-type]
    assert layout._key(graph, Other()) != key  # type: ignore[arg-type]
    assert same(found, SearchGraph.from_fst(graph.fst, pdfs, model.num_pdfs))


def test_a_folder_that_cannot_be_written_is_laid_out_in_the_cache(folder, model, monkeypatch) -> None:
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder and real(path, mode))
    graph = DecodingGraph.load(folder)
    wanted = layout.load_search_graph(graph, model)
    assert not (folder / layout.NAME).exists()
    files = list((cache_folder("graphs").path or folder).glob("*.search"))
    assert len(files) == 1
    for n in range(layout.KEPT + 2):
        (files[0].parent / f"{n}.search").write_bytes(b"")
    layout._make_room(files[0])
    assert files[0].exists() and len(list(files[0].parent.glob("*.search"))) == layout.KEPT
    monkeypatch.setattr(SearchGraph, "from_fst", refuse)
    assert same(layout.load_search_graph(graph, model), wanted)


def test_without_a_cache_folder_every_process_lays_out_for_itself(folder, model, monkeypatch) -> None:
    monkeypatch.setenv("HYBRID_CACHE_DIR", "/dev/null/nowhere")
    graph = DecodingGraph.load(folder)
    wanted = SearchGraph.from_fst(graph.fst, model.pdf_ids, model.num_pdfs)
    assert same(layout.load_search_graph(graph, model), wanted)
    assert not (folder / layout.NAME).exists()


def test_a_full_disk_costs_time_only(folder, model, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(layout, "atomic_path", full)
    graph = DecodingGraph.load(folder)
    assert same(layout.load_search_graph(graph, model), SearchGraph.from_fst(graph.fst, model.pdf_ids, model.num_pdfs))


def test_the_file_is_no_part_of_the_folder(folder, model) -> None:
    """It neither changes what is loaded, nor hinders that the folder is made anew."""
    before, hashed = integrity.state_of(folder), layout.hash_of(folder / "HCLG.fst")
    layout.load_search_graph(DecodingGraph.load(folder), model)
    assert (folder / layout.NAME).exists() and integrity.state_of(folder) == before
    check_folder(folder, "graph", whole=True)
    assert layout.hash_of(folder / "HCLG.fst") == hashed


def _load(folder: Path, model: object, barrier: object, out: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    found = layout.load_search_graph(DecodingGraph.load(folder), model)  # type: ignore[arg-type]
    out.put(int(found.arcs.astype(np.int64).sum()))  # type: ignore[attr-defined]


def test_processes_that_begin_at_once(folder, model) -> None:
    context = multiprocessing.get_context("fork")
    barrier, out = context.Barrier(3), context.Queue()
    workers = [context.Process(target=_load, args=(folder, model, barrier, out)) for _ in range(3)]
    for worker in workers:
        worker.start()
    sums = {out.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join()
    fst = DecodingGraph.load(folder).fst
    assert sums == {int(SearchGraph.from_fst(fst, model.pdf_ids, model.num_pdfs).arcs.astype(np.int64).sum())}


def test_a_system_is_loaded_once_though_its_graph_is_laid_out(folder, tiny) -> None:
    from hybrid.decode.system import SystemSpec

    _load_system.cache_clear()
    spec = SystemSpec(str(tiny.model), str(folder))
    assert load_system(spec) is load_system(spec)
    _load_system.cache_clear()


@pytest.mark.parametrize("engine", ["reference", "native", "torch", pytest.param("k2", marks=pytest.mark.k2)])
def test_a_word_without_a_name_is_told_at_load(folder, model, engine: str) -> None:
    """As in a folder of another toolkit, whose words.txt has no hash."""
    (folder / "meta.json").unlink()
    lines = (folder / "words.txt").read_text().splitlines()
    (folder / "words.txt").write_text("\n".join(lines[:3]) + "\n")
    error = "^g: word_id [0-9]+ lies outside 0–2. Use the words.txt that HCLG.fst was compiled with.$"
    with pytest.raises(MismatchError, match=error):
        make_searcher(engine, DecodingGraph.load(folder), model, SearchConfig(acoustic_scale=1.0), place="g")
