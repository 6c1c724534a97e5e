"""Adaptation of a model to a speaker, a room or a domain: a new model folder whose graphs stay the same."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

import numpy as np

from hybrid.align.corpus_alignments import CorpusAlignments
from hybrid.base.config import config_to_dict
from hybrid.base.doors import writes_into
from hybrid.base.errors import InputError
from hybrid.base.log import get_logger, log_settings, log_totals
from hybrid.feats.store import FeatureStore
from hybrid.gmm import AmDiagGmm, GmmAcousticModel, GmmStats
from hybrid.gmm.adapt_config import MapConfig, MllrConfig
from hybrid.gmm.map_adapt import map_adapt
from hybrid.gmm.mllr import RegressionTree, estimate_mllr
from hybrid.model.folder import Model, save_model
from hybrid.train.gmm.e_step import EStep, accumulate_corpus
from lexicon.lang_dir import LangDir

__all__ = ["adapt_map", "adapt_mllr"]

logger = get_logger(__name__)


def adapt_map(
    model: Model,
    alignments: CorpusAlignments,
    store: FeatureStore,
    out_dir: Path,
    config: MapConfig | None = None,
    executor: Executor | None = None,
) -> Model:
    """Moves each Gaussian towards the data as far as they justify (Gauvain and Lee, 1994; Kaldi's train_map.sh).

    Tree, topology and transitions stay, so that graphs of the model are graphs of the adapted one. A model trained on
    adapted features is adapted as its speaker-independent model.

    Args:
      alignments: of the new data, with `model`.

    Raises:
      InputError: the model is no GMM.
    """
    config = config or MapConfig()
    log_settings(logger, "MAP adaptation", config_to_dict(config))
    return _adapt(model, alignments, store, out_dir, config, lambda gmm, stats: map_adapt(gmm, stats, config), executor)


def adapt_mllr(
    model: Model,
    alignments: CorpusAlignments,
    store: FeatureStore,
    lang: LangDir,
    out_dir: Path,
    config: MllrConfig | None = None,
    executor: Executor | None = None,
) -> Model:
    """Moves the means by affine transforms, one for each class of Gaussians that has data enough.

    Leggetter and Woodland (1995), with a regression tree over the Gaussians, silence divided off first. For little
    data: a few seconds move all Gaussians together. Arguments and errors as `adapt_map`.

    Args:
      lang: tells which phones are silence.
    """
    config = config or MllrConfig()
    log_settings(logger, "MLLR adaptation", config_to_dict(config))
    transitions = model.transition_model
    silence = np.unique(transitions.pdf_ids[np.isin(transitions.phones, list(lang.silence_phones))]).tolist()

    def update(gmm: AmDiagGmm, stats: GmmStats) -> AmDiagGmm:
        """The Gaussians with their means moved by MLLR."""
        tree = RegressionTree.build(gmm, stats.occupancy, config, silence)
        transforms = estimate_mllr(gmm, stats, tree, config)
        used = len(set(transforms.nodes[transforms.nodes >= 0].tolist()))
        logger.info("%d transforms for %d classes of Gaussians", used, tree.num_classes)
        if not used:
            logger.warning("less data than --min-count %g frames; the model stays as it was", config.min_count)
        return transforms.apply(gmm, tree)

    return _adapt(model, alignments, store, out_dir, config, update, executor)


@writes_into("gmm", "model", "store")
def _adapt(
    model: Model,
    alignments: CorpusAlignments,
    store: FeatureStore,
    out_dir: Path,
    config: MapConfig | MllrConfig,
    update: Callable[[AmDiagGmm, GmmStats], AmDiagGmm],
    executor: Executor | None,
) -> Model:
    base = model.unadapted
    if not isinstance(base.acoustic_model, GmmAcousticModel):
        raise InputError.at(model.path or "model", "is no GMM", "Adapt a model of `hybrid gmm train-…`.")
    base.pipeline.require_match(store)
    before = base.acoustic_model
    step = EStep(before.gmm, base.transition_model, base.pipeline)
    stats, _ = accumulate_corpus(step, store, alignments, executor)
    adapted = replace(before, gmm=update(before.gmm, stats))
    after, _ = accumulate_corpus(replace(step, gmm=adapted.gmm), store, alignments, executor)
    facts = {
        "frames": alignments.num_frames,
        "log_likelihood_per_frame_before": stats.log_likelihood_per_frame,
        "log_likelihood_per_frame": after.log_likelihood_per_frame,
    }
    logger.info(
        "log-likelihood per frame %.4f before, %.4f after, over %d frames",
        facts["log_likelihood_per_frame_before"], facts["log_likelihood_per_frame"], alignments.num_frames,
    )  # fmt: skip
    result = replace(base, acoustic_model=adapted)
    inputs = {"model": model.path / "final.safetensors"} if model.path else {}
    save_model(out_dir, result, config_to_dict(config), inputs, facts)
    log_totals(logger, len(alignments), 0, sum(store.duration(u) for u in alignments.ids))
    return result
