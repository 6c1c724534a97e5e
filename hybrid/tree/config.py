"""Settings of tree building."""

from __future__ import annotations

from dataclasses import dataclass, field

from hybrid.base.ranges import COUNT, NATURAL, POSITIVE, check_fields

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
        default=8,
        metadata={"help": "Merge a few leaves more, down to a multiple of this if roots are fewer; 1 for no rounding."},
    )
    min_leaf_frames: float = field(default=0.0, metadata={"help": "Frames that each side of a split must keep."})
    variance_floor: float = field(default=0.01, metadata={"help": "Least variance of a dimension in the likelihood."})

    def __post_init__(self) -> None:
        check_fields(
            self,
            max_leaves=NATURAL,
            threshold=NATURAL,
            leaf_multiple=COUNT,
            min_leaf_frames=NATURAL,
            variance_floor=POSITIVE,
        )
        if self.threshold == 0 and self.max_leaves == 0:
            raise ValueError("tree: give a threshold or a number of leaves, or the tree never ends")
