"""Which tokens of a level go on: the beam, and limits on their number."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["Widths", "find_cutoff", "inside"]

NEG_INF = -np.inf
BINS = 1024  # that scores are counted in


class Widths(NamedTuple):
    """A `SearchConfig` for the kernels.

    Attributes:
      beam_delta: how much wider than the tokens kept the next frame is, where a limit decides.
      interval: frames between prunings.
    """

    beam: float
    lattice_beam: float
    max_active: int
    min_active: int
    scale: float
    beam_delta: float
    interval: int


@kernel
def inside(scores, beam):
    """Returns which tokens lie within the beam."""
    best = NEG_INF
    for i in range(len(scores)):
        best = max(best, scores[i])
    return scores >= best - beam


@kernel
def find_cutoff(scores, widths):
    """Returns the score a token needs to go on, the beam of the next frame, and whether max-active decided."""
    count = len(scores)
    if count == 0:
        return np.inf, widths.beam, False
    best = scores[0]
    for i in range(count):
        best = max(best, scores[i])
    cutoff = best - widths.beam
    if count > widths.max_active:
        inside = 0
        for i in range(count):
            inside += scores[i] > cutoff
        if inside >= widths.max_active:
            limit = _score_at(scores, widths.max_active, best, cutoff)
            return limit, best - limit + widths.beam_delta, True
    if count <= widths.min_active:
        return NEG_INF, np.inf, False
    if widths.min_active > 0:
        inside = 0
        for i in range(count):
            inside += scores[i] >= cutoff
        if inside < widths.min_active:
            limit = np.partition(scores, count - widths.min_active)[count - widths.min_active]
            if limit < cutoff:
                return limit, best - limit + widths.beam_delta, False
    return cutoff, widths.beam, False


@kernel
def _score_at(scores, place, best, least):
    """Returns the score at some place from the top, of which at least as many lie between `least` and `best`.

    A score falls into one of `BINS` bins by what it loses against the best. Of two scores the better is never in a
    later bin, so what is looked for is in the bin that reaches the place, and few others with it.
    """
    bins, width = np.zeros(BINS, np.int64), BINS / (best - least)
    for i in range(len(scores)):
        if scores[i] > least:
            bins[_bin(best - scores[i], width)] += 1
    number, before = 0, 0
    while before + bins[number] < place:
        before += bins[number]
        number += 1
    found, some = 0, np.empty(bins[number])
    for i in range(len(scores)):
        if scores[i] > least and _bin(best - scores[i], width) == number:
            some[found] = scores[i]
            found += 1
    wanted = found - (place - before)
    return np.partition(some, wanted)[wanted]


@kernel
def _bin(loss, width):
    return min(np.int64(loss * width), BINS - 1)
