"""What nobody should hand over, and everybody does: each ends in a value or in one line with its place."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from hybrid.base.errors import InputError
from hybrid.lattice.algebra.difference import difference
from hybrid.lattice.algebra.keywords import boosted, find_keyword
from hybrid.lattice.algebra.minimal import minimize
from hybrid.lattice.algebra.product import intersect
from hybrid.lattice.algebra.pushing import push
from hybrid.lattice.archive import copy_entries, read_compact_folder, read_lattices, write_lattices
from hybrid.lattice.combine import log_weight, scaled, union
from hybrid.lattice.compact import CompactLattice, no_paths
from hybrid.lattice.determinize import determinize, determinize_compact
from hybrid.lattice.drawing import draw_lattice
from hybrid.lattice.epsilons import remove_epsilons
from hybrid.lattice.lattice import Lattice
from hybrid.lattice.mbr import mbr_decode
from hybrid.lattice.oracle import oracle
from hybrid.lattice.paths import best_path, nbest
from hybrid.lattice.prune import prune, prune_posteriors
from hybrid.rescore.ngram_swap import WordModel, swap_ngram
from lexicon.symbols import SymbolTable
from lm.arpa import read_arpa

from .twins import some

HEAD = b"u " + struct.pack("<ii6si", 2125659606, 6, b"vector", 16) + b"compactlattice44"
HEAD += struct.pack("<iiQqqq", 2, 0, 3, 0, 2, 0)


def archive(graph: float, acoustic: float, to: int = 1, end: float = 0.0) -> bytes:
    """One arc of word 5 and transition-id 7, then the end."""
    first = struct.pack("<ffiq", np.inf, np.inf, 0, 1) + struct.pack("<iiffiii", 5, 5, graph, acoustic, 1, 7, to)
    return HEAD + first + struct.pack("<ffiq", end, 0.0, 0, 0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (archive(np.nan, 0.0), "graph_scores hold NaN or +inf"),
        (archive(0.0, -np.inf), "acoustic_scores hold NaN or +inf"),
        (archive(0.0, 0.0, end=np.nan), "final_graph_scores hold NaN or +inf"),
        (archive(0.0, 0.0, to=0), "the lattice has a cycle"),
        (archive(0.0, 0.0, to=7), "a state is out of range (there are 2)"),
        (archive(0.0, 0.0)[:-9], "is cut short"),
        (archive(0.0, 0.0).replace(b"vector", b"random"), "holds an FST 'random' of 'compactlattice44' arcs"),
        (b"u \xd6\xfd\xb2\x00 nothing of this kind", "is no binary FST"),
        (b"u ", "is cut short"),
    ],
)
def test_archives(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.ark").write_bytes(data)
    for read in (read_lattices, read_compact_folder, copy_entries):
        with pytest.raises(InputError) as caught:
            list(read(tmp_path / "a.ark"))
        assert str(caught.value).startswith(f"{tmp_path}/a.ark: utterance 'u': {message}")


@pytest.mark.filterwarnings("error")
def test_a_signalling_nan_is_told_without_a_warning(tmp_path: Path) -> None:
    data = archive(7.0, 2.0).replace(struct.pack("<f", 7.0), struct.pack("<I", 0x7F800001))
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(InputError, match="graph_scores hold NaN"):
        list(read_lattices(tmp_path / "a"))


def test_costs_that_end_a_path_are_fine(tmp_path: Path) -> None:
    (tmp_path / "a.ark").write_bytes(archive(np.inf, 0.0))
    ((_, lattice),) = read_lattices(tmp_path / "a.ark")
    assert best_path(lattice, 1.0) is None and prune(lattice, 5.0, 1.0).is_empty


@pytest.mark.parametrize("form", ["none", "no final state"])
def test_lattices_without_a_path(tmp_path: Path, form: str) -> None:
    if form == "none":
        compact, lattice = no_paths(), Lattice.empty()
    else:
        (tmp_path / "a.ark").write_bytes(archive(0.0, 0.0, end=np.inf))
        ((_, compact),) = read_compact_folder(tmp_path / "a.ark")
        ((_, lattice),) = read_lattices(tmp_path / "a.ark")
    other = some(3)
    made = [
        prune(compact, 1.0, 1.0), prune_posteriors(compact, 0.1, 1.0), determinize_compact(compact, 1.0, 1.0).lattice,
        determinize(lattice, 1.0, 1.0).lattice, push(compact), minimize(compact), scaled(compact), union([compact]),
        remove_epsilons(compact), intersect(compact, other), intersect(other, compact), difference(compact, other),
        boosted(compact, {(1,): 1.0}),
    ]  # fmt: skip
    assert all(isinstance(one, CompactLattice) and one.is_empty for one in made)
    assert best_path(lattice, 1.0) is None and nbest(lattice, 3, 1.0) == [] and find_keyword(compact, [1], 1.0) == []
    assert mbr_decode(compact, 1.0).risk == 0 and log_weight(compact, 1.0) == -np.inf
    assert oracle(lattice, [1, 2]).deletions == 2 and "no path" in draw_lattice(compact, str, 1.0)
    assert difference(other, compact) == other
    write_lattices(tmp_path / "b.ark", [("u", compact)], compact=True)
    assert [value.is_empty for _, value in read_compact_folder(tmp_path / "b.ark")] == [True]


def test_a_million_arcs_within_a_limit() -> None:
    width, frames = 32, 1000
    rng = np.random.default_rng(1)
    layer = np.arange(width)
    sources = np.concatenate([np.repeat(f * width + layer, width) for f in range(frames)])
    nexts = np.concatenate([np.tile((f + 1) * width + layer, width) for f in range(frames)])
    arcs = len(sources)
    words = rng.integers(0, 50, arcs) * (rng.random(arcs) < 0.2)
    finals = np.full((2, (frames + 1) * width), -np.inf)
    finals[:, -width:] = 0.0
    scores = -rng.random((2, arcs)) * 10
    lattice = Lattice.from_arcs(finals.shape[1], 0, (sources, nexts, np.ones(arcs), words, *scores), finals)
    assert lattice.num_arcs > 990_000
    found = determinize(lattice, 8.0, 0.1, max_elements=100_000)
    assert found.beam < 8.0 and not found.lattice.is_empty  # less, and it says so
    best, ours = best_path(lattice, 0.1), mbr_decode(found.lattice, 0.1, fixed=True)
    assert best is not None and ours.word_ids.tolist() == best.word_ids.tolist()


def test_another_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "lm.arpa").write_text("\\data\\\nngram 1=3\n\n\\1-grams:\n-99\t<s>\n-0.3\t</s>\n-0.3\tZ\n\n\\end\\\n")
    words = SymbolTable(("<eps>", "A", "B", "C"))
    model = WordModel.of(read_arpa(tmp_path / "lm.arpa"), words, tmp_path / "lm.arpa")
    lattice = next(one for one in map(some, range(20)) if one.num_arcs)
    with pytest.raises(
        InputError, match=r"lm.arpa: has no probability for the word '[ABC]', and none for unknown words"
    ):
        swap_ngram(lattice, None, model)
    short = WordModel.of(read_arpa(tmp_path / "lm.arpa"), SymbolTable(("<eps>",)))
    with pytest.raises(InputError, match=r"lattice: has id [123], which its symbol table lacks \(1 symbols\)"):
        swap_ngram(lattice, None, short)
