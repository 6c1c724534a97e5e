"""Settings of Viterbi alignment, and how it fails."""

from __future__ import annotations

from dataclasses import dataclass, field

from hybrid.base.errors import HybridError
from hybrid.base.ranges import COUNT, NATURAL, POSITIVE, check_fields

__all__ = ["AlignConfig", "AlignmentError"]


class AlignmentError(HybridError):
    """An utterance that cannot be aligned; the message says why, without the utterance id."""


@dataclass(frozen=True)
class AlignConfig:
    """Scales and beams; the defaults are those of Kaldi's recipes.

    Scores are summed as transition_scale × log P(transition) + acoustic_scale × log-likelihood.
    """

    beam: float = field(default=10.0, metadata={"help": "Tokens worse than the frame's best by more are dropped."})
    retry_beam: float = field(
        default=40.0, metadata={"help": "Second try where the first reached no final state; 0 for none."}
    )
    careful: bool = field(
        default=False,
        metadata={"help": "Fail where a path that starts the text again is within the beam: finds wrong transcripts."},
    )
    acoustic_scale: float = field(default=0.1, metadata={"help": "Scale of the acoustic scores."})
    transition_scale: float = field(default=1.0, metadata={"help": "Scale of log-probabilities of leaving a state."})
    self_loop_scale: float = field(default=0.1, metadata={"help": "Scale of log-probabilities of staying or not."})
    min_active: int = field(default=20, metadata={"help": "Tokens kept on every frame, whatever the beam."})

    def __post_init__(self) -> None:
        check_fields(
            self,
            beam=POSITIVE,
            retry_beam=NATURAL,
            acoustic_scale=POSITIVE,
            transition_scale=NATURAL,
            self_loop_scale=NATURAL,
            min_active=COUNT,
        )
        if self.retry_beam and self.retry_beam <= self.beam:
            raise ValueError(f"retry_beam {self.retry_beam} is not wider than beam {self.beam}; use 0 for no retry")
