"""The state of a training in one file: killed anywhere, it goes on from there to the same weights.

Parameters, statistics and the optimiser's state are tensors; where in the data it stood, what was measured and how
random numbers go on is JSON in the file's header. The file is replaced as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from hybrid.base.errors import InputError
from hybrid.train.gmm.state import continued, write_record
from hybrid.train.nnet.data import Position
from hybrid.train.nnet.optimiser import Optimiser

__all__ = ["TrainState", "load_network", "load_state", "network_arrays", "save_state"]

NETWORK, OPTIMISER = "network.", "optimiser."
MOST = 1 << 40  # of anything that is counted


@dataclass(eq=False)
class TrainState:
    """Where a training stands; with network and optimiser all that the next step depends on.

    Attributes:
      position: in the stream of batches.
      step: steps done. Random numbers of a step follow from the seed and its number.
      frames: of features trained on.
      parts: into how many a batch is cut because memory did not suffice for it whole.
      sums: of the figures since the last measurement; "frames" is what they are divided by.
      rows: of passes.tsv.
      failed: item → why it was left out of a batch.
      scale: of the loss, with float16.
      skipped: steps left out, whose gradient was not finite.
      stopped: nothing more is gained (early stop).
    """

    position: Position = field(default_factory=Position)
    step: int = 0
    frames: int = 0
    parts: int = 1
    sums: dict[str, float] = field(default_factory=dict)
    rows: list[dict[str, float]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    scale: dict[str, float] = field(default_factory=dict)
    skipped: int = 0
    stopped: bool = False

    def __post_init__(self) -> None:
        counts = (self.position.epoch, self.position.batch, self.step, self.frames, self.parts - 1, self.skipped)
        if not all(type(n) is int and 0 <= n < MOST for n in counts) or type(self.stopped) is not bool:
            raise ValueError("counts that are no counts")
        numbers = [self.sums, self.scale, *self.rows]
        if not all(isinstance(v, (int, float)) for figures in numbers for v in figures.values()):
            raise ValueError("figures that are no numbers")
        if not all(isinstance(v, str) for v in self.failed.values()):
            raise ValueError("reasons that are no text")

    @property
    def learnt(self) -> bool:
        """Whether some step had an example, and a finite gradient."""
        return self.skipped < self.step and (bool(self.sums) or any("objective" in row for row in self.rows))


def network_arrays(network: nn.Module) -> dict[str, np.ndarray]:
    """Returns parameters and buffers as arrays."""
    return {name: tensor.detach().cpu().numpy() for name, tensor in network.state_dict().items()}


def load_network(network: nn.Module, arrays: Mapping[str, np.ndarray], place: object) -> None:
    """Puts arrays into a network.

    Raises:
      InputError: they are of another network.
    """
    wanted = network.state_dict()
    for name, tensor in wanted.items():
        if name not in arrays:
            raise InputError.at(place, f"lacks the parameter '{name}' of this network", "Use its own settings.")
        if tuple(tensor.shape) != arrays[name].shape:
            raise InputError.at(
                place, f"holds '{name}' of shape {arrays[name].shape}, this network has {tuple(tensor.shape)} "
                "(another tree, or other settings)", "Use a network with the same tree and settings.",
            )  # fmt: skip
    network.load_state_dict({name: torch.from_numpy(arrays[name].copy()) for name in wanted})


def save_state(
    path: str | os.PathLike, network: nn.Module, optimiser: Optimiser, state: TrainState, identity: str
) -> None:
    """Saves everything that the next step depends on, to the last bit, atomically."""
    arrays = {f"{NETWORK}{k}": v for k, v in network_arrays(network).items()}
    arrays |= {f"{OPTIMISER}{k}": v for k, v in optimiser.arrays().items()}
    write_record(path, arrays, {"identity": identity, **asdict(state)})


def load_state(path: str | os.PathLike, network: nn.Module, optimiser: Optimiser, identity: str) -> TrainState | None:
    """Loads the state of a training that was stopped.

    Returns:
      None where there is none, or where it is of another training (other settings or inputs) or damaged.
    """

    def state_of(record: dict[str, Any], arrays: dict[str, np.ndarray]) -> TrainState:
        state = TrainState(**{**record, "position": Position(**record["position"])})
        load_network(network, _under(NETWORK, arrays), path)
        optimiser.load(_under(OPTIMISER, arrays), path)
        return state

    return continued(path, identity, state_of)


def _under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
