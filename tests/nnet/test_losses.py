"""Cross-entropy by hand; MMI, boosted MMI and sMBR against the enumeration of a lattice's paths."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from hybrid.base.errors import HybridError
from hybrid.nnet.losses import DiscriminativeConfig, discriminative_objective, frame_cross_entropy
from hybrid.nnet.sequence.arcs import ArcsError
from hybrid.nnet.sequence.lattices import LatticeArcs, pass_lattice

NEVER = -np.inf


def random_lattice(seed: int, frames: int = 5, pdfs: int = 4) -> LatticeArcs:
    """Arcs of 0 to 3 frames between states that stand at frames; some lead nowhere."""
    rng = np.random.default_rng(seed)
    times = np.sort(np.concatenate([[0, 0, frames, frames], rng.integers(1, frames, 6)]))
    found = [(s, e) for s in range(10) for e in range(s + 1, 10)
             if times[e] - times[s] <= 3 and (rng.random() < 0.6 or e == s + 1)]  # fmt: skip
    source, target = np.array(found).T
    lengths = times[target] - times[source]
    final = np.full(10, NEVER)
    final[8:] = rng.normal(size=2)
    return LatticeArcs(source, target, times[source], np.append(0, np.cumsum(lengths)),
                       rng.integers(0, pdfs, lengths.sum()), rng.normal(size=len(found)), final)  # fmt: skip


def complete_paths(lattice: LatticeArcs, state: int = 0) -> Iterator[tuple[float, list[int]]]:
    """Yields graph score and pdfs of every complete path from a state."""
    if np.isfinite(lattice.final_score[state]):
        yield float(lattice.final_score[state]), []
    for arc in np.flatnonzero(lattice.from_state == state):
        own = lattice.pdf[lattice.pdf_splits[arc] : lattice.pdf_splits[arc + 1]].tolist()
        for score, rest in complete_paths(lattice, int(lattice.to_state[arc])):
            yield float(lattice.graph_score[arc]) + score, own + rest


def case(seed: int) -> tuple[LatticeArcs, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return random_lattice(seed), rng.normal(size=(5, 4)) * 3, rng.integers(0, 4, 5)


@pytest.mark.parametrize("seed", range(8))
def test_passes_equal_the_enumeration_of_all_paths(seed):
    lattice, scores, reference = case(seed)
    right = np.arange(4) == reference[:, None]
    paths, frames = list(complete_paths(lattice)), np.arange(5)
    assert len(paths) > 3
    hits = np.array([right[frames, pdfs].sum() for _, pdfs in paths])
    weights = np.array([score + scores[frames, pdfs].sum() for score, pdfs in paths]) + 0.3 * (5 - hits)
    total = np.logaddexp.reduce(weights)
    shares = np.exp(weights - total)
    accuracy = shares @ hits
    occupancy, gradient = np.zeros((2, 5, 4))
    for share, hit, (_, pdfs) in zip(shares, hits, paths):
        occupancy[frames, pdfs] += share
        gradient[frames, pdfs] += share * (hit - accuracy)
    found = pass_lattice(lattice, scores, right, boost=0.3)
    assert found.total == pytest.approx(total, rel=1e-10)
    assert found.accuracy == pytest.approx(accuracy, rel=1e-10)
    np.testing.assert_allclose(found.occupancy, occupancy, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.accuracy_gradient, gradient, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(found.occupancy.sum(1), 1)
    np.testing.assert_allclose(found.accuracy_gradient.sum(1), 0, atol=1e-12)


@pytest.mark.parametrize("criterion", ["mmi", "bmmi", "smbr"])
def test_finite_differences(criterion):
    cases = [case(seed) for seed in (11, 12)]
    lattices, scores, references = zip(*cases)
    config = DiscriminativeConfig(criterion=criterion, acoustic_scale=0.4, boost=0.2, drop_frames=False)
    classes = np.array([0, 0, 1, 2])

    def objective(x):
        return discriminative_objective(x, lattices, references, config, classes).loss

    given = torch.from_numpy(np.stack(scores)).requires_grad_()
    objective(given).backward()
    for index in np.ndindex(2, 5, 4):
        moved = [given.detach().clone() for _ in range(2)]
        moved[0][index] += 1e-5
        moved[1][index] -= 1e-5
        slope = (objective(moved[0]) - objective(moved[1])).item() / 2e-5
        assert given.grad[index].item() == pytest.approx(slope, rel=1e-6, abs=1e-9)


def two_words() -> LatticeArcs:
    """Pdfs 0 0 or 1 1, two frames each as one arc; the first three times as likely by the graph."""
    return LatticeArcs([0, 0], [1, 1], [0, 0], [0, 2, 4], [0, 0, 1, 1], np.log([0.75, 0.25]), [NEVER, 0.0])


def test_two_words_by_hand():
    scores = torch.zeros(1, 3, 2, dtype=torch.float64, requires_grad=True)
    reference = [np.array([0, 0])]
    smbr = discriminative_objective(scores, [two_words()], reference, DiscriminativeConfig(acoustic_scale=1.0))
    assert (smbr.objective, smbr.frames, smbr.failed) == (pytest.approx(0.75), 2, 0)
    smbr.loss.backward()
    np.testing.assert_allclose(-scores.grad[0], [[0.1875, -0.1875], [0.1875, -0.1875], [0, 0]])  # ¾ · (2 - 1.5) / 2
    config = DiscriminativeConfig(criterion="bmmi", acoustic_scale=1.0, boost=np.log(3) / 2)
    bmmi = discriminative_objective(scores, [two_words()], reference, config)
    assert bmmi.objective == pytest.approx(-np.log(1.5) / 2)  # ¾ + ¼ · 3


def test_a_pdf_that_the_lattice_lacks_is_dropped_by_mmi():
    scores = torch.zeros(1, 2, 3, dtype=torch.float64)
    for drop, frames in ((True, 1), (False, 2)):
        scores = scores.detach().requires_grad_()
        config = DiscriminativeConfig(criterion="mmi", acoustic_scale=1.0, drop_frames=drop)
        discriminative_objective(scores, [two_words()], [np.array([0, 2])], config).loss.backward()
        assert (scores.grad[0].abs().sum(1) > 0).sum() == frames


def test_utterances_that_fail_move_nothing():
    """A NaN, and a lattice without a complete path, beside one that is well."""
    dead = LatticeArcs([0], [1], [0], [0, 2], [0, 1], [0.0], [NEVER, NEVER])
    scores = torch.zeros(3, 2, 2)
    scores[0, 1, 1] = float("nan")
    scores.requires_grad_()
    parts = discriminative_objective(scores, [two_words(), dead, two_words()], [np.array([0, 0])] * 3,
                                     DiscriminativeConfig(acoustic_scale=1.0))  # fmt: skip
    parts.loss.backward()
    assert (parts.failed, parts.frames, parts.objective) == (2, 2, pytest.approx(0.75))
    assert torch.isfinite(scores.grad).all()
    assert not scores.grad[:2].any()
    assert scores.grad[2].any()


def test_cross_entropy_by_hand():
    """Posteriors ½ ¼ ¼ in three frames, the last of which is padding; the second target is not the likeliest."""
    posteriors = torch.tensor([[[0.5, 0.25, 0.25]] * 3], dtype=torch.float64).log().requires_grad_()
    loss, _, frames, right = frame_cross_entropy(posteriors, torch.tensor([[0, 2, -1]]))
    assert (loss.item(), frames, right) == (pytest.approx(3 * np.log(2)), 2, 1)
    loss.backward()
    np.testing.assert_array_equal(posteriors.grad[0], [[-1, 0, 0], [0, 0, -1], [0, 0, 0]])
    smooth, *_ = frame_cross_entropy(posteriors, torch.tensor([[0, 2, -100]]), smoothing=0.3)
    assert smooth.item() == pytest.approx((0.7 * 3 + 0.3 * 2 * 5 / 3) * np.log(2))


def test_padding_may_hold_anything():
    posteriors = torch.full((1, 2, 2), float("nan"))
    posteriors[0, 0] = -0.5
    posteriors.requires_grad_()
    loss, *_ = frame_cross_entropy(posteriors, torch.tensor([[1, -1]]), smoothing=0.1)
    loss.backward()
    assert loss.item() == pytest.approx(0.5)
    assert not posteriors.grad[0, 1].any()


@pytest.mark.parametrize("change, message", [
    ({"to_state": [0, 1]}, "lattice: wanted arcs sorted by source, each to a later state that exists"),
    ({"pdf_splits": [0, 2, 3]}, "lattice: pdf_splits do not cut 4 pdfs into the frames of 2 arcs"),
    ({"begin_frame": [0, -1]}, "lattice: a negative frame or pdf"),
    ({"graph_score": [0.0, np.nan]}, "lattice: a score is NaN"),
    ({"graph_score": [0.0]}, "lattice: 1 of graph_score, but 2 arcs"),
])  # fmt: skip
def test_arrays_that_are_no_lattice(change, message):
    with pytest.raises(ArcsError) as error:
        LatticeArcs(**{**vars(two_words()), **change})
    assert message in str(error.value)


def test_what_does_not_fit():
    def rate(scores, lattices, references):
        return discriminative_objective(scores, lattices, references, DiscriminativeConfig())

    zeros = torch.zeros(1, 3, 2)
    with pytest.raises(HybridError, match="1 lattices and 2 references for 1 utterances"):
        rate(zeros, [two_words()], [np.zeros(2, int)] * 2)
    with pytest.raises(HybridError, match=r"reference 0 of 4 frames does not fit scores \[1, 3, 2\]"):
        rate(zeros, [two_words()], [np.zeros(4, int)])
    with pytest.raises(HybridError, match="a lattice covers 2 frames, the reference 3"):
        rate(zeros, [two_words()], [np.zeros(3, int)])
    with pytest.raises(ArcsError, match="frame 1 or pdf 1 lies outside scores of 2 frames and 1 pdfs"):
        rate(zeros[:, :, :1], [two_words()], [np.zeros(2, int)])
    with pytest.raises(HybridError, match=r"targets \[1, 2\] for posteriors \[1, 3, 2\]"):
        frame_cross_entropy(zeros, torch.zeros(1, 2, dtype=torch.int64))
    with pytest.raises(HybridError, match="a target is pdf 2, but the network has 2 outputs"):
        frame_cross_entropy(zeros, torch.full((1, 3), 2))
    with pytest.raises(ValueError, match="criterion"):
        DiscriminativeConfig(criterion="mpe")  # type: ignore[arg-type]
