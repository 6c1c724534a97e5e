"""The one thing that search and alignment know of a model: features in, scores of every pdf out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch

__all__ = ["AcousticModel"]


@runtime_checkable
class AcousticModel(Protocol):
    """Any model that scores the pdfs of a context tree: GMM or network.

    Attributes:
      num_pdfs: columns of the scores.
      feature_dim: columns of the features.
      acoustic_scale: what a search multiplies these scores by unless told otherwise; they are handed over unscaled.
      subsampling_factor: frames of features per frame of scores.
    """

    @property
    def num_pdfs(self) -> int: ...

    @property
    def feature_dim(self) -> int: ...

    @property
    def acoustic_scale(self) -> float: ...

    @property
    def subsampling_factor(self) -> int: ...

    def scores(self, features: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores a batch of utterances.

        Args:
          features: float32 [N][T][D]; frames past an utterance's length are ignored, whatever they hold.
          lengths: int64 [N], frames of each utterance.

        Returns:
          float32 [N][T'][num_pdfs], natural logs, unscaled, 0 past the end; int64 [N], frames of each. An
          utterance's scores do not depend on its neighbours nor on the padding.
        """
        ...
