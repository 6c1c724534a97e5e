"""Alignment: one transition-id per frame, and what can be read off it: phones and words with times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hybrid.hmm import TransitionModel

if TYPE_CHECKING:
    from lexicon.lang_dir import LangDir

__all__ = ["Alignment", "Segment", "Speller", "phone_segments"]


@dataclass(frozen=True)
class Segment:
    """A phone or word on its frames.

    Attributes:
      label: phone_id or word_id; 0 for a pause between words.
      start: first frame.
      length: number of frames.
      phones: of a word: its phones.
    """

    label: int
    start: int
    length: int
    phones: tuple[Segment, ...] = ()

    @property
    def end(self) -> int:
        """The frame after the last."""
        return self.start + self.length


@dataclass(frozen=True, eq=False)
class Alignment:
    """The best path of one utterance.

    Attributes:
      transition_ids: int32 [T].
      word_ids: int32 [W], words on the path in order.
      word_frames: int32 [W], where the graph put out each word: within the word, but not its beginning.
      score: of the path, scales applied, natural log.
      frame_scores: float32 [T], unscaled acoustic scores along the path.
      retried: the first beam was too narrow.
    """

    transition_ids: np.ndarray
    word_ids: np.ndarray
    word_frames: np.ndarray
    score: float
    frame_scores: np.ndarray
    retried: bool = False

    @property
    def num_frames(self) -> int:
        return len(self.transition_ids)

    def phones(self, model: TransitionModel) -> list[Segment]:
        """Returns the phones, which tile the frames."""
        return phone_segments(self.transition_ids, model)

    def words(self, model: TransitionModel, speller: Speller) -> list[Segment]:
        """Returns words and pauses (label 0), which tile the frames."""
        return speller.words(self.phones(model), self.word_ids.tolist())


def phone_segments(transition_ids: np.ndarray, model: TransitionModel) -> list[Segment]:
    """Cuts transition-ids into phones.

    A phone ends with the arc into its final state and the self-loops that follow that arc (graphs put self-loops
    after the arc that enters a state).

    Raises:
      ValueError: an id is not one of the model's.
    """
    ids = np.asarray(transition_ids)
    if not len(ids):
        return []
    if ids.min() < 1 or ids.max() > model.num_transition_ids:
        raise ValueError(f"transition-ids {ids.min()} to {ids.max()} for a model of {model.num_transition_ids}")
    entering = np.flatnonzero(~model.is_self_loop[ids])
    begins = entering[1:][model.is_final[ids[entering[:-1]]]]
    starts = np.concatenate([[0], begins]).astype(int)
    lengths = np.diff(np.append(starts, len(ids)))
    phones = model.phones[ids[starts]]
    return [Segment(int(p), int(s), int(n)) for p, s, n in zip(phones, starts, lengths)]


class Speller:
    """Finds which phones of an alignment belong to which word, by the pronunciations of a lang folder."""

    def __init__(self, pronunciations: Sequence[tuple[int, ...]], word_boundary: dict[int, str] | None = None) -> None:
        """Takes rows (word id, word id, phone ids …); rows of word 0 are the phones that may stand between words."""
        self._pauses = {row[2:] for row in pronunciations if row[0] == 0}
        self._of_word: dict[int, list[tuple[int, ...]]] = {}
        for row in pronunciations:
            if row[0] != 0 and row[2:] not in self._of_word.setdefault(row[0], []):
                self._of_word[row[0]].append(row[2:])
        self._boundary = word_boundary

    @classmethod
    def from_lang(cls, lang: LangDir) -> Speller:
        return cls(lang.align_lexicon, lang.word_boundary)

    def words(self, phones: Sequence[Segment], word_ids: Sequence[int]) -> list[Segment]:
        """Returns words and pauses (label 0), which tile the frames of the phones.

        Raises:
          ValueError: the phones do not spell these words.
        """
        labels = tuple(p.label for p in phones)
        # position in the phones → (position before, word) of some way to get there, one dict per number of words
        ways: list[dict[int, tuple[int, int]]] = [self._skip_pauses(labels, {0: (-1, 0)})]
        for word in word_ids:
            found: dict[int, tuple[int, int]] = {}
            for position in ways[-1]:
                for row in self._of_word.get(word, ()):
                    if labels[position : position + len(row)] == row:
                        found.setdefault(position + len(row), (position, word))
            ways.append(self._skip_pauses(labels, found))
        if len(labels) not in ways[-1]:
            raise ValueError(f"phones {labels} do not spell the words {tuple(word_ids)}; another lang folder's graph?")
        return self._trace(phones, ways)

    def _skip_pauses(self, labels: tuple[int, ...], ways: dict[int, tuple[int, int]]) -> dict[int, tuple[int, int]]:
        queue = list(ways)
        while queue:
            position = queue.pop()
            for row in self._pauses:
                after = position + len(row)
                if labels[position:after] == row and after not in ways:
                    ways[after] = (position, 0)
                    queue.append(after)
        return ways

    @staticmethod
    def _trace(phones: Sequence[Segment], ways: list[dict[int, tuple[int, int]]]) -> list[Segment]:
        position, layer, segments = len(phones), len(ways) - 1, []
        while position > 0 or layer > 0:
            before, word = ways[layer][position]
            inside = tuple(phones[before:position])
            segments.append(Segment(word, inside[0].start, sum(p.length for p in inside), inside))
            position, layer = before, layer - (word != 0)
        return segments[::-1]
