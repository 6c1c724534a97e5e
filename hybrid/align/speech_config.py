"""Settings of `hybrid align`; apart, so that the command line can show them without loading anything."""

from __future__ import annotations

from dataclasses import dataclass, field

from hybrid.align.config import AlignConfig

__all__ = ["LongConfig", "SpeechAlignConfig"]


@dataclass(frozen=True)
class LongConfig:
    """How a long recording is taken apart; times in seconds."""

    long_from: float = field(default=60.0, metadata={"help": "Seconds from which a recording is aligned by anchors."})
    chunk: float = field(default=30.0, metadata={"help": "Seconds of audio decoded at once, cut at pauses."})
    max_segment: float = field(default=30.0, metadata={"help": "Seconds between anchors that are looked for."})
    anchor_words: int = field(default=2, metadata={"help": "Words heard right on each side of an anchor."})
    gap_words: int = field(default=3, metadata={"help": "Differing words in a row that are set apart and checked."})

    def __post_init__(self) -> None:
        if min(self.chunk, self.max_segment, self.long_from) < 1 or min(self.anchor_words, self.gap_words) < 1:
            raise ValueError("long recordings: long_from, chunk, max_segment at least 1 s, words at least 1")


@dataclass(frozen=True)
class SpeechAlignConfig:
    """Settings of aligning speech with text.

    Attributes:
      align: scales and beams.
    """

    align: AlignConfig = field(default_factory=AlignConfig)
    long: LongConfig = field(default_factory=LongConfig)
    confidence: bool = field(default=True, metadata={"help": "Compute confidences of phones and words."})
    explain: bool = field(default=True, metadata={"help": "Find out by biased decoding why an utterance failed."})
    min_confidence: float = field(
        default=0.3, metadata={"help": "Utterances aligned with less are checked: is this what is said?"}
    )
    gap_confidence: float = field(
        default=0.2, metadata={"help": "Stretches of long recordings that differ are left out below this."}
    )
    max_unknown: float = field(
        default=0.5, metadata={"help": "Share of words without pronunciation from which a text is refused."}
    )
    max_error: float = field(
        default=0.5, metadata={"help": "Share of words that may differ from what biased decoding hears."}
    )
    rescue_beam: float = field(
        default=400.0, metadata={"help": "Beam for utterances whose text fits but whose path was lost; 0 for none."}
    )
    adapt_frames: float = field(
        default=500.0, metadata={"help": "Frames of speech from which a speaker is adapted to (fMLLR), if a GMM."}
    )

    def __post_init__(self) -> None:
        shares = (self.min_confidence, self.gap_confidence, self.max_error, self.max_unknown)
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError("min_confidence, gap_confidence, max_error and max_unknown: wanted 0 to 1")
        if self.rescue_beam < 0 or self.adapt_frames < 0:
            raise ValueError("rescue_beam and adapt_frames must not be negative")
