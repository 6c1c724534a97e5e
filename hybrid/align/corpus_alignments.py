"""Alignment of a whole set of utterances, in fixed blocks, on any executor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from hybrid.align.alignment import Alignment
from hybrid.align.alignment_graph import AlignmentGraph, scaled_transition_scores
from hybrid.align.config import AlignConfig, AlignmentError
from hybrid.align.viterbi import viterbi_align_on_demand
from hybrid.base.errors import HybridError
from hybrid.base.jobs import blocks, map_in_order
from hybrid.base.log import progress
from hybrid.feats.pipeline import FeaturePipeline
from hybrid.feats.store import FeatureStore
from hybrid.formats.openfst import FstArrays
from hybrid.hmm import TransitionModel
from hybrid.model.protocol import AcousticModel

__all__ = ["BLOCK", "Aligner", "CorpusAlignments", "GraphSource", "align_corpus"]

BLOCK = 32  # utterances per piece of work; fixed, so that sums do not depend on the number of jobs


class GraphSource(Protocol):
    """Training graphs by utterance id (hybrid.graph.training.TrainingGraphs)."""

    def __contains__(self, utterance: object) -> bool: ...

    def graph(self, utterance: str) -> FstArrays: ...


@dataclass(frozen=True, eq=False)
class Aligner:
    """What aligning needs besides features and graphs; sent to the workers.

    Attributes:
      acoustic_model: gives the scores.
      transition_model: belongs to the graphs.
      pipeline: from a store's features to the model's.
      config: beams, and scales where they are not to be the model's.
      speaker_transforms: speaker → fMLLR transform float32 [D][D + 1]; speakers without one are taken as they are.
    """

    acoustic_model: AcousticModel
    transition_model: TransitionModel
    pipeline: FeaturePipeline
    config: AlignConfig = field(default_factory=AlignConfig)
    speaker_transforms: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "config", self.config.of_model(self.acoustic_model))

    def features(self, store: FeatureStore, utterance: str) -> np.ndarray:
        """Returns the model's features of an utterance.

        Raises:
          AlignmentError: they hold NaN or infinity.
          InputError: the store does not fit the model, or is damaged.
        """
        self.pipeline.require_match(store)
        static = store.load(utterance)
        if not np.isfinite(static).all():
            frame = int(np.argwhere(~np.isfinite(static))[0, 0])
            raise AlignmentError(f"features hold NaN or infinity at frame {frame}")
        stats = store.stats(store.speaker(utterance)) if self.pipeline.cmvn.kind == "speaker" else None
        return self.pipeline.apply(static, stats, self.speaker_transforms.get(store.speaker(utterance)))

    def align(self, features: np.ndarray, fst: FstArrays, transition_scores: np.ndarray | None = None) -> Alignment:
        """Aligns the features of one utterance with its training graph.

        Raises:
          AlignmentError: see `viterbi_align`.
        """
        if transition_scores is None:
            transition_scores = self.transition_scores()
        if not len(features):
            raise AlignmentError("has no frames")
        graph = AlignmentGraph.make(fst, self.transition_model, transition_scores)
        score = self.acoustic_model.band(features, graph.pdf_ids)
        frames = self.acoustic_model.num_frames(len(features))
        return viterbi_align_on_demand(graph, frames, score, self.config)

    def transition_scores(self) -> np.ndarray:
        """Returns what each transition-id adds to a path."""
        return scaled_transition_scores(self.transition_model, *self.config.transition_scales)


@dataclass(frozen=True, eq=False)
class CorpusAlignments:
    """Transition-ids of many utterances, one array behind another.

    Attributes:
      ids: utterances that were aligned, in the order of the work.
      row_splits: int64 [len(ids) + 1].
      transition_ids: int32 [frames].
      failures: utterance → why it could not be aligned.
      log_likelihood: sum of the unscaled acoustic scores along the paths; NaN where not known.
      retried: how many needed the retry beam.
    """

    ids: tuple[str, ...]
    row_splits: np.ndarray
    transition_ids: np.ndarray
    failures: Mapping[str, str] = field(default_factory=dict)
    log_likelihood: float = math.nan
    retried: int = 0

    def __post_init__(self) -> None:
        splits, frames = np.asarray(self.row_splits), len(self.transition_ids)
        if (
            splits.shape != (len(self.ids) + 1,)
            or splits[0] != 0
            or splits[-1] != frames
            or (np.diff(splits) < 0).any()
        ):
            raise ValueError(f"row_splits do not divide {frames} frames among {len(self.ids)} utterances")

    @classmethod
    def from_items(
        cls,
        items: Iterable[tuple[str, np.ndarray]],
        failures: Mapping[str, str] | None = None,
        log_likelihood: float = math.nan,
        retried: int = 0,
    ) -> CorpusAlignments:
        """Puts (utterance, transition-ids) together."""
        pairs = list(items)
        splits = np.concatenate([[0], np.cumsum([len(rows) for _, rows in pairs])]).astype(np.int64)
        parts = [np.asarray(rows, np.int32) for _, rows in pairs]
        joined = np.concatenate(parts) if parts else np.zeros(0, np.int32)
        return cls(tuple(u for u, _ in pairs), splits, joined, dict(failures or {}), log_likelihood, retried)

    @property
    def num_frames(self) -> int:
        """Frames of scores of all utterances together."""
        return len(self.transition_ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, utterance: object) -> bool:
        return utterance in self._places

    def __getitem__(self, utterance: str) -> np.ndarray:
        place = self._places[utterance]
        return self.transition_ids[self.row_splits[place] : self.row_splits[place + 1]]

    def items(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yields (utterance id, transition-ids int32 [T])."""
        for place, utterance in enumerate(self.ids):
            yield utterance, self.transition_ids[self.row_splits[place] : self.row_splits[place + 1]]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {utterance: place for place, utterance in enumerate(self.ids)}


