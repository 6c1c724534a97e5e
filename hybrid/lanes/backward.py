"""Back-pruning of the links of a chunk (Povey et al. 2012, section 4).

What a token's best continuation loses against the best path of the tokens alive is found level by level, backwards.
Only minima are taken, so the result does not depend on an order. What is pruned here no later frame can bring back:
its loss against the best path can only grow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from hybrid.lanes.lane_values import DeviceGraph, LaneLinks, LaneWidths
from hybrid.lanes.levels import LaneLevels, Masks

__all__ = ["Row", "TakeLosses", "living", "take_losses", "within_beam"]


class Row(NamedTuple):
    """A stretch of levels for the way back; its links lie lane by lane in each level.

    Attributes:
      levels: how many.
      number: int64 [N], the level of each token.
      slack: float64 [M], by how much the path over a link is worse than its target's best one.
      link_bounds: int64 [levels × lanes + 1], the first link into each lane of each level, and the end.
      inner_slack, inner_bounds: the same of links over epsilons.
    """

    levels: int
    number: torch.Tensor
    links: LaneLinks
    slack: torch.Tensor
    link_bounds: torch.Tensor
    epsilons: LaneLinks
    inner_slack: torch.Tensor
    inner_bounds: torch.Tensor


def _row(graph: DeviceGraph, stretch: LaneLevels, lanes: int, scale: float) -> Row:
    levels, number, lane, _, score, links, inside = stretch
    group = number * lanes + lane
    groups = torch.arange(levels * lanes + 1, device=group.device)
    total = score[links.source] + graph.scores[links.arc].double() + scale * links.acoustic.double()
    inner = score[inside.source] + graph.scores[inside.arc].double()
    bounds = [torch.searchsorted(group[part.target], groups) for part in (links, inside)]
    return Row(
        levels, number, links, score[links.target] - total, bounds[0], inside, score[inside.target] - inner, bounds[1]
    )


TakeLosses = Callable[[torch.Tensor, Row, int, float], None]


def take_losses(extra: torch.Tensor, row: Row, depth: int, beam: float) -> None:
    """Finds what the best continuation of each token loses, level by level, backwards.

    Args:
      extra: float64 [N], what is lost by ending in each token; in place, less where a continuation loses less.
      depth: of the longest chain of epsilon arcs. beam: links that lose more take nothing.
    """
    lanes = (len(row.link_bounds) - 1) // row.levels
    ends, inner_ends = row.link_bounds[::lanes].tolist(), row.inner_bounds[::lanes].tolist()

    def take(links: LaneLinks, slack: torch.Tensor, some: slice) -> None:
        worse = extra[links.target[some]] + slack[some]
        worse = torch.where(worse <= beam, worse.clamp_min(0), float("inf"))
        extra.scatter_reduce_(0, links.source[some], worse, "amin")

    for t in range(row.levels - 1, -1, -1):
        inside = slice(inner_ends[t], inner_ends[t + 1])
        for _ in range(depth if inside.stop > inside.start else 0):
            take(row.epsilons, row.inner_slack, inside)
        take(row.links, row.slack, slice(ends[t], ends[t + 1]))


def within_beam(
    graph: DeviceGraph, stretch: LaneLevels, loss: torch.Tensor, lanes: int, widths: LaneWidths, losses: TakeLosses
) -> Masks:
    """Finds what paths within the lattice beam of the living tokens use.

    Args:
      stretch: tokens and links lane by lane in each level; no links into the first one.
      loss: float64 [N]: what a path loses that ends in each token; inf where none ends.
      losses: the code of the way back.
    """
    row, beam, extra = _row(graph, stretch, lanes, widths.scale), widths.lattice_beam, loss.clone()
    losses(extra, row, graph.depth, beam)
    links, inside = row.links, row.epsilons
    kept = extra[links.target] + row.slack <= beam, extra[inside.target] + row.inner_slack <= beam
    return Masks(extra <= beam, *kept)


def living(stretch: LaneLevels, last: torch.Tensor) -> torch.Tensor:
    """Returns the `loss` of `within_beam` where the last level of each lane is alive.

    Args:
      last: int64 [lane], the number of that level.
    """
    return torch.where(last[stretch.lane] == stretch.number, 0.0, float("inf")).double()
