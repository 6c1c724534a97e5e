"""Settings of decoding with speakers' transforms."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hybrid.search.config import SearchConfig

__all__ = ["AdaptConfig"]


@dataclass(frozen=True)
class AdaptConfig:
    """How the passes before the last search, and what they count."""

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

    def si_search(self, search: SearchConfig) -> SearchConfig:
        """Returns the widths of the pass without transforms."""
        return self._narrow(search, self.si_beam, self.si_max_active)

    def first_search(self, search: SearchConfig) -> SearchConfig:
        """Returns the widths of the first adapted pass."""
        return self._narrow(search, self.first_beam_adapted, self.first_max_active)

    @staticmethod
    def _narrow(search: SearchConfig, beam: float, max_active: int) -> SearchConfig:
        active = min(max_active, search.max_active)
        return replace(
            search, beam=min(beam, search.beam), max_active=active, min_active=min(search.min_active, active)
        )
