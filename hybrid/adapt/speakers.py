"""Speakers' transforms from aligned features: one piece of work per speaker, on any executor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np

from hybrid.align.corpus_alignments import CorpusAlignments
from hybrid.base.jobs import map_in_order
from hybrid.base.log import get_logger
from hybrid.feats.pipeline import FeaturePipeline
from hybrid.feats.store import FeatureStore
from hybrid.gmm import AmDiagGmm
from hybrid.gmm.adapt_config import FmllrConfig
from hybrid.gmm.basis_fmllr import BasisTrainer, FmllrBasis
from hybrid.gmm.fmllr import FmllrEstimate, FmllrStats, compose_affine, estimate_fmllr, identity_transform
from hybrid.hmm import TransitionModel

__all__ = ["FmllrWork", "basis_of_corpus", "silence_weights", "speaker_transforms", "unadapted_speakers"]

logger = get_logger(__name__)

Piece = tuple[str, FeatureStore, list[tuple[str, np.ndarray]]]


@dataclass(frozen=True, eq=False)
class FmllrWork:
    """What estimating needs besides features and alignments; sent to the workers.

    Attributes:
      gmm: what the transformed features shall fit.
      pdf_ids, weights: of a frame, by transition-id.
      pipeline: from a store's features to the model's.
      config: when a speaker has data enough.
      before: speaker → transform that is in force; new ones are put on top of it.
      posterior_gmm: where posteriors of Gaussians come from, on features without `before`; None for `gmm`.
    """

    gmm: AmDiagGmm
    pdf_ids: np.ndarray
    weights: np.ndarray
    pipeline: FeaturePipeline
    config: FmllrConfig
    before: Mapping[str, np.ndarray] = field(default_factory=dict)
    posterior_gmm: AmDiagGmm | None = None

    def stats(self, piece: Piece) -> FmllrStats:
        """Returns a speaker's statistics of features that `before` has been applied to."""
        speaker, store, items = piece
        stats = FmllrStats.zeros(self.gmm.dim)
        for utterance, ids in items:
            features = self.pipeline.features(store, utterance, self.before.get(speaker))
            stats.accumulate(
                self.gmm, features, self.pdf_ids[ids], self.weights[ids], posterior_model=self.posterior_gmm
            )
        return stats

    def speaker(self, piece: Piece) -> tuple[str, FmllrEstimate]:
        """Returns a speaker's transform of features that `before` has been applied to."""
        return piece[0], estimate_fmllr(self.stats(piece), self.config)


def speaker_transforms(
    work: FmllrWork, store: FeatureStore, alignments: CorpusAlignments, executor: Executor | None = None
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Estimates a transform for every speaker, on top of those in force.

    Returns:
      speaker → float32 [D][D + 1], and speaker → why the transform in force was kept.
    """
    transforms: dict[str, np.ndarray] = {}
    kept: dict[str, str] = {}
    gain = frames = 0.0
    for speaker, estimate in map_in_order(FmllrWork.speaker, _pieces(store, alignments), executor, shared=work):
        before = work.before.get(speaker, identity_transform(work.gmm.dim))
        transforms[speaker] = compose_affine(estimate.matrix, np.asarray(before, np.float64)).astype(np.float32)
        gain += estimate.gain * estimate.frames
        frames += estimate.frames
        if estimate.reason:
            kept[speaker] = estimate.reason
    logger.info("fMLLR: %d speakers, gain %.4f per frame over %.0f frames%s", len(transforms), gain / max(frames, 1),
                frames, f", {len(kept)} kept as they were ({_shown(kept)})" if kept else "")  # fmt: skip
    return transforms, kept


def _shown(kept: Mapping[str, str], count: int = 3) -> str:
    some = [f"{speaker}: {reason}" for speaker, reason in list(kept.items())[:count]]
    return "; ".join(some) + (" …" if len(kept) > count else "")


def _pieces(store: FeatureStore, alignments: CorpusAlignments, limit: int | None = None) -> Iterator[Piece]:
    speakers: dict[str, list[str]] = {}
    for utterance in alignments.ids:
        speakers.setdefault(store.speaker(utterance), []).append(utterance)
    for speaker, ids in sorted(speakers.items())[:limit]:
        yield speaker, store.subset(ids), [(u, alignments[u]) for u in ids]


def basis_of_corpus(
    work: FmllrWork,
    store: FeatureStore,
    alignments: CorpusAlignments,
    max_speakers: int,
    executor: Executor | None = None,
) -> FmllrBasis:
    """Learns the directions in which the first `max_speakers` speakers want their features moved."""
    trainer = BasisTrainer(work.gmm.dim)
    for stats in map_in_order(FmllrWork.stats, _pieces(store, alignments, max_speakers), executor, shared=work):
        trainer.add(stats)
    basis = trainer.estimate()
    logger.info("fMLLR basis: %d directions from %d speakers", len(basis.bases), trainer.speakers)
    return basis


def silence_weights(model: TransitionModel, silence_phones: list[int], weight: float) -> np.ndarray:
    """Returns the weight of a frame by its transition-id: float64 [num_transition_ids + 1]."""
    return np.where(np.isin(model.phones, silence_phones), weight, 1.0)


def unadapted_speakers(transforms: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Returns speaker → remark for `failed.txt`, for those whose transform changes nothing."""
    return {
        speaker: "speaker kept unadapted: too little speech for a transform, or features that do not vary"
        for speaker, matrix in transforms.items()
        if np.array_equal(matrix, identity_transform(len(matrix)))
    }
