"""Settings of the trees of chain models."""

from __future__ import annotations

from dataclasses import dataclass, field

from hybrid.base.ranges import COUNT, check_fields
from hybrid.chain.config import SubsamplingConfig
from hybrid.train.gmm.ladder_config import ContextConfig
from hybrid.tree.config import TreeConfig

__all__ = ["ChainContextConfig", "ChainTreeConfig", "ChainTreeShifts"]


@dataclass(frozen=True)
class ChainContextConfig(ContextConfig):
    """What a pdf of a chain model may depend on: the phone and the one before it."""

    context_width: int = field(default=2, metadata={"help": "Phones in the window: 2 left biphone, 3 triphone."})


@dataclass(frozen=True)
class ChainTreeShifts(SubsamplingConfig):
    """Which frames the statistics of a chain model's tree are of."""

    shifts: int = field(
        default=1,
        metadata={"help": "Use each utterance so many times, each time beginning a frame later; at most the factor."},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields(self, shifts=COUNT)
        if self.shifts > self.subsampling_factor:
            raise ValueError(f"shifts {self.shifts} are more than the subsampling factor {self.subsampling_factor}")


@dataclass(frozen=True)
class ChainTreeConfig:
    """Settings of a chain model's tree."""

    tree: TreeConfig = field(default_factory=TreeConfig)
    context: ChainContextConfig = field(default_factory=ChainContextConfig)
    frames: ChainTreeShifts = field(default_factory=ChainTreeShifts)
