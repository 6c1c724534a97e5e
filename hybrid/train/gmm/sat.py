"""Speaker-adaptive training: EM on features transformed per speaker (Kaldi's steps/train_sat.sh)."""

from __future__ import annotations

import dataclasses
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.adapt.speakers import FmllrWork, basis_of_corpus, silence_weights, speaker_transforms
from hybrid.align.corpus_alignments import CorpusAlignments
from hybrid.feats.pipeline import FeaturePipeline
from hybrid.gmm import AmDiagGmm, GmmAcousticModel, update
from hybrid.gmm.speaker_transforms import save_basis, save_transforms
from hybrid.hmm import TransitionModel
from hybrid.model.folder import Model
from hybrid.train.gmm.e_step import EStep, accumulate_corpus
from hybrid.train.gmm.em import EmCorpus, EmState, Hook
from hybrid.train.gmm.ladder import GmmStage, Start, climb
from hybrid.train.gmm.ladder_config import SatTrainingConfig
from hybrid.train.gmm.state import hash_arrays

__all__ = ["SatTrainingConfig", "train_sat"]


def train_sat(
    start: Start,
    out_dir: Path,
    config: SatTrainingConfig | None = None,
    executor: Executor | None = None,
    transforms: dict[str, np.ndarray] | None = None,
) -> Model:
    """Trains on adapted features from the alignments of the stage below, whose features are kept.

    The folder also gets `transforms.safetensors`, the training speakers' transforms, and `fmllr_basis.safetensors`
    for speakers with little data; the model also holds its speaker-independent model, Gaussian by Gaussian, for a
    first pass over unknown speakers.

    Args:
      transforms: of the training speakers, if the stage below was adapted; estimated from its model where not given.
    """
    config = config or SatTrainingConfig()
    steps = _Steps(config, start.lang.silence_phones, transforms)
    extra: dict[str, Any] = {"sat": dataclasses.asdict(config.sat), "fmllr": dataclasses.asdict(config.fmllr)}
    if transforms is not None:
        extra["transforms"] = hash_arrays(transforms)
    stage = GmmStage(
        name="speaker-adaptive",
        config=config,
        begin=steps.begin,
        extra=extra,
        make_hook=steps.make_hook,
        finish=steps.finish,
    )
    return climb(stage, start, out_dir, executor)


@dataclass(frozen=True, eq=False)
class _Steps:
    """What adaptive training does besides EM."""

    config: SatTrainingConfig
    silence_phones: list[int]
    transforms: dict[str, np.ndarray] | None

    def _work(
        self,
        gmm: AmDiagGmm,
        model: TransitionModel,
        pipeline: FeaturePipeline,
        before: dict[str, np.ndarray],
        posterior_gmm: AmDiagGmm | None = None,
    ) -> FmllrWork:
        weights = silence_weights(model, self.silence_phones, self.config.sat.silence_weight)
        return FmllrWork(gmm, model.pdf_ids, weights, pipeline, self.config.fmllr, before, posterior_gmm)

    def begin(
        self, start: Start, alignments: CorpusAlignments, executor: Executor | None
    ) -> tuple[FeaturePipeline, dict[str, np.ndarray]]:
        """Returns the features of the stage below, and transforms by its model."""
        pipeline = start.model.pipeline
        if self.transforms is not None:
            return pipeline, self.transforms
        work = self._work(start.gmm, start.model.transition_model, pipeline, {})
        return pipeline, speaker_transforms(work, start.store, alignments, executor)[0]

    def make_hook(self, start: Start, corpus: EmCorpus, executor: Executor | None) -> Hook:
        """Returns what puts better transforms on top of those in force in some passes."""

        def hook(state: EmState) -> EmState:
            """In a pass of fMLLR, the state with transforms estimated anew."""
            if state.next_pass not in self.config.em.fmllr_passes:
                return state
            work = self._work(state.gmm, state.transition_model, state.pipeline, state.speaker_transforms)
            found, _ = speaker_transforms(work, corpus.store, state.alignments, executor)
            return dataclasses.replace(state, speaker_transforms={**state.speaker_transforms, **found})

        return hook

    def finish(self, state: EmState, corpus: EmCorpus, executor: Executor | None, folder: Path) -> GmmAcousticModel:
        """Saves transforms and basis.

        Returns:
          The speaker-independent model: posteriors of adapted, sums of unadapted features.
        """
        tree_hash = state.transition_model.tree.content_hash()
        save_transforms(folder / "transforms.safetensors", state.speaker_transforms, tree_hash)
        e_step = EStep(
            state.gmm, state.transition_model, state.pipeline, state.speaker_transforms, stats_pipeline=state.pipeline
        )
        stats, _ = accumulate_corpus(e_step, corpus.store, state.alignments, executor)
        gentle = dataclasses.replace(self.config.update, remove_low_count_gaussians=False)
        independent = update(state.gmm, stats, gentle)[0]
        if self.config.sat.basis_speakers:
            work = self._work(state.gmm, state.transition_model, state.pipeline, {}, independent)
            basis = basis_of_corpus(work, corpus.store, state.alignments, self.config.sat.basis_speakers, executor)
            save_basis(folder / "fmllr_basis.safetensors", basis, tree_hash)
        return GmmAcousticModel(independent)
