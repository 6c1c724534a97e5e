"""TDNN-F: shape and context of Kaldi's recipe, the constraint, padding, batches, and folded batch norms."""

from __future__ import annotations

import pytest
import torch

from hybrid.base.errors import InputError
from hybrid.nnet.layers import constrain_orthonormal_, orthonormality_error
from hybrid.nnet.network import Output, build_network
from hybrid.nnet.tdnnf import Tdnnf, TdnnfConfig

SMALL = {"dim": 12, "bottleneck_dim": 5, "prefinal_dim": 6}


def tdnnf(seed: int = 0, dim: int = 4, pdfs: int = 7, **settings) -> Tdnnf:
    """A small network in double precision whose outputs are not zero and whose statistics are of some data."""
    torch.manual_seed(seed)
    network = build_network("tdnnf", {**SMALL, **settings}, dim, pdfs)
    assert isinstance(network, Tdnnf)
    for head in (network.chain, network.xent):
        if head is not None:
            torch.nn.init.normal_(head.output.weight)
            torch.nn.init.normal_(head.output.bias)
    network.double().train()
    for _ in range(20):
        network(2 + 3 * torch.randn(3, 40, dim, dtype=torch.float64), torch.tensor([40, 40, 31]))
    return network.eval()


@pytest.mark.parametrize("pdfs", [600, 1200])
def test_shape_of_the_recipe(pdfs) -> None:
    """xconfig of Kaldi's chain recipe: every matrix counted by hand."""
    network = build_network("tdnnf", {}, 40, pdfs)
    layer = 384 * 2 * 96 + 96 * 2 * 384 + 384
    prefinal = 96 * 384 + 384 + 384 * 96
    by_hand = 5 * 40 * 384 + 384 + 5 * layer + (384 * 96 + 96 * 384 + 384) + 384 * 96 + 2 * (prefinal + 97 * pdfs)
    assert sum(p.numel() for p in network.parameters()) == by_hand == 1_075_584 + 194 * pdfs
    assert network.left_context == network.right_context == network.delay == 13
    assert network.config.subsampling_layer == 2


SHAPES = [((1, 1, 0, 3, 3, 3), 3), ((3, 0, 3), 3), ((1, 3, 2, 3), 3), ((1, 0, 2), 1), ((1, 2, 4), 2)]


