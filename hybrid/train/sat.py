"""Speaker-adaptive training: EM on features transformed per speaker (Kaldi's steps/train_sat.sh)."""

from __future__ import annotations

import dataclasses
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hybrid.align.config import AlignConfig
from hybrid.align.corpus import CorpusAlignments
from hybrid.feats.pipeline import FeaturePipeline
from hybrid.gmm import GmmAcousticModel, UpdateConfig, update
from hybrid.gmm.adapt_config import FmllrConfig
from hybrid.gmm.speaker_transforms import save_basis, save_transforms
from hybrid.model_dir import Model
from hybrid.train.e_step import EStep, accumulate_corpus
from hybrid.train.em import EmCorpus, EmState, Hook
from hybrid.train.fmllr_of_corpus import FmllrWork, basis_of_corpus, speaker_transforms
from hybrid.train.ladder import Rung, Start, climb, silence_weights
from hybrid.train.ladder_config import ContextConfig, SatConfig, SatEmConfig, SatMixConfig
from hybrid.tree import TreeConfig

__all__ = ["SatTrainingConfig", "train_sat"]


@dataclass(frozen=True)
class SatTrainingConfig:
    """Settings of a speaker-adaptive training."""

    em: SatEmConfig = field(default_factory=SatEmConfig)
    align: AlignConfig = field(default_factory=AlignConfig)
    update: UpdateConfig = field(default_factory=UpdateConfig)
    mix: SatMixConfig = field(default_factory=SatMixConfig)
    tree: TreeConfig = field(default_factory=TreeConfig)
    context: ContextConfig = field(default_factory=ContextConfig)
    sat: SatConfig = field(default_factory=SatConfig)
    fmllr: FmllrConfig = field(default_factory=FmllrConfig)


def train_sat(
    start: Start,
    out_dir: Path,
    config: SatTrainingConfig | None = None,
    executor: Executor | None = None,
    transforms: dict[str, np.ndarray] | None = None,
) -> Model:
    """Trains on adapted features from the alignments of the rung below, whose features are kept.

    The folder also gets `transforms.safetensors`, the training speakers' transforms, and `fmllr_basis.safetensors`
    for speakers with little data; the model also holds its speaker-independent twin, Gaussian by Gaussian, for a
    first pass over unknown speakers.

    Args:
      transforms: of the training speakers, if the rung below was adapted; estimated from its model where not given.
    """
    config = config or SatTrainingConfig()

    def begin(
        start: Start, alignments: CorpusAlignments, executor: Executor | None
    ) -> tuple[FeaturePipeline, dict[str, np.ndarray]]:
        if transforms is not None:
            return start.model.pipeline, transforms
        below = start.model.transition_model
        weights = silence_weights(below, start.lang.silence_phones, config.sat.silence_weight)
        work = FmllrWork(start.gmm, below.pdf_ids, weights, start.model.pipeline, config.fmllr)
        return start.model.pipeline, speaker_transforms(work, start.store, alignments, executor)[0]

    def make_hook(start: Start, corpus: EmCorpus, executor: Executor | None) -> Hook:
        def hook(state: EmState) -> EmState:
            if state.next_pass not in config.em.fmllr_passes:
                return state
            model = state.transition_model
            weights = silence_weights(model, start.lang.silence_phones, config.sat.silence_weight)
            work = FmllrWork(state.gmm, model.pdf_ids, weights, state.pipeline, config.fmllr, state.speaker_transforms)
            found, _ = speaker_transforms(work, corpus.store, state.alignments, executor)
            return dataclasses.replace(state, speaker_transforms={**state.speaker_transforms, **found})

        return hook

    def finish(state: EmState, corpus: EmCorpus, executor: Executor | None, folder: Path) -> GmmAcousticModel:
        save_transforms(
            folder / "transforms.safetensors", state.speaker_transforms, state.transition_model.tree.content_hash()
        )
        e_step = EStep(
            state.gmm, state.transition_model, state.pipeline, state.speaker_transforms, stats_pipeline=state.pipeline
        )
        stats, _ = accumulate_corpus(e_step, corpus.store, state.alignments, executor)
        gentle = dataclasses.replace(config.update, remove_low_count_gaussians=False)
        twin = update(state.gmm, stats, gentle)[0]
        if config.sat.basis_speakers:
            model = state.transition_model
            weights = silence_weights(model, start.lang.silence_phones, config.sat.silence_weight)
            work = FmllrWork(state.gmm, model.pdf_ids, weights, state.pipeline, config.fmllr, posterior_gmm=twin)
            basis = basis_of_corpus(work, corpus.store, state.alignments, config.sat.basis_speakers, executor)
            save_basis(folder / "fmllr_basis.safetensors", basis, model.tree.content_hash())
        return GmmAcousticModel(twin)

    rung = Rung(
        name="speaker-adaptive",
        em=config.em,
        align=config.align,
        update=config.update,
        mix=config.mix,
        tree=config.tree,
        context=config.context,
        begin=begin,
        extra={"sat": dataclasses.asdict(config.sat), "fmllr": dataclasses.asdict(config.fmllr)},
        make_hook=make_hook,
        finish=finish,
    )
    return climb(rung, start, out_dir, executor)
