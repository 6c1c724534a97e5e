"""Slots of an utterance, with times and confidences, so that a command can be acted on.

What a grammar's tags say, and which entries of lists stand in the slots of a graph ($CONTACT).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hybrid.timing.ctm import TimedLabel

__all__ = ["Slot"]

_ASSIGNMENT = re.compile(r"(?:out\.|\$\.)?(\$?[\w.-]+)\s*(?:=\s*(.*?)\s*)?;?\s*", re.DOTALL)


@dataclass(frozen=True)
class Slot:
    """One tag of an utterance, or one slot of the graph with what fills it.

    Attributes:
      name, value: of `contact=PETER`; where a tag has no value (`contact`) it is the words, and where it is no such
        text the name is empty and the value the tag.
      text: the words that it covers.
      start, duration: of them in the recording, seconds; duration 0 where there are none.
      confidence: that of its least sure word; None where it covers none.
      slot: the slot of the graph ($CONTACT) one of whose entries these words are; also the name where no tag covers
        them.
    """

    name: str
    value: str
    text: str
    start: float
    duration: float
    confidence: float | None = None
    slot: str = ""

    @classmethod
    def of(cls, tag: str, words: Sequence[TimedLabel], at: float, slot: str = "") -> Slot:
        """Reads a tag.

        Args:
          tag: as the grammar has it; nothing in it is executed. The name of the slot where there is none.
          words: that it covers. at: the time where it stands, if there are none.
          slot: that these words fill.
        """
        found = _ASSIGNMENT.fullmatch(tag.strip())
        text = " ".join(word.label for word in words)
        value = tag if found is None else text if found[2] is None else found[2]
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        known = [word.confidence for word in words if word.confidence is not None]
        start, end = (words[0].start, words[-1].end) if words else (at, at)
        return cls(found[1] if found else "", value, text, start, end - start, min(known, default=None), slot)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, times rounded as those of words are."""
        sure = {} if self.confidence is None else {"confidence": round(self.confidence, 4)}
        times = {"start": round(self.start, 4), "end": round(self.start + self.duration, 4)}
        filled = {"slot": self.slot} if self.slot else {}
        return {"name": self.name, "value": self.value, "text": self.text, **filled, **times, **sure}
