"""On 1000 random small lattices every operation on one lattice equals a few lines over the list of all its paths."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid.lattice.compact import CompactLattice, factor
from hybrid.lattice.density import depth_per_frame, word_density
from hybrid.lattice.determinize import determinize_compact
from hybrid.lattice.lattice import Lattice
from hybrid.lattice.mbr import mbr_decode
from hybrid.lattice.oracle import oracle
from hybrid.lattice.paths import best_path, nbest
from hybrid.lattice.posteriors import arc_posteriors, frame_posteriors, total_log_weight
from hybrid.lattice.prune import connect, prune, prune_posteriors
from hybrid.lattice.trim import trimmed

from .conftest import all_paths, make_lattice, path_score
from .test_lattice import distance
from .test_mbr import edit_distance
from .twins import enumerated

SCALE = 0.5
PARTS = pytest.mark.parametrize("part", range(4))


def lattices(part: int) -> list[tuple[int, Lattice]]:
    seeds = range(250 * part, 250 * part + 250)
    return [(seed, connect(make_lattice(seed, frames=2 + seed % 3, width=2))) for seed in seeds]


def words_of(lattice: Lattice, arcs: list[int]) -> tuple[int, ...]:
    return tuple(int(w) for w in lattice.word_ids[arcs] if w)


@PARTS
def test_best_nbest_and_oracle(part: int) -> None:
    for seed, lattice in lattices(part):
        paths = all_paths(lattice)
        best: dict[tuple[int, ...], float] = {}
        for arcs in paths:
            words = words_of(lattice, arcs)
            best[words] = max(best.get(words, -np.inf), path_score(lattice, arcs, SCALE, 1.5, 0.25))
        found = nbest(lattice, 4, SCALE, 1.5, 0.25)
        ranked = sorted(best.values(), reverse=True)
        scores = [path_score(lattice, path.arcs.tolist(), SCALE, 1.5, 0.25) for path in found]
        assert scores == pytest.approx(ranked[:4]) and len({tuple(p.word_ids) for p in found}) == len(found)
        first = best_path(lattice, SCALE, 1.5, 0.25)
        assert first is not None and path_score(lattice, first.arcs.tolist(), SCALE, 1.5, 0.25) == pytest.approx(
            ranked[0]
        )
        reference = [1 + seed % 3, 1 + seed % 2, 2][: seed % 4]
        assert oracle(lattice, reference).errors == min(distance(list(words), reference) for words in best)


@PARTS
def test_posteriors_depth_and_density(part: int) -> None:
    for _, lattice in lattices(part):
        paths = all_paths(lattice)
        weights = np.exp([path_score(lattice, arcs, SCALE) for arcs in paths])
        shares = np.zeros(lattice.num_arcs)
        by_frame: dict[tuple[int, int], float] = {}
        for arcs, weight in zip(paths, weights / weights.sum()):
            shares[arcs] += weight
            ids = [int(i) for i in lattice.transition_ids[arcs] if i]
            for key in enumerate(ids):
                by_frame[key] = by_frame.get(key, 0.0) + weight
        assert total_log_weight(lattice, SCALE) == pytest.approx(np.log(weights.sum()))
        assert arc_posteriors(lattice, SCALE) == pytest.approx(shares)
        found = {(int(f), int(i)): p for f, i, p in zip(*frame_posteriors(lattice, SCALE))}
        assert found == {key: pytest.approx(value) for key, value in by_frame.items()}
        crossing = [len({a for arcs in paths for a in [[b for b in arcs if lattice.transition_ids[b]][t]]})
                    for t in range(lattice.num_frames)]  # fmt: skip
        assert depth_per_frame(lattice).tolist() == crossing
        assert lattice.depth == pytest.approx(np.mean(crossing))
        said = len({a for arcs in paths for a in arcs if lattice.word_ids[a]})
        assert word_density(lattice, 4) == said / 4 == word_density(trimmed(factor(lattice)), 4)


def kept_paths(compact: CompactLattice, beam: float) -> list:
    paths = enumerated(compact)
    top = max(g + SCALE * a for _, _, g, a in paths)
    return [path for path in paths if path[2] + SCALE * path[3] >= top - beam - 1e-6]


@PARTS
def test_pruning_of_both_forms(part: int) -> None:
    smaller = 0
    for _, lattice in lattices(part):
        compact = trimmed(factor(lattice))
        for beam in (0.0, 2.0, 1e9):
            small = prune(compact, beam, SCALE)
            paths, good = enumerated(small), kept_paths(compact, beam)
            assert all(path in paths for path in good) and all(path in enumerated(compact) for path in paths)
            assert prune(lattice, beam, SCALE).num_frames == lattice.num_frames
            assert enumerated(trimmed(factor(prune(lattice, beam, SCALE)))) == paths
            smaller += small.num_arcs < compact.num_arcs
            assert trimmed(small) == small
    assert smaller > 100


@PARTS
def test_pruning_by_posteriors(part: int) -> None:
    for _, lattice in lattices(part):
        compact, paths = trimmed(factor(lattice)), all_paths(lattice)
        weights = np.exp([path_score(lattice, arcs, SCALE) for arcs in paths])
        weights /= weights.sum()
        shares = np.zeros(lattice.num_arcs)
        ends: dict[int, float] = {}
        for arcs, weight in zip(paths, weights):
            shares[arcs] += weight
            ends[int(lattice.next_states[arcs[-1]])] = ends.get(int(lattice.next_states[arcs[-1]]), 0.0) + weight
        first = best_path(lattice, SCALE)
        assert first is not None
        for least in (0.0, 0.2, 1.0):
            if np.any(np.abs(shares - least) < 1e-9) and least > 0 or abs(min(ends.values()) - least) < 1e-9:
                continue
            keep = [p for p in paths if all(shares[a] >= least or a in first.arcs for a in p)
                    and (ends[int(lattice.next_states[p[-1]])] >= least
                         or lattice.next_states[p[-1]] == lattice.next_states[first.arcs[-1]])]  # fmt: skip
            small = prune_posteriors(lattice, least, SCALE)
            assert len(all_paths(small)) == len(keep)
            scores = sorted(path_score(small, p, SCALE) for p in all_paths(small))
            assert scores == pytest.approx(sorted(path_score(lattice, p, SCALE) for p in keep))
            assert enumerated(prune_posteriors(compact, least, SCALE)) == enumerated(trimmed(factor(small)))


@PARTS
def test_determinisation_and_bayes_risk(part: int) -> None:
    exact = 0
    for _, lattice in lattices(part):
        compact = determinize_compact(trimmed(factor(lattice)), 1e9, SCALE).lattice
        best: dict[tuple[int, ...], float] = {}
        for words, _, graph, acoustic in enumerated(trimmed(factor(lattice))):
            best[words] = max(best.get(words, -np.inf), graph + SCALE * acoustic)
        ours = [(words, g + SCALE * a) for words, _, g, a in enumerated(compact)]
        assert len(ours) == len(best) and dict(ours) == {w: pytest.approx(s, abs=1e-4) for w, s in best.items()}
        found = mbr_decode(compact, SCALE)
        shares = {words: np.exp(score) for words, score in best.items()}
        total = sum(shares.values())
        said = tuple(found.word_ids.tolist())
        risk = sum(share * edit_distance(words, said) for words, share in shares.items()) / total
        assert found.risk >= risk - 1e-3  # the algorithm's distance bounds the expected one, and mostly is it
        exact += abs(found.risk - risk) < 1e-3
    assert exact > 200


def test_wrong_measures() -> None:
    with pytest.raises(ValueError, match="least posterior 1.5, wanted 0 to 1"):
        prune_posteriors(make_lattice(1), 1.5, SCALE)
    empty = Lattice.empty()
    assert depth_per_frame(empty).tolist() == [] and word_density(empty, 0) == 0.0
    assert prune_posteriors(empty, 0.5, SCALE).is_empty
