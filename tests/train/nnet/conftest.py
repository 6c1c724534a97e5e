"""A tiny network's training on the synthetic language: its settings, task and features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hybrid.feats.cmvn import CmvnConfig
from hybrid.train.nnet.config import AugmentConfig, BatchConfig, OptimiserConfig, TrainingConfig
from hybrid.train.nnet.run import NnetConfig, Task
from hybrid.train.nnet.sources import StoreSource
from hybrid.train.nnet.tasks import cross_entropy_task, store_source

NETWORK = {"dim": 16, "bottleneck_dim": 8, "prefinal_dim": 8, "time_strides": [1, 1], "first_context": 1,
           "subsampling_factor": 1, "chain": False}  # fmt: skip


@pytest.fixture(scope="session")
def config() -> NnetConfig:
    return NnetConfig(
        network=NETWORK,
        batches=BatchConfig(chunk_frames=(20,), batch_frames=160),
        optimiser=OptimiserConfig(learning_rate=0.01, final_learning_rate=0.001),
        training=TrainingConfig(epochs=3, heldout=4, threads=1),
    )


@pytest.fixture(scope="session")
def change() -> Callable[..., NnetConfig]:
    """Changes settings of a section: change(config, "training", epochs=1)."""
    return lambda config, part, **values: replace(config, **{part: replace(getattr(config, part), **values)})


@pytest.fixture(scope="session")
def task(model) -> Task:
    assert model.path is not None
    return cross_entropy_task(model.path, Path(model.path), 0.0, 1)


@pytest.fixture(scope="session")
def source(store) -> StoreSource:
    found = store_source(store.path, CmvnConfig(), AugmentConfig())
    assert isinstance(found, StoreSource)
    return found
