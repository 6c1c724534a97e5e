"""A tree from aligned features: statistics in fixed blocks, questions, growth, and the model it begins with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from hybrid.align.convert import pdf_classes, phone_runs
from hybrid.align.corpus_alignments import BLOCK, CorpusAlignments
from hybrid.base.jobs import blocks, map_in_order
from hybrid.base.log import get_logger
from hybrid.feats.pipeline import FeaturePipeline
from hybrid.feats.store import FeatureStore
from hybrid.gmm import AmDiagGmm
from hybrid.hmm import HmmTopology, TransitionModel
from hybrid.train.gmm.ladder_config import ContextConfig
from hybrid.tree import (
    ContextTree,
    Questions,
    TreeConfig,
    TreeReport,
    TreeStats,
    accumulate_tree_stats,
    build_tree,
    find_questions,
    pdf_moments,
)
from lexicon.lang_dir import LangDir

__all__ = ["TreeWork", "corpus_tree_stats", "gmm_of_tree", "tree_of_corpus"]

_log = get_logger(__name__)


@dataclass(frozen=True, eq=False)
class TreeWork:
    """What accumulating statistics for a tree needs besides features and alignments; sent to the workers.

    Attributes:
      transition_model: of the alignments.
      pipeline: of the features that the tree's Gaussians model.
      context: the window.
      context_independent: phones whose neighbours are not asked about.
      speaker_transforms: speaker → fMLLR transform.
    """

    transition_model: TransitionModel
    pipeline: FeaturePipeline
    context: ContextConfig
    context_independent: tuple[int, ...]
    speaker_transforms: Mapping[str, np.ndarray] = field(default_factory=dict)

    def block(self, piece: tuple[FeatureStore, list[tuple[str, np.ndarray]]]) -> TreeStats:
        """Returns the statistics of some utterances."""
        store, items = piece
        parts = []
        for utterance, ids in items:
            transform = self.speaker_transforms.get(store.speaker(utterance))
            parts += self.utterance(self.pipeline.features(store, utterance, transform), ids)
        return TreeStats.merge(parts)

    def utterance(self, features: np.ndarray, ids: np.ndarray) -> list[TreeStats]:
        """Returns the statistics of one utterance's features and transition-ids."""
        phones, durations = phone_runs(ids, self.transition_model)
        return [self.accumulate(features, phones, durations, self._classes[ids])]

    def accumulate(
        self, features: np.ndarray, phones: np.ndarray, durations: np.ndarray, classes: np.ndarray
    ) -> TreeStats:
        """Returns the statistics of frames in this work's window."""
        return accumulate_tree_stats(
            features, phones, durations, classes,
            self.context.context_width, self.context.central_position, self.context_independent,
        )  # fmt: skip

    @cached_property
    def _classes(self) -> np.ndarray:
        return pdf_classes(self.transition_model)


def corpus_tree_stats(
    work: TreeWork, store: FeatureStore, alignments: CorpusAlignments, executor: Executor | None = None
) -> TreeStats:
    """Adds up the statistics of all aligned utterances, blocks in their order."""

    def pieces() -> Iterator[tuple[FeatureStore, list[tuple[str, np.ndarray]]]]:
        for ids in blocks(alignments.ids, BLOCK):
            yield store.subset(ids), [(u, alignments[u]) for u in ids]

    return TreeStats.merge(map_in_order(TreeWork.block, pieces(), executor, shared=work))


def tree_of_corpus(
    stats: TreeStats, lang: LangDir, topology: HmmTopology, config: TreeConfig, context: ContextConfig
) -> tuple[ContextTree, TreeReport]:
    """Finds questions, adds the lang folder's own, and builds the tree."""
    found = find_questions(stats, lang.sets, context.question_pdf_classes)
    counts = topology.pdf_class_counts()
    questions = Questions.compile([*found, *lang.extra_questions], stats.context_width, max(counts.values()))
    tree, report = build_tree(stats, lang.roots, questions, counts, config, lang.phones.symbol)
    _log.info("%d phones in context, %d questions; %s", len(stats.contexts), len(found), report)
    return tree, report


def gmm_of_tree(stats: TreeStats, tree: ContextTree, min_variance: float = 0.01) -> tuple[AmDiagGmm, np.ndarray]:
    """Returns one Gaussian per pdf, fitted to the tree's statistics, and the frames of each pdf.

    Pdfs without a frame get the Gaussian of all frames.
    """
    moments = pdf_moments(stats, tree)
    counts = moments[:, 0].copy()
    empty = counts <= 0
    if empty.any():
        _log.warning("no frames of pdfs %s; they begin as the average of all", np.flatnonzero(empty).tolist())
        moments[empty] = moments.sum(axis=0)
    means = moments[:, 1 : 1 + stats.dim] / moments[:, :1]
    variances = np.maximum(moments[:, 1 + stats.dim :] / moments[:, :1] - means**2, min_variance)
    return AmDiagGmm.from_normal(np.arange(tree.num_pdfs + 1), np.ones(tree.num_pdfs), means, variances), counts
