"""Tiny neural models with random weights."""

from __future__ import annotations

import pytest
import torch

from lm.neural.config import NeuralLmConfig
from lm.neural.folder import NeuralLm, build
from lm.neural.units import Units

WORDS = [f"w{i}" for i in range(18)]


def tiny(architecture: str, **settings: object) -> NeuralLm:
    """A model of 20 tokens in three clusters; weights are drawn, biases too."""
    config = NeuralLmConfig(architecture=architecture, dim=8, layers=2, heads=2, feed_forward=16, dropout=0.0,
                            **{"cutoffs": (4, 9), "shrink": 2, **settings})  # type: ignore[arg-type] # fmt: skip
    torch.manual_seed(3)
    network = build(config, 20)
    for parameter in network.parameters():
        parameter.data.add_(0.3 * torch.randn(parameter.shape))
    return NeuralLm(config, Units.of_words(WORDS), network.eval().requires_grad_(False))


@pytest.fixture(params=["lstm", "transformer"])
def lm(request) -> NeuralLm:  # type: ignore[no-untyped-def]
    """One of each kind."""
    return tiny(request.param)
