"""Settings of graph compilation."""

from __future__ import annotations

from dataclasses import dataclass, field

from hybrid.base.ranges import NATURAL, check_fields

__all__ = ["GraphConfig"]


@dataclass(frozen=True)
class GraphConfig:
    """Settings of graph compilation.

    Attributes:
      transition_scale: of the log-probabilities of transitions, self-loops aside.
      self_loop_scale: of the log-probabilities of taking and leaving self-loops. GMMs 0.1, chain models 1.0.
      max_states: at which the determinisation of L∘G is given up and explained; 0 means four times those of L∘G.
      memory_gb: what compilation may take, in 1e9 bytes; 0 means nine tenths of what is free.
    """

    transition_scale: float = field(default=1.0, metadata={"help": "Scale of transition probabilities."})
    self_loop_scale: float = field(
        default=0.1, metadata={"help": "Scale of self-loop probabilities (GMM 0.1, chain 1.0)."}
    )
    max_states: int = field(
        default=0, metadata={"help": "Give up determinising L∘G at so many states; 0: four times those of L∘G."}
    )
    memory_gb: float = field(default=0.0, metadata={"help": "Memory limit in GB; 0: nine tenths of what is free."})

    def __post_init__(self) -> None:
        check_fields(self, transition_scale=NATURAL, self_loop_scale=NATURAL, max_states=NATURAL, memory_gb=NATURAL)
