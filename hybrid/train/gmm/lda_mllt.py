"""Triphones on spliced features projected by LDA and rotated by MLLT (Kaldi's steps/train_lda_mllt.sh)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from hybrid.adapt.speakers import silence_weights
from hybrid.align.corpus_alignments import BLOCK, CorpusAlignments
from hybrid.base.jobs import blocks, map_in_order
from hybrid.base.log import get_logger
from hybrid.feats.pipeline import FeaturePipeline
from hybrid.feats.store import FeatureStore
from hybrid.feats.transform import LinearTransform
from hybrid.gmm import AmDiagGmm
from hybrid.gmm.adapt_config import LdaConfig
from hybrid.gmm.lda import LdaStats, estimate_lda
from hybrid.gmm.mllt import MlltStats, estimate_mllt, transform_means
from hybrid.hmm import TransitionModel
from hybrid.model.folder import Model
from hybrid.train.gmm.em import EmCorpus, EmState, Hook
from hybrid.train.gmm.ladder import GmmStage, Start, climb
from hybrid.train.gmm.ladder_config import LdaMlltConfig, LdaMlltEmConfig

__all__ = ["LdaMlltConfig", "mllt_hook", "train_lda_mllt"]

logger = get_logger(__name__)

STRIDE_FROM = 200_000  # frames; below, MLLT looks at all of them
MLLT_BLOCKS = 4  # utterance blocks per piece: matrices per Gaussian pay off over many frames
Piece = tuple[FeatureStore, list[tuple[str, np.ndarray]]]
S = TypeVar("S", LdaStats, MlltStats)


@dataclass(frozen=True, eq=False)
class _Statistics:
    """What the workers need: features, pdfs and weights of frames; Gaussians for MLLT."""

    pipeline: FeaturePipeline
    pdf_ids: np.ndarray
    weights: np.ndarray
    gmm: AmDiagGmm | None = None
    stride: int = 1

    def frames(self, piece: Piece) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        store, items = piece
        ids = np.concatenate([transition_ids for _, transition_ids in items])
        features = np.concatenate([self.pipeline.features(store, utterance) for utterance, _ in items])
        chosen = slice(None, None, self.stride)
        return features[chosen], self.pdf_ids[ids[chosen]], self.weights[ids[chosen]]

    def lda(self, piece: Piece) -> LdaStats:
        stats = LdaStats.zeros(int(self.pdf_ids.max()) + 1, self.pipeline.dim)
        stats.accumulate(*self.frames(piece))
        return stats

    def mllt(self, piece: Piece) -> MlltStats:
        assert self.gmm is not None
        stats = MlltStats.zeros(self.pipeline.dim)
        stats.accumulate(self.gmm, *self.frames(piece))
        return stats


def _pieces(store: FeatureStore, alignments: CorpusAlignments, size: int) -> Iterator[Piece]:
    for ids in blocks(alignments.ids, size):
        yield store.subset(ids), [(u, alignments[u]) for u in ids]


def _total(parts: Iterator[S]) -> S:
    total = next(parts)
    for part in parts:
        total += part
    return total


def lda_of_corpus(
    pipeline: FeaturePipeline,
    store: FeatureStore,
    alignments: CorpusAlignments,
    transition_model: TransitionModel,
    silence_phones: list[int],
    config: LdaConfig,
    executor: Executor | None = None,
) -> LinearTransform:
    """Estimates LDA on a pipeline's features; classes are the pdfs of aligned frames, silence left out."""
    weights = silence_weights(transition_model, silence_phones, 0.0)
    work = _Statistics(pipeline, transition_model.pdf_ids, weights)
    stats = _total(map_in_order(_Statistics.lda, _pieces(store, alignments, BLOCK), executor, shared=work))
    estimate = estimate_lda(stats, config)
    logger.info(
        "LDA: %d of %d dimensions over %.0f frames hold %.1f%% of the between-class variance",
        config.dim, pipeline.dim, stats.counts.sum(),
        100 * estimate.eigenvalues[: config.dim].sum() / max(estimate.eigenvalues.sum(), 1e-300),
    )  # fmt: skip
    rows = estimate.full.astype(np.float32)
    return LinearTransform("lda", rows[: config.dim], pipeline.dim, rows[config.dim :])


def mllt_hook(silence_phones: list[int], config: LdaMlltEmConfig, corpus: EmCorpus, executor: Executor | None) -> Hook:
    """Returns what estimates MLLT in some passes: rotates the features and, with them, the means."""

    def hook(state: EmState) -> EmState:
        """In a pass of MLLT, the state with features and means rotated."""
        if state.next_pass not in config.mllt_passes:
            return state
        weights = silence_weights(state.transition_model, silence_phones, 0.0)
        stride = config.mllt_stride if state.alignments.num_frames >= STRIDE_FROM else 1
        work = _Statistics(state.pipeline, state.transition_model.pdf_ids, weights, state.gmm, stride)
        pieces = _pieces(corpus.store, state.alignments, BLOCK * MLLT_BLOCKS)
        estimate = estimate_mllt(_total(map_in_order(_Statistics.mllt, pieces, executor, shared=work)))
        logger.info("pass %d: MLLT gains %.4f per frame", state.next_pass, estimate.gain)
        *before, last = state.pipeline.transforms
        rotation = LinearTransform("mllt", estimate.matrix.astype(np.float32), last.dim)
        both = dataclasses.replace(last.then(rotation), name="lda+mllt")
        pipeline = state.pipeline.with_transforms(*before, both)
        gmm = transform_means(state.gmm, rotation.matrix.astype(np.float64))
        return dataclasses.replace(state, pipeline=pipeline, gmm=gmm)

    return hook


def train_lda_mllt(
    start: Start, out_dir: Path, config: LdaMlltConfig | None = None, executor: Executor | None = None
) -> Model:
    """Trains triphones on LDA+MLLT features from the alignments of the stage below."""
    config = config or LdaMlltConfig()

    def begin(
        start: Start, alignments: CorpusAlignments, executor: Executor | None
    ) -> tuple[FeaturePipeline, dict[str, np.ndarray]]:
        """The pipeline with LDA of the alignments at hand."""
        spliced = dataclasses.replace(
            start.model.pipeline,
            delta_order=0,
            splice_left=config.splice.splice_left,
            splice_right=config.splice.splice_right,
            transforms=(),
        )
        lda = lda_of_corpus(
            spliced,
            start.store,
            alignments,
            start.model.transition_model,
            start.lang.silence_phones,
            config.lda,
            executor,
        )
        return spliced.with_transforms(lda), {}

    stage = GmmStage(
        name="LDA+MLLT",
        config=config,
        begin=begin,
        extra={"splice": dataclasses.asdict(config.splice), "lda": dataclasses.asdict(config.lda)},
        make_hook=lambda s, corpus, ex: mllt_hook(s.lang.silence_phones, config.em, corpus, ex),
    )
    return climb(stage, start, out_dir, executor)
