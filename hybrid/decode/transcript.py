"""The transcript of a recording: its utterances in order, together and as plain values."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from hybrid.decode.alternatives import Alternative, Choices, join_alternatives
from hybrid.decode.recognition import Recognition
from hybrid.timing.ctm import TimedLabel
from hybrid.timing.slot import Slot
from hybrid.written.form import WrittenForm

__all__ = ["Transcript"]


@dataclass(frozen=True)
class Transcript:
    """The result of one recording, which may have been cut at pauses.

    Attributes:
      segments: in order of time.
      recording: its name.
      error: why there is none, of a recording that could not be used.
      search_lm, second_lm: the language model of the graph and that of the second pass, where they are known.
    """

    segments: tuple[Recognition, ...]
    recording: str = ""
    error: str = ""
    search_lm: str = field(default="", compare=False)
    second_lm: str = field(default="", compare=False)

    @property
    def text(self) -> str:
        """The words of all segments."""
        return " ".join(segment.text for segment in self.segments if segment.text)

    @property
    def words(self) -> list[TimedLabel]:
        """The words with their times in the recording and their confidences, without pauses."""
        return [word for segment in self.segments for word in segment.words if word.label]

    @property
    def slots(self) -> tuple[Slot, ...]:
        """What the tags of the graph's grammar say of its utterances, and which entries its slots hold, in order."""
        return tuple(slot for segment in self.segments for slot in segment.slots)

    @property
    def written(self) -> Transcript:
        """The same in written form ("a quarter to six" is 5:45): text, words, JSON; `write` takes settings and rules.

        Each token has the time of its words and the confidence of the least sure; other answers stay spoken.
        """
        return self.write(WrittenForm())

    def write(self, form: WrittenForm) -> Transcript:
        """Returns the same in a written form of one's own settings and rules; see `written`."""
        return replace(self, segments=tuple(segment.written(form) for segment in self.segments))

    @property
    def confidence(self) -> float:
        """The expected share of words that are right: mean of the segments', weighted by their words; 0 without any."""
        weights = [max(1, sum(bool(word.label) for word in segment.words)) for segment in self.segments]
        total = sum(weight * segment.confidence for weight, segment in zip(weights, self.segments))
        return total / sum(weights) if weights else 0.0

    @property
    def confusion_network(self) -> tuple[Choices, ...]:
        """The words that compete at each place; see `Recognition.confusion_network`."""
        return tuple(choice for segment in self.segments for choice in segment.confusion_network)

    def nbest(self, count: int) -> list[Alternative]:
        """Lists the best distinct word sequences of the whole recording, best first.

        Raises:
          ValueError: a count below 1.
        """
        return join_alternatives([segment.nbest(count) for segment in self.segments], count)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values: text, confidence, language models, and of each utterance what `Recognition` gives."""
        models = {"search_lm": self.search_lm, "second_lm": self.second_lm}
        return {
            "recording": self.recording,
            "text": self.text,
            "confidence": round(self.confidence, 4),
            **{name: value for name, value in models.items() if value},
            **({"error": self.error} if self.error else {}),
            "utterances": [segment.to_dict() for segment in self.segments],
        }

    def to_json(self, indent: int | None = 1) -> str:
        """Returns `to_dict` as JSON text."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=indent)
