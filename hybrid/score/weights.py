"""Weights of systems that are combined, chosen where the fewest errors are made."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hybrid.score.edits import ErrorCounts, score_utterances

__all__ = ["WeightPoint", "tune_weights", "weight_grid"]


@dataclass(frozen=True)
class WeightPoint:
    """Errors of the combination with some weights, which sum to one."""

    weights: tuple[float, ...]
    counts: ErrorCounts


def weight_grid(systems: int, steps: int) -> list[tuple[float, ...]]:
    """Returns all weights that are positive multiples of 1 / steps and sum to one, the most even first.

    Raises:
      ValueError: fewer steps than systems.
    """
    if not 1 <= systems <= steps:
        raise ValueError(f"{steps} steps for {systems} systems, wanted as many or more")
    cuts = itertools.combinations(range(1, steps), systems - 1)
    parts = [tuple(b - a for a, b in zip((0, *cut), (*cut, steps))) for cut in cuts]
    parts.sort(key=lambda part: (sum(x * x for x in part), part))
    return [tuple(x / steps for x in part) for part in parts]


def tune_weights(
    combined: Callable[[tuple[float, ...]], Mapping[str, Sequence[str]]], references: Mapping[str, Sequence[str]],
    systems: int, steps: int = 10,
) -> list[WeightPoint]:  # fmt: skip
    """Counts the errors of a combination with each weights of a grid.

    Args:
      combined: weights → utterance → words.
      references: utterance → words; others are left out.

    Returns:
      The points, the best first; of equals the more even weights.
    """
    points = []
    for weights in weight_grid(systems, steps):
        found = combined(weights)
        pairs = {u: (words, found.get(u, ())) for u, words in references.items()}
        points.append(WeightPoint(weights, score_utterances(pairs).total()))
    return sorted(points, key=lambda point: point.counts.errors)
