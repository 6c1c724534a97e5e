"""Settings of a report."""

from __future__ import annotations

from dataclasses import dataclass, field

from hybrid.base.ranges import Range, check_fields

__all__ = ["ReportConfig"]


@dataclass(frozen=True)
class ReportConfig:
    """How much a report shows."""

    nbest: int = field(default=5, metadata={"help": "Word sequences of each utterance."})
    sounds: int = field(default=20, metadata={"help": "Utterances with audio and spectrogram, those of most errors "
                                              "first; each takes about 0.2 MB."})  # fmt: skip
    rivals: int = field(default=5, metadata={"help": "Words shown in each bin of a confusion network."})
    bins: int = field(default=10, metadata={"help": "Of the reliability diagram."})
    replications: int = field(default=10000, metadata={"help": "Resampled test sets of the bootstrap."})

    def __post_init__(self) -> None:
        check_fields(
            self, nbest=Range(1, 1000), sounds=Range(0, 10000), rivals=Range(1, 100), bins=Range(1, 1000),
            replications=Range(100, 10_000_000),
        )  # fmt: skip
