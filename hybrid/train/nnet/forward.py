"""A batch through a network, in training and where it is only measured."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn

from hybrid.base.errors import InputError
from hybrid.nnet.network import Output
from hybrid.train.nnet.data import Example
from hybrid.train.nnet.objective import Objective

__all__ = ["amp_dtype", "autocast", "evaluate", "forward", "is_out_of_memory"]


def amp_dtype(amp: str, device: torch.device) -> torch.dtype | None:
    """Returns the type of mixed precision by its name; None for "none".

    Raises:
      InputError: this torch cannot do it on this device.
    """
    types = {"float16": torch.float16, "bfloat16": torch.bfloat16}
    if amp not in types:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # some versions of torch warn, and compute in float32
            with torch.autocast(device.type, dtype=types[amp]):
                return types[amp]
    except (RuntimeError, UserWarning) as error:
        other = next(name for name in types if name != amp)
        found = f"is {amp}, which torch {torch.__version__} cannot do on this {device.type.upper()}"
        raise InputError.at("amp", found, f"Choose {other} or none, or another device.") from error


def autocast(device: torch.device, dtype: torch.dtype | None) -> Callable[[], Any]:
    """Returns what makes contexts of mixed precision; plain ones without a dtype."""
    return nullcontext if dtype is None else partial(torch.autocast, device.type, dtype=dtype)


def forward(model: nn.Module, example: Example, device: torch.device) -> Output:
    """Runs a network, or what wraps one, on an example, whose features carry real context."""
    features = torch.from_numpy(example.features).to(device, non_blocking=True)
    return model(features, torch.from_numpy(example.lengths), padded=True)


@torch.no_grad()
def evaluate(
    network: nn.Module, objective: Objective, examples: Iterable[Example], device: torch.device
) -> dict[str, float]:
    """Measures the objective without training.

    Returns:
      The figures per frame; NaN throughout where there is no frame.
    """
    was = network.training
    network.eval()
    sums: dict[str, float] = {}
    for example in examples:
        if not example.names:
            continue
        parts = objective(forward(network, example, device), example.targets)
        for name, value in {**parts.figures, "frames": parts.frames}.items():
            sums[name] = sums.get(name, 0.0) + float(value)
    network.train(was)
    frames = sums.pop("frames", 0.0)
    return {name: value / frames for name, value in sums.items()} if frames else {}


def is_out_of_memory(error: RuntimeError) -> bool:
    """Tells whether memory, of a GPU or of the machine, did not suffice."""
    kind = getattr(torch.cuda, "OutOfMemoryError", None)
    text = str(error).lower()
    return (kind is not None and isinstance(error, kind)) or "out of memory" in text or "not enough memory" in text
