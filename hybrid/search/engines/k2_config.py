"""Settings that only the k2 engine knows."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["K2Config"]


@dataclass(frozen=True)
class K2Config:
    """What k2 does not tell by itself."""

    check_limit: bool = field(default=False, metadata={"help": "k2: search twice to learn whether max-active cut."})
