"""A corpus looked through before anything is trained on it or aligned: audio, texts, words, speakers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hybrid.aligner.config import BiasedConfig
from hybrid.aligner.speech_set import SpeechWork, align_items, frequent_words
from hybrid.aligner.text_aligner import TextAligner
from hybrid.base.artifact import atomic_path
from hybrid.base.errors import HybridError, InputError, one_line, quote
from hybrid.base.jobs import map_in_order
from hybrid.base.log import progress
from hybrid.data.audio import MIX, probe_audio
from hybrid.data.beside import beside
from hybrid.data.find_audio import Found, companions
from hybrid.data.survey import survey
from hybrid.data.utterance import Utterance
from hybrid.feats.vad import VadConfig, find_speech, listen
from lexicon.vocabulary import TextLexicon

__all__ = ["CorpusReport", "Remark", "SpeechFacts", "hear_all", "require_usable", "validate_corpus"]

SHARE = 0.5  # of words without pronunciation from which a text is refused
FASTEST, SLOWEST = 30.0, 1.0  # phones a second that somebody says
LONG = 5.0  # seconds of speech from which a text may be too short
SHOWN = 200  # characters of a name
TOLD = 0.5  # seconds that an interval may end behind its recording


@dataclass(frozen=True)
class Remark:
    """One thing found.

    Attributes:
      kind: audio, text, oov, speaker or file.
      name: of the utterance, file, word or speaker.
      fails: it cannot be used as it is; otherwise it should be known.
    """

    kind: str
    name: str
    found: str
    fails: bool = True


@dataclass(frozen=True)
class SpeechFacts:
    """What listening to a file told: its seconds, those of speech, what is noted, why it cannot be used."""

    duration: float = 0.0
    speech: float = 0.0
    notes: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, eq=False)
class CorpusReport:
    """What a corpus holds and what is wrong with it.

    Attributes:
      oov: word → how often it stands in the texts, of words without pronunciation.
    """

    utterances: int
    seconds: float
    speakers: Mapping[str, int]
    words: int
    oov: Mapping[str, int]
    remarks: tuple[Remark, ...]

    @property
    def failed(self) -> int:
        """How many remarks tell of what cannot be used."""
        return sum(remark.fails for remark in self.remarks)

    def lines(self) -> Iterator[str]:
        """Yields a line for each remark, what fails first, and one on the whole."""
        for remark in sorted(self.remarks, key=lambda remark: not remark.fails):
            weight = "" if remark.fails else "note: "
            yield f"{weight}{remark.kind} {quote(remark.name, SHOWN)}: {one_line(remark.found)}"
        oov = sum(self.oov.values())
        yield (
            f"{self.utterances} utterances of {len(self.speakers)} speakers, {self.seconds / 60:.1f} min of audio, "
            f"{self.words} words, {oov} of them without pronunciation ({len(self.oov)} different): "
            f"{self.failed} problems"
        )

    def write(self, path: str | os.PathLike) -> None:
        """Writes `kind name found fails`, tab-separated, a line for each remark."""
        rows = [(r.kind, quote(r.name, SHOWN), one_line(r.found), "fails" if r.fails else "note") for r in self.remarks]
        with atomic_path(path) as temporary:
            text = "".join("\t".join(row) + "\n" for row in (("kind", "name", "found", "fails"), *rows))
            temporary.write_text(text, encoding="utf-8")


def _hear(path: Path, channel: int) -> SpeechFacts:
    try:
        info = probe_audio(path)
        used = channel if info.channels > 1 else 0
        loudness, vad = listen(path, channel=used), VadConfig()
        spans = find_speech(loudness, vad) or find_speech(loudness, vad, vad.max_length)
        return SpeechFacts(info.duration, sum(span.duration for span in spans), tuple(survey(path, info, used)))
    except InputError as error:
        return SpeechFacts(reason=str(error))


def hear_all(paths: Sequence[Path], channel: int = MIX, executor: Executor | None = None) -> dict[Path, SpeechFacts]:
    """Listens to whole files; what cannot be read is a reason."""
    with progress("listening", len(paths)) as bar:
        facts = {}
        for path, found in zip(paths, map_in_order(partial(_hear, channel=channel), paths, executor)):
            facts[path] = found
            bar.advance(int(not found.reason), int(bool(found.reason)))
        return facts


def validate_corpus(
    there: Found,
    paths: Sequence[str | os.PathLike],
    items: Sequence[Utterance],
    failures: Mapping[str, str],
    facts: Mapping[Path, SpeechFacts],
    lexicon: TextLexicon,
    aligner: TextAligner | None = None,
    executor: Executor | None = None,
) -> CorpusReport:
    """Looks through a corpus.

    Args:
      there, paths: what lies there (`find_audio.scan`), and where that was looked for.
      items, failures: of `speech_source.items_of_files`.
      facts: of `hear_all`, for each audio file.
      lexicon: with the pronunciations of the texts' words.
      aligner: holds each text against its audio too.
    """
    remarks = [Remark("audio", name, reason) for name, reason in there.dead]
    remarks += [Remark("file", str(path), "is no audio; left out", False) for path in there.others]
    remarks += [Remark("text", str(p), "is text without audio of its name beside it") for p in _orphans(there, paths)]
    for name, path in there.audio:
        remarks += _of_audio(name, facts[path])
        if len(files := beside(path)) > 1:
            rest = ", ".join(quote(file.name) for file in files[1:])
            remarks.append(Remark("text", name, f"{quote(files[0].name)} counts, {rest} beside it does not", False))
    remarks += [Remark("text", name, reason) for name, reason in sorted(failures.items())]
    heard = {item.id: facts[Path(item.path)] for item in items}
    for item in items:
        remarks += _of_text(item, heard[item.id], lexicon)
    oov = Counter(word for item in items for word in item.words if word not in lexicon.words)
    remarks += [
        Remark("oov", word, f"has no pronunciation; stands {count} times", False)
        for word, count in sorted(oov.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    remarks += _of_speakers(items)
    if aligner is not None:
        bad = {remark.name for remark in remarks if remark.fails}
        remarks += _unlike(aligner, [item for item in items if not {item.id, item.recording} & bad], executor)
    speakers = Counter(item.speaker for item in items)
    seconds = sum(found.duration for found in facts.values())
    words = sum(len(item.words) for item in items)
    return CorpusReport(len(items), seconds, speakers, words, dict(oov), tuple(remarks))


def _orphans(there: Found, paths: Sequence[str | os.PathLike]) -> Iterator[Path]:
    """Yields the files of text that lie beside no audio of their name."""
    stems = {path.with_suffix("") for _, path in there.audio}
    yield from (file for file in companions(paths) if file.with_suffix("") not in stems)


def _of_audio(name: str, found: SpeechFacts) -> Iterator[Remark]:
    if found.reason:
        yield Remark("audio", name, found.reason)
    elif not found.speech:
        yield Remark("audio", name, f"nothing is said in its {found.duration:.2f} s")
    yield from (Remark("audio", name, note, False) for note in found.notes)


def _of_text(item: Utterance, found: SpeechFacts, lexicon: TextLexicon) -> Iterator[Remark]:
    if not item.words:
        yield Remark("text", item.id, "has an empty text")
        return
    lost = [word for word in item.words if word not in lexicon.words]
    if len(lost) > SHARE * len(item.words):
        shown = " ".join(map(quote, lost[:5])) + (" …" if len(lost) > 5 else "")
        yield Remark("text", item.id, f"{len(lost)} of {len(item.words)} words have no pronunciation: {shown}")
    if not found.duration:
        return
    end = item.start + (item.duration or 0.0)
    if item.start >= found.duration or end > found.duration + TOLD:
        yield Remark("text", item.id, f"reaches to {end:.2f} s, its recording to {found.duration:.2f} s")
        return
    seconds = found.duration if item.duration is None else item.duration
    speech = found.speech if item.duration is None else item.duration
    least = sum(min(map(len, lexicon.pronunciations.get(i, [(0,)]))) for i in lexicon.ids(item.words))
    if least > FASTEST * seconds:
        yield Remark("text", item.id, f"is too long: {len(item.words)} words ({least} phones) in {seconds:.2f} s")
    elif speech > LONG and least < SLOWEST * speech:
        count = len(item.words)
        yield Remark("text", item.id, f"is too short: {count} words ({least} phones) in {speech:.2f} s of speech")


def _of_speakers(items: Iterable[Utterance]) -> Iterator[Remark]:
    """Yields speakers whose name comes from several folders: these may be several people."""
    folders: dict[str, set[str]] = {}
    for item in items:
        folder = Path(item.path).absolute().parent
        if folder.name == item.speaker:
            folders.setdefault(item.speaker, set()).add(str(folder))
    for speaker, some in sorted(folders.items()):
        if len(some) > 1:
            shown = ", ".join(quote(folder) for folder in sorted(some)[:3])
            yield Remark("speaker", speaker, f"is the name of {len(some)} folders ({shown}): one person?", False)


def _unlike(aligner: TextAligner, items: Sequence[Utterance], executor: Executor | None) -> Iterator[Remark]:
    """Yields what alignment says of texts that do not fit their audio."""
    biased = BiasedConfig()
    work = SpeechWork(aligner, biased, frequent_words(items, biased.other_words))
    for outcome in align_items(work, items, executor):
        if outcome.text is None:
            yield Remark("text", outcome.utterance, outcome.reason)


def require_usable(report: CorpusReport) -> None:
    """Raises HybridError where something cannot be used."""
    if report.failed:
        raise HybridError(f"{report.failed} problems keep speech from use: mend them, or leave these files out")
