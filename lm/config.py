"""Settings of estimation; apart, so that a command line can show them without loading numpy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hybrid.base.errors import quote
from hybrid.base.ranges import NATURAL, SHARE, Range, check_fields

__all__ = ["EstimateConfig", "TextAdaptConfig"]


@dataclass(frozen=True)
class EstimateConfig:
    """How an n-gram model is estimated.

    Attributes mirror KenLM's lmplz: `prune` its --prune, `discount_fallback` its --discount_fallback.
    """

    order: int = field(default=3, metadata={"help": "length of the longest n-grams, 1 to 9; words take 1 to 5"})
    smoothing: Literal["kneser-ney", "witten-bell"] = field(
        default="kneser-ney", metadata={"help": "interpolated modified Kneser-Ney, or Witten-Bell"}
    )
    prune: tuple[int, ...] = field(
        default=(),
        metadata={"help": "drop n-grams seen this often or less; a value an order, the last for all further ones"},
    )
    discount_fallback: bool = field(
        default=True,
        metadata={"help": "use discounts 0.5, 1, 1.5 where counts of counts give none (small or artificial text)"},
    )
    add_unseen: bool = field(
        default=False,
        metadata={"help": "words of the vocabulary that the text lacks enter the model, as likely as the unknown word"},
    )
    skip_special: bool = field(
        default=False, metadata={"help": "pass over <s>, </s>, <unk> in the text; else they are refused"}
    )

    def __post_init__(self) -> None:
        check_fields(self, order=Range(1, 9), prune=NATURAL)
        if not 1 <= self.order <= 9:
            raise ValueError(f"order {self.order} is not in 1 … 9")
        if self.smoothing not in ("kneser-ney", "witten-bell"):
            raise ValueError(f"smoothing '{quote(self.smoothing)}' is neither kneser-ney nor witten-bell")
        if len(self.prune) > self.order:
            raise ValueError(f"{len(self.prune)} pruning thresholds for a model of order {self.order}")
        if any(p < 0 for p in self.prune) or any(a > b for a, b in zip(self.prune, self.prune[1:])):
            raise ValueError("pruning thresholds must be 0 or more and must not fall from one order to the next")

    def threshold(self, length: int) -> int:
        """Greatest count at which an n-gram of this length is dropped."""
        return self.prune[min(length, len(self.prune)) - 1] if self.prune else 0


@dataclass(frozen=True)
class TextAdaptConfig:
    """How a model is adapted to a domain by text (Moore and Lewis, 2010; Kneser, Peters and Klakow, 1997)."""

    held_out: int = field(
        default=10,
        metadata={"help": "every n-th sentence of the domain is for choices at first, unless a text is given"},
    )
    shares: tuple[float, ...] = field(
        default=(0.015625, 0.03125, 0.0625, 0.125, 0.25, 0.5, 1.0),
        metadata={"help": "shares of the large text that are tried; may be repeated"},
    )
    exponents: tuple[float, ...] = field(
        default=(0.25, 0.5, 0.75, 1.0),
        metadata={"help": "exponents of the domain's unigrams that are tried, besides 0; may be repeated"},
    )
    least_count: int = field(default=2, metadata={"help": "words of the large text seen less often stay outside"})
    least_choice: int = field(
        default=3000,
        metadata={
            "help": "tokens held out below which nothing is tried: share, exponent and weights are those that were "
            "best for other books, unless the held-out ones contradict clearly"
        },
    )
    prior_tokens: float = field(
        default=300.0, metadata={"help": "tokens that the belief in small weights of new models counts as in EM"}
    )
    least_weight: float = field(default=0.001, metadata={"help": "models of less weight are left out of the mixture"})

    def __post_init__(self) -> None:
        check_fields(self, held_out=Range(2, 1000), shares=Range(0, 1, above=True), exponents=SHARE,
                     least_count=Range(1, 1000), least_choice=NATURAL, prior_tokens=NATURAL,
                     least_weight=Range(0, 0.5))  # fmt: skip
        if not self.shares:
            raise ValueError("shares are none, wanted at least one")
