"""The LF-MMI objective: its terms by hand, its gradient, and what happens to sequences that fail."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybrid.base.errors import HybridError
from hybrid.nnet.sequence.arcs import batch
from hybrid.nnet.sequence.forward_backward import forward_backward
from hybrid.nnet.sequence.objective import ChainConfig, ChainObjective
from tests.nnet.sequence.graphs import linear, random_hmm, unrolled

LENGTHS = torch.tensor([6, 4])
PLAIN = ChainConfig(leaky_hmm_coefficient=0.0, xent_weight=0.0, out_of_range=0.0)


def minibatch(seed: int = 0, frames: int = 6):
    graph = random_hmm(seed)
    scores = torch.from_numpy(np.random.default_rng(seed).normal(size=(2, frames, 5)) * 3)
    return graph, scores, batch([unrolled(graph, int(length), 0.5, seed) for length in LENGTHS])


def test_objective_is_numerator_less_denominator_per_frame():
    graph, scores, numerators = minibatch()
    parts = ChainObjective(PLAIN, graph)(scores, LENGTHS, numerators)
    numerator, denominator = (forward_backward(scores, LENGTHS, g).total.sum().item() / 10 for g in (numerators, graph))
    assert parts.objective == pytest.approx(numerator - denominator)
    assert (parts.numerator, parts.denominator) == pytest.approx((numerator, denominator))
    assert parts.objective <= 0
    assert (parts.frames, parts.failed, parts.cross_entropy, parts.l2, parts.out_of_range) == (10, 0, 0, 0, 0)
    assert parts.loss.item() == pytest.approx(-parts.objective)


def test_supervision_weights():
    graph, scores, numerators = minibatch()
    totals = [forward_backward(scores, LENGTHS, g).total for g in (numerators, graph)]
    parts = ChainObjective(PLAIN, graph)(scores, LENGTHS, numerators, weights=torch.tensor([2.0, 0.5]))
    difference = (totals[0] - totals[1]).numpy()
    assert parts.frames == 14
    assert parts.objective == pytest.approx((2 * difference[0] + 0.5 * difference[1]) / 14)


def test_gradient_of_each_frame_sums_to_zero():
    graph, scores, numerators = minibatch(3)
    scores.requires_grad_()
    ChainObjective(ChainConfig(out_of_range=0.0), graph)(scores, LENGTHS, numerators).loss.backward()
    assert scores.grad.abs().sum() > 0.01
    torch.testing.assert_close(scores.grad.sum(2), torch.zeros(2, 6, dtype=torch.float64))


def test_penalties_by_hand():
    """Scores of 33, -32 and 1 in frame 0 of sequence 0; padding does not count."""
    graph, scores, numerators = minibatch()
    scores.zero_()
    scores[0, 0, :3] = torch.tensor([33.0, -32.0, 1.0])
    scores[1, 5, 0] = 99
    config = ChainConfig(xent_weight=0.0, l2=0.001, out_of_range=0.01)
    parts = ChainObjective(config, graph)(scores.requires_grad_(), LENGTHS, numerators)
    assert parts.l2 == pytest.approx(-0.5 * 0.001 * (33**2 + 32**2 + 1) / 10)
    assert parts.out_of_range == pytest.approx(-0.5 * 0.01 * (3**2 + 2**2) / 10)
    assert parts.loss.item() == pytest.approx(-(parts.objective + parts.l2 + parts.out_of_range))


def test_cross_entropy_head_learns_the_numerator():
    graph, scores, numerators = minibatch()
    logits = torch.randn(2, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    parts = ChainObjective(ChainConfig(), graph)(scores, LENGTHS, numerators, logits.log_softmax(2))
    occupancy = forward_backward(scores, LENGTHS, numerators).occupancy
    assert parts.cross_entropy == pytest.approx((occupancy * logits.log_softmax(2)).sum().item() / 10)
    parts.loss.backward()
    inside = (torch.arange(6) < LENGTHS[:, None])[:, :, None]
    torch.testing.assert_close(logits.grad, 0.1 / 10 * inside * (logits.detach().softmax(2) - occupancy))


@pytest.mark.parametrize("config", [ChainConfig(l2=0.01, limit=2.0), PLAIN])
def test_finite_differences(config):
    graph, scores, numerators = minibatch(7)
    objective, xent = ChainObjective(config, graph), scores.log_softmax(2)
    scores.requires_grad_()
    objective(scores, LENGTHS, numerators, xent.detach()).loss.backward()
    for index in [(0, 0, 0), (0, 5, 4), (1, 3, 2), (1, 4, 1)]:
        moved = [scores.detach().clone() for _ in range(2)]
        # The head learns occupancies as if they were given: they are no part of the gradient.
        plain = ChainObjective(ChainConfig(**{**vars(config), "xent_weight": 0.0}), graph)
        moved[0][index] += 1e-5
        moved[1][index] -= 1e-5
        up, down = (plain(x, LENGTHS, numerators).loss.item() for x in moved)
        assert scores.grad[index].item() == pytest.approx((up - down) / 2e-5, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_failed_sequences_are_counted_and_move_nothing(bad):
    """A score that is not finite, and a transcript longer than its sequence, beside one that is well."""
    graph, scores, _ = minibatch(1)
    scores = scores[:1].repeat(3, 1, 1).float()
    numerators = batch([unrolled(graph, 6, 0.5, 1)] * 2 + [linear([0] * 7)])
    alone = scores[:1].clone().requires_grad_()
    config = ChainConfig(l2=0.01, limit=1.0)
    wanted = ChainObjective(config, graph)(
        alone, LENGTHS[:1], batch([unrolled(graph, 6, 0.5, 1)]), alone.log_softmax(2)
    )
    wanted.loss.backward()
    scores[1, 2, 3] = bad
    scores.requires_grad_()
    parts = ChainObjective(config, graph)(scores, torch.tensor([6, 6, 6]), numerators, scores.log_softmax(2).detach())
    parts.loss.backward()
    assert (parts.failed, parts.frames) == (2, 6)
    assert parts.loss.item() == pytest.approx(wanted.loss.item(), rel=1e-5)
    assert not scores.grad[1:].any()
    assert torch.isfinite(scores.grad).all()


def test_nothing_but_failures():
    graph, scores, _ = minibatch()
    scores = (scores * float("nan")).requires_grad_()
    parts = ChainObjective(ChainConfig(), graph)(scores, LENGTHS, batch([linear([0])] * 2))
    parts.loss.backward()
    assert (parts.loss.item(), parts.frames, parts.failed) == (0, 0, 2)
    assert not scores.grad.any()


def test_validation_needs_no_gradient_and_half_precision_is_widened():
    graph, scores, numerators = minibatch()
    objective = ChainObjective(ChainConfig(), graph)
    trained = objective(scores.float().requires_grad_(), LENGTHS, numerators)
    with torch.no_grad():
        assert objective(scores.float(), LENGTHS, numerators).objective == pytest.approx(trained.objective, rel=1e-6)
        assert objective(scores.half(), LENGTHS, numerators).objective == pytest.approx(trained.objective, rel=0.01)


def test_what_does_not_fit():
    graph, scores, numerators = minibatch()
    objective = ChainObjective(ChainConfig(), graph)
    with pytest.raises(HybridError, match=r"cross-entropy head \[2, 6, 4\], scores \[2, 6, 5\]: wanted the same shape"):
        objective(scores, LENGTHS, numerators, scores[:, :, :4])
    with pytest.raises(HybridError, match=r"weights \[1\] for 2 sequences, wanted one for each"):
        objective(scores, LENGTHS, numerators, weights=torch.ones(1))
    with pytest.raises(ValueError, match="leaky_hmm_coefficient"):
        ChainConfig(leaky_hmm_coefficient=2)
