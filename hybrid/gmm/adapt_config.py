"""Settings of transforms and adaptation; apart, so that the command line can show them without loading anything."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["AdaptConfig", "BasisConfig", "FmllrConfig", "LdaConfig", "MapConfig", "MllrConfig"]


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

    min_speaker_frames: float = field(
        default=500.0, metadata={"help": "Frames below which a speaker keeps the identity transform."}
    )
    num_sweeps: int = field(default=40, metadata={"help": "Passes over the rows of the transform."})

    def __post_init__(self) -> None:
        if self.min_speaker_frames < 0 or self.num_sweeps < 0:
            raise ValueError("fMLLR: min_speaker_frames and num_sweeps must not be negative")


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


@dataclass(frozen=True)
class AdaptConfig:
    """How a two-pass decoding searches before its last search, and what it estimates transforms from."""

    si_beam: float = field(default=10.0, metadata={"help": "Beam of the pass without transforms."})
    si_max_active: int = field(default=2000, metadata={"help": "Tokens of that pass."})
    first_beam_adapted: float = field(default=11.0, metadata={"help": "Beam of the first adapted pass."})
    first_max_active: int = field(default=3000, metadata={"help": "Tokens of that pass."})
    silence_weight: float = field(default=0.01, metadata={"help": "Weight of silence in estimation."})
    posterior_beam: float = field(
        default=4.0, metadata={"help": "Lattices of the first adapted pass are pruned to this before estimation."}
    )
    per_utterance: bool = field(default=False, metadata={"help": "A transform per utterance instead of per speaker."})

    def __post_init__(self) -> None:
        if min(self.si_beam, self.first_beam_adapted, self.posterior_beam) <= 0:
            raise ValueError("beams must be above 0")
        if not 0 <= self.silence_weight <= 1:
            raise ValueError(f"silence_weight is {self.silence_weight}; wanted 0 to 1")
