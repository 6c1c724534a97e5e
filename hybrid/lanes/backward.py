"""Back-pruning of the links of a chunk (Povey et al. 2012, section 4), and what of them leaves the device.

What a token's best continuation loses against the best path of the tokens alive is found level by level, backwards.
Only minima are taken, so the result does not depend on an order. What is pruned here no later frame can bring back:
its loss against the best path can only grow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from hybrid.lanes.lane_values import (
    DeviceGraph,
    LaneLevel,
    LaneLinks,
    LaneWidths,
    Standing,
    cut_levels,
    fetch,
    in_one,
    of_each,
)

__all__ = ["HandedLanes", "LanePiece", "Row", "Standings", "TakeLosses", "hand_out", "keep_lanes", "level_numbers",
           "living", "prune_back", "stand", "take_losses"]  # fmt: skip


class LanePiece(NamedTuple):
    """Levels of one utterance that are done with, as arrays on the host.

    Attributes:
      splits: int64 [levels + 1][3], the first token, link and epsilon link of each level.
      states: int32 [N]. scores: float64 [N].
      links: int32 [M][3], token of the level before, token of this one (both counted in their levels), graph arc.
      acoustic: float32 [M].
      epsilons: int32 [E][3], as `links`, inside a level.
    """

    splits: np.ndarray
    states: np.ndarray
    scores: np.ndarray
    links: np.ndarray
    acoustic: np.ndarray
    epsilons: np.ndarray


class Row(NamedTuple):
    """Levels one after the other: tokens are counted through, links of all levels lie in one piece, lane by lane.

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


def _row(graph: DeviceGraph, levels: list[LaneLevel], lanes: int, scale: float) -> Row:
    """Lays levels one after the other; links into the first one are left out."""
    number, links, inside = _links_of(levels)
    score = torch.cat([level.score for level in levels])
    group = number * lanes + torch.cat([level.lane for level in levels])
    groups = torch.arange(len(levels) * lanes + 1, device=group.device)
    total = score[links.source] + graph.scores[links.arc].double() + scale * links.acoustic.double()
    inner = score[inside.source] + graph.scores[inside.arc].double()
    bounds = [torch.searchsorted(group[part.target], groups) for part in (links, inside)]
    return Row(
        len(levels), number, links, score[links.target] - total, bounds[0], inside, score[inside.target] - inner,
        bounds[1],
    )  # fmt: skip


def _links_of(levels: list[LaneLevel]) -> tuple[torch.Tensor, LaneLinks, LaneLinks]:
    """Returns the level of each token, and the links of all levels, tokens counted through; none into the first."""
    firsts = _ends([len(level.lane) for level in levels])[:-1]
    into = [level.links if t else LaneLinks(*(c[:0] for c in level.links)) for t, level in enumerate(levels)]
    links = in_one(into, [0, *firsts[:-1]], firsts)
    return level_numbers(levels), links, in_one([level.epsilons for level in levels], firsts, firsts)


def _ends(sizes: list[int]) -> list[int]:
    return [0, *np.cumsum(sizes).tolist()]


def level_numbers(levels: list[LaneLevel]) -> torch.Tensor:
    """Returns int64 [N], of each token of all levels the number of its own."""
    return of_each(range(len(levels)), [len(level.lane) for level in levels], levels[0].lane.device)


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


def prune_back(
    graph: DeviceGraph, levels: list[LaneLevel], loss: torch.Tensor, lanes: int, widths: LaneWidths,
    losses: TakeLosses, fixed: bool = False,
) -> list[LaneLevel]:  # fmt: skip
    """Drops links and tokens that no path within the lattice beam of the living tokens uses.

    Nothing but the sizes of what is left is asked of the device.

    Args:
      levels: of a chunk, tokens and links lane by lane; links into the first level stay as they are.
      loss: float64 [N], of each token of all levels: what a path loses that ends in it; inf where none ends.
      losses: the code of the way back.
      fixed: the tokens of the first level stay, so that links into it keep their targets.
    """
    row, beam, extra = _row(graph, levels, lanes, widths.scale), widths.lattice_beam, loss.clone()
    losses(extra, row, graph.depth, beam)
    alive = extra <= beam
    if fixed:
        alive[: len(levels[0].lane)] = True
    kept = extra[row.links.target] + row.slack <= beam, extra[row.epsilons.target] + row.inner_slack <= beam
    return _renumbered(levels, row.number, row.links, row.epsilons, alive, *kept)


def keep_lanes(levels: list[LaneLevel], kept: torch.Tensor) -> list[LaneLevel]:
    """Drops the tokens of some lanes, and their links; links into the first level stay as they are.

    Args:
      kept: bool [lane].
    """
    number, links, inside = _links_of(levels)
    alive = kept[torch.cat([level.lane for level in levels])]
    return _renumbered(levels, number, links, inside, alive, alive[links.target], alive[inside.target])


