"""Frame cross-entropy on alignments: the pdf of each frame of scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hybrid.nnet.losses import frame_cross_entropy
from hybrid.nnet.network import Output
from hybrid.train.nnet.objective import Parts
from hybrid.train.nnet.sources import Item

__all__ = ["NONE", "AlignmentTargets", "CrossEntropy", "at_speed"]

NONE = -100  # target of a frame that does not count, as those of `frame_cross_entropy`


def at_speed(frames: int, length: int, speed: float) -> np.ndarray:
    """Returns which frame of an utterance at speed 1 stands under each frame of it at another speed.

    Args:
      frames: of the utterance at that speed. length: of its alignment at speed 1.

    Returns:
      int64 [frames].
    """
    if speed == 1.0:
        return np.minimum(np.arange(frames), length - 1)
    return np.clip(np.round((np.arange(frames) + 0.5) * speed - 0.5).astype(np.int64), 0, length - 1)


@dataclass(frozen=True, eq=False)
class AlignmentTargets:
    """Pdfs of alignments; where an utterance was aligned at speed 1 only, that is stretched in time for other speeds.

    Stretching costs nothing; a new alignment of the slower or faster speech differs little.

    Attributes:
      pdf_ids: item, or utterance at speed 1, → int32 [T], the pdf of each frame of features.
      factor: frames of features per frame of scores.
    """

    pdf_ids: Mapping[str, np.ndarray]
    factor: int

    def _of(self, item: Item) -> tuple[np.ndarray | None, float]:
        """An item's alignment, and by how much it must be stretched."""
        own = self.pdf_ids.get(item.name)
        return (own, 1.0) if own is not None else (self.pdf_ids.get(item.utterance), item.speed)

    def fault(self, item: Item) -> str:
        """See `Targets.fault`."""
        found, speed = self._of(item)
        if found is None:
            return "has no alignment"
        expected = item.frames * speed
        if abs(len(found) - expected) > 3 + 0.02 * expected:
            return f"has {item.frames} frames at speed {item.speed:g}, its alignment {len(found)}"
        return ""

    def of_chunk(self, item: Item, start: int, frames: int) -> np.ndarray:
        """Returns int32 [T']."""
        pdf_ids, speed = self._of(item)
        assert pdf_ids is not None
        under = at_speed(item.frames, len(pdf_ids), speed)
        return pdf_ids[under[np.arange(start, start + frames, self.factor)]]

    def together(self, chunks: Sequence[np.ndarray]) -> np.ndarray:
        """Returns int64 [N][T'], `NONE` past a chunk's end."""
        out = np.full((len(chunks), max(map(len, chunks))), NONE, np.int64)
        for row, chunk in zip(out, chunks):
            row[: len(chunk)] = chunk
        return out


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy of the network's posteriors; see `Objective`."""

    smoothing: float = 0.0
    name: str = "cross-entropy"
    ceiling: float | None = 0.0
    advice: str = "A logarithm of a probability cannot be positive; the outputs are no logarithms of posteriors."

    def __call__(self, output: Output, targets: Any) -> Parts:
        """See `Objective`."""
        assert output.xent is not None  # `run` looks that the network has this head
        log_posteriors = output.xent.float()
        wanted = torch.as_tensor(targets, device=log_posteriors.device)[:, : log_posteriors.shape[1]]
        found = frame_cross_entropy(log_posteriors, wanted, self.smoothing)
        return Parts(
            found.loss, float(found.frames), {"objective": float(found.objective), "accuracy": float(found.right)}
        )
