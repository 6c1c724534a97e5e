"""Triphones on deltas (Kaldi's steps/train_deltas.sh)."""

from __future__ import annotations

import dataclasses
from concurrent.futures import Executor
from pathlib import Path

import numpy as np

from hybrid.align.corpus_alignments import CorpusAlignments
from hybrid.feats.pipeline import FeaturePipeline
from hybrid.model.folder import Model
from hybrid.train.gmm.ladder import GmmStage, Start, climb
from hybrid.train.gmm.ladder_config import TriConfig

__all__ = ["TriConfig", "train_tri"]


def train_tri(start: Start, out_dir: Path, config: TriConfig | None = None, executor: Executor | None = None) -> Model:
    """Trains triphones on features with deltas from the alignments of the stage below."""
    config = config or TriConfig()

    def begin(
        start: Start, alignments: CorpusAlignments, executor: Executor | None
    ) -> tuple[FeaturePipeline, dict[str, np.ndarray]]:
        """The pipeline with deltas and no splicing."""
        below = start.model.pipeline
        return dataclasses.replace(
            below, delta_order=config.delta_order, splice_left=0, splice_right=0, transforms=()
        ), {}

    stage = GmmStage(
        name="triphone",
        config=config,
        begin=begin,
        extra={"delta_order": config.delta_order},
        mix_up_first=True,
    )
    return climb(stage, start, out_dir, executor)