def align_corpus(
    aligner: Aligner,
    store: FeatureStore,
    graphs: GraphSource,
    utterances: Sequence[str],
    executor: Executor | None = None,
    title: str = "aligning",
) -> CorpusAlignments:
    """Aligns many utterances; who fails is listed with the reason and stops nobody.

    Args:
      utterances: the result has their order and does not depend on the executor.

    Raises:
      HybridError: no utterance could be aligned.
    """
    done: list[tuple[str, np.ndarray]] = []
    failures: dict[str, str] = {}
    retried, log_likelihood = 0, 0.0
    with progress(title, len(utterances)) as state:
        for result in _work(aligner, store, graphs, utterances, executor):
            for utterance, item in result:
                if isinstance(item, str):
                    failures[utterance] = item
                else:
                    done.append((utterance, item.transition_ids))
                    log_likelihood += float(item.frame_scores.sum(dtype=np.float64))
                    retried += item.retried
            state.advance(sum(not isinstance(i, str) for _, i in result), sum(isinstance(i, str) for _, i in result))
    if utterances and not done:
        name, reason = next(iter(failures.items()))
        raise HybridError(f"none of {len(utterances)} utterances could be aligned; the first, {name}: {reason}")
    return CorpusAlignments.from_items(done, failures, log_likelihood, retried)


Piece = tuple[FeatureStore, list[tuple[str, FstArrays | None]]]
Results = list[tuple[str, Alignment | str]]


def _work(
    aligner: Aligner, store: FeatureStore, graphs: GraphSource, utterances: Sequence[str], executor: Executor | None
) -> Iterator[Results]:
    """Gives out the utterances in blocks of fixed size, each with its own graphs and features only."""

    def pieces() -> Iterator[Piece]:
        for ids in blocks(utterances, BLOCK):
            yield store.subset(ids), [(u, graphs.graph(u) if u in graphs else None) for u in ids]

    return map_in_order(_align_block, pieces(), executor, shared=aligner)


def _align_block(aligner: Aligner, piece: Piece) -> Results:
    store, items = piece
    transition_scores = aligner.transition_scores()
    out: Results = []
    for utterance, fst in items:
        try:
            if fst is None:
                raise AlignmentError("no training graph")
            out.append((utterance, aligner.align(aligner.features(store, utterance), fst, transition_scores)))
        except AlignmentError as error:
            out.append((utterance, str(error)))
    return out
