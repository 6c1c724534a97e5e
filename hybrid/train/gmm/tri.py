"""Triphones on deltas (Kaldi's steps/train_deltas.sh)."""

from __future__ import annotations

import dataclasses
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hybrid.align.config import AlignConfig
from hybrid.align.corpus_alignments import CorpusAlignments
from hybrid.base.ranges import Range, check_fields
from hybrid.feats.pipeline import FeaturePipeline
from hybrid.gmm import MixConfig, UpdateConfig
from hybrid.model.folder import Model
from hybrid.train.gmm.ladder import Stage, Start, climb
from hybrid.train.gmm.ladder_config import ContextConfig, TriEmConfig
from hybrid.tree import TreeConfig

__all__ = ["TriConfig", "train_tri"]


@dataclass(frozen=True)
class TriConfig:
    """Settings of a triphone training on deltas."""

    em: TriEmConfig = field(default_factory=TriEmConfig)
    align: AlignConfig = field(default_factory=AlignConfig)
    update: UpdateConfig = field(default_factory=UpdateConfig)
    mix: MixConfig = field(default_factory=MixConfig)
    tree: TreeConfig = field(default_factory=lambda: TreeConfig(max_leaves=1500))
    context: ContextConfig = field(default_factory=ContextConfig)
    delta_order: int = 2

    def __post_init__(self) -> None:
        check_fields(self, delta_order=Range(0, 4))


def train_tri(start: Start, out_dir: Path, config: TriConfig | None = None, executor: Executor | None = None) -> Model:
    """Trains triphones on features with deltas from the alignments of the stage below."""
    config = config or TriConfig()

    def begin(
        start: Start, alignments: CorpusAlignments, executor: Executor | None
    ) -> tuple[FeaturePipeline, dict[str, np.ndarray]]:
        below = start.model.pipeline
        return dataclasses.replace(
            below, delta_order=config.delta_order, splice_left=0, splice_right=0, transforms=()
        ), {}

    stage = Stage(
        name="triphone",
        em=config.em,
        align=config.align,
        update=config.update,
        mix=config.mix,
        tree=config.tree,
        context=config.context,
        begin=begin,
        extra={"delta_order": config.delta_order},
        mix_up_first=True,
    )
    return climb(stage, start, out_dir, executor)
