"""What was recognised: words and phones with times, flags, and the lattice."""

from __future__ import annotations

from dataclasses import dataclass, field

from hybrid.lattice.lattice import Lattice
from hybrid.lattice.paths import Path
from hybrid.search.protocol import SearchResult
from hybrid.timing.ctm import TimedLabel

__all__ = ["Recognition", "Transcript"]


@dataclass(frozen=True)
class Recognition:
    """The result of one utterance.

    Attributes:
      utterance: its id.
      recording: what its times refer to.
      words, phones: with times in the recording in seconds; pauses have an empty label; both tile the utterance.
      path: the best path; None if nothing was found.
      result: flags and the lattice (unscaled acoustic scores), as the search gave them.
      acoustic_scale: that ranked the paths.
      duration: seconds of speech.
    """

    utterance: str
    recording: str
    words: tuple[TimedLabel, ...]
    phones: tuple[TimedLabel, ...]
    path: Path | None = field(repr=False)
    result: SearchResult = field(repr=False)
    acoustic_scale: float
    duration: float

    @property
    def text(self) -> str:
        """The words with single spaces between them."""
        return " ".join(word.label for word in self.words if word.label)

    @property
    def lattice(self) -> Lattice:
        """All paths that the search kept."""
        return self.result.lattice

    @property
    def status(self) -> str:
        """complete, partial or empty."""
        return self.result.status


@dataclass(frozen=True)
class Transcript:
    """The result of one recording, which may have been cut at pauses.

    Attributes:
      segments: in order of time.
    """

    segments: tuple[Recognition, ...]

    @property
    def text(self) -> str:
        """The words of all segments."""
        return " ".join(segment.text for segment in self.segments if segment.text)

    @property
    def words(self) -> list[TimedLabel]:
        """The words with their times in the recording, without pauses."""
        return [word for segment in self.segments for word in segment.words if word.label]
