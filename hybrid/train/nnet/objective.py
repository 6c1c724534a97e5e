"""What the loop knows of an objective: a loss to minimise, summed over frames, and figures to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

__all__ = ["Objective", "Parts"]


@dataclass(frozen=True, eq=False)
class Parts:
    """The objective of a batch.

    Attributes:
      loss: scalar, to be minimised; a sum over frames, with all penalties.
      frames: by which sums are divided.
      figures: name → sum over frames; `objective` is what is maximised, without penalties.
    """

    loss: torch.Tensor
    frames: float
    figures: Mapping[str, float] = field(default_factory=dict)


class Objective(Protocol):
    """An objective.

    Attributes:
      name: short, for logs.
      ceiling: what `objective` per frame can never exceed; None where nothing is known.
      advice: what to look at where it does.
      frozen_norms: (where it is true) batch normalisation works as in decoding, by the statistics of the start.
    """

    @property
    def name(self) -> str: ...

    @property
    def ceiling(self) -> float | None: ...

    @property
    def advice(self) -> str: ...

    def __call__(self, output: Any, targets: Any) -> Parts:
        """Returns the parts of a batch.

        Args:
          output: of the network: an `Output`, or what another one gives.
          targets: as `Targets.together` gave them.
        """
