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
from hybrid.base.artifact import atomic_folder, atomic_path, write_meta
from hybrid.base.config import config_to_dict
from hybrid.base.doors import output_folder, paths_of
from hybrid.base.errors import HybridError
from hybrid.base.failures import write_failed
from hybrid.base.log import get_logger, log_settings, log_totals
from hybrid.base.output import FAILED_NOW
from hybrid.base.ranges import SHARE, check_fields
from hybrid.data.audio import probe_audio
from hybrid.data.utterance import Utterance
from hybrid.model.folder import Model, check_phones
from hybrid.timing.formats import write_formats
from hybrid.timing.subtitles import SubtitleConfig
from hybrid.timing.timed_text import TimedText
from lexicon.lang_dir import LangDir
from lexicon.vocabulary import Pronouncer, TextLexicon

__all__ = ["AlignTotals", "ProductConfig", "align_speech"]

logger = get_logger(__name__)
KIND = "aligned-speech"
FILES = ("failed.txt", "notes.txt", "gaps.tsv", "guessed.txt", "meta.json")


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


def align_speech(
    model: Model,
    lang: LangDir,
    items: Sequence[Utterance],
    failures: Mapping[str, str],
    out_dir: Path,
    config: ProductConfig,
    pronouncer: Pronouncer | None = None,
    executor: Executor | None = None,
    places: Mapping[str, str] | None = None,
) -> AlignTotals:
    """Aligns items and writes the formats, failed.txt, notes.txt, gaps.tsv and guessed.txt.

    The folder is made beside its place and put there as a whole: an earlier output stands until then, and where this
    run fails.

    Args:
      failures: utterance → reason of what failed before.
      places: recording → the name of its files in the folder, without suffix; see `write_formats`.

    Raises:
      HybridError: nothing, or more than `max_failed`, could be aligned; what failed is listed all the same, in
        failed.txt, or beside the results of an earlier run in failed.new.txt.
    """
    log_settings(logger, "align", {"model": model.path, "lang": lang.path, "items": len(items)})
    check_phones(model, lang.path / "phones.txt")
    with atomic_folder(out_dir, KIND, list(paths_of([model, lang]))) as folder:
        lexicon = TextLexicon.make(lang, {word for item in items for word in item.words}, pronouncer)
        aligner = TextAligner(model, lexicon, config.speech)
        work = SpeechWork(aligner, config.biased, frequent_words(items, config.biased.other_words))
        found = _Found(dict(failures))
        for outcome in align_items(work, items, executor):
            found.add(outcome)
        _require_enough(found, out_dir, config.max_failed)
        lengths = _lengths(items, found.texts)
        unwritten = write_formats(
            found.texts, folder, config.formats, lengths, config.subtitles, aligner.times, None, places, FILES
        )
        found.leave_out({name: reason.replace(str(folder), str(out_dir)) for name, reason in unwritten.items()})
        _require_enough(found, out_dir, 1.0)
        write_failed(folder / "failed.txt", found.failed)
        write_failed(folder / "notes.txt", found.notes)
        _write_gaps(folder / "gaps.tsv", found.gaps)
        _write_lines(folder / "guessed.txt", lexicon.guessed_lines())
        facts = {
            "aligned": len(found.texts),
            "failed": len(found.failed),
            "gaps": sum(len(gaps) for gaps in found.gaps.values()),
            "boundaries": aligner.times.convention,
        }
        inputs = {
            "L.fst": lang.path / "L.fst",
            **({"model": model.path / "final.safetensors"} if model.path is not None else {}),
        }
        made = [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()]
        write_meta(folder, KIND, config_to_dict(config), inputs, facts, made)
    log_totals(logger, len(found.texts), len(found.failed), sum(text.duration for text in found.texts))
    return AlignTotals(len(found.texts), len(found.failed))


@dataclass(eq=False)
class _Found:
    """What became of the items so far."""

    failed: dict[str, str]
    notes: dict[str, str] = field(default_factory=dict)
    gaps: dict[str, tuple[Gap, ...]] = field(default_factory=dict)
    texts: list[TimedText] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Puts one outcome where it belongs, with its notes."""
        if outcome.text is None:
            self.failed[outcome.utterance] = outcome.reason
        else:
            self.texts.append(outcome.text)
        if outcome.notes:
            self.notes[outcome.utterance] = "; ".join(outcome.notes)
        if outcome.gaps:
            self.gaps[outcome.utterance] = outcome.gaps

    def leave_out(self, unwritten: Mapping[str, str]) -> None:
        """Counts the texts of recordings whose files could not be written among those that failed."""
        self.failed |= {t.utterance: unwritten[t.recording] for t in self.texts if t.recording in unwritten}
        self.texts = [text for text in self.texts if text.recording not in unwritten]


def _require_enough(found: _Found, out_dir: Path, max_failed: float) -> None:
    """Raises where nothing, or too much, could be aligned; the reasons stand in the output's place before."""
    total = len(found.texts) + len(found.failed)
    if found.texts and len(found.failed) <= max_failed * total:
        return
    earlier = (out_dir / "meta.json").exists()
    listed = out_dir / (FAILED_NOW if earlier else "failed.txt")
    name, reason = next(iter(sorted(found.failed.items())), ("", "there is nothing to align"))
    more = "; the earlier results stand" if earlier else ""
    told = HybridError(
        f"{len(found.failed)} of {total} could not be aligned (see {listed}){more}; the first, {name}: {reason}"
    )
    if earlier:
        write_failed(listed, found.failed)
        raise told
    with output_folder(out_dir, KIND):  # which stays marked as unfinished, for the next run to replace
        write_failed(listed, found.failed)
        raise told


def _lengths(items: Sequence[Utterance], texts: Sequence[TimedText]) -> dict[str, float]:
    """Returns the seconds of each recording that was aligned; where only stretches of it were, its header tells."""
    lengths: dict[str, float] = {}
    aligned = {text.utterance: text.end for text in texts}
    for item in items:
        if item.id in aligned:
            lengths[item.recording] = max(lengths.get(item.recording, 0.0), aligned[item.id])
    for item in {item.recording: item for item in items if item.duration is not None and item.id in aligned}.values():
        lengths[item.recording] = max(lengths[item.recording], probe_audio(item.path).duration)
    return lengths


def _write_gaps(path: Path, gaps: Mapping[str, Sequence[Gap]]) -> None:
    """Writes `utterance start end words reason`, tab-separated, a line for each stretch that was left out."""
    lines = ["utterance\tstart\tend\twords\treason"]
    for utterance, found in sorted(gaps.items()):
        lines += [f"{utterance}\t{g.start:.2f}\t{g.end:.2f}\t{' '.join(g.words)}\t{g.reason}" for g in found]
    _write_lines(path, lines)


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
