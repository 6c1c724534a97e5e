"""Settings of the trees of chain models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hybrid.base.ranges import COUNT, NATURAL, check_fields
from hybrid.chain.config import SubsamplingConfig
from hybrid.train.gmm.ladder_config import ContextConfig
from hybrid.tree.config import TreeConfig

__all__ = ["ChainContextConfig", "ChainTreeConfig", "ChainTreeShifts", "FlatConfig"]


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


@dataclass(frozen=True)
class FlatConfig(SubsamplingConfig):
    """How a model that begins without alignments sees phones."""

    units: Literal["biphone", "monophone", "state"] = field(
        default="biphone",
        metadata={
            "help": "What has pdfs of its own: each phone after each other, each phone, or each phone one pdf for all "
            "its frames (full-sum training)."
        },
    )
    min_biphone_count: int = field(
        default=100, metadata={"help": "Biphones seen less often share the pdfs of their phone."}
    )
    lm_samples: int = field(
        default=5, metadata={"help": "Pronunciations drawn of each text, of which the phone LM is estimated."}
    )
    seed: int = field(default=0, metadata={"help": "Of what is drawn."})

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields(self, min_biphone_count=NATURAL, lm_samples=COUNT, seed=NATURAL)