def _renumbered(
    levels: list[LaneLevel], number: torch.Tensor, links: LaneLinks, inside: LaneLinks, alive: torch.Tensor,
    linked: torch.Tensor, joined: torch.Tensor,
) -> list[LaneLevel]:  # fmt: skip
    """Returns the levels of what is kept: tokens, links and links over epsilons.

    Args:
      number, links, inside: see `Row`.
    """
    count = len(levels)
    numbers = (number, number[links.target], number[inside.target])
    sizes = [torch.bincount(own[kept], minlength=count) for own, kept in zip(numbers, (alive, linked, joined))]
    firsts = sizes[0].cumsum(0) - sizes[0]
    place = alive.cumsum(0) - 1 - firsts[number]  # of each token in its level
    which = torch.nonzero(alive).flatten()
    tokens = [torch.cat(column)[which] for column in zip(*(level[:3] for level in levels))]
    links, inside = _select(links, linked), _select(inside, joined)
    links, inside = (part._replace(source=place[part.source], target=place[part.target]) for part in (links, inside))
    found = cut_levels(tokens, links, inside, torch.stack(sizes).tolist())
    found[0] = found[0]._replace(links=levels[0].links)
    return found


def living(levels: list[LaneLevel], last: torch.Tensor) -> torch.Tensor:
    """Returns the `loss` of `prune_back` where the last level of each lane is alive.

    Args:
      last: int64 [lane], the number of that level.
    """
    lane = torch.cat([level.lane for level in levels])
    here = last[lane] == level_numbers(levels)
    return torch.where(here, 0.0, float("inf")).double()


def _select(links: LaneLinks, kept: torch.Tensor) -> LaneLinks:
    which = torch.nonzero(kept).flatten()
    return LaneLinks(*(column[which] for column in links))


class _Flat(NamedTuple):
    """Levels one after the other, sorted by lane: tokens of a lane lie together, level by level, in order of states."""

    group: torch.Tensor  # lane × levels + level of each token, rising
    rank: torch.Tensor  # of each token within its group
    order: torch.Tensor  # where it stood
    where: torch.Tensor  # and the other way round
    firsts: list[int]  # of each level, in the old order

    def links(self, parts: list[LaneLinks], back: int) -> LaneLinks:
        """Returns the links of all levels in one, tokens counted through; they come from `back` levels before."""
        count = len(parts)
        return in_one(parts, [self.firsts[max(t - back, 0)] for t in range(count)], self.firsts[:count])


def _flat(levels: list[LaneLevel], begins: torch.Tensor | None = None) -> _Flat:
    lane = torch.cat([level.lane for level in levels])
    group = lane * len(levels) + level_numbers(levels)
    group = group if begins is None else group - begins[lane]
    order = torch.argsort(torch.cat([level.state for level in levels]))
    order = order[torch.argsort(group[order], stable=True)]
    group = group[order]
    rank = torch.arange(len(group), device=group.device) - torch.searchsorted(group, group)
    where = torch.empty_like(order)
    where[order] = torch.arange(len(order), device=order.device)
    return _Flat(group, rank, order, where, [0, *np.cumsum([len(level.lane) for level in levels]).tolist()])


class HandedLanes(NamedTuple):
    """Levels of many lanes that are done with, as arrays on the host, lane by lane.

    Attributes:
      sizes: int64 [lane][level][3], tokens, links and epsilon links of each level.
      states, scores, links, acoustic, epsilons: see `LanePiece`.
    """

    sizes: np.ndarray
    states: np.ndarray
    scores: np.ndarray
    links: np.ndarray
    acoustic: np.ndarray
    epsilons: np.ndarray

    def pieces(self, upto: np.ndarray) -> list[LanePiece]:
        """Cuts the arrays into those of each lane, with the levels that it has."""
        ends = self.sizes.sum(1).cumsum(0)
        pieces = []
        for lane, (n, m, e) in enumerate(np.concatenate([np.zeros((1, 3), np.int64), ends[:-1]])):
            own = self.sizes[lane, 1 : max(int(upto[lane]), 1)]
            splits = np.concatenate([np.zeros((1, 3), np.int64), own.cumsum(0)])
            tokens, some, inner = splits[-1]
            pieces.append(
                LanePiece(
                    splits, self.states[n : n + tokens], self.scores[n : n + tokens], self.links[m : m + some],
                    self.acoustic[m : m + some], self.epsilons[e : e + inner],
                )
            )  # fmt: skip
        return pieces


