"""Monophone training from a flat start (Kaldi's steps/train_mono.sh).

Every pdf begins as the one Gaussian of all frames; pass 0 learns from an equal alignment; later passes
realign by Viterbi and add Gaussians until there are `total_gaussians`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.align.config import AlignConfig, AlignmentError
from hybrid.align.corpus_alignments import BLOCK, CorpusAlignments
from hybrid.align.equal import equal_align, seed_of
from hybrid.align.texts import usable_texts
from hybrid.base.config import config_to_dict
from hybrid.base.disk import make_folder
from hybrid.base.doors import writes_into
from hybrid.base.errors import HybridError
from hybrid.base.jobs import blocks, map_in_order
from hybrid.base.log import get_logger, log_settings, log_totals
from hybrid.base.ranges import COUNT, Range, check_fields
from hybrid.feats.cmvn import CmvnConfig
from hybrid.feats.pipeline import FeaturePipeline
from hybrid.feats.store import FeatureStore
from hybrid.formats.fst_arrays import FstArrays
from hybrid.gmm import AmDiagGmm, MixConfig, UpdateConfig
from hybrid.hmm import TransitionModel, read_topology
from hybrid.model.folder import Model
from hybrid.train.gmm.begin_and_end import (
    finish_training,
    finished_model,
    training_graphs,
    training_inputs,
    work_dir,
)
from hybrid.train.gmm.config import EmConfig
from hybrid.train.gmm.em import EmCorpus, EmState, run_em, run_pass
from hybrid.train.gmm.state import fingerprint, load_state, save_state
from hybrid.tree import ContextTree
from lexicon.lang_dir import LangDir

__all__ = ["MonoConfig", "equal_alignments", "global_gaussian", "train_mono"]

logger = get_logger(__name__)

FIRST_PASS_OCCUPANCY = 3.0  # Gaussians of rare phones must be learnt at once, or they never align properly


@dataclass(frozen=True)
class MonoConfig:
    """Settings of a monophone training."""

    em: EmConfig = field(default_factory=EmConfig)
    align: AlignConfig = field(default_factory=AlignConfig)
    update: UpdateConfig = field(default_factory=UpdateConfig)
    mix: MixConfig = field(default_factory=MixConfig)
    cmvn: CmvnConfig = field(default_factory=CmvnConfig)
    delta_order: int = field(default=2, metadata={"help": "Deltas appended: 2 for deltas and delta-deltas."})
    init_utterances: int = field(default=100, metadata={"help": "Utterances whose mean and variance begin all pdfs."})

    def __post_init__(self) -> None:
        check_fields(self, delta_order=Range(0, 4), init_utterances=COUNT)


@writes_into("gmm", "store", "lang")
def train_mono(
    store: FeatureStore,
    lang: LangDir,
    out_dir: Path,
    config: MonoConfig | None = None,
    executor: Executor | None = None,
) -> Model:
    """Trains a monophone GMM-HMM, or goes on with a training that was stopped.

    Args:
      store: features with transcripts.
      lang: lexicon, phones and topology.
      out_dir: becomes the model folder, with `ali.gz` (transition-ids), `failed.txt` and `passes.tsv`.
      executor: for jobs over utterances; the result does not depend on it.

    Raises:
      HybridError: nothing, or too much, could not be used.
    """
    config, out_dir = config or MonoConfig(), Path(out_dir)
    log_settings(logger, "monophone training", _plain(config))
    inputs = training_inputs(store, lang)
    identity = fingerprint("mono", _plain(config), {name: found for name, (_, found) in inputs.items()}, store.ids)
    if model := finished_model(out_dir, identity):
        return model
    folder = work_dir(out_dir)
    make_folder(folder)

    topology = read_topology(lang.topo_path)
    tree = ContextTree.monophone(lang.sets, topology.pdf_class_counts())
    transition_model = TransitionModel(topology, tree)
    texts, failures = usable_texts(store, lang, store.ids)
    graphs, more = training_graphs(texts, lang, transition_model, folder, executor)
    failures |= more
    utterances = [u for u, _ in texts if u in graphs]
    corpus = EmCorpus(store, utterances, graphs, (lang.optional_silence,))

    state = load_state(folder / "state.safetensors", identity, transition_model)
    if state is None:
        state = _flat_start(corpus, transition_model, config, executor)
        save_state(folder / "state.safetensors", state, identity)
    else:
        logger.info("going on with pass %d", state.next_pass)
    state = run_em(
        state,
        corpus,
        config.em,
        config.align,
        config.update,
        config.mix,
        executor,
        save=lambda s: save_state(folder / "state.safetensors", s, identity),
    )
    model = finish_training(out_dir, state, lang, failures, _plain(config), inputs, identity)
    seconds = sum(store.duration(u) for u in state.alignments.ids)
    log_totals(logger, len(state.alignments), len(failures) + len(state.alignments.failures), seconds)
    return model


def _plain(config: MonoConfig) -> dict[str, Any]:
    values = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    return {k: config_to_dict(v) if dataclasses.is_dataclass(v) else v for k, v in values.items()}


def global_gaussian(
    pipeline: FeaturePipeline, store: FeatureStore, utterances: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and variance of the model's features: float64 [D], [D].

    Raises:
      HybridError: a value never changes, so that its variance is 0.
    """
    count, sums, squares = 0, np.zeros(pipeline.dim), np.zeros(pipeline.dim)
    for utterance in utterances:
        try:
            features = pipeline.features(store, utterance).astype(np.float64)
        except HybridError:
            continue  # the passes will list it with its reason
        count += len(features)
        sums += features.sum(axis=0)
        squares += (features * features).sum(axis=0)
    mean = sums / max(count, 1)
    variance = squares / max(count, 1) - mean**2
    if not (variance > 1e-10).all():
        place = int(np.argmin(variance))
        raise HybridError(
            f"{store.path}: feature {place} has variance {variance[place]:g} over {count} frames. "
            "Is the audio digital silence?"
        )
    return mean, variance


