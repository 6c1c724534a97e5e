"""Settings of what lattice-free MMI is trained with."""

from __future__ import annotations

from dataclasses import dataclass, field

from hybrid.base.ranges import NATURAL, Range, check_fields

__all__ = ["PhoneLmConfig", "SubsamplingConfig", "SupervisionConfig"]


@dataclass(frozen=True)
class SubsamplingConfig:
    """How much slower a model's frames are than those of its features."""

    subsampling_factor: int = field(
        default=3, metadata={"help": "Frames of features for one frame of the model's output."}
    )

    def __post_init__(self) -> None:
        check_fields(self, subsampling_factor=Range(1, 16))

    def num_frames(self, frames: int) -> int:
        """Returns how many frames of output some frames of features give; a last, incomplete one counts."""
        return -(-frames // self.subsampling_factor)


@dataclass(frozen=True)
class PhoneLmConfig:
    """How large the phone language model of a denominator is."""

    ngram_order: int = field(default=4, metadata={"help": "Longest n-gram of the phone LM."})
    no_prune_ngram_order: int = field(
        default=3, metadata={"help": "Histories of this order's n-grams all keep a state of their own."}
    )
    num_extra_lm_states: int = field(
        default=2000, metadata={"help": "States for longer histories, those first that cost the most to give up."}
    )

    def __post_init__(self) -> None:
        check_fields(self, ngram_order=Range(2, 20), no_prune_ngram_order=Range(1, 20), num_extra_lm_states=NATURAL)
        if self.no_prune_ngram_order > self.ngram_order:
            raise ValueError(
                f"no_prune_ngram_order {self.no_prune_ngram_order} is more than ngram_order {self.ngram_order}"
            )


@dataclass(frozen=True)
class SupervisionConfig(SubsamplingConfig):
    """How far phones may move from where an alignment has them."""

    left_tolerance: int = field(default=5, metadata={"help": "Frames of features a phone may begin early."})
    right_tolerance: int = field(default=5, metadata={"help": "Frames of features a phone may end late."})

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields(self, left_tolerance=Range(0, 1000), right_tolerance=Range(0, 1000))
