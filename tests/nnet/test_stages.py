"""Conformer and LSTM: what a frame sees, whole and in pieces; padding; positions and directions by definition."""

from __future__ import annotations

import math

import pytest
import torch

from hybrid.base.errors import InputError
from hybrid.nnet.conformer import relative_positions, shifted
from hybrid.nnet.network import UNLIMITED, build_network
from hybrid.nnet.stages import StagedNetwork

CONFORMER = {"layers": 2, "dim": 8, "heads": 2, "expansion": 2, "kernel": 3}
LSTM = {"layers": 2, "dim": 6, "projection_dim": 4}
NETWORKS = {  # settings, and the context in frames of features, counted by hand; a front end sees 2 more on each side
    "full": ("conformer", CONFORMER, UNLIMITED, UNLIMITED),
    "causal": ("conformer", {**CONFORMER, "causal": True, "look_ahead": 0}, UNLIMITED, 2),
    "ahead": ("conformer", {**CONFORMER, "look_back": 3, "look_ahead": 2}, 2 * (3 + 1) * 3 + 2, 2 * (2 + 1) * 3 + 2),
    "chunks": ("conformer", {**CONFORMER, "causal": True, "chunk": 4, "left_chunks": 1}, 17 * 3 + 2, 11),
    "all chunks": ("conformer", {**CONFORMER, "causal": True, "chunk": 4}, UNLIMITED, 11),
    "chunks, not causal": ("conformer", {**CONFORMER, "chunk": 4, "left_chunks": 0}, 26, 8 * 3 + 2),
    "lstm": ("lstm", LSTM, UNLIMITED, 2),
    "both": ("lstm", {**LSTM, "bidirectional": True}, UNLIMITED, UNLIMITED),
    "latency": ("lstm", {**LSTM, "bidirectional": True, "chunk": 4, "look_ahead": 2}, UNLIMITED, 9 * 3 + 2),
}  # fmt: skip


def network_named(name: str, dim: int = 3, **more) -> StagedNetwork:
    torch.manual_seed(5)
    architecture, settings, *_ = NETWORKS[name]
    network = build_network(architecture, {**settings, **more}, dim, 5).double().train()
    for _ in range(10):
        network(1 + 2 * torch.randn(2, 30, dim, dtype=torch.float64), torch.tensor([30, 21]))
    assert isinstance(network, StagedNetwork)
    return network.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_future_and_past_frames_count_as_stated(name) -> None:
    """Each frame of the features is changed; scores change where they see it, in the whole and nowhere else."""
    network = network_named(name)
    frames, lengths = 3 * 17, torch.tensor([3 * 17])
    features = torch.randn(1, frames, 3, dtype=torch.float64)
    scores = network(features, lengths).chain
    right = 0
    for changed in range(frames):
        other = features.clone()
        other[0, changed] *= -1.0
        moved = (network(other, lengths).chain - scores)[0].abs().sum(1).nonzero().flatten() * 3
        if not len(moved):  # no ReLU noticed
            continue
        right = max(right, int(changed - moved.min()))
        assert moved.min() >= changed - network.right_context and moved.max() <= changed + network.left_context
    assert (network.left_context, network.right_context) == NETWORKS[name][2:]
    assert right == min(network.right_context, frames - 1)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("folded", [False, True])