def equal_alignments(corpus: EmCorpus, executor: Executor | None = None) -> CorpusAlignments:
    """Aligns every utterance equally; those that are too short for their text are listed."""
    done: list[tuple[str, np.ndarray]] = []
    failures: dict[str, str] = {}
    pieces = ((corpus.store.subset(u), [corpus.graphs.graph(i) for i in u]) for u in blocks(corpus.utterances, BLOCK))
    for aligned, reasons in map_in_order(_equal_block, pieces, executor):
        done += aligned
        failures.update(reasons)
    if not done:
        name, reason = next(iter(failures.items()))
        raise HybridError(
            f"no utterance can start training; the first of {len(failures)} failures, {name}: {reason}. "
            "Check that features and transcripts belong together."
        )
    return CorpusAlignments.from_items(done, failures)


def _equal_block(
    piece: tuple[FeatureStore, list[FstArrays]],
) -> tuple[list[tuple[str, np.ndarray]], dict[str, str]]:
    store, graphs = piece
    done: list[tuple[str, np.ndarray]] = []
    failures: dict[str, str] = {}
    for utterance, graph in zip(store.ids, graphs):
        try:
            if not np.isfinite(store.load(utterance)).all():
                raise AlignmentError("features hold NaN or infinity")
            done.append((utterance, equal_align(graph, store.num_frames(utterance), seed_of(utterance))))
        except AlignmentError as error:
            failures[utterance] = str(error)
    return done, failures


def _flat_start(
    corpus: EmCorpus, transition_model: TransitionModel, config: MonoConfig, executor: Executor | None
) -> EmState:
    """Does pass 0: one Gaussian for all pdfs, then an update from equal alignments."""
    pipeline = FeaturePipeline.for_store(corpus.store, config.cmvn, delta_order=config.delta_order)
    mean, variance = global_gaussian(pipeline, corpus.store, corpus.utterances[: config.init_utterances])
    pdfs = transition_model.num_pdfs
    step = max(0, (config.em.total_gaussians - pdfs) // config.em.last_mix_up_pass)
    state = EmState(
        next_pass=0,
        gaussians=pdfs,
        step=step,
        gmm=AmDiagGmm.flat(pdfs, mean, variance),
        transition_model=transition_model,
        pipeline=pipeline,
        alignments=equal_alignments(corpus, executor),
    )
    first = dataclasses.replace(config.update, min_gaussian_occupancy=FIRST_PASS_OCCUPANCY)
    return run_pass(state, corpus, first, config.mix, executor)
