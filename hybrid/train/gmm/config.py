"""Settings of Viterbi EM."""

from __future__ import annotations

from dataclasses import dataclass, field

from hybrid.base.ranges import COUNT, NATURAL, POSITIVE, SHARE, Range, check_fields

__all__ = ["ALIGN_SCALE", "EmConfig"]


ALIGN_SCALE = 0.1  # acoustic scale of alignments in training unless told otherwise, as in Kaldi's recipes


@dataclass(frozen=True)
class EmConfig:
    """A schedule of passes; the defaults are those of Kaldi's monophone training."""

    num_passes: int = field(default=40, metadata={"help": "Passes; the model after the last but one update is final."})
    last_mix_up_pass: int = field(default=30, metadata={"help": "Last pass after which the number of Gaussians grows."})
    total_gaussians: int = field(default=1000, metadata={"help": "Gaussians to grow towards."})
    realign_passes: tuple[int, ...] = field(
        default=(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 23, 26, 29, 32, 35, 38),
        metadata={"help": "Passes that begin by aligning the data anew (repeat the option)."},
    )
    first_beam: float = field(default=6.0, metadata={"help": "Beam of pass 1, whose model is rough; 0: as the others."})
    boost_silence: float = field(
        default=1.0, metadata={"help": "Factor on the likelihood of silence while aligning; 1.25 helps on read speech."}
    )
    max_failed: float = field(
        default=0.5, metadata={"help": "Stop where more than this share of the utterances cannot be used."}
    )

    def __post_init__(self) -> None:
        check_fields(
            self,
            num_passes=Range(2, 1000),
            last_mix_up_pass=COUNT,
            total_gaussians=COUNT,
            realign_passes=COUNT,
            first_beam=NATURAL,
            boost_silence=POSITIVE,
            max_failed=SHARE,
        )
        if self.last_mix_up_pass > self.num_passes:
            raise ValueError(f"last_mix_up_pass {self.last_mix_up_pass} lies outside 1 to {self.num_passes}")
