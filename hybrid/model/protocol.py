"""What search, alignment and decoding know of an acoustic model: features in, scores of every pdf out.

Whole utterances in batches (`scores`), many streams in chunks (`open`, `advance`), or the pdfs that one alignment can
reach (`band`). `AcousticModelBase` gives all but `scores` a default, so that a new kind of model is one method and a
few facts about itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from hybrid.model.chunks import ScoreStream, advance_streams

if TYPE_CHECKING:
    import torch

__all__ = ["AcousticModel", "AcousticModelBase", "BandScorer", "score_batch", "score_one"]

BandScorer = Callable[[int, int, np.ndarray], np.ndarray]


@runtime_checkable
class AcousticModel(Protocol):
    """Any model that scores the pdfs of a context tree: GMM or network.

    Attributes:
      num_pdfs: columns of the scores.
      feature_dim: columns of the features.
      acoustic_scale: what a search multiplies these scores by unless told otherwise; they are handed over unscaled.
      transition_scale, self_loop_scale: what belongs to these scores in graphs and alignments.
      subsampling_factor: frames of features per frame of scores.
      left_context, right_context: frame t of the scores sees frames t · factor − left … t · factor + right of the
        features, and nothing else.
      device: where scores are computed, as torch names it.
    """

    @property
    def num_pdfs(self) -> int: ...

    @property
    def feature_dim(self) -> int: ...

    @property
    def acoustic_scale(self) -> float: ...

    @property
    def transition_scale(self) -> float: ...

    @property
    def self_loop_scale(self) -> float: ...

    @property
    def subsampling_factor(self) -> int: ...

    @property
    def left_context(self) -> int: ...

    @property
    def right_context(self) -> int: ...

    @property
    def device(self) -> str: ...

    def num_frames(self, frames: int) -> int:
        """Frames of scores of an utterance with so many frames of features."""

    def to(self, device: str) -> AcousticModel:
        """Returns the model on another device."""

    def scores(self, features: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores a batch of utterances.

        Args:
          features: float32 [N][T][D]; frames past an utterance's length are ignored, whatever they hold.
          lengths: int64 [N], frames of each utterance.

        Returns:
          float32 [N][T'][num_pdfs], natural logs, unscaled, 0 past the end, on the model's device; int64 [N], frames
          of each. An utterance's scores do not depend on its neighbours nor on the padding.
        """

    def band(self, features: np.ndarray, pdf_ids: np.ndarray) -> BandScorer:
        """Returns the scores of one utterance that an alignment asks for, frame by frame.

        Args:
          features: float32 [T][D]. pdf_ids: int32 [M], the pdfs of its graph.

        Returns:
          A function (begin, end, columns) → float32 [end − begin][len(columns)]: scores of frames `begin` to `end` of
          the scores, of pdfs `pdf_ids[columns]`.
        """

    def open(self) -> ScoreStream:
        """Opens a stream: an utterance whose features come in chunks."""

    def advance(
        self, streams: Sequence[ScoreStream], chunks: Sequence[np.ndarray], last: Sequence[bool] | None = None
    ) -> list[torch.Tensor]:
        """Takes in a chunk of each of many streams of this model.

        Args:
          chunks: float32 [T][D] of each; may be empty.
          last: whether a stream ends with its chunk.

        Returns:
          Of each stream the scores that are known now, float32 [T'][num_pdfs] on the model's device; together they
          are those of the whole utterance.
        """


class AcousticModelBase:
    """The parts of `AcousticModel` that follow from `scores`."""

    acoustic_scale: float = 1.0
    transition_scale: float = 1.0
    self_loop_scale: float = 1.0
    subsampling_factor: int = 1
    left_context: int = 0
    right_context: int = 0
    device: str = "cpu"

    def num_frames(self, frames: int) -> int:
        """See `AcousticModel.num_frames`."""
        return -(-frames // self.subsampling_factor)

    def band(self, features: np.ndarray, pdf_ids: np.ndarray) -> BandScorer:
        """See `AcousticModel.band`; scores the whole utterance at the first call."""
        found: list[np.ndarray] = []

        def score(begin: int, end: int, columns: np.ndarray) -> np.ndarray:
            if not found:
                found.append(score_one(self, features))  # type: ignore[arg-type]
            return np.ascontiguousarray(found[0][begin:end, pdf_ids[columns]])

        return score

    def open(self) -> ScoreStream:
        """See `AcousticModel.open`."""
        return ScoreStream(self)  # type: ignore[arg-type]

    def advance(
        self, streams: Sequence[ScoreStream], chunks: Sequence[np.ndarray], last: Sequence[bool] | None = None
    ) -> list[torch.Tensor]:
        """See `AcousticModel.advance`."""
        return advance_streams(self, streams, chunks, last)  # type: ignore[arg-type]


def score_batch(model: AcousticModel, features: Sequence[np.ndarray]) -> list[torch.Tensor]:
    """Scores utterances together.

    Args:
      features: float32 [T][D] of each; one may be empty.

    Returns:
      Of each float32 [T'][num_pdfs], on the model's device.
    """
    import torch

    out = [torch.zeros(0, model.num_pdfs, device=model.device)] * len(features)
    at_work = [i for i, rows in enumerate(features) if len(rows)]
    if not at_work:
        return out
    batch = torch.zeros(len(at_work), max(len(features[i]) for i in at_work), features[at_work[0]].shape[1])
    for row, i in enumerate(at_work):
        batch[row, : len(features[i])] = torch.from_numpy(np.ascontiguousarray(features[i], np.float32))
    scores, lengths = model.scores(batch.to(model.device), torch.tensor([len(features[i]) for i in at_work]))
    for row, i in enumerate(at_work):
        out[i] = scores[row, : int(lengths[row])]
    return out


def score_one(model: AcousticModel, features: np.ndarray) -> np.ndarray:
    """Scores one utterance: float32 [T'][num_pdfs] for float32 [T][D]."""
    return score_batch(model, [features])[0].detach().cpu().numpy()
