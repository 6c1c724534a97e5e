"""Long lists of phrases, trimmed for each utterance by how they sound: those that are near to a stretch of it stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product

import numpy as np

from lm.biasing.filter_kernels import phone_distances
from lm.biasing.phone_costs import PhoneCosts

__all__ = ["PhraseFilter"]

WAYS = 8  # to say a phrase, at most
FARTHEST = 0.5  # a confusion for every second phone


@dataclass(frozen=True, eq=False)
class PhraseFilter:
    """The sounds of a list of phrases.

    Attributes:
      costs: of confusions.
      owners: int64 [N], phrase of each way to say one; the ways are sorted by their phones.
      splits, phones, shared: see `phone_distances`.
      count: of phrases. unspoken: phrases of which no pronunciation is known.
    """

    costs: PhoneCosts
    owners: np.ndarray
    splits: np.ndarray
    phones: np.ndarray
    shared: np.ndarray
    count: int
    unspoken: tuple[int, ...]

    @classmethod
    def of(
        cls, phrases: Sequence[Sequence[str]], spoken: Mapping[str, Sequence[Sequence[str]]], costs: PhoneCosts
    ) -> PhraseFilter:
        """Takes phrases and how their words are spoken.

        Args:
          phrases: words of each. spoken: word → pronunciations, phones as `costs` has them.
        """
        rows: list[tuple[tuple[int, ...], int]] = []
        encoded: dict[str, list[tuple[int, ...]]] = {}
        unspoken = []
        for number, words in enumerate(phrases):
            for word in words:
                if word not in encoded:
                    encoded[word] = [tuple(costs.encode(way).tolist()) for way in spoken.get(word, ())]
            ways = list(islice(product(*(encoded[word] for word in words)), WAYS))
            rows += [(tuple(phone for part in way for phone in part), number) for way in ways]
            if not ways:
                unspoken.append(number)
        rows = sorted(row for row in rows if row[0])
        shared = np.zeros(len(rows), np.int32)
        for k in range(1, len(rows)):
            before, here = rows[k - 1][0], rows[k][0]
            same = 0
            while same < min(len(before), len(here)) and before[same] == here[same]:
                same += 1
            shared[k] = same
        splits = np.cumsum([0, *(len(phones) for phones, _ in rows)]).astype(np.int64)
        flat = np.array([phone for phones, _ in rows for phone in phones], np.int32)
        owners = np.array([number for _, number in rows], np.int64)
        return cls(costs, owners, splits, flat, shared, len(phrases), tuple(unspoken))

    def distances(self, heard: Sequence[str], most: float = FARTHEST, whole: bool = False) -> np.ndarray:
        """Returns how far each phrase is from the nearest stretch of what was heard: cost per phone, float32 [phrases].

        Args:
          heard: the phones of an utterance.
          most: what is farther counts as inf.
          whole: from all that was heard instead.
        """
        found = np.full(self.count, np.inf, np.float32)
        near = phone_distances(
            self.splits, self.phones, self.shared, self.costs.encode(heard), self.costs.costs, np.float32(most), whole
        )
        np.minimum.at(found, self.owners, near)
        return found

    def keep(self, heard: Sequence[Sequence[str]], count: int, most: float = FARTHEST) -> list[int]:
        """Returns the phrases that are nearest to what was heard, nearest first.

        Args:
          heard: phones of the utterance, in one way or several.
          count: at most so many.
        """
        found = np.full(self.count, np.inf, np.float32)
        for way in heard:
            found = np.minimum(found, self.distances(way, most))
        near = np.flatnonzero(np.isfinite(found))
        return near[np.argsort(found[near], kind="stable")][:count].tolist()