@pytest.mark.parametrize("strides, factor", SHAPES)
def test_output_sees_its_context_and_nothing_else(strides, factor) -> None:
    network = tdnnf(time_strides=strides, subsampling_factor=factor, first_context=1)
    features = torch.randn(1, 61, 4, dtype=torch.float64, requires_grad=True)
    scores = network(features, torch.tensor([61])).chain
    assert scores.shape[1] == -(-61 // factor)
    frame = scores.shape[1] // 2
    scores[0, frame].sum().backward()
    seen = features.grad[0].abs().sum(1).nonzero().flatten()
    assert seen[0] == frame * factor - network.left_context and seen[-1] == frame * factor + network.right_context


def test_frames_that_are_not_computed_are_those_that_are_not_needed() -> None:
    """Every third frame of the scores of the same network without subsampling."""
    network, full = tdnnf(), tdnnf(subsampling_factor=1)
    full.load_state_dict(network.state_dict())
    features = torch.randn(2, 50, 4, dtype=torch.float64)
    thirds, all_ = network(features, torch.tensor([50, 44])), full(features, torch.tensor([50, 44]))
    torch.testing.assert_close(thirds.chain, all_.chain[:, ::3])
    assert thirds.lengths.tolist() == [17, 15] and all_.lengths.tolist() == [50, 44]


@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_nothing(training) -> None:
    """Neither the scores, nor in training the statistics and gradients."""
    lengths, outcomes = torch.tensor([20, 33, 1]), []
    features = torch.randn(3, 33, 4, dtype=torch.float64)
    for more, filler in ((0, 0.0), (9, 1e3)):
        network = tdnnf().train(training)
        batch = torch.full((3, 33 + more, 4), filler, dtype=torch.float64)
        for n, length in enumerate(lengths.tolist()):
            batch[n, :length] = features[n, :length]
        output = network(batch, lengths)
        inside = torch.arange(output.chain.shape[1])[None] < output.lengths[:, None]
        total = output.chain[inside].square().sum() + output.xent[inside].sum()
        total.backward()
        state = [network.first_norm.mean, network.layers[3].norm.variance, network.first.weight.grad]
        outcomes.append((output.chain[inside], output.xent[inside], *state))
    for one, other in zip(*outcomes):
        torch.testing.assert_close(one, other)


def test_scores_do_not_depend_on_neighbours() -> None:
    network, features = tdnnf(), torch.randn(3, 30, 4, dtype=torch.float64)
    lengths = torch.tensor([30, 7, 22])
    together, swapped = network(features, lengths), network(features.flip(0), lengths.flip(0))
    for n, length in enumerate(lengths.tolist()):
        alone = network(features[n : n + 1, :length], torch.tensor([length])).chain[0]
        torch.testing.assert_close(together.chain[n, : len(alone)], alone)
        torch.testing.assert_close(swapped.chain[2 - n, : len(alone)], alone)


def test_chunks_with_context_equal_the_whole() -> None:
    network, features = tdnnf(), torch.randn(1, 84, 4, dtype=torch.float64)
    whole, (left, right) = network(features, torch.tensor([84])).chain, network.chunk_context
    chunk = network(features[:, 42 - left : 63 + right], torch.tensor([21]), padded=True)
    assert chunk.chain.shape[1] == 7
    torch.testing.assert_close(chunk.chain, whole[:, 14:21])


def test_statistics_of_a_batch_without_padding_are_those_with_a_mask() -> None:
    features = torch.randn(2, 30, 4, dtype=torch.float64)
    one, other = tdnnf().train(), tdnnf().train()
    plain = one(features, torch.tensor([30, 30])).chain
    padded = other(torch.nn.functional.pad(features, (0, 0, 0, 6)), torch.tensor([30, 30])).chain
    torch.testing.assert_close(plain, padded[:, :10])
    torch.testing.assert_close(one.layers[4].norm.variance, other.layers[4].norm.variance)


def test_mean_statistics_over_all_batches() -> None:
    network = tdnnf().train()
    batches = [torch.randn(1, 20, 4, dtype=torch.float64) for _ in range(3)]
    network.input_norm.reset_statistics()
    network.input_norm.momentum = None
    for batch in batches:
        network(batch, torch.tensor([20]))
    padded = torch.cat([torch.cat([b[0, :1]] * 13 + [b[0]] + [b[0, -1:]] * 13) for b in batches])
    torch.testing.assert_close(network.input_norm.mean, padded.mean(0))


def test_folded_batch_norms_change_nothing() -> None:
    for settings in ({}, {"speaker_dim": 2}, {"time_strides": (3, 3)}, {"dropout": 0.2}):
        network = tdnnf(**settings)
        features, lengths = torch.randn(2, 40, 4, dtype=torch.float64), torch.tensor([40, 25])
        output = network(features, lengths)
        for head in ("chain", "xent"):
            folded = network.for_inference(head)(features, lengths)
            torch.testing.assert_close(getattr(folded, head), getattr(output, head))
            assert [value is None for value in folded[:2]] == [head == "xent", head == "chain"]
    assert not any("norm" in name for name, _ in network.for_inference("chain").named_buffers())


def test_speaker_vector_enters_once() -> None:
    """Of the frames that a score sees, only the speaker's columns of those at the first layer's centre count."""
    network = tdnnf(speaker_dim=2, time_strides=(3, 3), first_context=2)
    features = torch.randn(1, 31, 4, dtype=torch.float64, requires_grad=True)
    network(features, torch.tensor([31])).chain[0, 5].sum().backward()
    seen = features.grad[0].abs()
    assert seen[:, :2].sum(1).nonzero().flatten().tolist() == list(range(15 - 8, 15 + 9))
    assert seen[:, 2:].sum(1).nonzero().flatten().tolist() == [9, 12, 15, 18, 21]


def test_dropout_is_shared_over_time() -> None:
    network = tdnnf(dropout=0.3, bypass_scale=0.0).train()
    kept = network.layers[0].dropout(torch.ones(2, 3, 5, dtype=torch.float64))
    assert (kept == kept[:, :, :1]).all() and len(kept[:, :, 0].unique()) == 6
    assert float(kept.min()) >= 0.4 and float(kept.max()) <= 1.6
    assert (network.eval().layers[0].dropout(kept) == kept).all()


@pytest.mark.parametrize("shape", [(5, 12, 2), (12, 5, 1), (7, 7, 1)])
@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_constraint_makes_semi_orthogonal(shape, scale) -> None:
    """In any scale, which it keeps; a semi-orthogonal matrix stays."""
    torch.manual_seed(1)
    weight = scale * torch.randn(*shape)
    size = float(weight.norm())
    before = orthonormality_error(weight)
    for _ in range(200):
        constrain_orthonormal_(weight)
    assert before > 0.2 and orthonormality_error(weight) < 1e-3
    assert 0.5 * size < float(weight.norm()) < 2 * size
    again = weight.clone()
    constrain_orthonormal_(again)
    torch.testing.assert_close(again, weight, rtol=1e-3, atol=1e-4 * scale)


def test_step_of_kaldi() -> None:
    """ConstrainOrthonormal by hand: M = diag(1, 2) is far from orthonormal: a quarter of the full step."""
    weight = torch.diag(torch.tensor([1.0, 2.0]))[:, :, None]
    constrain_orthonormal_(weight)
    scale2 = (1 + 16) / (1 + 4)
    wanted = [m - 4 * 0.03125 / scale2 * (m * m - scale2) * m for m in (1.0, 2.0)]
    assert torch.diagonal(weight[:, :, 0]).tolist() == pytest.approx(wanted)


def test_constraint_of_a_network_in_training() -> None:
    network = tdnnf().float().train()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05)
    for step in range(120):
        output = network(torch.randn(4, 30, 4), torch.tensor([30] * 4))
        optimiser.zero_grad()
        output.chain.square().mean().backward()
        optimiser.step()
        if step % 4 == 3:
            network.constrain_()
    assert len(network.orthonormal()) == 6 + 1 + 2
    assert max(orthonormality_error(weight) for weight in network.orthonormal()) < 0.05


