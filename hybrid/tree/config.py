"""Settings of tree building."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["TreeConfig"]


@dataclass(frozen=True)
class TreeConfig:
    """How far a tree grows."""

    max_leaves: int = field(default=2000, metadata={"help": "Stop splitting at so many leaves; 0 for no limit."})
    threshold: float = field(
        default=300.0, metadata={"help": "Log-likelihood that a split must gain over all its frames."}
    )
    cluster_threshold: float = field(
        default=-1.0,
        metadata={
            "help": "Leaves of one root whose merging costs less log-likelihood are merged; "
            "-1 takes the smallest gain of a split, 0 merges none."
        },
    )
    leaf_multiple: int = field(
        default=8, metadata={"help": "Merge a few leaves more, down to a multiple of this; 1 for no rounding."}
    )
    min_leaf_frames: float = field(default=0.0, metadata={"help": "Frames that each side of a split must keep."})
    variance_floor: float = field(default=0.01, metadata={"help": "Least variance of a dimension in the likelihood."})

    def __post_init__(self) -> None:
        if self.max_leaves < 0 or self.threshold < 0 or self.min_leaf_frames < 0 or self.variance_floor <= 0:
            raise ValueError("tree: limits must not be negative and the variance floor must be above 0")
        if self.leaf_multiple < 1:
            raise ValueError(f"tree: leaf_multiple is {self.leaf_multiple}; wanted 1 or more")
        if self.threshold == 0 and self.max_leaves == 0:
            raise ValueError("tree: give a threshold or a number of leaves, or the tree never ends")
