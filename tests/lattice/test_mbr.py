"""Minimum Bayes risk: worked example, the algorithm spelt out, laws, and Kaldi's own results."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from hybrid.lattice.archive import read_lattices
from hybrid.lattice.compact import CompactLattice, expand, factor
from hybrid.lattice.determinize import determinize
from hybrid.lattice.lattice import Lattice
from hybrid.lattice.mbr import _parted, mbr_decode
from hybrid.lattice.paths import best_path

from .conftest import all_paths, path_score


def edit_distance(first: tuple[int, ...], second: tuple[int, ...]) -> int:
    rows = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        before, rows[0] = rows[0], i
        for j, b in enumerate(second, 1):
            before, rows[j] = rows[j], min(before + (a != b), rows[j] + 1, rows[j - 1] + 1)
    return rows[-1]


def sentences(lattice: Lattice, scale: float) -> dict[tuple[int, ...], float]:
    """Probability of each word sequence, by enumeration."""
    found: dict[tuple[int, ...], float] = {}
    for arcs in all_paths(lattice):
        words = lattice.word_ids[arcs]
        key = tuple(words[words != 0].tolist())
        found[key] = found.get(key, 0.0) + np.exp(path_score(lattice, arcs, scale))
    total = sum(found.values())
    return {words: value / total for words, value in found.items()}


def three_ways() -> CompactLattice:
    """A B (0.4), A C (0.35), D C (0.25), one frame a word."""
    arcs = [(0, 1, 10, 1, 0.0, 0.0), (0, 2, 10, 1, 0.0, 0.0), (0, 3, 10, 4, 0.0, 0.0)]
    arcs += [(1, 4, 11, 2, np.log(0.4), 0.0), (2, 4, 11, 3, np.log(0.35), 0.0), (3, 4, 11, 3, np.log(0.25), 0.0)]
    finals = np.full((2, 5), -np.inf)
    finals[:, 4] = 0.0
    return factor(Lattice.from_arcs(5, 0, [np.array(column) for column in zip(*arcs)], finals))


def test_worked_example() -> None:
    # A B is the best path, but A (0.75) C (0.6) has the fewest expected errors: 0.25 + 0.4
    found = mbr_decode(three_ways(), 1.0)
    assert found.word_ids.tolist() == [1, 3]
    assert found.confidences == pytest.approx([0.75, 0.6])
    assert found.risk == pytest.approx(0.65)
    assert [found.network.bin(b) for b in (0, 2, 4)] == [[(0, pytest.approx(1.0))]] * 3
    assert found.network.bin(1) == [(1, pytest.approx(0.75)), (4, pytest.approx(0.25))]
    assert found.begin_frames == pytest.approx([0, 1]) and found.end_frames == pytest.approx([1, 2])
    kept = mbr_decode(three_ways(), 1.0, words=np.array([1, 2]), fixed=True)
    assert kept.word_ids.tolist() == [1, 2] and kept.risk == pytest.approx(0.85)


def test_laws(random_lattice) -> None:
    lower = 0
    for seed in range(300):
        lattice = random_lattice(seed, frames=2 + seed % 4, width=3)
        compact = determinize(lattice, 1e9, 0.5).lattice
        found = mbr_decode(compact, 0.5)
        first = best_path(lattice, 0.5)
        at_first = mbr_decode(compact, 0.5, words=first.word_ids, fixed=True)
        assert found.risk <= at_first.risk + 1e-9
        sums = np.add.reduceat(found.network.posteriors, found.network.row_splits[:-1])
        assert sums == pytest.approx(np.ones(len(found.network)))
        assert np.all(found.begin_frames <= found.end_frames + 1e-9) and np.all(
            found.end_frames <= lattice.num_frames + 1e-9
        )
        # the lattice distance bounds the expected distance to the sentences, and mostly is it
        hypothesis = tuple(found.word_ids.tolist())
        expected = sum(
            value * edit_distance(words, hypothesis) for words, value in sentences(expand(compact), 0.5).items()
        )
        assert found.risk >= expected - 1e-3
        lower += abs(found.risk - expected) < 1e-3
    assert lower > 200


def test_words_without_frames_have_times() -> None:
    begins, ends = _parted(np.array([5.0, 4.0, 3.0]), np.array([5.0, 4.0, 6.0]))
    assert begins.tolist() == [5.0, 5.0, 5.0] and ends.tolist() == [5.0, 5.0, 6.0]


def test_empty_and_certain() -> None:
    none = mbr_decode(factor(Lattice.empty()), 1.0)
    assert none.risk == 0 and len(none.network) == 0 and not len(none.word_ids)
    finals = np.array([[-np.inf, 0.0]] * 2)
    one = Lattice.from_arcs(2, 0, [np.array([v]) for v in (0, 1, 3, 7, -5.0, -6.0)], finals)
    sure = mbr_decode(factor(one), 1.0)
    assert sure.word_ids.tolist() == [7] and sure.confidences == pytest.approx([1.0]) and sure.risk == pytest.approx(0)


@pytest.mark.peer
def test_equals_kaldi(peers: Path) -> None:
    folder = peers / "lattices"
    risks = dict(line.split() for line in (folder / "mbr.bayes_risk").read_text().splitlines())
    words = {
        line.split()[0]: [int(w) for w in line.split()[1:]] for line in (folder / "mbr.int").read_text().splitlines()
    }
    bins = {}
    for line in gzip.decompress((folder / "mbr.sausage.gz").read_bytes()).decode().splitlines():
        name, rest = line.split(None, 1)
        fields = [part.replace("]", "").split() for part in rest.split("[")[1:]]
        bins[name] = [dict(zip(map(int, f[::2]), map(float, f[1::2]))) for f in fields]
    same = total = 0
    for name, lattice in read_lattices(folder / "clat.ark.gz"):
        found = mbr_decode(factor(lattice), 0.0714286)
        assert found.risk == pytest.approx(float(risks[name]), rel=1e-3)
        assert found.word_ids.tolist() == words[name]
        assert len(found.network) == len(bins[name])
        for number, (word, confidence) in enumerate(zip(found.word_ids.tolist(), found.confidences)):
            assert confidence == pytest.approx(bins[name][2 * number + 1][word], abs=0.01)
        for number, wanted in enumerate(bins[name]):
            got = dict(found.network.bin(number))
            largest = max(abs(got.get(w, 0) - wanted.get(w, 0)) for w in got.keys() | wanted.keys())
            # where two alignments cost the same, rounding decides which place an unlikely word stands at
            assert largest < 0.04
            same, total = same + (largest < 1e-3), total + 1
    assert total == 370 and same >= 0.93 * total
