"""Ten real lattices: what Kaldi's programs made of them, to the digit."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from hybrid.lattice.archive import copy_entries, read_compact_folder, read_lattices, write_lattices
from hybrid.lattice.lattice import Lattice
from hybrid.lattice.mbr import mbr_decode
from hybrid.lattice.oracle import oracle
from hybrid.lattice.paths import best_path, nbest
from hybrid.lattice.prune import prune

from .test_lattice import distance

pytestmark = pytest.mark.peer
SCALE = 0.0714286


@pytest.fixture(scope="module")
def folder(peers: Path) -> Path:
    return peers / "lattices"


@pytest.fixture(scope="module")
def lattices(folder: Path) -> dict[str, Lattice]:
    return dict(read_lattices(folder / "clat.ark.gz"))


def unzip(path: Path) -> bytes:
    raw = path.read_bytes()
    return gzip.decompress(raw) if path.suffix == ".gz" else raw


def table(path: Path) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in unzip(path).decode().splitlines()}


def test_all_four_forms_hold_the_same(folder: Path, lattices: dict[str, Lattice]) -> None:
    for name in ("clat.txt.gz", "lat.ark.gz", "lat.txt.gz"):
        other = dict(read_lattices(folder / name))
        assert list(other) == list(lattices)
        for key, lattice in lattices.items():
            assert (lattice.num_states, lattice.num_arcs) == (other[key].num_states, other[key].num_arcs)
            ours, theirs = best_path(lattice, SCALE), best_path(other[key], SCALE)
            assert ours is not None and theirs is not None
            assert ours.transition_ids.tolist() == theirs.transition_ids.tolist()
            assert ours.acoustic_score == pytest.approx(theirs.acoustic_score, rel=1e-5)


def test_compact_files_are_written_to_the_byte(tmp_path: Path, folder: Path, lattices: dict[str, Lattice]) -> None:
    write_lattices(tmp_path / "a.txt", lattices.items(), compact=True, text=True)
    assert (tmp_path / "a.txt").read_text() == unzip(folder / "clat.txt.gz").decode()
    write_lattices(tmp_path / "a.ark", lattices.items(), compact=True)
    ours, theirs = (tmp_path / "a.ark").read_bytes(), unzip(folder / "clat.ark.gz")
    differing = sum(a != b for a, b in zip(ours, theirs))
    assert len(ours) == len(theirs) and differing <= 8 * len(lattices)  # the property bits of each header


def test_text_of_binary_to_the_byte_and_back(tmp_path: Path, folder: Path) -> None:
    for binary, text in (("clat.ark.gz", "clat.txt.gz"), ("lat.ark.gz", "lat.txt.gz")):
        write_lattices(tmp_path / "a.txt", copy_entries(folder / binary), compact=None, text=True)
        assert (tmp_path / "a.txt").read_text() == unzip(folder / text).decode()
        write_lattices(tmp_path / "a.ark", copy_entries(folder / binary), compact=None)
        ours, theirs = (tmp_path / "a.ark").read_bytes(), unzip(folder / binary)
        differing = sum(a != b for a, b in zip(ours, theirs))
        assert len(ours) == len(theirs) and differing <= 8 * 10  # the property bits of each header
    for name in ("clat", "clat_fg", "latgen_clat", "raw_lat_det.clat", "pruned_beam4", "lat"):
        write_lattices(tmp_path / "a.ark", copy_entries(folder / f"{name}.txt.gz"), compact=None)
        write_lattices(tmp_path / "a.txt", copy_entries(tmp_path / "a.ark"), compact=None, text=True)
        assert (tmp_path / "a.txt").read_text() == unzip(folder / f"{name}.txt.gz").decode(), name


def test_words_of_the_oracle(folder: Path, lattices: dict[str, Lattice]) -> None:
    words, text = table(folder / "oracle.int"), table(folder / "text")
    ids = {word: int(number[0]) for word, number in table(folder / "words.txt.gz").items()}
    for key, lattice in lattices.items():
        reference = [ids.get(w, ids["<UNK>"]) for w in text[key]]
        found = oracle(lattice, reference)
        theirs = distance([int(w) for w in words[key]], reference)  # where paths are equally good, another may be taken
        assert found.errors == theirs == distance(found.word_ids.tolist(), reference)


def test_times_of_bayes_risk(folder: Path) -> None:
    times = {}
    for line in (folder / "mbr.times").read_text().splitlines():
        key, rest = line.split(None, 1)
        times[key] = [tuple(map(float, part.split())) for part in rest.split(";") if part.strip()]
    far: list[float] = []
    for key, compact in read_compact_folder(folder / "clat.ark.gz"):
        network = mbr_decode(compact, SCALE).network
        assert len(network) == len(times[key])
        for begin, end, theirs in zip(network.bin_begins, network.bin_ends, times[key]):
            far += [abs(begin - theirs[0]), abs(end - theirs[1])]
    # as in test_mbr: where two alignments cost the same, rounding decides which place an unlikely word stands at
    assert np.mean(np.array(far) < 0.5) > 0.95 and max(far) < 5


def test_four_grams(folder: Path) -> None:
    words = table(folder / "best_path_fg.int")
    for key, lattice in read_lattices(folder / "clat_fg.txt.gz"):
        path = best_path(lattice, SCALE)
        assert path is not None and [str(w) for w in path.word_ids] == words[key]


def test_best_paths(folder: Path, lattices: dict[str, Lattice]) -> None:
    words, alignments = table(folder / "best_path.int"), table(folder / "best_path.ali.gz")
    penalised = table(folder / "best_path_wip1_ac.05_lm1.1.int")
    for key, lattice in lattices.items():
        path = best_path(lattice, SCALE)
        assert path is not None
        assert [str(w) for w in path.word_ids] == words[key]
        assert [str(t) for t in path.transition_ids] == alignments[key]
        other = best_path(lattice, 0.05, 1.1, 1.0)
        assert other is not None and [str(w) for w in other.word_ids] == penalised[key]


def test_ten_best(folder: Path, lattices: dict[str, Lattice]) -> None:
    words = table(folder / "nbest10.words.int.gz")
    graph, acoustic = table(folder / "nbest10.lmcost.gz"), table(folder / "nbest10.accost.gz")
    seen = 0
    for key, lattice in lattices.items():
        for rank, path in enumerate(nbest(lattice, 10, SCALE), 1):
            name = f"{key}-{rank}"
            assert [str(w) for w in path.word_ids] == words[name]
            assert -path.graph_score == pytest.approx(float(graph[name][0]), rel=2e-6)
            assert -path.acoustic_score == pytest.approx(float(acoustic[name][0]), rel=2e-6)
            seen += 1
    assert seen == len(words)


def test_pruning(tmp_path: Path, folder: Path, lattices: dict[str, Lattice]) -> None:
    pruned = {key: prune(lattice, 4.0, SCALE) for key, lattice in lattices.items()}
    write_lattices(tmp_path / "a.txt", pruned.items(), compact=True, text=True)
    ours = (tmp_path / "a.txt").read_text().splitlines()
    theirs = unzip(folder / "pruned_beam4.txt.gz").decode().splitlines()
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs):
        # Kaldi scales its float32 costs and scales them back, which moves the sixth digit of some
        (*a, costs), (*b, other_costs) = mine.split("\t"), other.split("\t")
        assert a == b
        if "," in costs:
            assert costs.split(",")[2:] == other_costs.split(",")[2:]
            assert np.allclose(
                [float(x) for x in costs.split(",")[:2]], [float(x) for x in other_costs.split(",")[:2]], rtol=1e-5
            )


def test_depth_and_oracle(folder: Path, lattices: dict[str, Lattice]) -> None:
    depths, text = table(folder / "depth"), table(folder / "text")
    ids = {word: int(number[0]) for word, number in table(folder / "words.txt.gz").items()}
    errors = [
        line.split("[")[-1].split("/")[0].strip() for line in (folder / "oracle.wer").open() if "Overall" not in line
    ]
    for (key, lattice), wanted in zip(lattices.items(), errors):
        assert lattice.depth == pytest.approx(float(depths[key][0]), abs=2e-6)
        assert oracle(lattice, [ids.get(w, ids["<UNK>"]) for w in text[key]]).errors == int(wanted)


def test_lattices_before_determinisation_hold_the_same_best_paths(folder: Path) -> None:
    raw, scale = dict(read_lattices(folder / "raw_lat.ark.gz")), 0.083333
    for name in ("raw_lat_det.clat.txt.gz", "latgen_clat.txt.gz"):
        for key, lattice in read_lattices(folder / name):
            ours, theirs = nbest(raw[key], 3, scale, beam=5.0), nbest(lattice, 3, scale)
            assert [p.word_ids.tolist() for p in ours] == [p.word_ids.tolist() for p in theirs]
            assert [p.score(scale) for p in ours] == pytest.approx([p.score(scale) for p in theirs], rel=1e-5)
