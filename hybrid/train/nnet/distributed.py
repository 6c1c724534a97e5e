"""One process, or several started by torchrun that share each step's batches (DistributedDataParallel).

A step of two processes with one batch each has the same gradient as one process that accumulates these two batches.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from hybrid.model.device import usable_device

__all__ = ["Group", "process_group"]


@dataclass(frozen=True)
class Group:
    """The processes of a training.

    Attributes:
      rank: this one's number, from 0; number 0 writes.
      size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def wrap(self, network: nn.Module, device: torch.device) -> nn.Module:
        """Returns the network so that gradients are averaged over the processes."""
        if self.size == 1:
            return network
        from torch.nn.parallel import DistributedDataParallel

        ids = [device] if device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=ids, find_unused_parameters=True)

    def without_sync(self, model: nn.Module, last: bool) -> Any:
        """Returns a context in which gradients stay in this process, unless this is the step's last batch."""
        return nullcontext() if self.size == 1 or last else model.no_sync()  # type: ignore[operator]

    def agree(self, values: list[float]) -> list[float]:
        """Returns what process 0 knows, in every process."""
        if self.size == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64)
        torch.distributed.broadcast(tensor, 0)
        return tensor.tolist()

    def total(self, values: list[float]) -> list[float]:
        """Returns sums over the processes."""
        if self.size == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64)
        torch.distributed.all_reduce(tensor)
        return tensor.tolist()

    def wait(self) -> None:
        """Waits for the others."""
        if self.size > 1:
            torch.distributed.barrier()


@contextmanager
def process_group(device: str) -> Iterator[tuple[Group, torch.device]]:
    """Joins the processes that torchrun started, where it did; yields them and the device of this one.

    Numbers are exchanged by gloo; on GPUs gradients go by NCCL.

    Raises:
      InputError: no such device.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    place = _device(device, int(os.environ.get("LOCAL_RANK", "0")), size)
    if size == 1:
        yield Group(), place
        return
    torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo")
    try:
        yield Group(rank, size), place
    finally:
        torch.distributed.destroy_process_group()


def _device(name: str, local_rank: int, size: int) -> torch.device:
    """The device of this process: of several each takes the GPU of its number."""
    device = usable_device(f"cuda:{local_rank}" if size > 1 and name.startswith("cuda") else name)
    if device.type == "cuda":
        device = torch.device("cuda", device.index or 0)
        torch.cuda.set_device(device)
    return device
