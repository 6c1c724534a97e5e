"""Settings of the LF-MMI objective; needs no torch, so that commands can show them at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from hybrid.base.ranges import NATURAL, POSITIVE, SHARE, check_fields

__all__ = ["ChainConfig"]


@dataclass(frozen=True)
class ChainConfig:
    """Terms of the objective; the defaults are those of Kaldi's chain recipes."""

    leaky_hmm_coefficient: float = field(
        default=0.1, metadata={"help": "Share of the denominator's mass that may jump anywhere at each frame."}
    )
    xent_weight: float = field(
        default=0.1, metadata={"help": "Weight of the cross-entropy head, which learns the numerator's occupancies."}
    )
    l2: float = field(default=0.0, metadata={"help": "Weight of half the squared scores."})
    out_of_range: float = field(
        default=0.01, metadata={"help": "Weight of half the squared excess of scores beyond ±limit."}
    )
    limit: float = field(default=30.0, metadata={"help": "Scores beyond ±limit are penalised."})

    def __post_init__(self) -> None:
        check_fields(
            self, leaky_hmm_coefficient=SHARE, xent_weight=NATURAL, l2=NATURAL, out_of_range=NATURAL, limit=POSITIVE
        )
