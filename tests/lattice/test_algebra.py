"""Products, differences, keywords, pushing, minimisation: each equals enumeration of all paths, and Kaldi's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from hybrid.formats.fst_arrays import FstArrays
from hybrid.formats.openfst import write_fst
from hybrid.lattice.algebra.difference import difference
from hybrid.lattice.algebra.keywords import KeywordHit, boosted, find_keyword, merged_hits
from hybrid.lattice.algebra.minimal import minimize
from hybrid.lattice.algebra.product import compose, intersect
from hybrid.lattice.algebra.pushing import push, push_scores, push_strings
from hybrid.lattice.archive import read_compact_folder, write_lattices
from hybrid.lattice.combine import combine, log_weight, union
from hybrid.lattice.compact import CompactLattice, expand, factor, no_paths
from hybrid.lattice.lattice import LatticeError
from hybrid.lattice.mbr import mbr_decode
from hybrid.lattice.paths import nbest
from hybrid.lattice.trim import from_rows, trimmed

from .conftest import make_lattice
from .twins import enumerated, same, some

PARTS = pytest.mark.parametrize("part", range(4))


def seeds(part: int) -> range:
    return range(250 * part, 250 * part + 250)


def raw(seed: int) -> CompactLattice:
    """Not determinised, with arcs that say nothing; two states may be joined by several arcs."""
    return trimmed(factor(make_lattice(seed, frames=3, width=2)))


# --- products ------------------------------------------------------------------------------------------------------


def random_fst(seed: int) -> FstArrays:
    """Reads and writes words 0 … 3; arcs that read nothing lead to later states."""
    rng = np.random.default_rng(seed)
    arcs = []
    for state in range(3):
        for _ in range(int(rng.integers(1, 6))):
            read = int(rng.integers(0, 4))
            to = int(rng.integers(state + 1, 4)) if read == 0 else int(rng.integers(0, 4))
            arcs.append((state, read, int(rng.integers(0, 4)), to, float(rng.integers(0, 30)) / 8))
    finals = np.where(rng.random(4) < 0.6, rng.integers(0, 9, 4) / 8, np.inf)
    return FstArrays.from_arcs(0, *map(np.array, zip(*arcs)), finals)


def readings(fst: FstArrays, words: tuple[int, ...]) -> list[tuple[tuple[int, ...], float]]:
    """(words put out, score) of every path of a transducer that reads `words`."""
    found, stack = [], [(fst.start, 0, (), 0.0)]
    while stack:
        state, position, out, score = stack.pop()
        if position == len(words) and np.isfinite(fst.final_costs[state]):
            found.append((out, score - float(fst.final_costs[state])))
        for arc in range(fst.row_splits[state], fst.row_splits[state + 1]):
            read, put = int(fst.ilabels[arc]), int(fst.olabels[arc])
            if read == 0 or words[position : position + 1] == (read,):
                to = int(fst.next_states[arc])
                more = out + (put,) * (put > 0)
                stack.append((to, position + (read > 0), more, score - float(fst.costs[arc])))
    return found


@PARTS
def test_composition(part: int) -> None:
    some_left = 0
    for seed in seeds(part):
        lattice, fst = raw(seed), random_fst(seed)
        wanted = [
            (out, ids, graph + score, acoustic)
            for words, ids, graph, acoustic in enumerated(lattice)
            for out, score in readings(fst, words)
        ]
        ours = enumerated(compose(lattice, fst))
        assert same(ours, sorted(wanted)), seed
        some_left += bool(ours)
    assert some_left > 30


@PARTS
def test_intersection(part: int) -> None:
    for seed in seeds(part):
        lattice, acceptor = raw(seed), some(seed + 700)
        wanted = [
            (words, ids, graph + score, acoustic)
            for words, ids, graph, acoustic in enumerated(lattice)
            for theirs, _, score, _ in enumerated(acceptor)
            if words == theirs
        ]
        assert same(enumerated(intersect(lattice, acceptor)), sorted(wanted)), seed


@PARTS
def test_difference(part: int) -> None:
    left = 0
    for seed in seeds(part):
        lattice, other = raw(seed), raw(seed + 700)
        theirs = {words for words, *_ in enumerated(other)}
        wanted = [path for path in enumerated(lattice) if path[0] not in theirs]
        ours = enumerated(difference(lattice, other))
        assert same(ours, wanted), seed
        left += 0 < len(ours) < len(enumerated(lattice))
        assert difference(lattice, lattice).start == -1
    assert left > 30


def test_by_hand() -> None:
    lattice = from_rows([(0, 1, 1, -1.0, -2.0, (7,)), (0, 1, 2, -1.5, -2.0, (8,))], {1: (-0.5, 0.0, (9,))}, 2)
    spelt = FstArrays.from_arcs(0, *map(np.array, ([0, 1], [1, 0], [5, 6], [1, 2], [0.25, 0.5])), [np.inf, np.inf, 1.0])
    assert enumerated(compose(lattice, spelt)) == [((5, 6), (7, 9), -3.25, -2.0)]
    assert enumerated(difference(lattice, compose(lattice, spelt))) == enumerated(lattice)
    circle = FstArrays.from_arcs(0, *map(np.array, ([0, 0], [1, 0], [1, 5], [0, 0], [0.0, 0.0])), [0.0])
    with pytest.raises(LatticeError, match="the lattice has a cycle"):
        compose(lattice, circle)
    for nothing in (compose(lattice, FstArrays.empty()), compose(no_paths(), spelt), intersect(no_paths(), lattice)):
        assert nothing.start == -1
    assert difference(no_paths(), lattice).start == -1 and difference(lattice, no_paths()) == lattice


# --- keywords ------------------------------------------------------------------------------------------------------


@PARTS
def test_boosting(part: int) -> None:
    bonuses = {(1,): 0.5, (1, 2): 1.25, (2, 1, 2): -0.75, (3, 3): 2.0}

    def gain(words: tuple[int, ...]) -> float:
        return sum(
            bonus
            for phrase, bonus in bonuses.items()
            for at in range(len(words))
            if words[at : at + len(phrase)] == phrase
        )

    for seed in seeds(part):
        lattice = raw(seed)
        wanted = [(words, ids, graph + gain(words), acoustic) for words, ids, graph, acoustic in enumerated(lattice)]
        assert same(enumerated(boosted(lattice, bonuses)), sorted(wanted)), seed


def places(compact: CompactLattice, phrase: tuple[int, ...], scale: float) -> dict[tuple[int, int], float]:
    """Of each place of a phrase its share of the weight of all paths, path by path."""
    found: dict[tuple[int, int], float] = {}
    total = 0.0
    stack: list[tuple[int, list[tuple[int, int, int]], int, float]] = [(0, [], 0, 0.0)]
    scores, finals = compact.arc_scores(scale), compact.final_scores(scale)
    while stack:
        state, said, time, score = stack.pop()
        if np.isfinite(finals[state]):
            weight = float(np.exp(score + finals[state]))
            total += weight
            for at in range(len(said) - len(phrase) + 1):
                if tuple(word for word, _, _ in said[at : at + len(phrase)]) == phrase:
                    key = said[at][1], said[at + len(phrase) - 1][2]
                    found[key] = found.get(key, 0.0) + weight
        for arc in np.flatnonzero(compact.sources == state).tolist():
            end = time + len(compact.string(arc))
            word = int(compact.word_ids[arc])
            more = [*said, (word, time, end)] if word else said
            stack.append((int(compact.next_states[arc]), more, end, score + scores[arc]))
    return {key: weight / total for key, weight in found.items()}


@PARTS
def test_keywords(part: int) -> None:
    found = 0
    for seed in seeds(part):
        lattice = raw(seed)
        for phrase in ((1,), (2, 1), (1, 2, 3)):
            wanted = places(lattice, phrase, 0.1)
            ours = find_keyword(lattice, phrase, 0.1)
            assert [hit[:2] for hit in ours] == sorted(wanted)
            assert [hit.posterior for hit in ours] == pytest.approx([wanted[hit[:2]] for hit in ours])
            found += len(ours)
            merged = merged_hits(ours)
            assert sum(h.posterior for h in merged) == pytest.approx(sum(wanted.values())) or len(phrase) == 1
    assert found > 100


def test_places_that_overlap() -> None:
    hits = [KeywordHit(0, 10, 0.2), KeywordHit(2, 11, 0.5), KeywordHit(11, 20, 0.3), KeywordHit(40, 50, 0.9)]
    assert merged_hits(hits) == [KeywordHit(40, 50, 0.9), KeywordHit(2, 11, 0.7), KeywordHit(11, 20, 0.3)]
    with pytest.raises(ValueError, match=r"phrase \[\]: wanted word ids above 0"):
        find_keyword(some(1), (), 0.1)
    with pytest.raises(ValueError, match=r"phrase \[1\] with boost nan: wanted a finite number"):
        boosted(some(1), {(1,): float("nan")})
    assert find_keyword(no_paths(), (1,), 0.1) == [] == merged_hits([])


# --- pushing and minimisation --------------------------------------------------------------------------------------


@PARTS
def test_pushing(part: int) -> None:
    for seed in seeds(part):
        for lattice in (raw(seed), some(seed)):
            scores, strings, both = push_scores(lattice), push_strings(lattice), push(lattice)
            for pushed in (scores, strings, both):
                assert same(enumerated(pushed), enumerated(lattice)), seed
            for state in range(1, both.num_states) if seed % 5 == 0 else ():
                ways = enumerated(both, state)
                assert max(graph + acoustic for *_, graph, acoustic in ways) == pytest.approx(0, abs=1e-4)
                begin = {ids[:1] for _, ids, _, _ in ways}
                assert len(begin) > 1 or begin == {()}


def fewest_states(compact: CompactLattice) -> int:
    """Classes of states by what can be said from them, with scores and alignments relative to the best way."""
    pushed = push(compact)
    classes = set()
    for state in range(pushed.num_states):
        ways = enumerated(pushed, state)
        classes.add(tuple(sorted((words, ids, round(g, 2), round(a, 2)) for words, ids, g, a in ways)))
    return len(classes)


@PARTS
def test_minimisation(part: int) -> None:
    smaller = 0
    for seed in seeds(part):
        lattice = some(seed, frames=4)
        ours = minimize(lattice)
        assert same(enumerated(ours), enumerated(lattice)), seed
        assert ours.num_states == fewest_states(lattice)
        smaller += ours.num_states < lattice.num_states
    assert smaller > 5


def test_pushing_and_minimising_by_hand() -> None:
    rows = [
        (0, 1, 1, -1.0, 0.0, ()),
        (0, 2, 2, -4.0, 0.0, (3,)),
        (1, 3, 5, -2.0, 0.0, (3, 7)),
        (1, 3, 6, -3.0, 0.0, (3, 8)),
    ]
    rows += [(2, 3, 5, -1.0, 0.0, (7,)), (2, 3, 6, -2.0, 0.0, (8,))]
    lattice = from_rows(rows, {3: (0.0, 0.0, ())}, 4)
    pushed = push(lattice)
    assert pushed.string(0).tolist() == [3] and pushed.graph_scores.tolist() == [-3.0, -5.0, 0.0, -1.0, 0.0, -1.0]
    assert minimize(lattice).num_states == 3 and same(enumerated(minimize(lattice)), enumerated(lattice))
    for operation in (push, push_scores, push_strings, minimize):
        assert operation(no_paths()).start == -1


@pytest.fixture(scope="module")
def determinised(peers: Path) -> dict[str, CompactLattice]:
    return dict(read_compact_folder(peers / "lattices" / "clat.ark.gz"))


def kaldi(program: Path, tmp_path: Path, *lattices: Path) -> dict[str, CompactLattice]:
    command = [str(program), *(f"ark:{path}" for path in lattices), f"ark:{tmp_path / 'out'}"]
    subprocess.run(command, check=True, capture_output=True)
    return dict(read_compact_folder(tmp_path / "out"))


def best_sentences(lattice: CompactLattice) -> dict[tuple[int, ...], float]:
    """Words and scores of the 40 best paths."""
    return {tuple(path.word_ids.tolist()): path.score(0.0714286) for path in nbest(expand(lattice), 40, 0.0714286)}


@pytest.mark.peer
def test_equals_kaldis_push_and_minimise(determinised, kaldi_bin: Path, tmp_path: Path) -> None:
    write_lattices(tmp_path / "in", determinised.items(), compact=True)
    pushed = kaldi(kaldi_bin / "lattice-push", tmp_path, tmp_path / "in")
    minimised = kaldi(kaldi_bin / "lattice-minimize", tmp_path, tmp_path / "in")
    for utterance, lattice in determinised.items():
        ours, theirs = push(lattice), pushed[utterance]
        assert np.array_equal(ours.word_ids, theirs.word_ids) and np.array_equal(ours.next_states, theirs.next_states)
        assert np.array_equal(ours.string_splits, theirs.string_splits) and np.array_equal(ours.strings, theirs.strings)
        for name in ("graph_scores", "acoustic_scores", "final_graph_scores", "final_acoustic_scores"):
            assert np.allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-5, atol=5e-3), name
        small, peer = minimize(lattice), minimised[utterance]
        again = minimize(peer)  # Kaldi leaves states that could be one, in six of these ten
        assert small.num_states == again.num_states <= peer.num_states
        assert small.num_arcs == again.num_arcs <= peer.num_arcs
        for one in (lattice, peer):
            assert best_sentences(small) == pytest.approx(best_sentences(one), rel=1e-5)


@pytest.mark.peer
def test_equals_kaldis_difference(determinised, kaldi_bin: Path, tmp_path: Path) -> None:
    from hybrid.lattice.prune import prune

    write_lattices(tmp_path / "in", determinised.items(), compact=True)
    best = {utterance: prune(lattice, 2.0, 0.0714286) for utterance, lattice in determinised.items()}
    write_lattices(tmp_path / "best", best.items(), compact=True)
    theirs = kaldi(kaldi_bin / "lattice-difference", tmp_path, tmp_path / "in", tmp_path / "best")
    for utterance, lattice in determinised.items():
        found, wanted = best_sentences(difference(lattice, best[utterance])), best_sentences(theirs[utterance])
        assert found == pytest.approx(wanted, rel=1e-5)


@pytest.mark.peer
def test_equals_kaldis_composition(determinised, kaldi_bin: Path, tmp_path: Path) -> None:
    """A transducer of one state with costs: every fifth word becomes another, every seventh is not read."""
    words = np.unique(np.concatenate([lattice.word_ids for lattice in determinised.values()]))
    read = words[words % 7 != 0].astype(np.int32)
    told = np.where(read % 5 == 0, read + 1, read).astype(np.int32)
    costs = np.random.default_rng(3).uniform(0, 3, len(read)).round(3)
    fst = FstArrays(0, np.array([0, len(read)]), read, told, np.zeros(len(read)), costs, np.array([0.25]))
    write_fst(tmp_path / "fst", fst)
    write_lattices(tmp_path / "in", determinised.items(), compact=True)
    program = [str(kaldi_bin / "lattice-compose"), f"ark:{tmp_path}/in", f"{tmp_path}/fst", f"ark:{tmp_path}/out"]
    subprocess.run(program, check=False, capture_output=True)  # 1 where a composition is empty
    theirs = dict(read_compact_folder(tmp_path / "out"))
    told_some = 0
    for utterance, lattice in determinised.items():
        ours = compose(lattice, fst)
        assert (ours.start < 0) == (utterance not in theirs)
        if utterance in theirs:
            assert best_sentences(ours) == pytest.approx(best_sentences(theirs[utterance]), rel=1e-5)
            told_some += 1
    assert told_some >= 3


@pytest.mark.peer
def test_equals_kaldis_combination(determinised, peers: Path, kaldi_bin: Path, tmp_path: Path) -> None:
    """Lattices with trigram and 4-gram scores as systems, weighted 0.3 and 0.7 (lattice-union does not end here)."""
    scale = 0.0714286
    others = dict(read_compact_folder(peers / "lattices" / "clat_fg.txt.gz"))
    for name, lattices in (("one", determinised), ("two", others)):
        write_lattices(tmp_path / name, lattices.items(), compact=True)
    given = [f"--acoustic-scale={scale}", "--lat-weights=0.3:0.7"]
    line = [str(kaldi_bin / "lattice-combine"), *given, *(f"ark:{tmp_path}/{name}" for name in ("one", "two", "both"))]
    subprocess.run(line, check=True, capture_output=True)
    combined = dict(read_compact_folder(tmp_path / "both"))
    for utterance, lattice in determinised.items():
        pair = [lattice, others[utterance]]
        sums = [log_weight(one, scale) for one in pair]
        gains = [np.log(weight) - total for weight, total in zip([0.3, 0.7], sums)]
        united = {tuple(p.word_ids.tolist()): p.score(scale) for p in nbest(expand(union(pair, gains)), 20, scale)}
        paths = {tuple(p.word_ids.tolist()): p.score(1.0) for p in nbest(expand(combined[utterance]), 20, 1.0)}
        assert united == pytest.approx(paths, abs=1e-3)
        ours = mbr_decode(combine(pair, [0.3, 0.7], scale), scale)
        theirs = mbr_decode(combined[utterance], 1.0)
        assert ours.word_ids.tolist() == theirs.word_ids.tolist()
        assert ours.confidences == pytest.approx(theirs.confidences, abs=0.01)
        assert ours.risk == pytest.approx(theirs.risk, abs=1e-3)
