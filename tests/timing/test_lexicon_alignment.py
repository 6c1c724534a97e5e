"""Words of lattices on their frames by the lexicon: by hand, and the same as by the marks of phones."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hybrid.gmm import AmDiagGmm
from hybrid.gmm.kaldi_model import write_kaldi_model
from hybrid.hmm import HmmTopology, TransitionModel
from hybrid.lattice.archive import read_compact_folder, write_lattices
from hybrid.lattice.combine import log_weight
from hybrid.lattice.compact import CompactLattice, no_paths
from hybrid.lattice.lattice import LatticeError
from hybrid.lattice.trim import from_rows, state_times
from hybrid.timing.lattice_alignment import align_lattice
from hybrid.timing.lexicon_alignment import align_by_lexicon, pronunciations_of
from hybrid.tree import ContextTree
from tests.timing.test_lattice_alignment import BOUNDARY, MODEL, kaldi, random_words, units  # noqa: F401

from .test_lattice_alignment import IDS

# phone p has the ids 3p + 1 (enters, and leaves) and 3p + 2 (its self-loop)
SIL, A, B, C = 0, 1, 2, 3
LEXICON = pronunciations_of([(0, 0, SIL), (5, 5, A), (5, 5, A, B), (6, 6, B, C), (7, 7, C)])


def ids(*phones: int) -> tuple[int, ...]:
    return tuple(i for phone in phones for i in (3 * phone + 1, 3 * phone + 2))


def path(words: list[int], phones: list[int]) -> list[tuple[int, list[int]]]:
    """Aligns a single path whose labels all come first and whose frames come last."""
    rows = [(n, n + 1, word, -1.0, 0.0, ()) for n, word in enumerate(words)]
    last = len(words)
    aligned = align_by_lexicon(from_rows([*rows, (last, last + 1, 0, 0.0, -2.0, ids(*phones))],
                                         {last + 1: (0.0, 0.0, ())}, last + 2), MODEL, LEXICON)  # fmt: skip
    return units(aligned)


def test_by_hand() -> None:
    assert path([5, 7], [SIL, A, B, C, SIL]) == [
        (0, [1, 2]), (5, list(ids(A, B))), (7, list(ids(C))), (0, [1, 2])]  # fmt: skip
    # word 5 is A or A B: only with A alone is B C left for word 6
    assert path([5, 6], [A, B, C]) == [(5, list(ids(A))), (6, list(ids(B, C)))]
    assert path([5, 6], [A, B, B, C]) == [(5, list(ids(A, B))), (6, list(ids(B, C)))]
    assert path([5], [A, B]) == [(5, list(ids(A, B)))]
    assert path([], [SIL, SIL]) == [(0, [1, 2]), (0, [1, 2])]
    # what the end cuts off
    assert path([7, 6], [C, B]) == [(7, list(ids(C))), (6, list(ids(B)))]
    assert align_by_lexicon(no_paths(), MODEL, LEXICON).start == -1


def test_phones_of_words() -> None:
    lattice = from_rows([(0, 1, 6, -1.0, -2.0, ids(SIL, B, C))], {1: (-0.5, 0.0, ())}, 2)
    phones = align_by_lexicon(lattice, MODEL, LEXICON, phones=True)
    assert units(phones) == [(0, [1, 2]), (6, list(ids(B))), (0, list(ids(C)))]
    assert float(phones.graph_scores.sum() + phones.final_graph_scores.max()) == -1.5


def test_another_lexicon() -> None:
    lattice = from_rows([(0, 1, 7, 0.0, 0.0, ids(A, B, A, B))], {1: (0.0, 0.0, ())}, 2)
    with pytest.raises(
        LatticeError, match=r"phones \[1, 2, 1\] are no pronunciation of word 7; give the graph's lexicon"
    ):
        align_by_lexicon(lattice, MODEL, LEXICON)


def said(compact: CompactLattice) -> list[tuple]:
    """The units and the score of every path."""
    found, stack = [], [(0, (), 0.0)]
    while stack:
        state, before, score = stack.pop()
        if np.isfinite(compact.final_graph_scores[state]):
            last = float(compact.final_graph_scores[state]) + float(compact.final_acoustic_scores[state])
            found.append((before, round(score + last, 3)))
        for arc in np.flatnonzero(compact.sources == state).tolist():
            unit = int(compact.word_ids[arc]), tuple(compact.string(arc).tolist())
            more = score + float(compact.graph_scores[arc]) + float(compact.acoustic_scores[arc])
            stack.append((int(compact.next_states[arc]), (*before, unit), more))
    return sorted(found)


def test_same_as_by_marks() -> None:
    lexicon = pronunciations_of([(0, 0, 0), (5, 5, 1, 2), (6, 6, 3), (7, 7, 1, 2)])
    assert set(BOUNDARY) == {0, 1, 2, 3} and len(IDS) == 13
    for seed in range(300):
        compact = random_words(seed)
        for phones in (False, True):
            ours, theirs = (
                align_by_lexicon(compact, MODEL, lexicon, phones),
                align_lattice(compact, MODEL, BOUNDARY, phones),
            )
            assert said(ours) == said(theirs), seed


def begins(string: list[int], model: SimpleNamespace) -> list[int]:
    """The first transition-id of each phone."""
    entering = [i for i in string if not model.is_self_loop[i]]
    return [i for n, i in enumerate(entering) if n == 0 or model.is_final[entering[n - 1]]]


@pytest.mark.peer
def test_same_as_by_marks_on_real_lattices(kaldi, peers: Path) -> None:  # noqa: F811
    folder, model, boundary = kaldi
    rows = set()
    lattices = dict(read_compact_folder(folder / "clat.ark.gz"))
    for compact in lattices.values():
        for word, string in units(align_lattice(compact, model, boundary)):
            rows.add((word, word, *(int(p) for p in model.phones[begins(string, model)])))
    lexicon = pronunciations_of(rows)
    for compact in lattices.values():
        ours, theirs = align_by_lexicon(compact, model, lexicon), align_lattice(compact, model, boundary)
        assert {(w, tuple(i)) for w, i in units(ours)} == {(w, tuple(i)) for w, i in units(theirs)}
        assert log_weight(ours, 0.0714286) == pytest.approx(log_weight(theirs, 0.0714286))


SPOKEN = {0: [(1,)], 5: [(2,), (2, 3)], 6: [(3, 4)], 7: [(4,)]}  # word: pronunciations, word 0 a pause


def three_state_model() -> TransitionModel:
    topology = HmmTopology.kaldi_default([2, 3, 4], [1], num_silence_states=3)
    tree = ContextTree.monophone([[1], [2], [3], [4]], topology.pdf_class_counts())
    return TransitionModel(topology, tree)


def spoken(model: TransitionModel, phones: list[int], frames: int, random: np.random.Generator) -> list[int]:
    """Transition-ids of phones over so many frames: each state's way out, then its self-loops."""
    more = random.multinomial(frames - 3 * len(phones), np.full(3 * len(phones), 1 / (3 * len(phones))))
    found: list[int] = []
    for place, count in enumerate(more.tolist()):
        of_state = np.flatnonzero((model.phones == phones[place // 3]) & (model.hmm_states == place % 3))
        loops = model.is_self_loop[of_state]
        leave = next(i for i in of_state[~loops] if model.targets[i] == place % 3 + 1)
        found += [int(leave), *[int(of_state[loops][0])] * count]
    return found


def random_speech(model: TransitionModel, seed: int) -> CompactLattice:
    """Three sentences of as many frames, whose words and frames lie on any of their arcs, words before their frames."""
    random, rows, states = np.random.default_rng(seed), [], 2
    for _ in range(3):
        words = [int(w) for w in random.choice([5, 6, 7], int(random.integers(1, 5)))]
        units = [w for word in words for w in ([0] if random.random() < 0.5 else []) + [word]]
        phones = [p for w in units for p in SPOKEN[w][int(random.integers(len(SPOKEN[w])))]]
        ids, cuts = spoken(model, phones, 60, random), np.sort(random.integers(0, 60, len(words)))
        cuts[0] = 0
        parts = np.split(np.array(ids), cuts[1:])
        path = [0, *range(states, states + len(words) - 1), 1]
        early = [(w, part.tolist()) for w, part in zip(words, parts)]
        for (w, part), source, to in zip(early, path, path[1:]):
            rows.append((source, to, w, float(-random.integers(5)), float(-random.integers(50)), part))
        states += len(words) - 1
    return from_rows(rows, {1: (0.0, 0.0, ())}, states)


@pytest.mark.peer
def test_equals_kaldis_words_by_lexicon(kaldi_bin: Path, tmp_path: Path) -> None:
    """Where each word lies and what it costs, in all of the lattice; a pronunciation begins another (lexicon above).

    Of arcs that say the same word between the same two states, as sentences of one word do, Kaldi's keeps the best
    (OpenFst's RmEpsilon adds them up); ours keeps all. Determinised lattices have no such arcs.
    """
    model = three_state_model()
    count = model.num_pdfs
    gmm = AmDiagGmm.from_normal(np.arange(count + 1), np.ones(count), np.zeros((count, 2)), np.ones((count, 2)))
    write_kaldi_model(tmp_path / "final.mdl", model, gmm)
    rows = [[word, word, *phones] for word, many in SPOKEN.items() for phones in many]
    (tmp_path / "lexicon.int").write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
    given = {f"u{seed:02d}": random_speech(model, seed) for seed in range(40)}
    write_lattices(tmp_path / "in", given.items(), compact=True)
    command = ["lattice-align-words-lexicon", "lexicon.int", "final.mdl", "ark:in", "ark:out"]
    subprocess.run([str(kaldi_bin / command[0]), *command[1:]], check=True, capture_output=True, cwd=tmp_path)
    theirs = dict(read_compact_folder(tmp_path / "out"))
    for name, lattice in given.items():
        ours = words_in_time(align_by_lexicon(lattice, model, pronunciations_of(rows)))
        kept = words_in_time(theirs[name])
        assert kept.items() <= ours.items()
        for words, score in ours.items() - kept.items():
            said_better = [
                other for other in kept if [(w, len(i)) for w, i in other] == [(w, len(i)) for w, i in words]
            ]
            assert kept[said_better[0]] >= score and sum(word != 0 for word, _ in words) == 1


def words_in_time(compact: CompactLattice) -> dict[tuple, float]:
    """Words with their frames, and the score, of every path; of two that say the same at the same time the better."""
    assert state_times(compact).max() == 60
    found: dict[tuple, float] = {}
    for words, score in said(compact):
        found[words] = max(round(score), found.get(words, -np.inf))
    return found
