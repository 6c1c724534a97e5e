"""Second passes by an acoustic model: the same model gives its own scores back; phones by enumeration; errors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hybrid.base.errors import InputError
from hybrid.hmm import HmmTopology, TransitionModel
from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.trim import from_rows, no_paths
from hybrid.rescore.acoustic_arcs import phone_frame_scores, rescore_by_phones, rescore_same_tree
from hybrid.tree import ContextTree


def model_of(topology: HmmTopology) -> TransitionModel:
    """A monophone model of two phones."""
    return TransitionModel(topology, ContextTree.monophone([[1], [2]], topology.pdf_class_counts()))


def alignment(model: TransitionModel, phone: int, frames: list[int]) -> list[int]:
    """Transition-ids of a phone, so many frames in each state, self-loops after the arc that enters the next one."""
    out: list[int] = []
    for state, count in enumerate(frames):
        of_state = [i for i in range(1, model.num_transition_ids + 1)
                    if model.phones[i] == phone and model.hmm_states[i] == state]  # fmt: skip
        loop = next(i for i in of_state if model.is_self_loop[i])
        leave = next(i for i in of_state if not model.is_self_loop[i])
        out += [leave, *[loop] * (count - 1)]
    return out


@pytest.fixture
def model() -> TransitionModel:
    return model_of(HmmTopology.kaldi_default([1, 2], []))


def two_words(model: TransitionModel) -> CompactLattice:
    """Two ways over eight frames; the first word's last frames lie on the second arc."""
    one, two = alignment(model, 1, [1, 2, 1]), alignment(model, 2, [1, 1, 2])
    other = alignment(model, 1, [2, 1, 1])
    rows = [(0, 1, 1, -1.0, 0.0, one[:3]), (1, 2, 2, -1.0, 0.0, one[3:] + two), (0, 2, 3, -4.0, 0.0, other + two)]
    return from_rows(rows, {2: (0.0, 0.0, ())}, 3)


def test_same_tree(model: TransitionModel) -> None:
    compact, scores = two_words(model), np.random.default_rng(1).normal(size=(8, model.num_pdfs)).astype(np.float32)
    found = rescore_same_tree(compact, model, scores)
    for arc in range(compact.num_arcs):
        begin = 0 if compact.sources[arc] == 0 else 3
        wanted = sum(scores[begin + i, model.pdf_ids[t]] for i, t in enumerate(compact.string(arc).tolist()))
        assert found.acoustic_scores[arc] == pytest.approx(wanted, abs=1e-5)
    assert np.array_equal(found.graph_scores, compact.graph_scores)
    assert rescore_same_tree(found, model, scores) == found
    assert rescore_same_tree(no_paths(), model, scores).num_states == 0
    with pytest.raises(InputError, match="scores: 7 frames of 6 pdfs, the lattice has 8 of 6. Give the scores"):
        rescore_same_tree(compact, model, scores[:7])


@pytest.mark.parametrize("frames", [3, 4, 6])
def test_a_phone_by_enumeration(model: TransitionModel, frames: int) -> None:
    scores = np.random.default_rng(frames).normal(size=(frames, model.num_pdfs)).astype(np.float32)
    for phone in (1, 2):
        pdfs = [model.tree.pdf_id((phone,), c) for c in range(3)]
        ways = [w for w in itertools.product(range(3), repeat=frames)
                if w[0] == 0 and w[-1] == 2 and all(b - a in (0, 1) for a, b in zip(w, w[1:]))]  # fmt: skip
        best = max(sum(float(scores[t, pdfs[s]]) for t, s in enumerate(way)) for way in ways)
        assert phone_frame_scores(model, (phone,), scores).sum() == pytest.approx(best, abs=1e-5)
    short = phone_frame_scores(model, (1,), scores[:2])
    np.testing.assert_allclose(short, scores[:2, [model.tree.pdf_id((1,), c) for c in range(3)]].max(axis=1), atol=1e-6)
    chain = model_of(HmmTopology.chain([1, 2]))
    first, loop = chain.tree.pdf_id((1,), 0), chain.tree.pdf_id((1,), 1)
    assert phone_frame_scores(chain, (1,), scores).tolist() == pytest.approx([scores[0, first], *scores[1:, loop]])
    with pytest.raises(InputError, match="model: has no phone 9, which the lattice has"):
        phone_frame_scores(model, (9,), scores)


def test_by_phones(model: TransitionModel) -> None:
    """Another tree and three times the frame rate: each phone of the alignment keeps its stretch of time."""
    chain, compact = model_of(HmmTopology.chain([1, 2])), two_words(model)
    scores = np.random.default_rng(2).normal(size=(24, chain.num_pdfs)).astype(np.float32)
    found = rescore_by_phones(compact, model, chain, scores, 1.0)
    frame = np.concatenate([phone_frame_scores(chain, (p,), scores[b:e]) for p, b, e in ((1, 0, 12), (2, 12, 24))])
    assert found.acoustic_scores.tolist() == pytest.approx([frame[:9].sum(), frame.sum(), frame[9:].sum()], abs=1e-4)
    assert found.final_acoustic_scores[-1] == 0
    # where states' boundaries are the best ones, the model's own scores come back
    own = np.full((8, model.num_pdfs), -9.0, np.float32)
    path = [*alignment(model, 1, [1, 2, 1]), *alignment(model, 2, [1, 1, 2])]
    own[np.arange(8), model.pdf_ids[path]] = -1.0
    again, same = rescore_by_phones(compact, model, model, own, 1.0), rescore_same_tree(compact, model, own)
    rows = np.flatnonzero(compact.word_ids != 3)
    np.testing.assert_allclose(again.acoustic_scores[rows], same.acoustic_scores[rows], atol=1e-5)
    with pytest.raises(InputError, match=r"scores: have shape \(8, 5\), wanted frames of 4 pdfs"):
        rescore_by_phones(compact, model, chain, own[:, :5], 1.0)
