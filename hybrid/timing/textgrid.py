"""Aligned texts as TextGrids: tiers of words and phones, as MFA's users know them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hybrid.formats.praat import LabelledTime, TextGrid, Tier
from hybrid.timing.ctm import TimedLabel
from hybrid.timing.timed_text import TimedText, joined, tile

__all__ = ["textgrid_of"]


def textgrid_of(texts: Sequence[TimedText], end: float | None = None) -> TextGrid:
    """Makes the tiers `words` and `phones` of a recording; where nothing is said the labels are empty.

    Of several speakers each has tiers of their own, `NAME - words` and `NAME - phones`. Another tier `guessed` is there
    if pronunciations were guessed: their words, and nothing else.

    Args:
      texts: of one recording, at least one.
      end: of the recording; by default that of the last text.

    Raises:
      InputError: two texts of one speaker lie over each other.
    """
    last = max([*(text.end for text in texts), end or 0.0])
    speakers: dict[str, list[TimedText]] = {}
    for text in texts:
        speakers.setdefault(text.speaker, []).append(text)
    tiers = []
    for speaker, own in sorted(speakers.items()):
        before = f"{speaker} - " if len(speakers) > 1 else ""
        tiers += [Tier(before + name, _covering(labels, last)) for name, labels in _rows(joined(own, last))]
    return TextGrid(0.0, last, tuple(tiers))


def _rows(text: TimedText) -> list[tuple[str, list[TimedLabel]]]:
    words, phones = text.tiers()
    guessed = [TimedLabel(w.label, w.start, w.duration) for w in text.spoken if w.guessed]
    return [("words", words), ("phones", phones), *([("guessed", guessed)] if guessed else [])]


def _covering(labels: Iterable[TimedLabel], end: float) -> tuple[LabelledTime, ...]:
    """Returns labels as intervals from 0 to the end, gaps filled."""
    return tuple(LabelledTime(label.label, label.start, label.end) for label in tile(labels, 0.0, end))
