"""Lattices from lattices, and paths drawn from them: each equals enumeration of all paths."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from hybrid.lattice.algebra.product import intersect
from hybrid.lattice.combine import combine, log_weight, scaled, union
from hybrid.lattice.compact import CompactLattice, expand, no_paths
from hybrid.lattice.epsilons import remove_epsilons
from hybrid.lattice.lattice import LatticeError
from hybrid.lattice.paths import sample_paths
from hybrid.lattice.posteriors import total_log_weight
from hybrid.lattice.trim import from_rows

from .conftest import make_lattice
from .twins import enumerated, same, some


@pytest.mark.parametrize("part", range(4))
def test_by_enumeration(part: int) -> None:
    for seed in range(250 * part, 250 * part + 250):
        first, second = some(seed), some(seed + 5000)
        ours, theirs = enumerated(first), enumerated(second)
        halves = [(w, i, 2 * (g - 0.5 * len(w)), 0.25 * a) for w, i, g, a in ours]
        assert same(enumerated(scaled(first, 0.25, 2.0, 0.5)), sorted(halves))
        raised = [(w, i, g - 0.25, a) for w, i, g, a in theirs]
        united = enumerated(union([first, second], [0.0, -0.25]))
        best = {}
        for path in ours + raised:  # of two paths alike the better stays where they share their states
            best[path[:2]] = max(best.get(path[:2], path), path, key=lambda p: p[2] + p[3])
        assert {p[:2] for p in united} == set(best)
        total = [sum(np.exp(g + 0.5 * a) for _, _, g, a in paths) for paths in (ours, theirs)]
        assert log_weight(first, 0.5) == pytest.approx(np.log(total[0]), abs=1e-4)
        mixed = combine([first, second], [3.0, 1.0], 0.5)
        shares = Counter()
        for weight, paths, whole in ((3.0, ours, total[0]), (1.0, theirs, total[1])):
            for words, _, graph, acoustic in paths:
                shares[words] += weight * np.exp(graph + 0.5 * acoustic) / whole
        found = Counter()
        for words, _, graph, acoustic in enumerated(mixed):
            found[words] += np.exp(graph + 0.5 * acoustic)
        assert found.keys() == shares.keys()
        acceptor = remove_epsilons(from_rows([(s, s + 1, w, -0.5 * w, 0.0, ()) for s in range(2) for w in (1, 2)],
                                             {1: (-1.0, 0.0, ()), 2: (-2.0, 0.0, ())}, 3))  # fmt: skip
        kept = [(w, i, g - 0.5 * sum(w) - len(w), a) for w, i, g, a in ours if len(w) in (1, 2) and set(w) <= {1, 2}]
        assert same(enumerated(intersect(first, acceptor)), sorted(kept))


def with_epsilons(seed: int) -> CompactLattice:
    rng = np.random.default_rng(seed)
    rows = []
    for state in range(4):
        for _ in range(int(rng.integers(1, 4))):
            to, word = int(rng.integers(state + 1, 6)), int(rng.integers(0, 3))
            scores = [-float(x) / 8 for x in rng.integers(0, 40, 2)]
            rows.append((state, to, word, *scores, ()))
    finals = {s: (-float(rng.integers(0, 9)) / 8, 0.0, ()) for s in (3, 5)}
    return from_rows(rows, finals, 6)


def test_epsilons_by_enumeration() -> None:
    removed = 0
    for seed in range(1000):
        compact = with_epsilons(seed)
        ours = remove_epsilons(compact)
        assert not np.any((ours.word_ids == 0) & (np.diff(ours.string_splits) == 0))
        removed += compact.num_arcs > 0 and 0 in compact.word_ids
        best, found = {}, {}
        for paths, table in ((enumerated(compact), best), (enumerated(ours), found)):
            for words, _, graph, acoustic in paths:
                table[words] = max(table.get(words, -np.inf), graph + acoustic)
        assert found == {words: pytest.approx(score, abs=1e-4) for words, score in best.items()}
    assert removed > 500


def test_drawn_paths() -> None:
    lattice = make_lattice(3, frames=3, width=2)
    random = np.random.default_rng(1)
    drawn = Counter(tuple(path.arcs.tolist()) for path in sample_paths(lattice, 4000, 0.1, random))
    total = total_log_weight(lattice, 0.1)
    for arcs, times in drawn.items():
        path = next(p for p in sample_paths(lattice, 4000, 0.1, random) if tuple(p.arcs.tolist()) == arcs)
        assert times / 4000 == pytest.approx(np.exp(path.score(0.1) - total), abs=0.04)
    assert len(drawn) > 1


def test_empty_and_wrong() -> None:
    one = some(1)
    assert union([]).start == -1 and union([no_paths()]).start == -1
    assert enumerated(union([no_paths(), one])) == enumerated(one)
    assert intersect(one, no_paths()).start == -1 and intersect(no_paths(), one).start == -1
    assert sample_paths(expand(no_paths()), 3, 1.0, np.random.default_rng(0)) == []
    with pytest.raises(ValueError, match=r"weights \[1.0\] for 2 lattices: wanted one above 0 for each"):
        combine([one, one], [1.0], 1.0)
    with pytest.raises(LatticeError, match="paths of different lengths meet"):
        union([one, some(2, frames=4)])
