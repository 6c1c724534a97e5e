"""Alignment of a prepared set with its transcripts: what the next stage of a training starts from."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hybrid.align.config import AlignConfig
from hybrid.align.corpus_alignments import Aligner, CorpusAlignments, align_corpus
from hybrid.align.texts import usable_texts
from hybrid.base.artifact import atomic_path, write_meta
from hybrid.base.config import config_to_dict
from hybrid.base.disk import remove_mark
from hybrid.base.doors import writes_into
from hybrid.base.errors import HybridError
from hybrid.base.failures import write_failed
from hybrid.base.log import get_logger, log_settings, log_totals
from hybrid.base.ranges import POSITIVE, SHARE, check_fields
from hybrid.feats.store import FeatureStore
from hybrid.formats.kaldi_io import write_int_vectors
from hybrid.graph.training import TrainingGraphCompiler, compile_training_graphs
from hybrid.model.boost import boosted
from hybrid.model.folder import Model, check_phones, warn_unadapted
from hybrid.timing.ctm import ctm_header, ctm_lines, timed_labels
from hybrid.timing.frame_times import FrameTimes
from hybrid.timing.segments import phone_segments
from hybrid.timing.word_alignment import LexiconWordAlignment
from lexicon.lang_dir import LangDir

__all__ = ["AlignSetConfig", "align_set"]

logger = get_logger(__name__)


@dataclass(frozen=True)
class AlignSetConfig:
    """Settings of the alignment of a set.

    Attributes:
      align: scales and beams.
      boost_silence: factor on the likelihood of the optional silence.
      max_failed: share of utterances that may fail.
      ctm: write words.ctm and phones.ctm.
      kaldi_times: their boundaries lie at frame number × shift, as Kaldi's.
    """

    align: AlignConfig = field(default_factory=AlignConfig)
    boost_silence: float = 1.0
    max_failed: float = 0.5
    ctm: bool = False
    kaldi_times: bool = False

    def __post_init__(self) -> None:
        check_fields(self, boost_silence=POSITIVE, max_failed=SHARE)


@writes_into("alignments", "model", "store", "lang")
def align_set(
    model: Model,
    store: FeatureStore,
    lang: LangDir,
    out_dir: Path,
    config: AlignSetConfig | None = None,
    executor: Executor | None = None,
) -> CorpusAlignments:
    """Aligns every utterance of a set and writes ali.gz (transition-ids), failed.txt and, on request, CTMs.

    A model that was trained on adapted features aligns with its speaker-independent model, and says so.

    Raises:
      MismatchError: model and lang folder have other phones.
      HybridError: more than `max_failed` of the utterances failed.
    """
    config, out_dir = config or AlignSetConfig(), Path(out_dir)
    settings = {**config_to_dict(config.align), "boost_silence": config.boost_silence}
    log_settings(logger, "alignment", settings)
    check_phones(model, lang.path / "phones.txt")
    model.pipeline.require_match(store)
    warn_unadapted(model, "hybrid gmm align-fmllr")
    texts, failures = usable_texts(store, lang, store.ids)
    compiler = TrainingGraphCompiler(lang, model.transition_model)
    graphs, more = compile_training_graphs(compiler, texts, executor)
    utterances = [u for u, _ in texts if u in graphs]
    transitions = model.transition_model
    silence = transitions.pdf_ids[np.isin(transitions.phones, [lang.optional_silence])]
    acoustic_model = boosted(model.unadapted.acoustic_model, silence, config.boost_silence)
    aligner = Aligner(acoustic_model, transitions, model.pipeline, config.align)
    alignments = align_corpus(aligner, store, graphs, utterances, executor)
    failures |= {**more, **alignments.failures}
    _refuse_too_many(failures, len(store.ids), config.max_failed)
    remove_mark(out_dir)
    write_failed(out_dir / "failed.txt", failures)
    if config.ctm:
        times = FrameTimes.of(model, config.kaldi_times)
        write_ctms(out_dir, model, store, lang, dict(texts), alignments, times)
    write_int_vectors(out_dir / "ali.gz", alignments.items())
    per_frame = alignments.log_likelihood / max(1, alignments.num_frames)
    logger.info("log-likelihood per frame %.4f, %d needed the retry beam", per_frame, alignments.retried)
    facts = {
        "utterances": len(alignments),
        "frames": alignments.num_frames,
        "failed": len(failures),
        "retried": alignments.retried,
        "log_likelihood_per_frame": per_frame,
        "tree": model.hashes.get("tree", ""),
        "topo": model.hashes.get("topo", ""),
    }
    inputs: dict[str, Any] = {"L.fst": lang.path / "L.fst", "features": (store.path, store.digest)}
    if model.path is not None:
        inputs["model"] = model.path / "final.safetensors"  # the folder may hold graphs and lattices
    written = ["ali.gz", "failed.txt", *(("words.ctm", "phones.ctm") if config.ctm else ())]
    write_meta(out_dir, "alignments", settings, inputs, facts, written)
    log_totals(logger, len(alignments), len(failures), sum(store.duration(u) for u in alignments.ids))
    return alignments


def _refuse_too_many(failures: dict[str, str], total: int, max_failed: float) -> None:
    if len(failures) > max_failed * total:
        name, reason = next(iter(sorted(failures.items())))
        raise HybridError(
            f"{len(failures)} of {total} utterances could not be aligned; the first, {name}: {reason}. "
            "Check transcripts and lexicon, or allow more with --max-failed."
        )


def write_ctms(
    out_dir: Path,
    model: Model,
    store: FeatureStore,
    lang: LangDir,
    texts: dict[str, list[int]],
    alignments: CorpusAlignments,
    times: FrameTimes,
) -> None:
    """Writes words.ctm (words only) and phones.ctm (silence too: it tiles each utterance)."""
    word_alignment = LexiconWordAlignment.from_lang(lang)
    words, phones = ctm_header(times), ctm_header(times)
    for utterance, transition_ids in alignments.items():
        segments = phone_segments(transition_ids, model.transition_model)
        duration = store.duration(utterance)
        timed = timed_labels(segments, lang.phones.symbol, times, duration=duration)
        phones += ctm_lines(utterance, timed)
        spelt = word_alignment.words(segments, texts[utterance])
        timed = timed_labels(spelt, lang.words.symbol, times, duration=duration)
        words += ctm_lines(utterance, timed)
    for name, lines in (("words.ctm", words), ("phones.ctm", phones)):
        with atomic_path(out_dir / name) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
