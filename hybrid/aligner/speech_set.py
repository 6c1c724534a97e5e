"""Alignment of many utterances and recordings, speaker by speaker; what fails is explained and stops nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace

import numpy as np

from hybrid.align.config import AlignmentError
from hybrid.aligner.adapt import Adaptation, speaker_transform
from hybrid.aligner.config import BiasedConfig
from hybrid.aligner.diagnose import diagnose
from hybrid.aligner.long_audio import Gap, align_long
from hybrid.aligner.reasons import Cause, shown
from hybrid.aligner.text_aligner import AlignedWords, TextAligner
from hybrid.base.errors import HybridError, InputError
from hybrid.base.jobs import map_in_order
from hybrid.base.log import progress
from hybrid.data.utterance import Utterance
from hybrid.feats.cmvn import CmvnStats
from hybrid.feats.vad import VadConfig
from hybrid.model.recording import Recording
from hybrid.timing.timed_text import TimedText, TimedWord

__all__ = ["Outcome", "SpeechWork", "align_items", "frequent_words"]


@dataclass(frozen=True)
class Outcome:
    """What became of an item.

    Attributes:
      text: None where it failed.
      seconds: of audio.
      reason: why it failed; notes: what else should be known (beam widened, words without pronunciation).
      gaps: stretches of a long recording that were left out.
    """

    utterance: str
    text: TimedText | None
    seconds: float = 0.0
    reason: str = ""
    notes: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = field(default=())


def frequent_words(items: Sequence[Utterance], count: int) -> tuple[str, ...]:
    """Returns the most frequent words of all texts, the first in the alphabet of equally frequent ones first."""
    counts = Counter(word for item in items for word in item.words)
    return tuple(sorted(counts, key=lambda w: (-counts[w], w))[:count])


@dataclass(frozen=True, eq=False)
class SpeechWork:
    """What aligning one speaker's items needs; sent to the workers.

    Attributes:
      aligner: model, words and settings.
      biased: settings of biased decoding.
      others: words that may be heard though a text lacks them.
    """

    aligner: TextAligner
    biased: BiasedConfig = field(default_factory=BiasedConfig)
    others: tuple[str, ...] = ()

    def speaker(self, items: Sequence[Utterance]) -> list[Outcome]:
        """Aligns the items of one speaker."""
        outcomes: dict[str, Outcome] = {}
        short: list[tuple[Utterance, Recording]] = []
        for item in items:
            try:
                if not item.words:
                    raise InputError.at(item.path, "has an empty text", "Write what is said, or leave the file out.")
                self._refuse_unknown(item)
                recording = self._recording(item)
                if recording.duration > self.aligner.config.long.long_from:
                    outcomes[item.id] = self._long(item, recording)
                else:
                    short.append((item, recording))
            except (HybridError, OSError, ValueError) as error:
                outcomes[item.id] = _failed(item, error)
        outcomes |= {outcome.utterance: outcome for outcome in self._short(short)}
        return [outcomes[item.id] for item in items]

    def _refuse_unknown(self, item: Utterance) -> None:
        """Raises InputError where most words have no pronunciation: nothing could be said about them."""
        lexicon = self.aligner.lexicon
        lost = [word for word in item.words if word not in lexicon.words]
        if len(lost) > self.aligner.config.max_unknown * len(item.words):
            raise InputError.at(
                item.path,
                f"{len(lost)} of {len(item.words)} words have no pronunciation: {shown(lost)}; another language?",
                "Give --pronunciations or --g2p, or mend the text.",
            )

    def _recording(self, item: Utterance) -> Recording:
        vad = VadConfig(max_length=self.aligner.config.long.chunk)
        return Recording(self.aligner.model.unadapted, item.path, item.channel, item.start, item.duration, vad)

    def _long(self, item: Utterance, recording: Recording) -> Outcome:
        found = align_long(self.aligner, recording, item.words, self.biased)
        words = [replace_times(word, item.start) for word in found.words]
        text = TimedText(item.id, item.recording, item.start, recording.duration, tuple(words), item.speaker)
        return Outcome(item.id, text, recording.duration, notes=self._notes(item), gaps=found.gaps)

    def _short(self, pairs: Sequence[tuple[Utterance, Recording]]) -> Iterator[Outcome]:
        """Aligns utterances of one speaker with common statistics and, with data enough, a common transform."""
        pipeline = self.aligner.model.pipeline
        statics: dict[str, np.ndarray] = {}
        for item, recording in pairs:
            try:
                statics[item.id] = recording.static(recording.sounding.start, recording.sounding.end)
                if not len(statics[item.id]):
                    raise InputError.at(item.path, "is shorter than one frame", "Leave it out.")
            except (HybridError, OSError, ValueError) as error:
                statics.pop(item.id, None)
                yield _failed(item, error)
        usable = [(item, recording) for item, recording in pairs if item.id in statics]
        stats = None
        if pipeline.cmvn.kind == "speaker" and len(usable) > 1:
            for item, _ in usable:
                own = CmvnStats.of(statics[item.id])
                stats = own if stats is None else stats + own
        features = {item.id: pipeline.apply(statics[item.id], stats) for item, _ in usable}
        texts = [(item.id, item.words) for item, _ in usable]
        adaptation = speaker_transform(self.aligner, texts, features)
        for item, recording in usable:
            values = features[item.id]
            if adaptation.transform is not None:
                values = pipeline.apply(statics[item.id], stats, adaptation.transform)
            try:
                yield self._utterance(adaptation, item, recording, values)
            except (HybridError, ValueError) as error:
                yield _failed(item, error, recording.duration)

    def _utterance(
        self, adaptation: Adaptation, item: Utterance, recording: Recording, features: np.ndarray
    ) -> Outcome:
        aligner = adaptation.aligner
        scores, sounding = aligner.model.scores(features), recording.sounding
        place = (item.start + sounding.start, sounding.duration)
        notes = [*self._notes(item), *([adaptation.note] if adaptation.note else [])]
        aligned: AlignedWords | None = None
        problem: AlignmentError | None = None
        try:
            aligner.needs_frames(item.words, len(scores))
            aligned = aligner.align(item.words, scores, *place)
        except AlignmentError as error:
            problem = error
        config = aligner.config
        if config.explain and (aligned is None or aligned.confidence < config.min_confidence):
            finding = diagnose(aligner, item.words, recording, scores, self.others, self.biased)
            if finding.cause is not Cause.BEAM:
                short = f" ({problem})" if "too short" in str(problem) else ""
                raise AlignmentError(finding.message + short)
            if aligned is None and config.rescue_beam and "too short" not in str(problem):
                wide = aligner.widened(config.rescue_beam)
                aligned = aligner.align(item.words, scores, *place, wide)
                notes.append(f"{finding.message}; aligned with beam {config.rescue_beam:g}")
            elif finding.places:
                notes.append(f"may differ: {finding.places}")
        if aligned is None:
            assert problem is not None
            raise problem
        text = TimedText(item.id, item.recording, item.start, recording.duration, aligned.words, item.speaker)
        return Outcome(item.id, text, recording.duration, notes=tuple(notes))

    def _notes(self, item: Utterance) -> tuple[str, ...]:
        lexicon = self.aligner.lexicon
        lost = sorted({word for word in item.words if word not in lexicon.words})
        guessed = sorted({word for word in item.words if word in lexicon.guessed})
        notes = []
        if guessed:
            notes.append(f"pronunciation guessed: {' '.join(guessed)}")
        if lost:
            notes.append(f"no pronunciation, spoken as {lexicon.lang.oov_word}: {' '.join(lost)}")
        return tuple(notes)


def replace_times(word: TimedWord, seconds: float) -> TimedWord:
    """Returns a word later in its recording."""
    if not seconds:
        return word
    phones = tuple(replace(p, start=p.start + seconds) for p in word.phones)
    return replace(word, start=word.start + seconds, phones=phones)


def _failed(item: Utterance, error: BaseException, seconds: float = 0.0) -> Outcome:
    return Outcome(item.id, None, seconds, " ".join(str(error).split()))


def align_items(work: SpeechWork, items: Sequence[Utterance], executor: Executor | None = None) -> Iterator[Outcome]:
    """Aligns items, a speaker at a time, on any executor; outcomes come in the order of the speakers' names."""
    speakers: dict[str, list[Utterance]] = {}
    for item in items:
        speakers.setdefault(item.speaker, []).append(item)
    pieces = [speakers[name] for name in sorted(speakers)]
    with progress("aligning", len(items)) as bar:
        for outcomes in map_in_order(SpeechWork.speaker, pieces, executor, shared=work):
            failed = sum(outcome.text is None for outcome in outcomes)
            bar.advance(len(outcomes) - failed, failed)
            yield from outcomes
