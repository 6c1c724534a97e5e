"""Settings of transforms and adaptation; apart, so that the command line can show them without loading anything."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["BasisConfig", "FmllrConfig", "LdaConfig", "MapConfig", "MllrConfig"]


@dataclass(frozen=True)
class LdaConfig:
    """How features are projected."""

    dim: int = field(default=40, metadata={"help": "Dimension after the projection."})
    remove_offset: bool = field(
        default=False, metadata={"help": "Also move the mean of all features to zero (an affine transform)."}
    )

    def __post_init__(self) -> None:
        if self.dim < 1:
            raise ValueError(f"LDA: {self.dim} dimensions; wanted 1 or more")


@dataclass(frozen=True)
class FmllrConfig:
    """When a speaker has data enough, and how long to iterate (the defaults are Kaldi's)."""

    min_count: float = field(
        default=500.0, metadata={"help": "Frames below which a speaker keeps the identity transform."}
    )
    num_sweeps: int = field(default=40, metadata={"help": "Passes over the rows of the transform."})

    def __post_init__(self) -> None:
        if self.min_count < 0 or self.num_sweeps < 0:
            raise ValueError("fMLLR: min_count and num_sweeps must not be negative")


@dataclass(frozen=True)
class BasisConfig:
    """How many directions a speaker gets."""

    size_scale: float = field(default=0.2, metadata={"help": "Coefficients estimated per frame of data."})
    min_count: float = field(default=50.0, metadata={"help": "Frames below which the identity is kept."})
    num_sweeps: int = field(default=10, metadata={"help": "Newton steps."})

    def __post_init__(self) -> None:
        if self.size_scale <= 0 or self.min_count < 0 or self.num_sweeps < 0:
            raise ValueError("basis fMLLR: size_scale above 0, min_count and num_sweeps not negative")


@dataclass(frozen=True)
class MapConfig:
    """How much the old model counts, in frames."""

    mean_tau: float = field(default=10.0, metadata={"help": "Frames that an old mean is worth."})
    variance_tau: float = field(default=50.0, metadata={"help": "Frames that an old variance is worth."})
    weight_tau: float = field(default=10.0, metadata={"help": "Frames that an old mixture weight is worth."})
    means: bool = field(default=True, metadata={"help": "Adapt means."})
    variances: bool = field(default=False, metadata={"help": "Adapt variances."})
    weights: bool = field(default=False, metadata={"help": "Adapt mixture weights."})
    min_variance: float = field(default=0.001, metadata={"help": "Floor of every variance."})

    def __post_init__(self) -> None:
        if min(self.mean_tau, self.variance_tau, self.weight_tau) <= 0 or self.min_variance <= 0:
            raise ValueError("MAP: the taus and the variance floor must be above 0")


@dataclass(frozen=True)
class MllrConfig:
    """How many classes there are and what they need."""

    max_classes: int = field(default=32, metadata={"help": "Classes of Gaussians at the bottom of the tree."})
    min_count: float = field(default=1000.0, metadata={"help": "Frames that a class needs for a transform of its own."})

    def __post_init__(self) -> None:
        if self.max_classes < 1 or self.min_count < 0:
            raise ValueError("MLLR: max_classes is 1 or more, min_count not negative")
