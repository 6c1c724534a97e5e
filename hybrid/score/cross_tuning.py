"""Settings tuned on some speakers and applied to others, so that every utterance is recognised with honest ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hybrid.base.errors import InputError

__all__ = ["folds_of", "tuned_on_others"]


def folds_of(speakers: Sequence[str], count: int) -> list[tuple[str, ...]]:
    """Deals speakers, in their order, into parts.

    Raises:
      InputError: fewer speakers than parts.
    """
    names = sorted(set(speakers))
    if len(names) < count:
        raise InputError.at("--folds", f"is {count}, but there are {len(names)} speakers", "Use fewer.")
    return [tuple(names[i::count]) for i in range(count)]


def tuned_on_others(
    errors: np.ndarray, speakers: Sequence[str], folds: int
) -> Iterator[tuple[tuple[str, ...], np.ndarray, int]]:
    """Chooses, for each part of the speakers, the place of a grid with the fewest errors on all others.

    Args:
      errors: int64 [utterance][place]; of places with as many errors the first is chosen.
      speakers: of each utterance. folds: parts; of one part the place is chosen on all.

    Yields:
      Speakers of a part, bool [utterance] which are theirs, and the place.

    Raises:
      InputError: fewer speakers than parts.
    """
    for part in folds_of(speakers, folds):
        inside = np.isin(np.asarray(speakers, dtype=object), part) if folds > 1 else np.zeros(len(errors), np.bool_)
        place = int(errors[~inside].sum(axis=0).argmin())
        yield part, inside if folds > 1 else ~inside, place
