"""Levels of many lanes in one piece, so that the host does as little for a thousand of them as for one.

Whatever is asked of a stretch takes the same few operations on the device, however many levels it has, and one wait
where sizes must be known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from hybrid.lanes.lane_values import LaneLevel, LaneLinks, in_one, of_each

__all__ = ["LaneLevels", "Masks", "apart", "chosen", "in_a_row", "joined", "places_of", "sizes_of", "without_ends"]


class LaneLevels(NamedTuple):
    """Levels one after the other; tokens are counted through.

    Attributes:
      levels: how many.
      number: int64 [N], the level of each token, rising.
      lane, state, score: of the tokens; see `LaneLevel`.
      links: into all levels, in this order; those into the first one come from the stretch before, where the token
        before token 0 is number -1.
      epsilons: inside the levels.
    """

    levels: int
    number: torch.Tensor
    lane: torch.Tensor
    state: torch.Tensor
    score: torch.Tensor
    links: LaneLinks
    epsilons: LaneLinks

    @property
    def tokens(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Lane, state and score of each."""
        return self.lane, self.state, self.score

    @property
    def both(self) -> tuple[LaneLinks, LaneLinks]:
        """Links over a frame and links over epsilons."""
        return self.links, self.epsilons


class Masks(NamedTuple):
    """Which tokens, links and links over epsilons of a stretch are meant: bool [N], [M] and [E]."""

    tokens: torch.Tensor
    links: torch.Tensor
    epsilons: torch.Tensor


def in_a_row(levels: Sequence[LaneLevel]) -> LaneLevels:
    """Puts levels one after the other; sources of links into the first one stay as they are.

    Args:
      levels: each counts its own tokens, and as sources of links those of the level before.
    """
    if len(levels) == 1:
        return LaneLevels(1, torch.zeros_like(levels[0].lane), *levels[0])
    device = levels[0].lane.device
    sizes = [len(level.lane) for level in levels]
    firsts = [0, *np.cumsum(sizes).tolist()][:-1]
    number = of_each(range(len(levels)), sizes, device)
    lane, state, score = (torch.cat(column) for column in zip(*(level[:3] for level in levels)))
    links = in_one([level.links for level in levels], [0, *firsts[:-1]], firsts)
    return LaneLevels(
        len(levels), number, lane, state, score, links, in_one([level.epsilons for level in levels], firsts, firsts)
    )


def joined(parts: Sequence[LaneLevels]) -> LaneLevels:
    """Puts stretches one after the other."""
    device = parts[0].lane.device
    sizes = [len(part.lane) for part in parts]
    firsts = [0, *np.cumsum(sizes).tolist()][:-1]
    levels = [0, *np.cumsum([part.levels for part in parts]).tolist()]
    number = torch.cat([part.number for part in parts]) + of_each(levels[:-1], sizes, device)
    lane, state, score = (torch.cat(column) for column in zip(*(part.tokens for part in parts)))
    links, epsilons = (in_one(column, firsts, firsts) for column in zip(*(part.both for part in parts)))
    return LaneLevels(levels[-1], number, lane, state, score, links, epsilons)


def sizes_of(masks: Sequence[torch.Tensor]) -> list[int]:
    """Returns how many each of some masks means; the host waits for the device once."""
    return torch.stack([mask.sum() for mask in masks]).tolist()


def places_of(upto: torch.Tensor, count: int) -> torch.Tensor:
    """Returns int64 [count], where the things lie that a mask means; the host waits for nothing.

    Args:
      upto: int64 [N], how many of them there are up to each place. count: of all.
    """
    return torch.searchsorted(upto, torch.arange(1, count + 1, device=upto.device))


def chosen(stretch: LaneLevels, masks: Masks, sizes: Sequence[int]) -> LaneLevels:
    """Returns what masks mean of a stretch, with tokens counted anew.

    Args:
      sizes: of the masks. Links that they mean lead between tokens that they mean.
    """
    upto = [mask.cumsum(0) for mask in masks]
    which, *others = (places_of(*each) for each in zip(upto, sizes))
    number = upto[0] - 1
    links, epsilons = (
        LaneLinks(number[part.source[some]], number[part.target[some]], part.arc[some], part.acoustic[some])
        for part, some in zip(stretch.both, others)
    )
    lane, state, score = (column[which] for column in stretch.tokens)
    return LaneLevels(stretch.levels, stretch.number[which], lane, state, score, links, epsilons)


def apart(stretch: LaneLevels, kept: Masks, first: int | None = None) -> tuple[LaneLevels, LaneLevel]:
    """Returns what is kept of a stretch, its last level apart; the host waits for the device once.

    Args:
      first: see `without_ends`, which tells the rest.
    """
    earlier = stretch.number < stretch.levels - 1
    of_links = (mask & earlier[part.target] for mask, part in zip(kept[1:], stretch.both))
    sizes = sizes_of([*kept, kept.tokens & earlier, *of_links])
    return without_ends(chosen(stretch, kept, sizes[:3]), first, sizes[3:])


def without_ends(stretch: LaneLevels, first: int | None, last: Sequence[int]) -> tuple[LaneLevels, LaneLevel]:
    """Cuts the last level off a stretch, and the first one too, if wanted.

    Args:
      first: tokens of the first level, which nothing leads into; None: it stays.
      last: how many tokens, links and links over epsilons come before the last level.

    Returns:
      What lies between; and the last level, whose links count the tokens before it backwards, from -1.
    """
    tokens, links, epsilons = last
    gone, shift = int(first is not None), first or 0
    own = slice(shift, tokens)
    number = stretch.number[own] - gone if gone else stretch.number[own]
    lane, state, score = (column[own] for column in stretch.tokens)
    over, inside = _cut(stretch.links, slice(links), shift), _cut(stretch.epsilons, slice(epsilons), shift)
    between = LaneLevels(stretch.levels - 1 - gone, number, lane, state, score, over, inside)
    lane, state, score = (column[tokens:] for column in stretch.tokens)
    into, closing = (_cut(part, slice(begin, None), tokens) for part, begin in zip(stretch.both, (links, epsilons)))
    return between, LaneLevel(lane, state, score, into, closing)


def _cut(links: LaneLinks, some: slice, before: int) -> LaneLinks:
    """Returns some of the links, with so many tokens fewer before them."""
    source, target, arc, acoustic = (column[some] for column in links)
    return LaneLinks(source - before if before else source, target - before if before else target, arc, acoustic)
