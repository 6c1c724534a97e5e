"""Settings of the M-step and of mixing up."""

from __future__ import annotations

from dataclasses import dataclass, field

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
        if not self.min_variance > 0:
            raise ValueError(f"min_variance is {self.min_variance}; wanted more than 0")
        if self.min_gaussian_occupancy < 0 or not 0 <= self.min_gaussian_weight < 1:
            raise ValueError("min_gaussian_occupancy must not be negative and min_gaussian_weight lies in [0, 1)")


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
        if self.power < 0 or self.perturb_factor < 0 or self.min_count < 0:
            raise ValueError("power, perturb_factor and min_count must not be negative")
