"""Alignment of a set with a speaker-adapted model (Kaldi's steps/align_fmllr.sh)."""

from __future__ import annotations

import dataclasses
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.adapt.speakers import FmllrWork, silence_weights, speaker_transforms, unadapted_speakers
from hybrid.align.config import AlignConfig
from hybrid.align.corpus_alignments import Aligner, CorpusAlignments, align_corpus
from hybrid.align.texts import usable_texts
from hybrid.base.artifact import write_meta
from hybrid.base.config import config_to_dict
from hybrid.base.disk import remove_mark
from hybrid.base.doors import writes_into
from hybrid.base.errors import HybridError, InputError
from hybrid.base.failures import write_failed
from hybrid.base.log import get_logger, log_settings, log_totals
from hybrid.base.ranges import POSITIVE, SHARE, check_fields
from hybrid.feats.store import FeatureStore
from hybrid.formats.kaldi_io import write_int_vectors
from hybrid.gmm import AmDiagGmm, GmmAcousticModel
from hybrid.gmm.adapt_config import FmllrConfig
from hybrid.gmm.speaker_transforms import save_transforms
from hybrid.graph.training import TrainingGraphCompiler, compile_training_graphs
from hybrid.model.boost import boosted
from hybrid.model.folder import Model, check_phones
from lexicon.lang_dir import LangDir

__all__ = ["AlignAdaptedConfig", "align_adapted"]

logger = get_logger(__name__)


@dataclass(frozen=True)
class AlignAdaptedConfig:
    """Settings of an alignment with transforms."""

    align: AlignConfig = field(default_factory=AlignConfig)
    fmllr: FmllrConfig = field(default_factory=FmllrConfig)
    boost_silence: float = 1.0
    silence_weight: float = 0.0
    max_failed: float = 0.5

    def __post_init__(self) -> None:
        check_fields(self, boost_silence=POSITIVE, silence_weight=SHARE, max_failed=SHARE)


@writes_into("alignments", "model", "store", "lang")
def align_adapted(
    model: Model,
    store: FeatureStore,
    lang: LangDir,
    out_dir: Path,
    config: AlignAdaptedConfig | None = None,
    executor: Executor | None = None,
) -> CorpusAlignments:
    """Aligns with the speaker-independent model, estimates each speaker's transform, and aligns again with it.

    Writes ali.gz, transforms.safetensors (which `hybrid gmm train-sat` takes) and failed.txt.

    Raises:
      InputError: the model is no GMM.
      HybridError: more than `max_failed` of the utterances failed.
    """
    config, out_dir = config or AlignAdaptedConfig(), Path(out_dir)
    settings = {**config_to_dict(config.align), **config_to_dict(config.fmllr), "boost_silence": config.boost_silence}
    log_settings(logger, "adapted alignment", settings)
    check_phones(model, lang.path / "phones.txt")
    model.pipeline.require_match(store)
    gmm, independent = _gmms(model)
    texts, failures = usable_texts(store, lang, store.ids)
    graphs, more = compile_training_graphs(TrainingGraphCompiler(lang, model.transition_model), texts, executor)
    failures |= more
    utterances = [u for u, _ in texts if u in graphs]
    transitions = model.transition_model
    silence = transitions.pdf_ids[np.isin(transitions.phones, [lang.optional_silence])]

    scale = model.acoustic_model.acoustic_scale

    def aligner(mixtures: AmDiagGmm, transforms: dict[str, np.ndarray]) -> Aligner:
        scorer = boosted(GmmAcousticModel(mixtures, scale), silence, config.boost_silence)
        return Aligner(scorer, transitions, model.pipeline, config.align, transforms)

    first = align_corpus(aligner(independent, {}), store, graphs, utterances, executor, "aligning, unadapted")
    weights = silence_weights(transitions, lang.silence_phones, config.silence_weight)
    work = FmllrWork(gmm, transitions.pdf_ids, weights, model.pipeline, config.fmllr, posterior_gmm=independent)
    transforms, _ = speaker_transforms(work, store, first, executor)
    second = align_corpus(aligner(gmm, transforms), store, graphs, utterances, executor, "aligning, adapted")
    failures |= dict(second.failures)
    if len(failures) > config.max_failed * len(store.ids):
        name, reason = next(iter(failures.items()))
        raise HybridError(
            f"{len(failures)} of {len(store.ids)} utterances could not be aligned; the first, {name}: {reason}"
        )
    _write(out_dir, model, second, transforms, failures, settings)
    log_totals(logger, len(second), len(failures), sum(store.duration(u) for u in second.ids))
    return dataclasses.replace(second, failures=failures)


def _gmms(model: Model) -> tuple[AmDiagGmm, AmDiagGmm]:
    """Returns the Gaussians of a model, and those for features that are not adapted."""
    adapted, independent = model.acoustic_model, model.speaker_independent
    if not isinstance(adapted, GmmAcousticModel):
        raise InputError.at(model.path, "holds no GMM, which fMLLR needs", "Align with `hybrid gmm align`.")
    return adapted.gmm, independent.gmm if isinstance(independent, GmmAcousticModel) else adapted.gmm


def _write(
    out_dir: Path,
    model: Model,
    alignments: CorpusAlignments,
    transforms: dict[str, np.ndarray],
    failures: dict[str, str],
    settings: dict[str, Any],
) -> None:
    remove_mark(out_dir)
    write_failed(out_dir / "failed.txt", {**unadapted_speakers(transforms), **failures})
    write_int_vectors(out_dir / "ali.gz", alignments.items())
    save_transforms(out_dir / "transforms.safetensors", transforms, model.tree.content_hash())
    facts = {
        "utterances": len(alignments),
        "frames": alignments.num_frames,
        "failed": len(failures),
        "retried": alignments.retried,
        "tree": model.hashes.get("tree", ""),
        "topo": model.hashes.get("topo", ""),
    }
    inputs: dict[str, Any] = {} if model.path is None else {"model": model.path / "final.safetensors"}
    write_meta(out_dir, "alignments", settings, inputs, facts, ["ali.gz", "failed.txt", "transforms.safetensors"])
