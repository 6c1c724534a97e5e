"""Named columns of scores, and sets of lattices: by hand, by law, save and load, messages."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from hybrid.base.errors import InputError, MismatchError
from hybrid.lattice.archive import write_lattices
from hybrid.lattice.compact import factor
from hybrid.lattice.lattice import Lattice, LatticeError
from hybrid.lattice.lattice_set import LatticeSet, SharedFacts, shared_facts
from hybrid.lattice.paths import best_path
from hybrid.lattice.prune import prune


@pytest.fixture
def lattice() -> Lattice:
    """Two words of one frame each; the graph prefers 1, a second language model 2."""
    arcs = ([0, 0], [1, 1], [5, 6], [1, 2], [-1.0, -2.0], [-3.0, -3.0])
    return Lattice.from_arcs(2, 0, [np.array(a) for a in arcs], np.array([[-np.inf, 0.0], [-np.inf, 0.0]]))


def test_a_column_counts_where_it_has_a_weight(lattice: Lattice) -> None:
    both = lattice.with_column("lm", np.array([-4.0, -1.0]), np.array([0.0, -0.5]))
    assert both.arc_scores(0.5).tolist() == [-2.5, -3.5] == lattice.arc_scores(0.5).tolist()
    assert both.arc_scores(0.5, weights={"lm": 2.0}).tolist() == [-10.5, -5.5]
    assert both.final_scores(0.5, weights={"lm": 2.0}).tolist() == [-np.inf, -1.0]
    folded = both.folded({"lm": 2.0})
    assert not folded.columns and folded.graph_scores.tolist() == [-9.0, -4.0]
    assert folded.final_graph_scores.tolist() == [-np.inf, -1.0]
    for one, word in ((lattice, 1), (both, 1), (folded, 2)):
        path = best_path(one, 1.0)
        assert path is not None and path.word_ids.tolist() == [word]
    assert both.column("graph").arcs.tolist() == [-1.0, -2.0] and both.column("lm").finals.tolist() == [0.0, -0.5]


def test_equality_and_repr_tell_columns(lattice: Lattice) -> None:
    both = lattice.with_column("lm", np.array([-4.0, -1.0]))
    assert both != lattice and both == lattice.with_column("lm", np.array([-4.0, -1.0]))
    assert both != lattice.with_column("lm", np.array([-4.0, -2.0])) and lattice == dataclasses.replace(
        both, columns={}
    )
    assert repr(both) == "<Lattice: 2 states, 2 arcs, 1 frames, depth 2.0; scores graph, acoustic, lm>"
    assert repr(Lattice.empty()) == "<Lattice: 0 states, 0 arcs, empty; scores graph, acoustic>"


def test_pruning_keeps_columns(random_lattice) -> None:
    for seed in range(20):
        whole = random_lattice(seed)
        marks = np.arange(whole.num_arcs, dtype=np.float32)
        marked = whole.with_column("mark", marks)
        small, wanted = prune(marked, 1.0, 0.1), prune(whole, 1.0, 0.1)
        assert small.folded({"mark": 0.0}) == wanted
        kept = small.columns["mark"].arcs.astype(int)
        assert np.array_equal(whole.graph_scores[kept], small.graph_scores)


def test_what_no_column_may_be(lattice: Lattice, tmp_path: Path) -> None:
    with pytest.raises(LatticeError, match=r"column 'graph': wanted a word other than graph and acoustic"):
        lattice.with_column("graph", np.zeros(2))
    with pytest.raises(LatticeError, match=r"column 'lm': arcs have shape \(3,\), wanted \(2,\)"):
        lattice.with_column("lm", np.zeros(3))
    with pytest.raises(LatticeError, match=r"column 'lm': finals hold NaN or \+inf"):
        lattice.with_column("lm", np.zeros(2), np.array([0.0, np.nan]))
    both = lattice.with_column("lm", np.zeros(2))
    with pytest.raises(LatticeError, match="has no scores 'tone', wanted one of graph, acoustic, lm"):
        both.arc_scores(1.0, weights={"tone": 1.0})
    with pytest.raises(LatticeError, match=r"lattice of 'u' has scores lm, .* alone; fold them: lattice.folded\(\)"):
        write_lattices(tmp_path / "a.ark", [("u", both)])
    with pytest.raises(LatticeError, match="has scores lm beside Kaldi's two"):
        factor(both)


def test_a_set_is_saved_and_loaded(lattice: Lattice, tmp_path: Path) -> None:
    shared = SharedFacts(0.1, 0.03, 3, "frame x 0.03 s", {"words": "a" * 64, "tree": "b" * 64}, "tg", "fg")
    made = LatticeSet({"u": lattice, "v": Lattice.empty()}, shared)
    made.save(tmp_path / "set")
    again = LatticeSet.load(tmp_path / "set")
    assert again == made and again.shared == shared and list(again) == ["u", "v"] and again["u"] == lattice
    assert repr(again) == "<LatticeSet: 2 lattices, 1 frames, 0.0 s>"
    assert again != LatticeSet({"u": lattice}, shared) and again != dataclasses.replace(made, shared=SharedFacts())
    assert made.map(lambda each: prune(each, 0.5, 1.0))["u"].num_arcs == 1 and made["u"].num_arcs == 2
    (tmp_path / "words.txt").write_text("<eps> 0\nA 1\nB 2\n")
    with pytest.raises(MismatchError, match="words"):
        LatticeSet.load(tmp_path / "set", tmp_path / "words.txt")


def test_a_set_that_is_none(lattice: Lattice, tmp_path: Path) -> None:
    write_lattices(tmp_path / "a.ark", [("u", lattice), ("u", lattice)])
    with pytest.raises(InputError, match="utterance 'u' stands there twice"):
        LatticeSet.load(tmp_path / "a.ark")
    assert shared_facts(tmp_path / "a.ark") == SharedFacts()
    (tmp_path / "decode.json").write_text('{"frame_shift": "x"}')
    with pytest.raises(InputError, match=r"decode.json: frame_shift is 'x', wanted a number above 0"):
        shared_facts(tmp_path)
