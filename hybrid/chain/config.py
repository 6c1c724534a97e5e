"""Settings of what lattice-free MMI is trained with."""

from __future__ import annotations

from dataclasses import dataclass, field

from hybrid.base.ranges import Range, check_fields

__all__ = ["SubsamplingConfig"]


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
