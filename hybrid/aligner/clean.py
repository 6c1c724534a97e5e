"""Cleaning of a corpus: what is not said as its text has it is cut out or listed (Kaldi's clean_and_segment_data).

Each utterance is decoded with a language model made of its own text. Stretches whose words were heard are kept, whole
utterances unchanged; stretches of differing words are cut out, between words, and listed with both versions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from hybrid.aligner.anchors import TimedHeard
from hybrid.aligner.biased import BiasedDecoder
from hybrid.aligner.config import BiasedConfig, CleanConfig
from hybrid.aligner.differences import compare, differing_runs
from hybrid.aligner.long_audio import hear
from hybrid.aligner.speech_set import frequent_words
from hybrid.base.artifact import atomic_path
from hybrid.base.config import config_to_dict
from hybrid.base.doors import writes_into
from hybrid.base.errors import HybridError, InputError
from hybrid.base.jobs import blocks, map_in_order
from hybrid.base.log import get_logger, progress
from hybrid.data.sets import write_set
from hybrid.data.utterance import Utterance
from hybrid.feats.vad import VadConfig
from hybrid.model.folder import Model, check_phones
from hybrid.model.recording import Recording
from lexicon.lang_dir import LangDir
from lexicon.vocabulary import OOV, Pronouncer, TextLexicon

__all__ = ["Bad", "CleanWork", "KeptStretch", "clean_corpus", "good_stretches"]

logger = get_logger(__name__)
BLOCK = 16  # utterances per piece of work
PADDING = 0.15  # seconds of pause kept beside a stretch


@dataclass(frozen=True)
class KeptStretch:
    """A stretch that is said as its text has it: words first … last - 1, seconds in the utterance."""

    first: int
    last: int
    start: float
    end: float


@dataclass(frozen=True)
class Bad:
    """A stretch that was cut out, with its text and what was heard."""

    start: float
    end: float
    text: tuple[str, ...]
    heard: tuple[str, ...]


def good_stretches(
    text: Sequence[str],
    heard: Sequence[TimedHeard],
    duration: float,
    config: CleanConfig,
    spelt: Sequence[str] | None = None,
) -> tuple[list[KeptStretch], list[Bad]]:
    """Divides an utterance.

    Args:
      text: words by the names that the decoder gives them.
      heard: in the order of time, seconds in the utterance.
      duration: of the utterance.
      spelt: the same words as the text spells them, for what is cut out; by default `text`.

    Returns:
      What is kept (the whole utterance unchanged where nothing differs by more than tolerated), and what is cut out.
    """
    words, spelt = [h.word for h in heard], tuple(text if spelt is None else spelt)
    steps = compare(text, words)
    runs = differing_runs(text, words, steps)
    right = sum(1 for a, b in steps.tolist() if a >= 0 and b >= 0 and text[a] == words[b])
    if len(text) - right > config.max_error * len(text):
        return [], [Bad(0.0, duration, spelt, tuple(words))]
    wrong = [r for r in runs if max(r.end - r.start, r.heard_end - r.heard_start) > config.tolerate]
    if not wrong:
        return [KeptStretch(0, len(text), 0.0, duration)], []
    kept, bad = [], []
    first, start = 0, 0.0
    for run in [*wrong, None]:
        last = len(text) if run is None else run.start
        end = duration if run is None else _border(heard, run.heard_start, duration, before=True)
        if last - first >= config.min_words and end - start >= config.min_duration:
            kept.append(KeptStretch(first, last, start, end))
        elif last > first:
            bad.append(Bad(start, end, spelt[first:last], ()))
        if run is not None:
            after = _border(heard, run.heard_end, duration, before=False)
            spoken = tuple(words[run.heard_start : run.heard_end])
            bad.append(Bad(end, max(end, after), spelt[run.start : run.end], spoken))
            first, start = run.end, after
    return kept, bad


def _border(heard: Sequence[TimedHeard], place: int, duration: float, before: bool) -> float:
    """Returns where to cut between heard words place - 1 and place: near the word that is kept, in the pause."""
    left = heard[place - 1].end if place else 0.0
    right = heard[place].start if place < len(heard) else duration
    padding = min(PADDING, (right - left) / 2)
    return left + padding if before else right - padding


@dataclass(frozen=True, eq=False)
class CleanWork:
    """What decoding one block of utterances needs; sent to the workers."""

    model: Model
    lexicon: TextLexicon
    others: tuple[str, ...]
    biased: BiasedConfig
    config: CleanConfig

    def block(self, items: Sequence[Utterance]) -> list[tuple[list[KeptStretch], list[Bad], str]]:
        """Returns what is kept and cut out of each item, and why it failed."""
        return [self._item(item) for item in items]

    def _item(self, item: Utterance) -> tuple[list[KeptStretch], list[Bad], str]:
        try:
            if not item.words:
                raise InputError.at(item.path, "has an empty text", "Write what is said, or leave the file out.")
            vad = VadConfig()
            recording = Recording(
                self.model, item.path, item.channel, item.start, item.duration, vad, whole_within=vad.max_length
            )
            scale = self.model.acoustic_model.acoustic_scale
            decoder = BiasedDecoder(
                self.model.transition_model, self.lexicon, [item.words], self.others, acoustic_scale=scale,
                config=self.biased,
            )  # fmt: skip
            heard = hear(decoder, recording, 0.0, recording.duration)
            names = [word if word in self.lexicon.words else OOV for word in item.words]
            kept, bad = good_stretches(names, heard, recording.duration, self.config, item.words)
            return kept, bad, ""
        except (HybridError, OSError, ValueError) as error:
            return [], [], " ".join(str(error).split())


@writes_into("data", "model", "lang")
def clean_corpus(
    model: Model,
    lang: LangDir,
    items: Sequence[Utterance],
    failures: dict[str, str],
    out_dir: Path,
    config: CleanConfig | None = None,
    biased: BiasedConfig | None = None,
    pronouncer: Pronouncer | None = None,
    executor: Executor | None = None,
) -> tuple[int, int]:
    """Writes a cleaned set: cuts.jsonl.gz, bad.tsv (what was cut out), failed.txt.

    Returns:
      How many cuts there are, and how many stretches were cut out.

    Raises:
      HybridError: nothing, or too little, is left.
    """
    config, biased = config or CleanConfig(), biased or BiasedConfig()
    check_phones(model, lang.path / "phones.txt")
    lexicon = TextLexicon.make(lang, {word for item in items for word in item.words}, pronouncer)
    work = CleanWork(model.unadapted, lexicon, frequent_words(items, biased.other_words), biased, config)
    cuts: list[Utterance] = []
    rows: list[tuple[str, Bad]] = []
    reasons = dict(failures)
    with progress("cleaning", len(items)) as bar:
        results = map_in_order(CleanWork.block, blocks(items, BLOCK), executor, shared=work)
        for item, (kept, bad, reason) in zip(items, (r for block in results for r in block)):
            cuts += _items(item, kept)
            rows += [(item.id, stretch) for stretch in bad]
            if reason or not kept:
                reasons[item.id] = reason or "text is not what is said (see bad.tsv)"
            bar.advance(int(bool(kept)), int(not kept))
    _write_bad(out_dir / "bad.tsv", rows)
    count = write_set(cuts, out_dir, "cleaned", config_to_dict(config), sorted(reasons.items()))
    return count, len(rows)


def _items(item: Utterance, kept: Sequence[KeptStretch]) -> Iterator[Utterance]:
    for number, part in enumerate(kept, 1):
        whole = part.first == 0 and part.last == len(item.words) and len(kept) == 1 and part.start == 0.0
        name = item.id if whole else f"{item.id}-{number}"
        text = " ".join(item.words[part.first : part.last])
        yield Utterance(
            name, item.path, item.speaker, text, item.start + part.start, part.end - part.start,
            max(item.channel, 0), item.recording,
        )  # fmt: skip


def _write_bad(path: Path, rows: Sequence[tuple[str, Bad]]) -> None:
    lines = ["utterance\tstart\tend\ttext\theard"]
    lines += [f"{u}\t{b.start:.2f}\t{b.end:.2f}\t{' '.join(b.text)}\t{' '.join(b.heard)}" for u, b in rows]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
