"""Settings of the stages above the monophone; the defaults are those of Kaldi's recipes."""

from __future__ import annotations

from dataclasses import dataclass, field

from hybrid.align.config import AlignConfig
from hybrid.base.ranges import COUNT, NATURAL, SHARE, Range, check_fields
from hybrid.gmm.adapt_config import FmllrConfig, LdaConfig
from hybrid.gmm.config import MixConfig, UpdateConfig
from hybrid.train.gmm.config import EmConfig
from hybrid.tree.config import TreeConfig

__all__ = [
    "ContextConfig",
    "LdaMlltConfig",
    "LdaMlltEmConfig",
    "SatConfig",
    "SatEmConfig",
    "SatMixConfig",
    "SatTrainingConfig",
    "SpliceConfig",
    "StageConfig",
    "TriConfig",
    "TriEmConfig",
]


@dataclass(frozen=True)
class ContextConfig:
    """What a pdf may depend on."""

    context_width: int = field(default=3, metadata={"help": "Phones in the window: 3 triphone, 5 quinphone."})
    central_position: int = field(default=1, metadata={"help": "Place of the phone itself in the window, from 0."})
    question_pdf_classes: tuple[int, ...] = field(
        default=(1,), metadata={"help": "HMM states whose frames say which phones sound alike."}
    )

    def __post_init__(self) -> None:
        check_fields(self, context_width=Range(1, 9), central_position=NATURAL, question_pdf_classes=NATURAL)
        if not self.central_position < self.context_width:
            raise ValueError(f"central_position {self.central_position} lies outside {self.context_width} phones")


@dataclass(frozen=True)
class TriEmConfig(EmConfig):
    """Passes of a triphone training (Kaldi's steps/train_deltas.sh)."""

    num_passes: int = field(default=35, metadata={"help": "Passes; the model after the last but one update is final."})
    last_mix_up_pass: int = field(default=25, metadata={"help": "Last pass after which the number of Gaussians grows."})
    total_gaussians: int = field(default=8000, metadata={"help": "Gaussians to grow towards."})
    realign_passes: tuple[int, ...] = field(
        default=(10, 20, 30), metadata={"help": "Passes that begin by aligning the data anew (repeat the option)."}
    )
    first_beam: float = field(default=0.0, metadata={"help": "Beam of pass 1; 0: as the others."})


@dataclass(frozen=True)
class LdaMlltEmConfig(TriEmConfig):
    """Passes of an LDA+MLLT training (Kaldi's steps/train_lda_mllt.sh)."""

    total_gaussians: int = field(default=12000, metadata={"help": "Gaussians to grow towards."})
    mllt_passes: tuple[int, ...] = field(
        default=(2, 4, 6, 12), metadata={"help": "Passes that begin by estimating MLLT (repeat the option)."}
    )
    mllt_stride: int = field(
        default=4, metadata={"help": "MLLT looks at every n-th frame; sets below 200000 frames are used in full."}
    )

    def __post_init__(self) -> None:
        check_fields(self, mllt_passes=COUNT, mllt_stride=COUNT)
        super().__post_init__()


@dataclass(frozen=True)
class SpliceConfig:
    """What LDA sees."""

    splice_left: int = field(default=3, metadata={"help": "Frames put in before."})
    splice_right: int = field(default=3, metadata={"help": "Frames put in after."})

    def __post_init__(self) -> None:
        check_fields(self, splice_left=Range(0, 1000), splice_right=Range(0, 1000))


@dataclass(frozen=True)
class SatEmConfig(TriEmConfig):
    """Passes of a speaker-adaptive training (Kaldi's steps/train_sat.sh)."""

    total_gaussians: int = field(default=12000, metadata={"help": "Gaussians to grow towards."})
    fmllr_passes: tuple[int, ...] = field(
        default=(2, 4, 6, 12), metadata={"help": "Passes that begin by estimating fMLLR (repeat the option)."}
    )

    def __post_init__(self) -> None:
        check_fields(self, fmllr_passes=COUNT)
        super().__post_init__()


@dataclass(frozen=True)
class SatMixConfig(MixConfig):
    """How Gaussians are shared out in speaker-adaptive training."""

    power: float = field(
        default=0.2, metadata={"help": "Exponent on a pdf's frame count when Gaussians are shared out."}
    )


@dataclass(frozen=True)
class SatConfig:
    """How transforms are estimated while training."""

    silence_weight: float = field(default=0.0, metadata={"help": "Weight of frames of silence in fMLLR."})
    basis_speakers: int = field(
        default=100,
        metadata={"help": "Speakers whose transforms teach the basis for speakers with little data; 0 for no basis."},
    )

    def __post_init__(self) -> None:
        check_fields(self, silence_weight=SHARE, basis_speakers=NATURAL)


@dataclass(frozen=True)
class StageConfig:
    """What every stage above the monophone is set by."""

    em: TriEmConfig = field(default_factory=TriEmConfig)
    align: AlignConfig = field(default_factory=AlignConfig)
    update: UpdateConfig = field(default_factory=UpdateConfig)
    mix: MixConfig = field(default_factory=MixConfig)
    tree: TreeConfig = field(default_factory=TreeConfig)
    context: ContextConfig = field(default_factory=ContextConfig)


@dataclass(frozen=True)
class TriConfig(StageConfig):
    """Settings of a triphone training on deltas."""

    tree: TreeConfig = field(default_factory=lambda: TreeConfig(max_leaves=1500))
    delta_order: int = 2

    def __post_init__(self) -> None:
        check_fields(self, delta_order=Range(0, 4))


@dataclass(frozen=True)
class LdaMlltConfig(StageConfig):
    """Settings of an LDA+MLLT training."""

    em: LdaMlltEmConfig = field(default_factory=LdaMlltEmConfig)
    splice: SpliceConfig = field(default_factory=SpliceConfig)
    lda: LdaConfig = field(default_factory=LdaConfig)


@dataclass(frozen=True)
class SatTrainingConfig(StageConfig):
    """Settings of a speaker-adaptive training."""

    em: SatEmConfig = field(default_factory=SatEmConfig)
    mix: SatMixConfig = field(default_factory=SatMixConfig)
    sat: SatConfig = field(default_factory=SatConfig)
    fmllr: FmllrConfig = field(default_factory=FmllrConfig)