def hand_out(
    levels: list[LaneLevel], upto: torch.Tensor, begins: torch.Tensor | None = None
) -> tuple[HandedLanes, _Flat]:
    """Returns the levels of each lane from the second one up to, without, level `upto`, and how they were sorted.

    Args:
      levels: pruned; in the first one the numbers of its tokens when they were handed out take the place of states.
      upto: int64 [lane].
      begins: int64 [lane], by how many levels each lane begins later than the levels do; all others count from there.
    """
    flat, count, lanes = _flat(levels, begins), len(levels), len(upto)
    states = torch.cat([level.state for level in levels])[flat.order]
    scores = torch.cat([level.score for level in levels])[flat.order]
    done = (flat.group % count > 0) & (flat.group % count < upto[flat.group // count])
    tokens = torch.bincount(flat.group[done], minlength=lanes * count)
    place = _places(levels, flat)
    links, acoustic, per_link = _rows([level.links for level in levels], levels, flat, place, upto, 1)
    epsilons, _, per_epsilon = _rows([level.epsilons for level in levels], levels, flat, place, upto, 0)
    sizes = torch.stack([tokens, per_link, per_epsilon], 1).reshape(lanes, count, 3)
    return HandedLanes(*fetch((sizes, states[done].int(), scores[done], links, acoustic, epsilons))), flat


def _rows(
    parts: list[LaneLinks], levels: list[LaneLevel], flat: _Flat, place: torch.Tensor, upto: torch.Tensor, back: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns the links into levels that are done, sorted by these and by arcs, acoustic scores, how many each has."""
    count, links = len(levels), flat.links(parts, back)
    target, source = flat.where[links.target], flat.where[links.source]
    group = flat.group[target]
    done = (group % count > 0) & (group % count < upto[group // count])
    arc = links.arc[done]
    order = torch.argsort(arc)
    order = order[torch.argsort(group[done][order], stable=True)]
    ends = place[source[done][order]], flat.rank[target[done][order]], arc[order]
    rows = torch.stack([column.int() for column in ends], 1)
    return rows, links.acoustic[done][order], torch.bincount(group[done], minlength=len(upto) * count)


def _places(levels: list[LaneLevel], flat: _Flat) -> torch.Tensor:
    """Returns of each token its number in its level, as the host counts."""
    place = flat.rank.clone()
    place[flat.where[: flat.firsts[1]]] = levels[0].state
    return place


class Standings:
    """Where many lanes stand after a chunk, side by side on the device; one of them is cut out only where asked for.

    Attributes:
      levels: the last level but one, in which the numbers of tokens as they were handed out take the place of states,
        and the last one.
      lanes: how many.
    """

    def __init__(self, levels: list[LaneLevel], lanes: int) -> None:
        self.levels, self.lanes = levels, lanes
        self._cut: list[Standing] | None = None

    def __getitem__(self, lane: int) -> Standing:
        """Returns where one lane stands."""
        if self._cut is None:
            self._cut = self._each()
        return self._cut[lane]

    def _each(self) -> list[Standing]:
        before, now = self.levels
        olds, news = (torch.bincount(level.lane, minlength=self.lanes) for level in (before, now))
        lost, first = olds.cumsum(0) - olds, news.cumsum(0) - news
        scores, places = (column.split(olds.tolist()) for column in (before.score, before.state))
        (links, linked), (inside, joined) = (
            _split(now, part, sources, first, self.lanes)
            for part, sources in ((now.links, lost), (now.epsilons, first))
        )
        levels = cut_levels(now[:3], links, inside, [news.tolist(), linked, joined])
        return [Standing(*each) for each in zip(scores, places, levels)]


def _split(
    level: LaneLevel, links: LaneLinks, sources: torch.Tensor, targets: torch.Tensor, lanes: int
) -> tuple[LaneLinks, list[int]]:
    """Returns the links lane by lane, tokens counted within each, and how many each lane has."""
    lane = level.lane[links.target]
    order = torch.argsort(lane, stable=True)
    lane = lane[order]
    source, target, arc, acoustic = (column[order] for column in links)
    sizes = torch.bincount(lane, minlength=lanes).tolist()
    return LaneLinks(source - sources[lane], target - targets[lane], arc, acoustic), sizes


def stand(levels: list[LaneLevel], last: torch.Tensor, flat: _Flat) -> Standings:
    """Returns where the lanes stand after a chunk.

    Args:
      levels, flat: as of `hand_out`.
      last: int64 [lane], the last level of each.
    """
    count, lane = len(levels), flat.group // len(levels)
    state, score = (torch.cat(column)[flat.order] for column in list(zip(*levels))[1:3])
    now = flat.group % count == last[lane]
    old = flat.group % count == last[lane] - 1
    number, earlier = now.cumsum(0) - 1, old.cumsum(0) - 1
    links = _into(now, earlier, number, [level.links for level in levels], flat, 1)
    inside = _into(now, number, number, [level.epsilons for level in levels], flat, 0)
    nothing = _select(links, torch.zeros_like(links.arc, dtype=torch.bool))
    before = LaneLevel(lane[old], _places(levels, flat)[old], score[old], nothing, nothing)
    return Standings([before, LaneLevel(lane[now], state[now], score[now], links, inside)], len(last))


def _into(
    now: torch.Tensor, sources: torch.Tensor, targets: torch.Tensor, parts: list[LaneLinks], flat: _Flat, back: int
) -> LaneLinks:
    """Returns the links into the tokens of `now`, renumbered."""
    source, target, arc, acoustic = flat.links(parts, back)
    source, target = flat.where[source], flat.where[target]
    kept = torch.nonzero(now[target]).flatten()
    kept = kept[torch.argsort(targets[target[kept]], stable=True)]  # lane by lane
    return LaneLinks(sources[source[kept]], targets[target[kept]], arc[kept], acoustic[kept])
