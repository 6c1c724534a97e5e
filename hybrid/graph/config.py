"""Settings of graph compilation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hybrid.base.ranges import NATURAL, check_fields

__all__ = ["GraphConfig"]


# transition and self-loop scale where only a transition model is at hand, which states none: as Kaldi's recipes
KALDI_SCALES, KALDI_CHAIN_SCALES = (1.0, 0.1), (1.0, 1.0)


@dataclass(frozen=True)
class GraphConfig:
    """Settings of graph compilation.

    Attributes:
      transition_scale: of the log-probabilities of transitions, self-loops aside; None: the model's.
      self_loop_scale: of the log-probabilities of taking and leaving self-loops; None: the model's.
      max_states: at which the determinisation of L∘G is given up and explained; 0 means four times those of L∘G.
      memory_gb: what compilation may take, in 1e9 bytes; 0 means nine tenths of what is free.
    """

    transition_scale: float | None = field(
        default=None, metadata={"help": "Scale of transition probabilities, if not the model's."}
    )
    self_loop_scale: float | None = field(
        default=None, metadata={"help": "Scale of self-loop probabilities, if not the model's (GMM 0.1, chain 1.0)."}
    )
    max_states: int = field(
        default=0, metadata={"help": "Give up determinising L∘G at so many states; 0: four times those of L∘G."}
    )
    memory_gb: float = field(default=0.0, metadata={"help": "Memory limit in GB; 0: nine tenths of what is free."})

    def __post_init__(self) -> None:
        check_fields(self, transition_scale=NATURAL, self_loop_scale=NATURAL, max_states=NATURAL, memory_gb=NATURAL)

    def of_model(self, transition_scale: float, self_loop_scale: float) -> GraphConfig:
        """Returns the settings with a model's scales where none were given."""
        own = self.transition_scale, self.self_loop_scale
        first, second = (s if s is not None else float(m) for s, m in zip(own, (transition_scale, self_loop_scale)))
        return replace(self, transition_scale=first, self_loop_scale=second)
