"""Numbers between host and device, without either waiting longer than it must."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch

__all__ = ["ToHost"]


@cache
def _side(device: torch.device) -> torch.cuda.Stream:
    """Returns the queue of a card in which copies wait for what is computed, and nothing for them."""
    return torch.cuda.Stream(device)


class ToHost:
    """Tensors of one device on their way to the host: who looks at them waits, whoever sends them goes on.

    Copies have a queue of their own: what is launched next need not wait for them.
    """

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        """Sends contiguous tensors, at least one."""
        device = tensors[0].device
        if device.type != "cuda":
            self._tensors, self._arrived = list(tensors), None
            return
        self._tensors, side = [], _side(device)
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            for there in tensors:
                here = torch.empty(there.shape, dtype=there.dtype, pin_memory=True)
                here.copy_(there, non_blocking=True)
                there.record_stream(side)  # type: ignore[arg-type]
                self._tensors.append(here)
            self._arrived = side.record_event()

    def arrays(self) -> list[np.ndarray]:
        """Returns them on the host, when they are there; the interpreter's lock is free meanwhile."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return [each.numpy() for each in self._tensors]
