"""Some pdfs made more likely: how training and alignment are led to find the pauses."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hybrid.model.protocol import AcousticModel, AcousticModelBase, BandScorer

if TYPE_CHECKING:
    import torch

__all__ = ["BoostedModel", "boosted"]


def boosted(model: AcousticModel, pdf_ids: np.ndarray, factor: float) -> AcousticModel:
    """Returns a model that finds some pdfs `factor` times as likely (Kaldi's gmm-boost-silence, for any model).

    Raises:
      ValueError: the factor is not positive.
    """
    if not 0 < factor < math.inf:
        raise ValueError(f"boost is {factor}, wanted a positive number")
    return model if factor == 1.0 else BoostedModel(model, np.unique(pdf_ids), math.log(factor))


@dataclass(frozen=True, eq=False)
class BoostedModel(AcousticModelBase):
    """See `boosted`.

    Attributes:
      pdf_ids: int32, of those boosted. more: what is added to their scores.
    """

    model: AcousticModel
    pdf_ids: np.ndarray
    more: float
    num_pdfs: int = field(init=False)
    feature_dim: int = field(init=False)

    def __post_init__(self) -> None:
        for name in ("num_pdfs", "feature_dim", "acoustic_scale", "transition_scale", "self_loop_scale",
                     "subsampling_factor", "left_context", "right_context", "device"):  # fmt: skip
            object.__setattr__(self, name, getattr(self.model, name))

    def to(self, device: str) -> BoostedModel:
        """See `AcousticModel.to`."""
        return BoostedModel(self.model.to(device), self.pdf_ids, self.more)

    def scores(self, features: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `AcousticModel.scores`."""
        scores, frames = self.model.scores(features, lengths)
        scores = scores.clone()
        for row, count in zip(scores, frames.tolist()):
            row[:count, self.pdf_ids] += self.more
        return scores, frames

    def band(self, features: np.ndarray, pdf_ids: np.ndarray) -> BandScorer:
        """See `AcousticModel.band`."""
        score, more = self.model.band(features, pdf_ids), np.where(np.isin(pdf_ids, self.pdf_ids), self.more, 0.0)

        def higher(begin: int, end: int, columns: np.ndarray) -> np.ndarray:
            return score(begin, end, columns) + more[columns].astype(np.float32)

        return higher