def test_heads_and_output() -> None:
    output = tdnnf(xent=False)(torch.randn(1, 9, 4, dtype=torch.float64), torch.tensor([9]))
    assert isinstance(output, Output) and output.xent is None
    output = tdnnf(chain=False)(torch.randn(1, 9, 4, dtype=torch.float64), torch.tensor([9]))
    torch.testing.assert_close(output.xent.exp().sum(2), torch.ones(1, 3, dtype=torch.float64))


@pytest.mark.parametrize("settings, message", [
    ({"time_strides": ()}, "network: time_strides names 0 layers, wanted 1 to 200."),
    ({"dim": 0}, "network: dim is 0, wanted 1 to 16384."),
    ({"dropout": 0.6}, "network: dropout is 0.6, wanted 0 to 0.5."),
    ({"chain": False, "xent": False}, "network: chain and xent are both false; wanted a head at least."),
    ({"speaker_dim": 4}, "network: speaker_dim is 4, wanted less than feature_dim 4."),
    ({"width": 4}, "network: unknown setting 'width'."),
])  # fmt: skip
def test_wrong_settings(settings, message) -> None:
    with pytest.raises(InputError) as caught:
        build_network("tdnnf", settings, 4, 7)
    assert str(caught.value).startswith(message)


def test_unknown_architecture() -> None:
    with pytest.raises(InputError, match="network: architecture is 'rnn'; wanted one of tdnnf"):
        build_network("rnn", {}, 4, 7)
    assert TdnnfConfig().context == 13
