"""Words and phones of one text with their times: what every output format is written from."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from hybrid.base.errors import InputError, quote
from hybrid.timing.ctm import TimedLabel
from hybrid.timing.slot import Slot

__all__ = ["TimedText", "TimedWord", "joined", "tile"]

SAME = 1e-6  # seconds; neighbours this close share their boundary


@dataclass(frozen=True)
class TimedWord:
    """A word, or a pause (empty label), with its phones.

    Attributes:
      start, duration: seconds in the recording.
      confidence: 0 to 1; None where it was not computed.
      guessed: the pronunciation stands in no dictionary.
      phones: that tile the word; pauses have theirs too.
    """

    label: str
    start: float
    duration: float
    confidence: float | None = None
    guessed: bool = False
    phones: tuple[TimedLabel, ...] = ()

    @property
    def end(self) -> float:
        """Seconds."""
        return self.start + self.duration


@dataclass(frozen=True)
class TimedText:
    """One utterance or recording with its words in the order of time.

    Attributes:
      utterance, recording: ids, without white space.
      start, duration: of the utterance in the recording, seconds.
      words: words and pauses that do not overlap; they tile the utterance where all of it was aligned.
      speaker: where known.
      overall: confidence of the whole, where it is not the mean of its words'.
      rule: of a grammar, that the words are; "" where they are outside of it, None where there is none.
      slots: what its tags and the slots of a graph say; None where there can be none.

    Raises:
      ValueError: words that overlap or lie outside, or a time that is no number.
    """

    utterance: str
    recording: str
    start: float
    duration: float
    words: tuple[TimedWord, ...]
    speaker: str = ""
    overall: float | None = None
    rule: str | None = None
    slots: tuple[Slot, ...] | None = None

    def __post_init__(self) -> None:
        last = self.start
        for word in self.words:
            if not (math.isfinite(word.start) and math.isfinite(word.duration) and word.duration >= 0):
                raise ValueError(f"'{quote(word.label)}' from {word.start} lasts {word.duration} s")
            if word.start < last - SAME:
                raise ValueError(f"'{quote(word.label)}' starts at {word.start} s, before {last} s")
            last = word.end
        if last > self.end + SAME:
            raise ValueError(f"the words end at {last} s, the utterance at {self.end} s")

    @property
    def end(self) -> float:
        """Seconds in the recording."""
        return self.start + self.duration

    @property
    def spoken(self) -> tuple[TimedWord, ...]:
        """The words without the pauses."""
        return tuple(word for word in self.words if word.label)

    @property
    def phones(self) -> tuple[TimedLabel, ...]:
        """All phones in order, those of pauses too."""
        return tuple(phone for word in self.words for phone in word.phones)

    @property
    def confidence(self) -> float | None:
        """The overall one, or the mean of the words' confidences, weighted by their durations; None without any."""
        if self.overall is not None:
            return self.overall
        known = [(w.confidence, w.duration) for w in self.spoken if w.confidence is not None]
        total = sum(d for _, d in known)
        return sum(c * d for c, d in known) / total if total > 0 else None

    def tiers(self) -> tuple[list[TimedLabel], list[TimedLabel]]:
        """Returns words and phones as intervals without gaps from the start to the end (empty labels fill)."""
        words = [TimedLabel(w.label, w.start, w.duration, w.confidence) for w in self.words]
        return list(tile(words, self.start, self.end)), list(tile(self.phones, self.start, self.end))


def tile(labels: Iterable[TimedLabel], start: float, end: float) -> Iterator[TimedLabel]:
    """Yields the labels with gaps filled by empty ones; intervals without length are left out."""
    last = start
    for label in labels:
        begin = last if abs(label.start - last) < SAME else label.start
        if begin > last:
            yield TimedLabel("", last, begin - last)
        if label.end > begin + SAME:
            yield replace(label, start=begin, duration=label.end - begin)
            last = label.end
    if end > last + SAME:
        yield TimedLabel("", last, end - last)


def joined(texts: Sequence[TimedText], length: float | None = None) -> TimedText:
    """Joins the texts of one recording, in the order of time.

    Args:
      length: of the recording, seconds; by default the last text's end.

    Raises:
      InputError: two of them lie over each other.
    """
    ordered = sorted(texts, key=lambda text: text.start)
    for one, other in itertools.pairwise([text for text in ordered if text.words]):
        if other.words[0].start < one.words[-1].end - SAME:
            raise InputError.at(
                f"recording '{quote(one.recording)}'",
                f"utterances '{quote(one.utterance)}' and '{quote(other.utterance)}' lie over each other",
                "Mend the cuts, or choose --format ctm or lhotse.",
            )
    end = max([text.end for text in ordered] + [length or 0.0])
    words = tuple(word for text in ordered for word in text.words)
    name = ordered[0].recording
    return TimedText(name, name, 0.0, end, words, ordered[0].speaker if len({t.speaker for t in ordered}) == 1 else "")