def test_pieces_equal_the_whole(name, folded) -> None:
    network = network_named(name)
    lengths = [50, 0, 23, 1]
    features = [torch.randn(n, 3, dtype=torch.float64) for n in lengths]
    whole = [network(f[None], torch.tensor([len(f)])).chain[0] if len(f) else f.new_zeros(0, 5) for f in features]
    if folded:
        network = network.for_inference("chain")
    for size in (1, 4, 9, 60):
        kept, parts, begin = [network.open() for _ in lengths], [[] for _ in lengths], [0] * 4
        open_ = [0, 1, 2, 3]
        while open_:
            pieces = [features[i][begin[i] : begin[i] + size] for i in open_]
            for i in open_:
                begin[i] += size
            last = [begin[i] >= lengths[i] for i in open_]
            for i, output in zip(open_, network.advance([kept[i] for i in open_], pieces, last)):
                assert output.chain.shape[0] == output.lengths
                parts[i].append(output.chain)
                if not last[open_.index(i)]:
                    known = min(begin[i], lengths[i]) - 1 - network.delay
                    assert sum(map(len, parts[i])) >= max(0, known // 3 + 1)  # no later than stated
            open_ = [i for i, end in zip(open_, last) if not end]
        for one, other in zip(parts, whole):
            torch.testing.assert_close(torch.cat(one), other, rtol=0, atol=1e-9)


def test_what_is_kept_does_not_grow() -> None:
    for name in ("ahead", "chunks", "chunks, not causal", "lstm", "latency"):
        network, sizes = network_named(name), []
        kept = network.open()
        for _ in range(12):
            network.advance([kept], [torch.randn(12, 3, dtype=torch.float64)], [False])
            sizes.append(sum(len(k.frames) for k in kept))
        assert max(sizes[6:]) <= max(sizes[:6])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_padding_and_order_change_nothing(name, training) -> None:
    lengths, outcomes = torch.tensor([20, 33, 4]), []
    features = torch.randn(3, 33, 3, dtype=torch.float64)
    for more, filler, order in ((0, 0.0, [0, 1, 2]), (9, 1e3, [2, 0, 1])):
        network = network_named(name, **({"dropout": 0.0})).train(training)
        batch = torch.full((3, 33 + more, 3), filler, dtype=torch.float64)
        for n, length in enumerate(lengths.tolist()):
            batch[n, :length] = features[n, :length]
        output = network(batch[order], lengths[order])
        back = torch.tensor(order).argsort()
        chain, xent, counts = (part[back] for part in output)
        inside = torch.arange(11)[None] < counts[:, None]
        (chain[:, :11][inside].square().sum() + xent[:, :11][inside].sum()).backward()
        norm = network.front_end.second_norm
        gradient = network.front_end.first.weight.grad
        outcomes.append((chain[:, :11][inside], xent[:, :11][inside], norm.mean, norm.variance, gradient))
    for one, other in zip(*outcomes):
        torch.testing.assert_close(one, other)


def test_chunks_of_training_carry_the_front_ends_context() -> None:
    network = network_named("lstm")
    features = torch.randn(1, 30, 3, dtype=torch.float64)
    edges = torch.cat([features[:, :1]] * 2 + [features] + [features[:, -1:]] * 2, dim=1)
    whole = network(features, torch.tensor([30])).chain
    torch.testing.assert_close(network(edges, torch.tensor([30]), padded=True).chain, whole)
    assert network.chunk_context == (2, 2)


def test_relative_positions() -> None:
    """Entry (i, j) after the shift is that of the distance i − j."""
    frames = 5
    distances = torch.arange(frames - 1, -frames, -1.0).expand(1, 1, frames, -1)
    wanted = torch.arange(frames)[:, None] - torch.arange(frames)[None]
    assert (shifted(distances)[0, 0] == wanted).all()
    table = relative_positions(frames, torch.zeros(1, 1, 4, dtype=torch.float64))
    wanted = [math.sin(4), math.cos(4), math.sin(0.04), math.cos(0.04)]
    assert table[0].tolist() == pytest.approx(wanted)
    assert table[frames - 1].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("chunk, look_ahead", [(0, 0), (4, 0), (4, 3), (50, 2)])
def test_backward_in_time_by_definition(chunk, look_ahead) -> None:
    network = network_named("both", layers=1, chunk=chunk, look_ahead=look_ahead)
    layer, lengths = network.layers[0], [13, 6]
    x = torch.randn(2, 13, 4, dtype=torch.float64)
    found = layer._backward(x, torch.tensor(lengths))
    for n, length in enumerate(lengths):
        for begin in range(0, length, chunk or length):
            end = min(length, begin + (chunk or length))
            window = x[n : n + 1, begin : min(length, end + look_ahead)].flip(1)
            wanted = layer.backward_lstm(window)[0].flip(1)[0, : end - begin]
            torch.testing.assert_close(found[n, begin:end], wanted)


@pytest.mark.parametrize("architecture, settings, message", [
    ("conformer", {"dim": 9}, "network: dim is 9, wanted a multiple of twice heads (8)."),
    ("conformer", {"kernel": 4}, "network: kernel is 4, wanted an odd number."),
    ("conformer", {"left_chunks": 4}, "network: left_chunks is 4 without chunk; wanted the frames of a chunk."),
    ("conformer", {"chain": False, "xent": False}, "network: chain and xent are both false; wanted a head at least."),
    ("lstm", {"chunk": 4}, "network: chunk is of a bidirectional LSTM, and look_ahead of one with chunks."),
    ("lstm", {"bidirectional": 1}, "network: bidirectional is '1', wanted true or false."),
])  # fmt: skip
def test_wrong_settings(architecture, settings, message) -> None:
    with pytest.raises(InputError) as caught:
        build_network(architecture, settings, 4, 7)
    assert str(caught.value).startswith(message)
