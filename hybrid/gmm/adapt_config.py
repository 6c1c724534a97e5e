"""Settings of transforms and adaptation; apart, so that the command line can show them without loading anything."""

from __future__ import annotations

from dataclasses import dataclass, field

from hybrid.base.ranges import COUNT, NATURAL, POSITIVE, SHARE, Range, check_fields

__all__ = ["AdaptConfig", "BasisConfig", "FmllrConfig", "LdaConfig", "MapConfig", "MllrConfig"]


_TAU = Range(0, 1e15, above=True)


@dataclass(frozen=True)
class LdaConfig:
    """How features are projected."""

    dim: int = field(default=40, metadata={"help": "Dimension after the projection."})
    remove_offset: bool = field(
        default=False, metadata={"help": "Also move the mean of all features to zero (an affine transform)."}
    )

    def __post_init__(self) -> None:
        check_fields(self, dim=COUNT)


@dataclass(frozen=True)
class FmllrConfig:
    """When a speaker has data enough, and how long to iterate (the defaults are Kaldi's)."""

    min_speaker_frames: float = field(
        default=500.0, metadata={"help": "Frames below which a speaker keeps the identity transform."}
    )
    num_sweeps: int = field(default=40, metadata={"help": "Passes over the rows of the transform."})

    def __post_init__(self) -> None:
        check_fields(self, min_speaker_frames=NATURAL, num_sweeps=Range(0, 10000))


@dataclass(frozen=True)
class BasisConfig:
    """How many directions a speaker gets."""

    size_scale: float = field(default=0.2, metadata={"help": "Coefficients estimated per frame of data."})
    min_count: float = field(default=50.0, metadata={"help": "Frames below which the identity is kept."})
    num_sweeps: int = field(default=10, metadata={"help": "Newton steps."})

    def __post_init__(self) -> None:
        check_fields(self, size_scale=POSITIVE, min_count=NATURAL, num_sweeps=Range(0, 10000))


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
        check_fields(self, mean_tau=_TAU, variance_tau=_TAU, weight_tau=_TAU, min_variance=POSITIVE)


@dataclass(frozen=True)
class MllrConfig:
    """How many classes there are and what they need."""

    max_classes: int = field(default=32, metadata={"help": "Classes of Gaussians at the bottom of the tree."})
    min_count: float = field(default=1000.0, metadata={"help": "Frames that a class needs for a transform of its own."})

    def __post_init__(self) -> None:
        check_fields(self, max_classes=COUNT, min_count=NATURAL)


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
        check_fields(
            self,
            si_beam=POSITIVE,
            si_max_active=COUNT,
            first_beam_adapted=POSITIVE,
            first_max_active=COUNT,
            silence_weight=SHARE,
            posterior_beam=POSITIVE,
        )
