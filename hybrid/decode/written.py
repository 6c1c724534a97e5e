"""The written form of what was recognised: tokens with the times and confidences of their words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hybrid.timing.ctm import TimedLabel
from hybrid.written.form import WrittenForm

__all__ = ["written_labels"]


def written_labels(
    words: Sequence[TimedLabel], form: WrittenForm, rejected: Sequence[TimedLabel] = ()
) -> tuple[TimedLabel, ...]:
    """Writes the words of an utterance.

    A token of several words lasts from the start of the first to the end of the last, pauses between them included,
    and is as sure as the least sure of them. Pauses outside tokens stay.

    Args:
      words: words and pauses (empty labels) in the order of time.
      rejected: words in whose places `words` has pauses; no token reaches over one.
    """
    gaps = {one.start for one in rejected}
    return tuple(label for stretch in _stretches(words, gaps) for label in _written(stretch, form))


def _stretches(words: Sequence[TimedLabel], gaps: set[float]) -> Iterator[list[TimedLabel]]:
    """Cuts before and after each rejected word."""
    stretch: list[TimedLabel] = []
    for word in words:
        if not word.label and word.start in gaps:
            yield stretch
            yield [word]
            stretch = []
        else:
            stretch.append(word)
    yield stretch


def _written(stretch: Sequence[TimedLabel], form: WrittenForm) -> Iterator[TimedLabel]:
    places = [i for i, word in enumerate(stretch) if word.label]
    last = 0
    for piece in form.pieces([stretch[i].label for i in places]):
        first, end = places[piece.first], places[piece.last - 1] + 1
        yield from stretch[last:first]
        start, said = stretch[first].start, [stretch[i] for i in places[piece.first : piece.last]]
        sure = [word.confidence for word in said if word.confidence is not None]
        confidence = min(sure) if len(sure) == len(said) else None
        yield TimedLabel(piece.text, start, stretch[end - 1].end - start, confidence)
        last = end
    yield from stretch[last:]
