"""Settings of Viterbi alignment, and how it fails."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hybrid.base.errors import HybridError
from hybrid.base.ranges import COUNT, NATURAL, POSITIVE, check_fields
from hybrid.base.scale import HasAcousticScale

if TYPE_CHECKING:
    from hybrid.model.protocol import AcousticModel

__all__ = ["AlignConfig", "AlignmentError"]


class AlignmentError(HybridError):
    """An utterance that cannot be aligned; the message says why, without the utterance id."""


@dataclass(frozen=True)
class AlignConfig(HasAcousticScale):
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
    acoustic_scale: float | None = field(
        default=None, metadata={"help": "Scale of the acoustic scores; by default the model's."}
    )
    transition_scale: float | None = field(
        default=None, metadata={"help": "Scale of log-probabilities of leaving a state; by default the model's."}
    )
    self_loop_scale: float | None = field(
        default=None, metadata={"help": "Scale of log-probabilities of staying or not; by default the model's."}
    )
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

    @property
    def transition_scales(self) -> tuple[float, float]:
        """Scales of leaving a state and of staying or not, in use; see `scale`."""
        if self.transition_scale is None or self.self_loop_scale is None:
            raise ValueError("transition_scale and self_loop_scale are not set, and no model at hand states them")
        return self.transition_scale, self.self_loop_scale

    def of_model(self, model: AcousticModel) -> AlignConfig:
        """Returns the settings with a model's scales where none were given."""

        def filled(given: float | None, own: float) -> float:
            return float(own) if given is None else given

        return replace(
            self,
            acoustic_scale=filled(self.acoustic_scale, model.acoustic_scale),
            transition_scale=filled(self.transition_scale, model.transition_scale),
            self_loop_scale=filled(self.self_loop_scale, model.self_loop_scale),
        )
