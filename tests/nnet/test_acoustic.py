"""A network as an acoustic model: scores, priors, folder form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybrid.base.errors import InputError
from hybrid.model.kinds import kind_named, kind_of
from hybrid.model.protocol import AcousticModel, score_one
from hybrid.nnet.acoustic import NetworkAcousticModel
from hybrid.nnet.network import Network, build_network

CONFORMER = {"layers": 2, "dim": 8, "heads": 2, "expansion": 2, "kernel": 5}
NETWORKS = {
    "tdnnf": {"dim": 12, "bottleneck_dim": 5, "prefinal_dim": 6, "time_strides": (1, 0, 3)},
    "conformer": CONFORMER,
    "conformer in chunks": {**CONFORMER, "causal": True, "chunk": 3, "left_chunks": 1},
    "conformer that looks ahead": {**CONFORMER, "look_back": 4, "look_ahead": 2},
    "lstm": {"layers": 2, "dim": 8, "projection_dim": 5},
    "lstm both ways": {"layers": 2, "dim": 8, "projection_dim": 5, "bidirectional": True},
    "lstm with latency": {
        "layers": 2,
        "dim": 8,
        "projection_dim": 5,
        "bidirectional": True,
        "chunk": 4,
        "look_ahead": 2,
    },
}


def network_named(name: str, **more) -> Network:
    """A small network with random weights and statistics."""
    torch.manual_seed(3)
    network = build_network(name.split()[0], {**NETWORKS[name], **more}, 4, 7)
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, 0.0, 0.5)
    network.train()
    for _ in range(20):
        network(2 + 3 * torch.randn(3, 40, 4), torch.tensor([40, 40, 31]))
    return network.eval()


def data(seed: int, frames: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, 4)).astype(np.float32)


@pytest.fixture(scope="module", params=NETWORKS)
def network(request) -> Network:
    return network_named(request.param)


def test_scores_of_both_heads(network) -> None:
    prior = np.log(np.full(7, 1 / 7, np.float32))
    chain = NetworkAcousticModel(network)
    xent = NetworkAcousticModel(network, "xent", prior, acoustic_scale=0.1)
    assert isinstance(chain, AcousticModel) and kind_of(chain) == "nnet"
    features = torch.from_numpy(data(1, 31))[None]
    output = network(features, torch.tensor([31]))
    assert np.allclose(score_one(chain, data(1, 31)), output.chain[0].detach(), atol=1e-5)
    assert np.allclose(score_one(xent, data(1, 31)), output.xent[0].detach().numpy() - prior, atol=1e-5)


def test_saved_and_loaded(network) -> None:
    prior = np.log(np.random.default_rng(0).dirichlet(np.ones(7)))
    model = NetworkAcousticModel(network, "xent", prior, acoustic_scale=0.1, self_loop_scale=0.1)
    again = kind_named("nnet", "here").from_arrays(model.arrays(), model.settings())
    assert again.settings() == model.settings()
    assert again.arrays().keys() == model.arrays().keys()
    assert (score_one(again, data(2, 50)) == score_one(model, data(2, 50))).all()
    assert (again.acoustic_scale, again.self_loop_scale) == (0.1, 0.1)


def test_loading_leaves_random_numbers_alone(network) -> None:
    model = NetworkAcousticModel(network)
    torch.manual_seed(0)
    wanted = torch.rand(1)
    torch.manual_seed(0)
    NetworkAcousticModel.from_arrays(model.arrays(), model.settings())
    assert torch.rand(1) == wanted


def test_batches_padding_and_empty_utterances(network) -> None:
    model, lengths = NetworkAcousticModel(network), [5, 0, 31, 1]
    batch = np.full((4, 40, 4), np.nan, np.float32)
    for n, length in enumerate(lengths):
        batch[n, :length] = data(n, length)
    scores, counts = model.scores(torch.from_numpy(batch), torch.tensor(lengths))
    assert counts.tolist() == [model.num_frames(n) for n in lengths]
    for n, length in enumerate(lengths):
        assert np.allclose(scores[n, : counts[n]], score_one(model, data(n, length)), atol=1e-5)
        assert not scores[n, counts[n] :].any()


def test_chunks_equal_the_whole(network) -> None:
    model = NetworkAcousticModel(network)
    for size in (1, 5, 16, 200):
        streams, lengths = [model.open(), model.open()], (97, 40)
        parts: list[list[np.ndarray]] = [[], []]
        for begin in range(0, 97, size):
            open_ = [i for i in (0, 1) if not streams[i].ended]
            chunks = [data(i, lengths[i])[begin : begin + size] for i in open_]
            last = [begin + size >= lengths[i] for i in open_]
            for i, scores in zip(open_, model.advance([streams[i] for i in open_], chunks, last)):
                parts[i].append(scores.numpy())
        for i in (0, 1):
            assert np.abs(np.concatenate(parts[i]) - score_one(model, data(i, lengths[i]))).max() < 1e-5


def test_band(network) -> None:
    model, features = NetworkAcousticModel(network), data(4, 40)
    band = model.band(features, np.array([6, 2, 3], np.int32))
    assert (band(2, 9, np.array([2, 0])) == score_one(model, features)[2:9][:, [3, 6]]).all()


@pytest.mark.parametrize("change, message", [
    (lambda a, s: a.pop("first.bias"), r"first.bias is absent, wanted \(12,\)"),
    (lambda a, s: a.update(more=np.zeros(2)), r"more is \(2,\), wanted absent"),
    (lambda a, s: a.update({"first.bias": np.full(12, np.nan)}), "first.bias holds NaN or infinity"),
    (lambda a, s: a.update(log_prior=np.zeros(3)), r"log_prior has shape \(3,\), wanted \[7\], all finite"),
    (lambda a, s: s.update(head="loud"), "the network has no head 'loud'"),
    (lambda a, s: s.update(acoustic_scale=float("nan")), "wanted finite ones"),
    (lambda a, s: s["network"].update(dim=16000), "its settings ask for 480000 weights, the file holds"),
    (lambda a, s: s.update(num_pdfs="7"), "num_pdfs is '7', wanted 1 to 1000000"),
])  # fmt: skip
def test_what_does_not_fit(change, message) -> None:
    model = NetworkAcousticModel(network_named("tdnnf"))
    arrays, settings = dict(model.arrays()), dict(model.settings())
    change(arrays, settings)
    with pytest.raises((ValueError, InputError), match=message):
        NetworkAcousticModel.from_arrays(arrays, settings)
