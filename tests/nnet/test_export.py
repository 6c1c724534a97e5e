"""ONNX files give the scores of the model, whatever batch and length."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybrid.base.errors import MissingDependencyError
from hybrid.model.protocol import score_one
from hybrid.nnet.acoustic import NetworkAcousticModel
from hybrid.nnet.export import export_onnx, onnx_scores
from hybrid.nnet.network import build_network

CONFORMER = {"layers": 2, "dim": 8, "heads": 2, "expansion": 2, "kernel": 5}
LSTM = {"layers": 2, "dim": 8, "projection_dim": 5}
NETWORKS = {
    "tdnnf": {"dim": 12, "bottleneck_dim": 5, "prefinal_dim": 6, "speaker_dim": 1},
    "conformer": CONFORMER,
    "conformer in chunks": {**CONFORMER, "causal": True, "chunk": 3, "left_chunks": 1},
    "conformer that looks ahead": {**CONFORMER, "look_back": 4, "look_ahead": 2},
    "lstm": LSTM,
    "lstm both ways": {**LSTM, "bidirectional": True},
    "lstm with latency": {**LSTM, "bidirectional": True, "chunk": 4, "look_ahead": 2},
}


def model_named(name: str, head: str, **more) -> NetworkAcousticModel:
    torch.manual_seed(0)
    network = build_network(name.split()[0], NETWORKS[name], 4, 7)
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, 0.0, 0.2)
    prior = np.log(np.random.default_rng(0).dirichlet(np.ones(7))) if head == "xent" else None
    return NetworkAcousticModel(network.eval(), head, prior, **more)


@pytest.mark.parametrize("head", ["chain", "xent"])
@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_equals_torch(name, head, tmp_path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra: onnx)")
    model, path = model_named(name, head), tmp_path / "model.onnx"
    export_onnx(model, path)
    rng = np.random.default_rng(0)
    for frames in (1, 7, 61, 250):
        features = rng.normal(size=(frames, 4)).astype(np.float32)
        np.testing.assert_allclose(onnx_scores(path, features), score_one(model, features), rtol=0, atol=1e-4)
    batch, lengths = torch.from_numpy(rng.normal(size=(3, 40, 4)).astype(np.float32)), torch.tensor([40, 31, 5])
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found, counts = session.run(None, {"features": batch.numpy(), "lengths": lengths.numpy()})
    wanted, wanted_counts = model.scores(batch, lengths)
    assert (counts == wanted_counts.numpy()).all()
    np.testing.assert_allclose(found, wanted.numpy(), rtol=0, atol=1e-4)


def test_only_float32(tmp_path) -> None:
    with pytest.raises(ValueError, match="precision is int8, wanted float32"):
        export_onnx(model_named("tdnnf", "chain", precision="int8"), tmp_path / "model.onnx")


def test_without_the_runtime(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match="An ONNX file needs the package onnxruntime"):
        onnx_scores(tmp_path / "model.onnx", np.zeros((3, 4), np.float32))
