"""Settings of the M-step and of mixing up."""

from __future__ import annotations

from dataclasses import dataclass, field

from hybrid.base.ranges import NATURAL, POSITIVE, SHARE, Range, check_fields

__all__ = ["MixConfig", "UpdateConfig"]


@dataclass(frozen=True)
class UpdateConfig:
    """When a Gaussian has data enough (the defaults are Kaldi's)."""

    min_gaussian_occupancy: float = field(
        default=10.0, metadata={"help": "Frames below which a Gaussian is removed (or kept as it is)."}
    )
    min_gaussian_weight: float = field(
        default=1e-5, metadata={"help": "Mixture weight below which a Gaussian is removed (or kept as it is)."}
    )
    min_variance: float = field(default=0.001, metadata={"help": "Floor of every variance."})
    remove_low_count_gaussians: bool = field(
        default=True, metadata={"help": "Remove starved Gaussians; the last one of a pdf always stays."}
    )

    def __post_init__(self) -> None:
        check_fields(self, min_gaussian_occupancy=NATURAL, min_gaussian_weight=SHARE, min_variance=POSITIVE)
        if self.min_gaussian_weight == 1:
            raise ValueError("min_gaussian_weight is 1, wanted less, or no Gaussian is left")


@dataclass(frozen=True)
class MixConfig:
    """How Gaussians are shared out among pdfs and split (the defaults are those of Kaldi's recipes)."""

    power: float = field(
        default=0.25, metadata={"help": "Exponent on a pdf's frame count when Gaussians are shared out."}
    )
    perturb_factor: float = field(
        default=0.01, metadata={"help": "The halves of a split mean move apart by this many standard deviations."}
    )
    min_count: float = field(default=20.0, metadata={"help": "Frames that each Gaussian of a split pdf must have."})

    def __post_init__(self) -> None:
        check_fields(self, power=Range(0, 10), perturb_factor=NATURAL, min_count=NATURAL)
