"""Settings of the alignment; apart, so that a command line can show them without loading numpy."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["AlignConfig"]


@dataclass(frozen=True)
class AlignConfig:
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
        if not (1 <= self.max_letters <= 4 and 1 <= self.max_phones <= 4):
            raise ValueError("graphones have 1 to 4 letters and phones")
        if not self.unequal > 0:
            raise ValueError("the first guess of unequal graphones must be above 0")
        if self.iterations < 1 or self.tolerance < 0 or self.max_length < 1:
            raise ValueError("iterations and length must be 1 or more, tolerance 0 or more")
