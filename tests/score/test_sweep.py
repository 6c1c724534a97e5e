"""Sweeps over lattices: hand-made ones, Kaldi's own, and Kaldi's programs on them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hybrid.base.errors import InputError
from hybrid.lattice.archive import write_lattices
from hybrid.lattice.lattice import Lattice
from hybrid.score.edits import ErrorCounts
from hybrid.score.sweep import SweepConfig, SweepPoint, best_paths, choose, parse_range, sweep, wider
from hybrid.score.transcripts import Transcripts
from lexicon.symbols import SymbolTable


@pytest.fixture
def folder(tmp_path: Path, two_paths: Lattice) -> Path:
    write_lattices(tmp_path / "lat.1.gz", [("u1", two_paths)])
    write_lattices(tmp_path / "lat.2.gz", [("u2", Lattice.empty())])
    return tmp_path


def test_weight_and_penalty_choose_the_path(folder: Path, words: SymbolTable) -> None:
    # A B costs 1 + 20 / w + 2 p, C costs 3 + 6 / w + p: equal at w = 7 without penalty.
    grid = [(6.0, 0.0), (8.0, 0.0), (8.0, 1.0)]
    found = [h.words["u1"] for h in best_paths(folder, words, grid)]
    assert found == [["C"], ["A", "B"], ["C"]]
    assert best_paths(folder, words, [(8.0, 0.0)])[0].words["u2"] == []


def test_parts_of_a_set_are_pooled(folder: Path, words: SymbolTable, tmp_path: Path, two_paths: Lattice) -> None:
    write_lattices(tmp_path / "more.gz", [("u3", two_paths)])
    found = best_paths([folder, tmp_path / "more.gz"], words, [(8.0, 0.0)])[0]
    assert found.words == {"u1": ["A", "B"], "u2": [], "u3": ["A", "B"]}
    with pytest.raises(InputError, match="more.gz: utterance 'u3' has another lattice. Give each set once."):
        best_paths([tmp_path / "more.gz"] * 2, words, [(8.0, 0.0)])


def test_sweep_picks_the_fewest_errors(folder: Path, words: SymbolTable) -> None:
    reference = Transcripts("ref", {"u1": ["A", "B"], "u2": ["A"]})
    found = sweep(reference, folder, words, SweepConfig((6.0, 8.0, 9.0), (0.0, 1.0)))
    assert len(found.points) == 6
    assert (found.best.lm_weight, found.best.penalty) == (8.0, 0.0)
    assert found.best.counts == ErrorCounts(3, 0, 1, 0)
    assert found.hypothesis.words == {"u1": ["A", "B"], "u2": []}
    assert not found.at_edge


def test_speakers_are_recognised_with_what_is_best_on_others(
    tmp_path: Path, words: SymbolTable, two_paths: Lattice
) -> None:
    write_lattices(tmp_path / "lat.gz", [(name, two_paths) for name in ("u1", "u2", "u3")])
    said = {"u1": ["A", "B"], "u2": ["C"], "u3": ["C"]}  # at weight 8 A B is heard, at weight 6 C
    reference = Transcripts("ref", said, {"u1": "anna", "u2": "bert", "u3": "bert"})
    config = SweepConfig((6.0, 8.0), (0.0,))
    alone, parted = (sweep(reference, tmp_path / "lat.gz", words, config, folds=count) for count in (1, 2))
    assert alone.folds == () and alone.hypothesis.words == {name: ["C"] for name in said}
    assert parted.folds == ((("anna",), (6.0, 0.0)), (("bert",), (8.0, 0.0)))
    assert parted.hypothesis.words == {"u1": ["C"], "u2": ["A", "B"], "u3": ["A", "B"]}
    assert (parted.points, parted.best) == (alone.points, alone.best)
    with pytest.raises(InputError, match="--folds: is 3, but there are 2 speakers. Use fewer."):
        sweep(reference, tmp_path / "lat.gz", words, config, folds=3)


def test_a_best_point_at_the_edge_is_told(folder: Path, words: SymbolTable, caplog: pytest.LogCaptureFixture) -> None:

    reference = Transcripts("ref", {"u1": ["A", "B"], "u2": []})
    assert sweep(reference, folder, words, SweepConfig((6.0, 8.0), (0.0,))).at_edge
    assert "best LM weight 8 is at the edge" in caplog.text
    nowhere = Transcripts("ref", {"u1": ["B"], "u2": []})
    assert not sweep(nowhere, folder, words, SweepConfig((8.0, 9.0), (0.0,))).at_edge


def test_a_grid_is_widened_at_its_edge(folder: Path, words: SymbolTable, caplog: pytest.LogCaptureFixture) -> None:
    reference = Transcripts("ref", {"u1": ["A", "B"], "u2": []})
    found = sweep(reference, folder, words, SweepConfig((6.0, 8.0), (0.0,), widen=True))
    assert [p.lm_weight for p in found.points] == [6, 8, 10, 12, 14, 16]
    assert found.best.lm_weight == 8 and not found.at_edge and "at the edge of those tried" not in caplog.text
    found = sweep(
        Transcripts("ref", {"u1": ["C"], "u2": []}), folder, words, SweepConfig((6.0, 8.0), (0.0,), widen=True)
    )
    assert [p.lm_weight for p in found.points] == [6, 8, 4, 2, 1, 0.5]
    assert found.hypothesis.words["u1"] == ["C"] and not found.at_edge


def test_weights_beyond_an_edge() -> None:
    assert wider([0.4, 0.6, 1.0], 1.0) == pytest.approx([1.4, 1.8, 2.2, 2.6])
    assert wider([9, 7, 8], 7) == [6, 5, 4, 3]
    assert wider([1, 2, 3], 1) == [0.5, 0.25, 0.125, 0.0625]
    assert wider([7, 8, 9], 8) == [] and wider([8], 8) == []


def test_ties_go_to_the_smaller() -> None:
    counts = ErrorCounts(1, 0, 0, 1)
    points = [SweepPoint(w, p, counts) for w in (9.0, 8.0) for p in (1.0, 0.0)]
    assert choose(points) == SweepPoint(8.0, 0.0, counts)


def test_ranges() -> None:
    assert parse_range("7:10") == (7.0, 8.0, 9.0, 10.0)
    assert parse_range("0:1:0.5") == (0.0, 0.5, 1.0)
    assert parse_range("0,0.5") == (0.0, 0.5)
    for bad in ("x", "7:", "9:7", "1:2:0", "1:2:3:4", ""):
        with pytest.raises(ValueError, match="is no range; wanted FIRST:LAST"):
            parse_range(bad)
    with pytest.raises(ValueError, match="lm_weights is 0, wanted more than 0"):
        SweepConfig((0.0,))


def test_folder_without_lattices(tmp_path: Path, words: SymbolTable) -> None:
    with pytest.raises(InputError, match="holds no lattices"):
        best_paths(tmp_path, words, [(1.0, 0.0)])


@pytest.mark.peer
def test_best_paths_of_kaldis_lattices(peers: Path, tmp_path: Path, kaldi_bin: Path) -> None:
    archive = peers / "lattices" / "lat.ark.gz"
    numbers = SymbolTable(("<eps>", *map(str, range(1, 40000))))
    grid = [(7.0, 0.0), (13.0, 0.5), (17.0, 1.0)]
    for (weight, penalty), ours in zip(grid, best_paths(archive, numbers, grid)):
        pipe = (
            f"gunzip -c {archive} | {kaldi_bin}/lattice-scale --inv-acoustic-scale={weight} ark:- ark:- |"
            f"{kaldi_bin}/lattice-add-penalty --word-ins-penalty={penalty} ark:- ark:- |"
            f"{kaldi_bin}/lattice-best-path ark:- ark,t:{tmp_path}/words"
        )
        subprocess.run(["bash", "-c", "set -o pipefail; " + pipe], check=True, capture_output=True)
        theirs = {u: w for u, *w in (line.split() for line in (tmp_path / "words").read_text().splitlines())}
        assert dict(ours.words) == theirs
