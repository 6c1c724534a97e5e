"""Statistics of a set of aligned utterances, in fixed blocks, on any executor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np

from hybrid.align.corpus_alignments import BLOCK, CorpusAlignments
from hybrid.base.jobs import blocks, map_in_order
from hybrid.feats.pipeline import FeaturePipeline
from hybrid.feats.store import FeatureStore
from hybrid.gmm import AmDiagGmm, GmmStats, accumulate
from hybrid.hmm import TransitionModel

__all__ = ["EStep", "accumulate_corpus"]

Piece = tuple[FeatureStore, list[tuple[str, np.ndarray]]]


@dataclass(frozen=True, eq=False)
class EStep:
    """What accumulating needs besides features and alignments; sent to the workers.

    Attributes:
      gmm: gives the posteriors.
      transition_model: maps transition-ids to pdfs.
      pipeline: from a store's features to the model's.
      speaker_transforms: speaker → fMLLR transform; speakers without one are taken as they are.
      stats_pipeline, stats_transforms: of the features that are summed, where they are not those that give the
        posteriors (Kaldi's "twofeats").
    """

    gmm: AmDiagGmm
    transition_model: TransitionModel
    pipeline: FeaturePipeline
    speaker_transforms: Mapping[str, np.ndarray] = field(default_factory=dict)
    stats_pipeline: FeaturePipeline | None = None
    stats_transforms: Mapping[str, np.ndarray] = field(default_factory=dict)

    def block(self, piece: Piece) -> tuple[GmmStats, np.ndarray]:
        """Returns the statistics of the Gaussians and of the transitions of some utterances."""
        store, items = piece
        dim = self.stats_pipeline.dim if self.stats_pipeline else None
        stats = GmmStats.zeros(self.gmm, dim)
        transitions = np.zeros(self.transition_model.num_transition_ids + 1)
        for utterance, transition_ids in items:
            speaker = store.speaker(utterance)
            features = self.pipeline.features(store, utterance, self.speaker_transforms.get(speaker))
            summed = None
            if self.stats_pipeline is not None:
                summed = self.stats_pipeline.features(store, utterance, self.stats_transforms.get(speaker))
            pdf_ids = self.transition_model.pdf_ids[transition_ids]
            accumulate(stats, self.gmm, features, pdf_ids, stats_features=summed)
            transitions += np.bincount(transition_ids, minlength=len(transitions))
        return stats, transitions


def accumulate_corpus(
    e_step: EStep, store: FeatureStore, alignments: CorpusAlignments, executor: Executor | None = None
) -> tuple[GmmStats, np.ndarray]:
    """Adds up the statistics of all aligned utterances.

    Blocks are summed from zero and added in their order, so that the digits do not depend on the executor.

    Returns:
      Statistics of the Gaussians, and how often each transition-id was passed: float64 [num_transition_ids + 1].
    """

    def pieces() -> Iterator[Piece]:
        for ids in blocks(alignments.ids, BLOCK):
            yield store.subset(ids), [(u, alignments[u]) for u in ids]

    dim = e_step.stats_pipeline.dim if e_step.stats_pipeline else None
    total = GmmStats.zeros(e_step.gmm, dim)
    transitions = np.zeros(e_step.transition_model.num_transition_ids + 1)
    for stats, counts in map_in_order(EStep.block, pieces(), executor, shared=e_step):
        total += stats
        transitions += counts
    return total, transitions
