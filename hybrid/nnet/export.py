"""A network as an ONNX file, for runtimes without PyTorch; batch and time are free axes."""

from __future__ import annotations

import inspect
import os
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hybrid.base.artifact import atomic_path
from hybrid.base.optional import import_optional
from hybrid.nnet.acoustic import NetworkAcousticModel
from hybrid.nnet.layers import zeros_past_end

__all__ = ["OPSET", "export_onnx", "onnx_scores"]

OPSET = 14  # of both stacks, and of every onnxruntime since 2021
FRAMES = 100  # of the example that is traced


class Scores(nn.Module):
    """What `NetworkAcousticModel.scores` computes, as a module."""

    def __init__(self, model: NetworkAcousticModel) -> None:
        super().__init__()
        self.network, self.head = model.to("cpu").scorer, model.head
        prior = np.zeros(model.num_pdfs, np.float32) if model.log_prior is None else model.log_prior
        self.register_buffer("log_prior", torch.from_numpy(prior))

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """float32 [N][T][feature_dim], int64 [N] → scores, float32 [N][T'][num_pdfs], and frames, int64 [N]."""
        output = self.network(features, lengths)
        return zeros_past_end(getattr(output, self.head) - self.log_prior, output.lengths), output.lengths


def export_onnx(model: NetworkAcousticModel, path: str | os.PathLike) -> None:
    """Writes what a model scores as an ONNX file.

    Its inputs are `features`, float32 [N][T][feature_dim], and `lengths`, int64 [N], its outputs `scores`, float32
    [N][T'][num_pdfs], and `frames`, int64 [N], as of `AcousticModel.scores`.

    Raises:
      ValueError: the model computes at another precision than float32.
    """
    if model.precision != "float32":
        raise ValueError(f"precision is {model.precision}, wanted float32; a runtime has its own ways to fewer bits")
    module = Scores(model).eval()
    example = torch.zeros(2, FRAMES, model.feature_dim), torch.tensor([FRAMES, FRAMES - 7])
    options: dict[str, Any] = {
        "input_names": ["features", "lengths"],
        "output_names": ["scores", "frames"],
        "dynamic_axes": {
            "features": {0: "N", 1: "T"}, "lengths": {0: "N"}, "scores": {0: "N", 1: "T_out"}, "frames": {0: "N"},
        },
        "opset_version": OPSET,
    }  # fmt: skip
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:
        options["dynamo"] = False  # the same graph on both stacks; the other exporter needs one package more
    with warnings.catch_warnings(), atomic_path(path) as temporary:
        warnings.simplefilter("ignore")  # of the tracer: sizes that it fears are constants are traced
        torch.onnx.export(module, example, str(temporary), **options)


def onnx_scores(path: str | os.PathLike, features: np.ndarray) -> np.ndarray:
    """Scores one utterance with onnxruntime: float32 [T'][num_pdfs] for float32 [T][D].

    Raises:
      MissingDependencyError: onnxruntime is not installed.
    """
    runtime = import_optional("onnxruntime", "An ONNX file", "Install it with `pip install 'hybrid-asr[onnx]'`.")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = {"features": features[None].astype(np.float32), "lengths": np.array([len(features)])}
    scores, frames = session.run(["scores", "frames"], inputs)
    return scores[0, : frames[0]]
