"""`hybrid align`: a set of items aligned and written in every format asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

from hybrid.aligner.config import BiasedConfig, SpeechAlignConfig
from hybrid.aligner.long_audio import Gap
from hybrid.aligner.speech_set import Outcome, SpeechWork, align_items, frequent_words
from hybrid.aligner.text_aligner import TextAligner
from hybrid.base.artifact import atomic_path, write_meta
from hybrid.base.config import config_to_dict
from hybrid.base.disk import remove_mark
from hybrid.base.doors import writes_into
from hybrid.base.errors import HybridError
from hybrid.base.failures import write_failed
from hybrid.base.log import get_logger, log_settings, log_totals
from hybrid.base.ranges import SHARE, check_fields
from hybrid.data.utterance import Utterance
from hybrid.model.folder import Model, check_phones
from hybrid.timing.formats import format_files, write_formats
from hybrid.timing.subtitles import SubtitleConfig
from hybrid.timing.timed_text import TimedText
from lexicon.lang_dir import LangDir
from lexicon.vocabulary import Pronouncer, TextLexicon

__all__ = ["AlignTotals", "ProductConfig", "align_speech"]

logger = get_logger(__name__)
REPORTS = ("failed.txt", "notes.txt", "gaps.tsv", "guessed.txt")


@dataclass(frozen=True)
class ProductConfig:
    """Settings of the product.

    Attributes:
      formats: of `formats.FORMATS`.
      max_failed: share of items that may fail.
    """

    speech: SpeechAlignConfig = field(default_factory=SpeechAlignConfig)
    biased: BiasedConfig = field(default_factory=BiasedConfig)
    subtitles: SubtitleConfig = field(default_factory=SubtitleConfig)
    formats: tuple[str, ...] = ("ctm", "textgrid")
    max_failed: float = 0.5

    def __post_init__(self) -> None:
        check_fields(self, max_failed=SHARE)


@dataclass(frozen=True)
class AlignTotals:
    """How many items were aligned, and how many failed."""

    done: int
    failed: int


@writes_into("aligned-speech", "model", "lang")
def align_speech(
    model: Model,
    lang: LangDir,
    items: Sequence[Utterance],
    failures: Mapping[str, str],
    out_dir: Path,
    config: ProductConfig,
    pronouncer: Pronouncer | None = None,
    executor: Executor | None = None,
) -> AlignTotals:
    """Aligns items and writes the formats, failed.txt, notes.txt, gaps.tsv and guessed.txt.

    Args:
      failures: utterance → reason of what failed before.

    Raises:
      HybridError: nothing, or more than `max_failed`, could be aligned; failed.txt is written all the same.
    """
    settings = config_to_dict(config)
    log_settings(logger, "align", {"model": model.path, "lang": lang.path, "items": len(items)})
    check_phones(model, lang.path / "phones.txt")
    lexicon = TextLexicon.make(lang, {word for item in items for word in item.words}, pronouncer)
    aligner = TextAligner(model, lexicon, config.speech)
    work = SpeechWork(aligner, config.biased, frequent_words(items, config.biased.other_words))
    texts: list[TimedText] = []
    failed, notes = dict(failures), dict[str, str]()
    gaps: dict[str, tuple[Gap, ...]] = {}
    lengths: dict[str, float] = {}
    recordings = {item.id: item for item in items}
    for outcome in align_items(work, items, executor):
        _sort(outcome, texts, failed, notes, gaps)
        item = recordings[outcome.utterance]
        if outcome.text is not None:
            lengths[item.recording] = max(lengths.get(item.recording, 0.0), outcome.text.end)
    remove_mark(out_dir)
    write_failed(out_dir / "failed.txt", failed)
    write_failed(out_dir / "notes.txt", notes)
    _write_gaps(out_dir / "gaps.tsv", gaps)
    _write_lines(out_dir / "guessed.txt", lexicon.guessed_lines())
    if not texts or len(failed) > config.max_failed * (len(texts) + len(failed)):
        name, reason = next(iter(sorted(failed.items())), ("", "there is nothing to align"))
        raise HybridError(
            f"{len(failed)} of {len(texts) + len(failed)} could not be aligned (see {out_dir / 'failed.txt'}); "
            f"the first, {name}: {reason}"
        )
    unwritten = write_formats(texts, out_dir, config.formats, lengths, config.subtitles, aligner.times)
    if unwritten:
        failed |= {t.utterance: unwritten[t.recording] for t in texts if t.recording in unwritten}
        texts = [text for text in texts if text.recording not in unwritten]
        write_failed(out_dir / "failed.txt", failed)
    facts = {
        "aligned": len(texts),
        "failed": len(failed),
        "gaps": sum(len(found) for found in gaps.values()),
        "boundaries": aligner.times.convention,
    }
    inputs = {
        "L.fst": lang.path / "L.fst",
        **({"model": model.path / "final.safetensors"} if model.path is not None else {}),
    }
    files = [*REPORTS, *format_files({text.recording for text in texts}, config.formats)]
    write_meta(out_dir, "aligned-speech", settings, inputs, facts, files)
    log_totals(logger, len(texts), len(failed), sum(text.duration for text in texts))
    return AlignTotals(len(texts), len(failed))


def _sort(
    outcome: Outcome,
    texts: list[TimedText],
    failed: dict[str, str],
    notes: dict[str, str],
    gaps: dict[str, tuple[Gap, ...]],
) -> None:
    if outcome.text is None:
        failed[outcome.utterance] = outcome.reason
    else:
        texts.append(outcome.text)
    if outcome.notes:
        notes[outcome.utterance] = "; ".join(outcome.notes)
    if outcome.gaps:
        gaps[outcome.utterance] = outcome.gaps


def _write_gaps(path: Path, gaps: Mapping[str, Sequence[Gap]]) -> None:
    """Writes `utterance start end words reason`, tab-separated, a line for each stretch that was left out."""
    lines = ["utterance\tstart\tend\twords\treason"]
    for utterance, found in sorted(gaps.items()):
        lines += [f"{utterance}\t{g.start:.2f}\t{g.end:.2f}\t{' '.join(g.words)}\t{g.reason}" for g in found]
    _write_lines(path, lines)


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
