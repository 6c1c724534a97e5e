"""Settings of a search and of its repetition with wider beams."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

__all__ = ["RetryConfig", "SearchConfig"]


@dataclass(frozen=True)
class SearchConfig:
    """Widths of a beam search, in nats of the scaled scores.

    Raises:
      ValueError: a width or a limit that makes no sense.
    """

    beam: float = field(default=13.0, metadata={"help": "Tokens worse than the best of a frame by more are dropped."})
    lattice_beam: float = field(default=6.0, metadata={"help": "Paths worse than the best by more leave the lattice."})
    max_active: int = field(default=7000, metadata={"help": "Tokens that go on from a frame, at most."})
    min_active: int = field(default=200, metadata={"help": "Tokens that go on from a frame, whatever the beam."})
    acoustic_scale: float = field(default=0.1, metadata={"help": "Factor of the acoustic scores in the search."})
    check_limit: bool = field(default=False, metadata={"help": "k2: search twice to learn whether max-active cut."})

    def __post_init__(self) -> None:
        if not (self.beam > 0 and self.lattice_beam > 0):
            raise ValueError(f"beam {self.beam} and lattice-beam {self.lattice_beam} must be above 0")
        if not 0 <= self.min_active <= self.max_active or self.max_active < 1:
            raise ValueError(
                f"min-active {self.min_active} and max-active {self.max_active}: wanted 0 <= min-active <= max-active"
            )
        if not 0 < self.acoustic_scale < float("inf"):
            raise ValueError(f"acoustic-scale {self.acoustic_scale} must be above 0 and finite")


@dataclass(frozen=True)
class RetryConfig:
    """How often and how much wider a search is repeated that reached no final state."""

    retries: int = field(default=2, metadata={"help": "Searches with wider beams after one that reached no end."})
    widen: float = field(default=1.5, metadata={"help": "Factor of beam and max-active at each repetition."})

    def __post_init__(self) -> None:
        if self.retries < 0 or not 1.0 < self.widen <= 10.0:
            raise ValueError(f"retries {self.retries} (wanted 0 or more) and widen {self.widen} (wanted 1 to 10)")

    def ladder(self, config: SearchConfig) -> list[SearchConfig]:
        """The settings of the repetitions, narrowest first."""
        factors = [self.widen**n for n in range(1, self.retries + 1)]
        return [replace(config, beam=config.beam * f, max_active=int(config.max_active * f)) for f in factors]
