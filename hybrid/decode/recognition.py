"""What was recognised in one utterance: words with times and confidences, other answers, and the lattice."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hybrid.decode.alternatives import Alternative, Choices, alternatives, choices
from hybrid.decode.written import written_labels
from hybrid.lattice.compact import CompactLattice, expand
from hybrid.lattice.density import compact_depth
from hybrid.lattice.lattice import Lattice
from hybrid.lattice.mbr import mbr_decode
from hybrid.lattice.paths import Path
from hybrid.search.protocol import SearchResult
from hybrid.timing.ctm import TimedLabel
from hybrid.timing.formats import json_record
from hybrid.timing.slot import Slot
from hybrid.timing.timed_text import SAME, TimedText, TimedWord
from hybrid.written.form import WrittenForm

if TYPE_CHECKING:
    from hybrid.decode.reader import Reader

__all__ = ["Recognition"]


@dataclass(frozen=True)
class Recognition:
    """The result of one utterance.

    Attributes:
      utterance: its id.
      recording: what its times refer to.
      words, phones: with times in the recording in seconds; pauses have an empty label; both tile the utterance.
        Words have confidences: their posterior in the lattice, or what a calibration makes of it.
      path: the best path; None if nothing was found.
      result: flags of the search; its lattice is kept only where raw ones were asked for, see `lattice`.
      acoustic_scale: that ranked the paths.
      start, duration: of the utterance in the recording, seconds.
      first_frame: of the utterance in the audio whose frames were made together.
      compact: the determinised lattice in Kaldi's compact form, after a second pass where there was one.
      confidence: the share of its words expected to be right, the mean of theirs; of an utterance without words the
        probability that nothing was said.
      rejected: words that were not sure enough, in whose places `words` has pauses.
      reader: what names words and tells times.
      rule: the public rule of the graph's grammar that was said; empty where there is no grammar, or it was none.
      slots: what the tags of that grammar say of the words, and which entries stand in slots of the graph; of an
        utterance with rejected words nothing.
    """

    utterance: str
    recording: str
    words: tuple[TimedLabel, ...]
    phones: tuple[TimedLabel, ...]
    path: Path | None = field(repr=False)
    result: SearchResult = field(repr=False)
    acoustic_scale: float
    start: float
    duration: float
    first_frame: int
    compact: CompactLattice = field(repr=False)
    confidence: float
    rejected: tuple[TimedLabel, ...]
    reader: Reader = field(repr=False, compare=False)
    rule: str = ""
    slots: tuple[Slot, ...] = ()

    @property
    def text(self) -> str:
        """The words with single spaces between them."""
        return " ".join(word.label for word in self.words if word.label)

    @cached_property
    def lattice(self) -> Lattice:
        """All paths that are kept: the determinised ones, or as the search gave them where that was asked for."""
        return expand(self.compact) if self.result.lattice.is_empty else self.result.lattice

    @property
    def depth(self) -> float:
        """Arcs of `lattice` that cross a frame, on average."""
        return compact_depth(self.compact) if self.result.lattice.is_empty else self.result.lattice.depth

    @property
    def status(self) -> str:
        """complete, partial, empty, or failed, of which `result.error` tells why."""
        return self.result.status

    @property
    def outside(self) -> bool:
        """Whether speech outside of the grammar was heard and nothing else (`hybrid graph build --garbage`)."""
        heard = set() if self.path is None else set(self.path.word_ids.tolist())
        return bool(self.reader.garbage & heard) and {self.reader.name(word) for word in heard} == {""}

    def nbest(self, count: int) -> list[Alternative]:
        """Lists the best distinct word sequences, best first.

        Raises:
          ValueError: a count below 1.
        """
        if count < 1:
            raise ValueError(f"{count} best word sequences were asked for, wanted 1 or more")
        return alternatives(expand(self.compact), count, self.acoustic_scale, self.reader.name)

    @property
    def confusion_network(self) -> tuple[Choices, ...]:
        """The words that compete at each place, with posteriors; their bins follow the words with fewest errors."""
        found = mbr_decode(self.reader.on_frames(self.compact), self.acoustic_scale)
        end = self.start + self.duration
        time = self.reader.times.clock(self.result.num_frames, self.start, end, self.first_frame)
        return choices(found.network, self.reader.name, time)

    def written(self, form: WrittenForm | None = None) -> Recognition:
        """Returns the same with its words in written form; see `Transcript.written`."""
        return replace(self, words=written_labels(self.words, form or WrittenForm(), self.rejected))

    @property
    def timed(self) -> TimedText:
        """Words with their phones, as every output format is written from."""
        words, rest = [], list(self.phones)
        for word in self.words:
            inside = []
            while rest and rest[0].end <= word.end + SAME:
                phone = rest.pop(0)
                inside.append(replace(phone, label=self.reader.plain_phones.get(phone.label, phone.label)))
            words.append(TimedWord(word.label, word.start, word.duration, word.confidence, phones=tuple(inside)))
        return TimedText(
            self.utterance, self.recording, self.start, self.duration, tuple(words), overall=self.confidence,
            rule=None if self.reader.grammar is None else self.rule,
            slots=self.slots if self.reader.tells_slots else None,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values: text, confidence, status, words with times and confidences, their phones."""
        rejected = [word.label for word in self.rejected]
        return {**json_record(self.timed), "status": self.status, **({"rejected": rejected} if rejected else {})}
