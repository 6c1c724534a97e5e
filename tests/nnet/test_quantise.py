"""Fewer bits: nearly the same scores, the same doors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hybrid.model.protocol import score_one
from hybrid.nnet.acoustic import NetworkAcousticModel
from hybrid.nnet.network import build_network
from hybrid.nnet.quantise import SplicedLinear, at_precision

NETWORKS = {
    "tdnnf": {"dim": 64, "bottleneck_dim": 32, "prefinal_dim": 32},
    "conformer": {"layers": 2, "dim": 32, "heads": 2, "causal": True, "chunk": 4, "left_chunks": 2},
    "lstm": {"layers": 2, "dim": 48, "projection_dim": 32, "bidirectional": True, "chunk": 4},
}


def model_named(name: str, precision: str = "float32") -> NetworkAcousticModel:
    torch.manual_seed(0)
    network = build_network(name, NETWORKS[name], 20, 30)
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, 0.0, 0.2)
    for _ in range(20):
        network.train()(torch.randn(2, 60, 20), torch.tensor([60, 50]))
    return NetworkAcousticModel(network.eval(), "xent", np.zeros(30, np.float32), precision=precision)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("precision, share", [("bfloat16", 0.04), ("int8", 0.15)])
def test_scores_are_near(name, precision, share) -> None:
    """The error is a small share of how the scores vary; saved and loaded, in batches and in chunks."""
    exact, model = model_named(name), model_named(name, precision)
    features = np.random.default_rng(1).normal(size=(100, 20)).astype(np.float32)
    wanted, found = score_one(exact, features), score_one(model, features)
    assert found.dtype == np.float32 and 0 < np.std(found - wanted) < share * np.std(wanted)
    again = NetworkAcousticModel.from_arrays(model.arrays(), model.settings())
    assert again.precision == precision and (score_one(again, features) == found).all()
    stream, parts = model.open(), []
    for begin in range(0, 100, 20):
        parts += model.advance([stream], [features[begin : begin + 20]], [begin == 80])
    assert np.std(torch.cat(parts).numpy() - wanted) < share * np.std(wanted)


@pytest.mark.parametrize("width, dilation, stride", [(1, 1, 1), (3, 1, 3), (2, 3, 1), (2, 1, 3), (5, 2, 2)])
def test_spliced_linear_is_the_convolution(width, dilation, stride) -> None:
    layer = torch.nn.Conv1d(4, 6, width, dilation=dilation, stride=stride)
    x = torch.randn(2, 4, 31)
    torch.testing.assert_close(SplicedLinear(layer)(x), layer(x))


def test_one_large_output_does_not_make_the_others_coarse() -> None:
    """One step for all of a map would leave the small rows a few values each."""
    exact, model = model_named("tdnnf"), model_named("tdnnf", "int8")
    for each in (exact, model):
        with torch.no_grad():
            each.network.xent.output.weight[0] *= 1000
    features = np.random.default_rng(1).normal(size=(100, 20)).astype(np.float32)
    wanted, found = (score_one(each, features) for each in (exact, model))
    wanted, found = (scores[:, 1:] - scores[:, 1:].mean(1, keepdims=True) for scores in (wanted, found))
    assert np.std(found - wanted) < 0.15 * np.std(wanted)


def test_weights_stay_and_the_engine_too() -> None:
    model, before = model_named("tdnnf", "int8"), torch.backends.quantized.engine
    score_one(model, np.zeros((9, 20), np.float32))
    assert torch.backends.quantized.engine == before
    assert isinstance(model.network.first, torch.nn.Conv1d) and model.network.first.weight.dtype == torch.float32
    assert replace(model, precision="float32").scorer is not model.scorer


def test_unknown_precision() -> None:
    with pytest.raises(ValueError, match="precision is 'int4', wanted one of float32, bfloat16, int8"):
        model_named("tdnnf", "int4")
    with pytest.raises(ValueError, match="precision is 'int4', wanted"):
        at_precision(model_named("tdnnf").network, "int4")
