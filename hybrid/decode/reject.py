"""What is not sure enough to be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hybrid.base.ranges import SHARE, check_fields
from hybrid.timing.ctm import TimedLabel

__all__ = ["RejectConfig"]


@dataclass(frozen=True)
class RejectConfig:
    """Confidences below which words, or whole utterances, are left out of a transcript."""

    reject_below: float = field(default=0.0, metadata={"help": "Leave out words less sure than this, 0 to 1."})
    reject_utterances_below: float = field(
        default=0.0, metadata={"help": "Leave out all words of utterances less sure than this, 0 to 1."}
    )

    def __post_init__(self) -> None:
        check_fields(self, reject_below=SHARE, reject_utterances_below=SHARE)

    def split(
        self, words: Sequence[TimedLabel], confidence: float
    ) -> tuple[tuple[TimedLabel, ...], tuple[TimedLabel, ...]]:
        """Returns the words and pauses, with a pause in the place of each word rejected, and the words rejected.

        Args:
          confidence: of the utterance.
        """
        least = 2.0 if confidence < self.reject_utterances_below else self.reject_below
        weak = [bool(one.label) and (one.confidence or 0.0) < least for one in words]
        kept = tuple(replace(one, label="", confidence=None) if out else one for one, out in zip(words, weak))
        return kept, tuple(one for one, out in zip(words, weak) if out)
