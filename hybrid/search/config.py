"""Settings of a search and of its repetition with wider beams."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hybrid.base.ranges import COUNT, LARGEST, NATURAL, POSITIVE, Range, check_fields
from hybrid.base.scale import HasAcousticScale

__all__ = ["ENGINES", "RetryConfig", "SearchConfig"]

ENGINES = ("native", "torch", "k2", "reference")  # and "auto", which `search.choose` resolves


@dataclass(frozen=True)
class SearchConfig(HasAcousticScale):
    """Widths of a beam search, in nats of the scaled scores.

    Raises:
      ValueError: a width or a limit that makes no sense.
    """

    beam: float = field(default=13.0, metadata={"help": "Tokens worse than the best of a frame by more are dropped."})
    lattice_beam: float = field(default=6.0, metadata={"help": "Paths worse than the best by more leave the lattice."})
    max_active: int = field(default=7000, metadata={"help": "Tokens that go on from a frame, at most."})
    min_active: int = field(default=200, metadata={"help": "Tokens that go on from a frame, whatever the beam."})
    acoustic_scale: float | None = field(
        default=None, metadata={"help": "Factor of the acoustic scores in the search; by default the model's."}
    )

    def __post_init__(self) -> None:
        check_fields(
            self,
            beam=POSITIVE,
            lattice_beam=POSITIVE,
            max_active=COUNT,
            min_active=NATURAL,
            acoustic_scale=POSITIVE,
        )
        if self.min_active > self.max_active:
            raise ValueError(f"min_active {self.min_active} is more than max_active {self.max_active}")

    def of_model(self, acoustic_scale: float) -> SearchConfig:
        """Returns the settings with a model's acoustic scale where none was given."""
        return self if self.acoustic_scale is not None else replace(self, acoustic_scale=float(acoustic_scale))


@dataclass(frozen=True)
class RetryConfig:
    """How often and how much wider a search is repeated that reached no final state."""

    retries: int = field(default=2, metadata={"help": "Searches with wider beams after one that reached no end."})
    widen: float = field(default=1.5, metadata={"help": "Factor of beam and max-active at each repetition."})

    def __post_init__(self) -> None:
        check_fields(self, retries=Range(0, 20), widen=Range(1, 10, above=True))

    def ladder(self, config: SearchConfig) -> list[SearchConfig]:
        """The settings of the repetitions, narrowest first."""
        factors = [self.widen**n for n in range(1, self.retries + 1)]
        return [
            replace(config, beam=min(config.beam * f, LARGEST), max_active=int(min(config.max_active * f, LARGEST)))
            for f in factors
        ]
