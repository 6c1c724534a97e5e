"""Features that speakers' transforms are applied to, for models that were trained on such: a network on fMLLR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hybrid.base.artifact import content_hash
from hybrid.data.utterance import Utterance
from hybrid.decode.scoring import BATCH_FRAMES, or_reason, score_all
from hybrid.decode.sources import FeatureFolder, open_store
from hybrid.gmm.speaker_transforms import load_transforms
from hybrid.model.folder import Model

if TYPE_CHECKING:
    import torch

__all__ = ["AdaptedFeatureFolder"]


@dataclass(frozen=True)
class AdaptedFeatureFolder(FeatureFolder):
    """Utterances of a feature store with transforms that another model estimated (`hybrid gmm decode-fmllr`).

    Attributes:
      transforms: their file, or the folder of transforms.safetensors; speakers without one are taken as they are.
    """

    transforms: str = ""

    @property
    def _file(self) -> Path:
        path = Path(self.transforms)
        return path / "transforms.safetensors" if path.is_dir() else path

    def fingerprint(self) -> str:
        """See `ScoreSource.fingerprint`."""
        return f"{super().fingerprint()} transforms {content_hash(self._file)}"

    def inputs(self) -> dict[str, Any]:
        """See `ScoreSource.inputs`."""
        return {**super().inputs(), "transforms": self._file}

    def scores(
        self, model: Model, items: Sequence[Utterance], batch_frames: int = BATCH_FRAMES
    ) -> Iterator[np.ndarray | torch.Tensor | str]:
        """See `ScoreSource.scores`; by the model for adapted features."""
        store, found = open_store(self.path), load_transforms(self._file, model.pipeline.dim)
        model.pipeline.require_match(store)
        features = (
            or_reason(model.pipeline.features, store, item.id, found.get(store.speaker(item.id))) for item in items
        )
        yield from score_all(model, features, batch_frames)
