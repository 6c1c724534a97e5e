"""What it costs to hear one phone in the place of another: the same everywhere, or learnt from what was heard."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lm.biasing.filter_kernels import align_phones

__all__ = ["PhoneCosts"]

ROUNDS = 3  # of aligning and counting
PRIOR = 0.5  # of each phone, added to what was counted
DEAREST = 2.0  # no confusion costs more


@dataclass(frozen=True, eq=False)
class PhoneCosts:
    """Costs of confusions; 1 is the cost of an ordinary one.

    Attributes:
      ids: of phones, from 1, without marks of stress.
      costs: float32 [P + 1][P + 1], of hearing the second in the place of the first; 0 for no phone.
    """

    ids: dict[str, int]
    costs: np.ndarray

    @classmethod
    def even(cls, phones: Iterable[str]) -> PhoneCosts:
        """Every confusion costs 1."""
        ids = {phone: number for number, phone in enumerate(sorted({_unstressed(phone) for phone in phones}), 1)}
        costs = np.ones((len(ids) + 1, len(ids) + 1), np.float32)
        np.fill_diagonal(costs, 0.0)
        return cls(ids, costs)

    @classmethod
    def learnt(cls, phones: Iterable[str], pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> PhoneCosts:
        """Counts confusions of aligned sequences, and aligns again by what they cost.

        The cost of a confusion is its negative log probability, in units of what it is on average.

        Args:
          phones: all that there are.
          pairs: what was said, and what was heard of it.
        """
        made = cls.even(phones)
        rows = [(made.encode(said), made.encode(heard)) for said, heard in pairs]
        for _ in range(ROUNDS):
            counts = np.full(made.costs.shape, PRIOR / len(made.costs))
            counts[0, 0] = 0.0
            for said, heard in rows:
                aligned, _ = align_phones(said, heard, made.costs)
                np.add.at(counts, (aligned[:, 0], aligned[:, 1]), 1.0)
            made = cls(made.ids, _costs_of(counts))
        return made

    def encode(self, phones: Iterable[str]) -> np.ndarray:
        """Returns the ids of phones, int32; those that are not known are left out."""
        bare = map(_unstressed, phones)
        return np.array([self.ids[phone] for phone in bare if phone in self.ids], np.int32)

    def distance(self, said: Sequence[str], heard: Sequence[str]) -> float:
        """Returns what it costs to hear one sequence in the place of another, in all."""
        return float(align_phones(self.encode(said), self.encode(heard), self.costs)[1])


def _unstressed(phone: str) -> str:
    """The phone without a mark of stress, a digit at its end."""
    return phone.rstrip("0123456789") or phone


def _costs_of(counts: np.ndarray) -> np.ndarray:
    """Negative log probabilities given the phone said, their mean over confusions 1, nothing for what is right."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-9)
    shares[0] = counts[0] / max(1e-9, counts.sum())
    costs = -np.log(np.maximum(shares, math.exp(-20)))
    right = np.diag(costs).copy()
    costs = np.maximum(costs - np.minimum(right, costs.min(axis=1))[:, None], 0.05)
    np.fill_diagonal(costs, 0.0)
    wrong = counts * (1 - np.eye(len(counts)))
    mean = float((wrong * costs).sum() / max(1e-9, wrong.sum()))
    return np.minimum(costs / max(mean, 1e-9), DEAREST).astype(np.float32)
