"""Settings of the alignment; apart, so that a command line can show them without loading numpy."""

from __future__ import annotations

from dataclasses import dataclass, field

from hybrid.base.ranges import COUNT, NATURAL, POSITIVE, Range, check_fields

__all__ = ["GraphoneAlignConfig"]


@dataclass(frozen=True)
class GraphoneAlignConfig:
    """What graphones there are, and how long EM goes on.

    A graphone has one letter and up to `max_phones` phones, or up to `max_letters` letters and one phone.
    """

    max_letters: int = field(default=1, metadata={"help": "most letters that share a phone"})
    max_phones: int = field(default=2, metadata={"help": "most phones of one letter"})
    unequal: float = field(
        default=0.01,
        metadata={"help": "first guess: a graphone of unequal letters and phones against one of equal ones"},
    )
    iterations: int = field(default=20, metadata={"help": "most passes of EM"})
    tolerance: float = field(
        default=1e-4, metadata={"help": "EM ends when the log-likelihood rises by a smaller share"}
    )
    max_length: int = field(default=60, metadata={"help": "longer words are left out"})

    def __post_init__(self) -> None:
        check_fields(
            self,
            max_letters=Range(1, 4),
            max_phones=Range(1, 4),
            unequal=POSITIVE,
            iterations=COUNT,
            tolerance=NATURAL,
            max_length=COUNT,
        )
