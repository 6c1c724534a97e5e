"""Settings of `hybrid align`; apart, so that the command line can show them without loading anything."""

from __future__ import annotations

from dataclasses import dataclass, field

from hybrid.align.config import AlignConfig
from hybrid.base.ranges import COUNT, NATURAL, POSITIVE, SHARE, Range, check_fields

__all__ = ["BiasedConfig", "CleanConfig", "LongConfig", "SpeechAlignConfig"]


@dataclass(frozen=True)
class BiasedConfig:
    """How much the text counts, and how wide the search is."""

    order: int = field(default=4, metadata={"help": "Length of the longest n-grams of the biased language model."})
    other_words: int = field(
        default=200, metadata={"help": "Frequent words of the other texts that may be heard as well."}
    )
    search_beam: float = field(default=13.0, metadata={"help": "Beam of biased decoding."})
    max_active: int = field(default=3000, metadata={"help": "Tokens of biased decoding."})

    def __post_init__(self) -> None:
        check_fields(self, order=Range(1, 5), other_words=NATURAL, search_beam=POSITIVE, max_active=COUNT)


@dataclass(frozen=True)
class CleanConfig:
    """What is kept."""

    tolerate: int = field(
        default=2, metadata={"help": "Differing words in a row that are put down to the recogniser and kept."}
    )
    max_error: float = field(
        default=0.5, metadata={"help": "Share of words not heard above which nothing of an utterance is kept."}
    )
    min_words: int = field(default=3, metadata={"help": "Words of the shortest stretch that is kept."})
    min_duration: float = field(default=1.0, metadata={"help": "Seconds of the shortest stretch that is kept."})

    def __post_init__(self) -> None:
        check_fields(self, tolerate=NATURAL, max_error=SHARE, min_words=COUNT, min_duration=NATURAL)


@dataclass(frozen=True)
class LongConfig:
    """How a long recording is taken apart; times in seconds."""

    long_from: float = field(default=60.0, metadata={"help": "Seconds from which a recording is aligned by anchors."})
    chunk: float = field(default=30.0, metadata={"help": "Seconds of audio decoded at once, cut at pauses."})
    max_segment: float = field(default=30.0, metadata={"help": "Seconds between anchors that are looked for."})
    anchor_words: int = field(default=2, metadata={"help": "Words heard right on each side of an anchor."})
    gap_words: int = field(default=3, metadata={"help": "Differing words in a row that are set apart and checked."})

    def __post_init__(self) -> None:
        check_fields(self, long_from=COUNT, chunk=COUNT, max_segment=COUNT, anchor_words=COUNT, gap_words=COUNT)


@dataclass(frozen=True)
class SpeechAlignConfig:
    """Settings of aligning speech with text.

    Attributes:
      align: scales and beams.
    """

    align: AlignConfig = field(default_factory=AlignConfig)
    long: LongConfig = field(default_factory=LongConfig)
    kaldi_times: bool = field(
        default=False, metadata={"help": "Boundaries at frame number × shift, as Kaldi's, not between windows."}
    )
    phone_marks: bool = field(
        default=False, metadata={"help": "Keep the marks of a phone's place in its word (AH_B for AH)."}
    )
    confidence: bool = field(default=True, metadata={"help": "Compute confidences of phones and words."})
    explain: bool = field(default=True, metadata={"help": "Find out by biased decoding why an utterance failed."})
    min_confidence: float = field(
        default=0.15, metadata={"help": "Utterances aligned with less are checked: is this what is said?"}
    )
    gap_confidence: float = field(
        default=0.08, metadata={"help": "Stretches of long recordings that differ are left out below this."}
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
        check_fields(
            self,
            min_confidence=SHARE,
            gap_confidence=SHARE,
            max_unknown=SHARE,
            max_error=SHARE,
            rescue_beam=NATURAL,
            adapt_frames=NATURAL,
        )
