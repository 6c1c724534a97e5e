"""Anchors: places of a long recording whose place in the text is certain, and the segments between them.

Moreno, Joerg, Van Thong and Glickman (1998), "A recursive algorithm for the forced alignment of very long audio
segments": what was heard is aligned with the text; where several words in a row agree, text and audio are tied
together, and only the stretches between such places are left to be aligned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hybrid.aligner.config import LongConfig
from hybrid.aligner.differences import differing_runs, edit_path

__all__ = ["Anchor", "Piece", "TimedHeard", "find_anchors", "pieces_between"]


@dataclass(frozen=True)
class TimedHeard:
    """A word that was heard, seconds in the recording."""

    word: str
    start: float
    end: float


@dataclass(frozen=True)
class Anchor:
    """A boundary between two words that is known in the text and in the audio.

    Attributes:
      place: words of the text before it.
      time: seconds.
      pause: seconds without speech around it.
      kind: "opens" or "closes" a stretch where text and audio differ; else empty.
    """

    place: int
    time: float
    pause: float
    kind: str = ""


@dataclass(frozen=True)
class Piece:
    """A stretch between two anchors.

    Attributes:
      start, end: seconds.
      first, last: words of the text, last excluded.
      differs: many of its words were not heard as the text has them.
    """

    start: float
    end: float
    first: int
    last: int
    differs: bool = False

    def moved(self, seconds: float, words: int) -> Piece:
        """Returns the piece later in the recording and in the text."""
        return Piece(self.start + seconds, self.end + seconds, self.first + words, self.last + words, self.differs)


def _ids(text: Sequence[str], heard: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    table: dict[str, int] = {}
    first = [table.setdefault(w, len(table)) for w in text]
    return np.array(first, np.int32), np.array([table.setdefault(w, len(table)) for w in heard], np.int32)


def find_anchors(text: Sequence[str], heard: Sequence[TimedHeard], unsure: str, config: LongConfig) -> list[Anchor]:
    """Returns the anchors in order.

    Args:
      text: words by the names that the decoder gives them.
      heard: in the order of time.
      unsure: the word that stands for all words without pronunciation; it anchors nothing.
    """
    a, b = _ids(text, [h.word for h in heard])
    steps = edit_path(a, b)
    both = steps[(steps >= 0).all(axis=1)]
    good = both[a[both[:, 0]] == b[both[:, 1]]]
    matched = np.full(len(text) + 2, -10, np.int64)
    sure = good[[text[i] != unsure for i in good[:, 0]]] if len(good) else good
    matched[sure[:, 0]] = sure[:, 1]
    width = config.anchor_words
    follows = np.zeros(len(text) + 1, np.int64)  # words up to here that matched one after another
    for i in range(len(text)):
        if matched[i] >= 0:
            follows[i + 1] = 1 + (follows[i] if i and matched[i - 1] == matched[i] - 1 else 0)
    ahead = np.zeros(len(text) + 2, np.int64)
    for i in range(len(text) - 1, -1, -1):
        if matched[i] >= 0:
            ahead[i] = 1 + (ahead[i + 1] if matched[i + 1] == matched[i] + 1 else 0)
    found = []
    for i in range(1, len(text)):
        tied = matched[i] == matched[i - 1] + 1 and matched[i - 1] >= 0
        if tied and follows[i] >= width and ahead[i] >= width:
            before, after = heard[matched[i - 1]], heard[matched[i]]
            found.append(Anchor(i, (before.end + after.start) / 2, after.start - before.end))
    return _with_borders(found, text, heard, steps, follows, ahead, config)


def _with_borders(
    anchors: list[Anchor],
    text: Sequence[str],
    heard: Sequence[TimedHeard],
    steps: np.ndarray,
    follows: np.ndarray,
    ahead: np.ndarray,
    config: LongConfig,
) -> list[Anchor]:
    """Adds the borders of long stretches where text and audio differ, if they touch words that agree."""
    words = [h.word for h in heard]
    borders = []
    for run in differing_runs(text, words, steps):
        if max(run.end - run.start, run.heard_end - run.heard_start) < config.gap_words:
            continue
        for kind, place, heard_place, sure in (
            ("opens", run.start, run.heard_start, follows[run.start] >= config.anchor_words),
            ("closes", run.end, run.heard_end, run.end < len(text) and ahead[run.end] >= config.anchor_words),
        ):
            if sure and 0 < heard_place < len(heard):
                before, after = heard[heard_place - 1].end, heard[heard_place].start
                borders.append(Anchor(place, (before + after) / 2, after - before, kind))
    merged = sorted([*anchors, *borders], key=lambda x: (x.time, x.place))
    out: list[Anchor] = []
    for anchor in merged:  # both must rise
        if not out or anchor.place >= out[-1].place:
            out.append(anchor)
    return out


def pieces_between(anchors: Sequence[Anchor], num_words: int, duration: float, config: LongConfig) -> list[Piece]:
    """Chooses anchors at the longest pauses so that pieces stay short, and returns the pieces, which tile all.

    Args:
      num_words: of the text; duration: of the recording, seconds.
    """
    chosen = [Anchor(0, 0.0, 0.0)]
    for anchor in [*(a for a in anchors if a.kind), Anchor(num_words, duration, 0.0)]:
        _divide(chosen, [a for a in anchors if not a.kind], anchor, config)
        if anchor.time > chosen[-1].time or anchor.place > chosen[-1].place:
            chosen.append(anchor)
    return [
        Piece(before.time, after.time, before.place, after.place, before.kind == "opens")
        for before, after in zip(chosen, chosen[1:])
    ]


def _divide(chosen: list[Anchor], anchors: Sequence[Anchor], end: Anchor, config: LongConfig) -> None:
    """Appends anchors between the last one chosen and `end`."""
    inside = [a for a in anchors if chosen[-1].time < a.time < end.time and chosen[-1].place < a.place < end.place]
    at = 0
    while at < len(inside) and end.time - chosen[-1].time > config.max_segment:
        last = chosen[-1].time
        while at < len(inside) and inside[at].time < last + config.max_segment / 6:
            at += 1
        reach = at
        while reach < len(inside) and inside[reach].time <= last + config.max_segment:
            reach += 1
        window = range(at, max(reach, min(at + 1, len(inside))))
        if not window:
            return
        best = max(window, key=lambda k: (inside[k].pause, inside[k].time))
        chosen.append(inside[best])
        at = best + 1
