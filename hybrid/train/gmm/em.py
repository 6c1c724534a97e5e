"""Viterbi EM: align now and then, accumulate, update, mix up; pass after pass, from wherever it was stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace

import numpy as np

from hybrid.align.config import AlignConfig
from hybrid.align.corpus_alignments import Aligner, CorpusAlignments, GraphSource, align_corpus
from hybrid.base.errors import HybridError
from hybrid.base.log import get_logger
from hybrid.feats.pipeline import FeaturePipeline
from hybrid.feats.store import FeatureStore
from hybrid.gmm import AmDiagGmm, GmmAcousticModel, MixConfig, UpdateConfig, mix_up, update
from hybrid.hmm import TransitionModel
from hybrid.train.gmm.config import ALIGN_SCALE, EmConfig
from hybrid.train.gmm.e_step import EStep, accumulate_corpus

__all__ = ["EmCorpus", "EmState", "PassRecord", "run_em", "run_pass"]

logger = get_logger(__name__)

FALL = 1e-3  # nats per frame; a smaller fall is rounding, or the perturbation of split Gaussians


@dataclass(frozen=True, eq=False)
class EmCorpus:
    """The data of a training.

    Attributes:
      store: features.
      utterances: ids to train on.
      graphs: their training graphs.
      silence_phones: phones that `boost_silence` concerns (the optional silence).
    """

    store: FeatureStore
    utterances: Sequence[str]
    graphs: GraphSource
    silence_phones: tuple[int, ...]


@dataclass(frozen=True)
class PassRecord:
    """What one pass did; a line of passes.tsv."""

    number: int
    log_likelihood: float
    frames: float
    gaussians: int
    aligned: int
    failed: int
    retried: int
    removed: int
    floored: int
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True, eq=False)
class EmState:
    """All that the next pass depends on; what `hybrid.train.gmm.state` saves after each pass.

    Attributes:
      next_pass: number of the pass to do next.
      gaussians: what the next update mixes up towards.
      step: by how much that grows each pass.
      gmm, transition_model, pipeline: the model.
      alignments: the last ones.
      speaker_transforms: of adaptive training.
      occupancy: frames of each pdf at the last update.
      history: what each pass did.
    """

    next_pass: int
    gaussians: int
    step: int
    gmm: AmDiagGmm
    transition_model: TransitionModel
    pipeline: FeaturePipeline
    alignments: CorpusAlignments
    speaker_transforms: dict[str, np.ndarray] = field(default_factory=dict)
    occupancy: np.ndarray = field(default_factory=lambda: np.zeros(0))
    history: tuple[PassRecord, ...] = ()


Hook = Callable[[EmState], EmState]


def run_em(
    state: EmState,
    corpus: EmCorpus,
    config: EmConfig,
    align: AlignConfig,
    update_config: UpdateConfig,
    mix: MixConfig,
    executor: Executor | None = None,
    hook: Hook | None = None,
    save: Callable[[EmState], None] | None = None,
) -> EmState:
    """Does the passes that are left.

    Args:
      hook: called in each pass between alignment and accumulation (`state.next_pass` is the pass under way): may
        change pipeline, transforms and model (MLLT, fMLLR).
      save: called after each pass.
    """
    short = False
    while state.next_pass < config.num_passes:
        if state.next_pass in config.realign_passes:
            state = _realign(state, corpus, config, align, executor)
        before = state
        if hook is not None:
            state = hook(state)
        same = state.pipeline is before.pipeline and state.speaker_transforms is before.speaker_transforms
        state = run_pass(state, corpus, update_config, mix, executor, same_features=same)
        if not short and state.gmm.num_gaussians < state.gaussians:
            short = True
            _warn_of_few(state, config, mix)
        if state.next_pass - 1 <= config.last_mix_up_pass:
            state = replace(state, gaussians=state.gaussians + state.step)
        if save is not None:
            save(state)
    return state


def _warn_of_few(state: EmState, config: EmConfig, mix: MixConfig) -> None:
    logger.warning(
        "pass %d: only %d of %d Gaussians could be given out (of %d in the end): a pdf needs more than %g frames for "
        "each (min_count). More data, fewer leaves or a smaller total_gaussians would fit.",
        state.next_pass - 1, state.gmm.num_gaussians, state.gaussians, config.total_gaussians, mix.min_count,
    )  # fmt: skip


def _realign(
    state: EmState, corpus: EmCorpus, config: EmConfig, align: AlignConfig, executor: Executor | None
) -> EmState:
    if state.next_pass == 1 and config.first_beam and config.first_beam < (align.retry_beam or np.inf):
        align = replace(align, beam=config.first_beam)
    transition_model = state.transition_model
    silence = transition_model.pdf_ids[np.isin(transition_model.phones, corpus.silence_phones)]
    scorer = GmmAcousticModel(state.gmm.boosted(silence, config.boost_silence), ALIGN_SCALE)
    aligner = Aligner(scorer, transition_model, state.pipeline, align, state.speaker_transforms)
    title = f"pass {state.next_pass}: aligning"
    alignments = align_corpus(aligner, corpus.store, corpus.graphs, corpus.utterances, executor, title)
    failed = len(alignments.failures)
    if failed > config.max_failed * len(corpus.utterances):
        name, reason = next(iter(alignments.failures.items()))
        raise HybridError(
            f"pass {state.next_pass}: {failed} of {len(corpus.utterances)} utterances could not be aligned; the first, "
            f"{name}: {reason}. Check transcripts and lexicon, or allow more with --max-failed."
        )
    return replace(state, alignments=alignments)


def run_pass(
    state: EmState,
    corpus: EmCorpus,
    update_config: UpdateConfig,
    mix: MixConfig,
    executor: Executor | None = None,
    same_features: bool = True,
) -> EmState:
    """Accumulates with the alignments at hand, updates transitions and Gaussians, and mixes up.

    Args:
      same_features: whether the last pass saw the same features; likelihoods of others cannot be compared.
    """
    begin = time.monotonic()
    e_step = EStep(state.gmm, state.transition_model, state.pipeline, state.speaker_transforms)
    stats, transitions = accumulate_corpus(e_step, corpus.store, state.alignments, executor)
    gmm, report = update(state.gmm, stats, update_config)
    gmm = mix_up(gmm, report.pdf_occupancy, state.gaussians, mix, seed=state.next_pass)
    record = PassRecord(
        number=state.next_pass,
        log_likelihood=stats.log_likelihood_per_frame,
        frames=stats.frames,
        gaussians=gmm.num_gaussians,
        aligned=len(state.alignments),
        failed=len(state.alignments.failures),
        retried=state.alignments.retried,
        removed=report.removed,
        floored=report.floored_variances,
        seconds=time.monotonic() - begin,
    )
    _log_pass(record, state.history if same_features else (), report.starved_pdfs)
    return replace(
        state,
        next_pass=state.next_pass + 1,
        gmm=gmm,
        transition_model=state.transition_model.update(transitions),
        occupancy=report.pdf_occupancy,
        history=(*state.history, record),
    )


def _log_pass(record: PassRecord, history: tuple[PassRecord, ...], starved: tuple[int, ...]) -> None:
    logger.info(
        "pass %d: log-likelihood per frame %.4f over %.0f frames, %d Gaussians, %d aligned, %d failed, %d retried%s",
        record.number,
        record.log_likelihood,
        record.frames,
        record.gaussians,
        record.aligned,
        record.failed,
        record.retried,
        f", {record.removed} starved Gaussians removed" if record.removed else "",
    )
    if starved:
        logger.debug("pass %d: too little data for pdfs %s", record.number, ", ".join(map(str, starved)))
    if history and record.log_likelihood < history[-1].log_likelihood - FALL and len(history) > 1:
        logger.warning(
            "pass %d: the log-likelihood per frame fell from %.4f to %.4f. A little is normal after a change of "
            "beam or of the data that failed; more means wrong transcripts or features.",
            record.number,
            history[-1].log_likelihood,
            record.log_likelihood,
        )
