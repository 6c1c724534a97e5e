"""Settings of contextual spelling correction; apart from its code, so that help is shown without loading that."""

from __future__ import annotations

from dataclasses import dataclass, field

from hybrid.base.ranges import COUNT, SHARE, check_fields

__all__ = ["CorrectionConfig"]


@dataclass(frozen=True)
class CorrectionConfig:
    """What may be corrected."""

    below: float = field(default=0.9, metadata={"help": "Words of at least this confidence are never touched."})
    farthest: float = field(default=0.2, metadata={"help": "Cost per phone up to which a phrase is near enough."})
    longest: int = field(default=4, metadata={"help": "Words that one phrase takes the place of, at most."})

    def __post_init__(self) -> None:
        check_fields(self, below=SHARE, farthest=SHARE, longest=COUNT)
