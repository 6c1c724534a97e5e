"""Utterance: the one name, from corpus to transcript, for a stretch of a recording in which something is said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lexicon.words.blanks import split_words

__all__ = ["Utterance"]


@dataclass(frozen=True)
class Utterance:
    """A stretch of one channel of a recording, with what is known of it: a corpus tells all, a search needs the ids.

    Attributes:
      id: unique in its set.
      path: of the audio file; empty where features or scores stand for it.
      speaker: utterances of one speaker are normalised and adapted to together; empty where unknown.
      text: as the corpus has it, or None where there is none.
      start, duration: seconds in the recording; duration None means to its end, or as many frames as there are.
      channel: from 0; -1 for the mean of all.
      recording_id: empty where the recording has the utterance's id.
    """

    id: str
    path: str | Path = ""
    speaker: str = ""
    text: str | None = None
    start: float = 0.0
    duration: float | None = None
    channel: int = 0
    recording_id: str = ""
    language: str | None = None

    @property
    def recording(self) -> str:
        """Id of the recording."""
        return self.recording_id or self.id

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the text; none without one."""
        return tuple(split_words(self.text or ""))
