"""Named columns of scores beside a lattice's two: transitions, pronunciations, a language model, confidences …"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hybrid.base.content import ByContent
from hybrid.base.errors import HybridError, quote

__all__ = ["RESERVED", "LatticeError", "ScoreColumn", "checked_columns"]

RESERVED = ("graph", "acoustic")  # the two that Kaldi's archives have


class LatticeError(HybridError, ValueError):
    """Arrays that are no lattice: cyclic, dangling, or of contradicting times."""


@dataclass(frozen=True, eq=False)
class ScoreColumn(ByContent):
    """One kind of score, natural logs.

    Attributes:
      arcs: float32 [A].
      finals: float32 [S], 0 where a state is not final or the column says nothing about ends.
    """

    arcs: np.ndarray
    finals: np.ndarray

    def __post_init__(self) -> None:
        for name in ("arcs", "finals"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), np.float32))

    def select(self, arcs: np.ndarray, states: np.ndarray) -> ScoreColumn:
        """Returns the column of some arcs and states, by mask or number."""
        return ScoreColumn(self.arcs[arcs], self.finals[states])


def checked_columns(columns: Mapping[str, ScoreColumn], arcs: int, states: int) -> dict[str, ScoreColumn]:
    """Returns the columns of a lattice by name.

    Raises:
      LatticeError: a name of Kaldi's two columns, lengths that disagree, NaN or +inf.
    """
    for name, column in columns.items():
        if name in RESERVED or not name.isidentifier():
            raise LatticeError(f"column '{quote(name)}': wanted a word other than graph and acoustic")
        for what, values, want in (("arcs", column.arcs, arcs), ("finals", column.finals, states)):
            if values.shape != (want,):
                raise LatticeError(f"column '{name}': {what} have shape {values.shape}, wanted ({want},)")
            if np.isnan(values).any() or np.isposinf(values).any():
                raise LatticeError(f"column '{name}': {what} hold NaN or +inf")
    return dict(columns)
