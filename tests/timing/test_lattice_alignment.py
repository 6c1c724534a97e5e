"""Words and phones of lattices on their frames: laws, a hand-worked one, and Kaldi's times."""

from __future__ import annotations

import gzip
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hybrid.lattice.archive import read_compact_folder, write_lattices
from hybrid.lattice.compact import CompactLattice, expand, no_paths
from hybrid.lattice.mbr import mbr_decode
from hybrid.lattice.paths import best_path
from hybrid.lattice.posteriors import total_log_weight
from hybrid.lattice.trim import from_rows, state_times, trimmed
from hybrid.timing.lattice_alignment import align_lattice

SCALE = 0.0714286
# phone p has the ids 3p + 1 (enters, and leaves), 3p + 2 (its self-loop): 0 pause, 1 begin, 2 end, 3 singleton
IDS = np.arange(13)
MODEL = SimpleNamespace(phones=(IDS - 1) // 3, is_self_loop=IDS % 3 == 2, is_final=IDS % 3 == 1)
BOUNDARY = {0: "nonword", 1: "begin", 2: "end", 3: "singleton"}


def units(compact: CompactLattice) -> list[tuple[int, list[int]]]:
    return [(int(compact.word_ids[arc]), compact.string(arc).tolist()) for arc in range(compact.num_arcs)]


def test_by_hand() -> None:
    # word 5 = begin end, word 6 = a singleton; the lattice puts words out early and frames late
    rows = [(0, 1, 5, -1.0, -2.0, (1, 2, 4)), (1, 2, 6, -3.0, -4.0, (5, 7, 8, 1, 2, 10))]
    compact = from_rows(rows, {2: (-0.5, -0.25, (11,))}, 3)
    words = align_lattice(compact, MODEL, BOUNDARY)
    assert units(words) == [(0, [1, 2]), (5, [4, 5, 7, 8]), (0, [1, 2]), (6, [10, 11])]
    assert float(words.graph_scores.sum() + words.final_graph_scores.max()) == -4.5
    assert float(words.acoustic_scores.sum() + words.final_acoustic_scores.max()) == -6.25
    phones = align_lattice(compact, MODEL, BOUNDARY, phones=True)
    assert units(phones) == [(0, [1, 2]), (5, [4, 5]), (0, [7, 8]), (0, [1, 2]), (6, [10, 11])]


def test_what_the_end_cuts_off() -> None:
    cut = align_lattice(from_rows([(0, 1, 5, 0.0, 0.0, (1, 4, 5))], {1: (0.0, 0.0, ())}, 2), MODEL, BOUNDARY)
    assert units(cut) == [(0, [1]), (5, [4, 5])]
    silent = align_lattice(from_rows([(0, 1, 5, 0.0, 0.0, (1, 2))], {1: (0.0, 0.0, ())}, 2), MODEL, BOUNDARY)
    assert units(silent) == [(0, [1, 2]), (5, [])]
    assert align_lattice(no_paths(), MODEL, BOUNDARY).start == -1


def random_words(seed: int) -> CompactLattice:
    """A lattice of proper words and pauses, with labels and frames of one path on different arcs."""
    rng = np.random.default_rng(seed)
    units = {0: (1, 2), 5: (4, 7), 6: (10, 10 + 1), 7: (4, 7, 8)}
    rows, count = [], 1
    for _ in range(int(rng.integers(2, 5))):
        word = int(rng.choice([0, 5, 6, 7]))
        length = int(rng.integers(3, 6))
        for other in {word, int(rng.choice([5, 6]))}:
            ids = units[other]
            ids = ids + (ids[-1] // 3 * 3 + 2,) * (length - len(ids))
            cut = int(rng.integers(1, length))
            middle = 100 + len(rows)
            first, second = (other, 0) if rng.random() < 0.5 else (0, other)
            scores = [-float(x) / 8 for x in rng.integers(0, 30, 4)]
            rows.append((count - 1, middle, first, *scores[:2], ids[:cut]))
            rows.append((middle, count, second, *scores[2:], ids[cut:]))
        count += 1
    number = {s: i for i, s in enumerate(sorted({r[0] for r in rows} | {r[1] for r in rows}))}
    renamed = [(number[a], number[b], *rest) for a, b, *rest in rows]
    return from_rows(renamed, {number[count - 1]: (0.0, 0.0, ())}, len(number))


def test_paths_stay() -> None:
    for seed in range(300):
        compact = random_words(seed)
        for phones in (False, True):
            aligned = align_lattice(compact, MODEL, BOUNDARY, phones)
            assert total_log_weight(expand(aligned), 0.5) == pytest.approx(total_log_weight(expand(compact), 0.5))
            ours, theirs = best_path(expand(aligned), 0.5), best_path(expand(compact), 0.5)
            assert ours is not None and theirs is not None
            assert ours.score(0.5) == pytest.approx(theirs.score(0.5))
            for word, ids in units(aligned):
                kinds = [BOUNDARY[int(MODEL.phones[i])] for i in ids if not MODEL.is_self_loop[i]]
                if phones:
                    assert len(kinds) == 1
                else:
                    assert kinds in ([["nonword"]] if word == 0 else [["begin", "end"], ["singleton"]])


@pytest.fixture(scope="module")
def kaldi(peers: Path) -> tuple[Path, SimpleNamespace, dict[int, str]]:
    folder = peers / "lattices"
    lines = gzip.decompress((folder / "transitions.txt.gz").read_bytes()).decode().splitlines()
    rows = [line.split() for line in lines]
    phones = {name: int(number) for name, number in map(str.split, (folder / "phones.txt").open())}
    last = {row[1]: max(int(r[2]) for r in rows if r[1] == row[1]) for row in {r[1]: r for r in rows}.values()}
    none = [("", "", "", "", "0")]
    model = SimpleNamespace(
        phones=np.array([0] + [phones[r[1]] for r in rows]), is_self_loop=np.array([r[4] == "1" for r in none + rows]),
        is_final=np.array([False] + [r[4] == "0" and int(r[2]) == last[r[1]] for r in rows]),
    )  # fmt: skip
    kinds = dict(map(str.split, (folder / "word_boundary.txt").open()))
    return folder, model, {phones[name]: kind for name, kind in kinds.items()}


def ctm(path: Path) -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = {}
    for line in path.read_text().splitlines():
        found.setdefault(line.split()[0], []).append(line.split()[2:])
    return found


@pytest.mark.peer
def test_equals_kaldi(kaldi, tmp_path: Path) -> None:
    folder, model, boundary = kaldi
    best, mbr = ctm(folder / "best.ctm.int"), ctm(folder / "mbr.ctm.int")
    aligned = [(u, align_lattice(c, model, boundary)) for u, c in read_compact_folder(folder / "clat.ark.gz")]
    write_lattices(tmp_path / "a.gz", aligned, compact=True)
    for utterance, compact in read_compact_folder(tmp_path / "a.gz"):
        times = state_times(compact)
        path = mbr_decode(compact, SCALE)
        ours = [
            f"{b * 0.01:.2f} {(e - b) * 0.01:.2f} {w}"
            for b, e, w in zip(path.begin_frames, path.end_frames, path.word_ids)
        ]
        assert ours == [" ".join(row[:3]) for row in mbr[utterance]]
        assert path.confidences == pytest.approx([float(row[3]) for row in mbr[utterance]], abs=0.01)
        assert times.max() <= 10_000
        first = best_path(expand(compact), SCALE)
        assert first is not None
        wanted = [(round(float(row[0]) * 100), int(row[2])) for row in best[utterance]]
        assert list(zip(first.word_frames.tolist(), first.word_ids.tolist())) == wanted
        assert trimmed(compact) == compact
