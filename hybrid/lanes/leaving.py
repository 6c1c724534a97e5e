"""What leaves the device: levels that are done with, sorted, on their way to the host; and where lanes stand then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from hybrid.lanes.lane_values import (
    DeviceGraph,
    LaneLevel,
    LaneLinks,
    Standing,
    bare_level,
    concatenate,
    cut_levels,
    of_each,
)
from hybrid.lanes.levels import LaneLevels, Masks, chosen, in_a_row, joined, places_of, sizes_of, without_ends
from hybrid.lanes.to_host import ToHost

__all__ = ["HandedLanes", "LanePiece", "Standings", "hand_out", "hand_out_all", "hand_out_early", "side_by_side"]


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


class HandedLanes(NamedTuple):
    """Levels of many lanes that are done with, as arrays on the host, lane by lane.

    Attributes:
      sizes: int64 [lane][level][3], tokens, links and epsilon links of each level.
      states, scores, links, acoustic, epsilons: see `LanePiece`; scores only where somebody asks for them.
    """

    sizes: np.ndarray
    states: np.ndarray
    scores: np.ndarray
    links: np.ndarray
    acoustic: np.ndarray
    epsilons: np.ndarray

    def pieces(self, upto: np.ndarray) -> list[LanePiece]:
        """Cuts the arrays into those of each lane, with the levels that it has; `upto` is at least 1."""
        splits = self.sizes.cumsum(1)  # nothing is counted of the first level
        ends = np.concatenate([np.zeros((1, 3), np.int64), splits[:, -1].cumsum(0)]).tolist()
        states, scores, links, acoustic, epsilons = self[1:]
        return [
            LanePiece(splits[lane, :levels], states[n:o], scores[n:o], links[m:p], acoustic[m:p], epsilons[e:f])
            for lane, (levels, (n, m, e), (o, p, f)) in enumerate(zip(upto.tolist(), ends, ends[1:]))
        ]


class _Sorted(NamedTuple):
    """The tokens of a stretch, lane by lane, level by level, in order of states: nothing tells what raced."""

    group: torch.Tensor  # lane × levels + level of each token, rising
    order: torch.Tensor  # where it stood
    rank: torch.Tensor  # of each token, as it stood, its number in its group
    where: torch.Tensor  # and its place in the order


def _sorted(graph: DeviceGraph, stretch: LaneLevels, group: torch.Tensor) -> _Sorted:
    order = torch.argsort(group * graph.num_states + stretch.state)
    group = group[order]
    place = torch.arange(len(order), device=order.device)
    where = torch.empty_like(order).scatter_(0, order, place)
    return _Sorted(group, order, (place - torch.searchsorted(group, group))[where], where)


def _counts(groups: torch.Tensor, count: int) -> torch.Tensor:
    """Returns int64 [count], how often each number is among rising ones."""
    ends = torch.searchsorted(groups, torch.arange(count + 1, device=groups.device))
    return ends[1:] - ends[:-1]


def _rows(
    graph: DeviceGraph, links: LaneLinks, group: torch.Tensor, sources: torch.Tensor, targets: torch.Tensor, groups: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns links as int32 [M][3], sorted by their groups and arcs, acoustic scores, how many each group has.

    Args:
      group: int64 [M], of each link. sources, targets: int64 [N], of each token its number as the host counts.
    """
    key, order = torch.sort(group * len(graph.arcs) + links.arc)
    source, target, arc, acoustic = (column[order] for column in links)
    rows = torch.stack([sources[source], targets[target], arc], 1).int()
    return rows, acoustic, _counts(torch.div(key, len(graph.arcs), rounding_mode="floor"), groups)


def hand_out_all(
    graph: DeviceGraph, stretch: LaneLevels, lanes: int, begins: torch.Tensor, *others: torch.Tensor
) -> ToHost:
    """Sends all levels of whole utterances to the host, as `HandedLanes` without scores.

    Args:
      begins: int64 [lane], the first level of each.
      others: sent along.
    """
    count = stretch.levels + 1
    group = stretch.lane * count + stretch.number + 1 - begins[stretch.lane]
    tokens = _sorted(graph, stretch, group)
    links, epsilons = (
        _rows(graph, part, group[part.target], tokens.rank, tokens.rank, lanes * count) for part in stretch.both
    )
    sizes = torch.stack([_counts(tokens.group, lanes * count), links[2], epsilons[2]], 1).reshape(lanes, count, 3)
    states = stretch.state[tokens.order].int()
    return ToHost([sizes, states, stretch.score[:0], *links[:2], epsilons[0], *others])


def _leaving(
    graph: DeviceGraph, stretch: LaneLevels, lanes: int, tokens: _Sorted, place: torch.Tensor, which: list[torch.Tensor]
) -> list[torch.Tensor]:
    """Returns what leaves of a stretch, as in `HandedLanes`.

    Args:
      place: int64 [N], of each token its number as the host counts.
      which: places of tokens in the order of `tokens`, of links, and of links over epsilons.
    """
    groups, group = lanes * stretch.levels, stretch.lane * stretch.levels + stretch.number
    own = tokens.order[which[0]]
    rows = []
    for part, some in zip(stretch.both, which[1:]):
        links = LaneLinks(*(column[some] for column in part))
        rows.append(_rows(graph, links, group[links.target], place, tokens.rank, groups))
    per_level = _counts(tokens.group[which[0]], groups), rows[0][2], rows[1][2]
    sizes = torch.stack(per_level, 1).reshape(lanes, stretch.levels, 3)
    return [sizes, stretch.state[own].int(), stretch.score[own], *rows[0][:2], rows[1][0]]


def hand_out(
    graph: DeviceGraph, stretch: LaneLevels, last: torch.Tensor, *others: torch.Tensor
) -> tuple[ToHost, Standings]:
    """Sends the levels of streams that are done with to the host, as `HandedLanes`: all but the first and the last.

    Args:
      stretch: pruned; in its first level the numbers of tokens when they were handed out take the place of states.
      last: int64 [lane], the last level of each.
      others: sent along.

    Returns:
      What leaves; and where the lanes stand.
    """
    lanes, end = len(last), last[stretch.lane]
    done, now, old = (stretch.number > 0) & (stretch.number < end), stretch.number == end, stretch.number == end - 1
    tokens = _sorted(graph, stretch, stretch.lane * stretch.levels + stretch.number)
    place = torch.where(stretch.number > 0, tokens.rank, stretch.state)
    masks = [mask[tokens.order] for mask in (done, now, old)]
    masks += [mask[part.target] for part in stretch.both for mask in (done, now)]
    upto, sizes = [mask.cumsum(0) for mask in masks], sizes_of(masks)
    gone, here, before, *which = (places_of(*each) for each in zip(upto, sizes))
    sent = _leaving(graph, stretch, lanes, tokens, place, [gone, *which[::2]])
    number, earlier = (sums[tokens.where] - 1 for sums in upto[1:3])  # of each token, as it stood
    backwards = earlier - sizes[2]
    links, inside = (
        _into(part, some, sources, number)
        for part, some, sources in zip(stretch.both, which[1::2], (backwards, number))
    )
    lost, own = tokens.order[before], tokens.order[here]
    ends = bare_level(stretch.lane[lost], place[lost], stretch.score[lost])
    stands = LaneLevel(stretch.lane[own], stretch.state[own], stretch.score[own], links, inside)
    return ToHost([*sent, *others]), Standings(in_a_row([ends]), stands, torch.zeros_like(last))


def hand_out_early(
    graph: DeviceGraph, stretch: LaneLevels, lanes: int, upto: int, *others: torch.Tensor
) -> tuple[ToHost, Standings]:
    """Sends the first levels of streams to the host, the very first one left out, where all lanes have as many levels.

    What stays is pruned again with the frames that follow, so that ten times less leaves.

    Args:
      stretch, others: see `hand_out`. upto: the last level that leaves.
    """
    tokens = _sorted(graph, stretch, stretch.lane * stretch.levels + stretch.number)
    place = torch.where(stretch.number > 0, tokens.rank, stretch.state)
    done, beyond = (stretch.number > 0) & (stretch.number <= upto), stretch.number > upto
    ours, left = [done[part.target] for part in stretch.both], [beyond[part.target] for part in stretch.both]
    kept = Masks(stretch.number >= upto, *left)
    earlier = stretch.number < stretch.levels - 1
    before = [kept.tokens & earlier, *(mask & earlier[part.target] for mask, part in zip(left, stretch.both))]
    masks = [done[tokens.order], *ours]
    sizes = sizes_of([*masks, *kept, *before])
    which = [places_of(mask.cumsum(0), size) for mask, size in zip(masks, sizes)]
    sent = _leaving(graph, stretch, lanes, tokens, place, which)
    rest = stretch._replace(state=torch.where(stretch.number == upto, place, stretch.state))
    rest = chosen(rest, kept, sizes[3:6])
    rest = rest._replace(levels=rest.levels - upto, number=rest.number - upto)
    none = torch.zeros(lanes, dtype=torch.int64, device=place.device)
    return ToHost([*sent, *others]), Standings(*without_ends(rest, None, sizes[6:]), none)


def _into(links: LaneLinks, some: torch.Tensor, sources: torch.Tensor, targets: torch.Tensor) -> LaneLinks:
    """Returns some links, which lie in the order of their targets, with their tokens renumbered."""
    source, target, arc, acoustic = (column[some] for column in links)
    target, order = torch.sort(targets[target], stable=True)
    return LaneLinks(sources[source[order]], target, arc[order], acoustic[order])


class Standings:
    """Where many lanes stand, side by side on the device; one of them is cut out only where asked for.

    Attributes:
      between: the levels before the last that are here, at least one; in the first one the numbers of tokens as they
        were handed out take the place of states.
      level: the last one; its links count the tokens before it backwards, from -1.
      limited: int64 [lane], frames at which max-active decided, not told to the host yet.
    """

    def __init__(self, between: LaneLevels, level: LaneLevel, limited: torch.Tensor) -> None:
        self.between, self.level, self.limited = between, level, limited
        self._cut: list[Standing] | None = None

    @property
    def lanes(self) -> int:
        """How many."""
        return len(self.limited)

    @property
    def memory(self) -> int:
        """Bytes on the device."""
        levels = *self.between[1:5], *self.level[:3], *(c for p in (*self.between.both, *self.level[3:]) for c in p)
        return sum(column.numel() * column.element_size() for column in levels)

    def with_levels(self, more: LaneLevels | None = None) -> LaneLevels:
        """Returns all levels in one piece, and those that follow."""
        return joined([self.between, in_a_row([self.level]), *([] if more is None else [more])])

    def __getitem__(self, lane: int) -> Standing:
        """Returns where one lane stands, where there is but one level before the last."""
        if self._cut is None:
            self._cut = self._each()
        return self._cut[lane]

    def _each(self) -> list[Standing]:
        before, now = self.between, self.level
        olds, news = (torch.bincount(level.lane, minlength=self.lanes) for level in (before, now))
        lost, first = olds.cumsum(0) - olds, news.cumsum(0) - news
        scores, places = (column.split(olds.tolist()) for column in (before.score, before.state))
        over = now.links._replace(source=now.links.source + len(before.lane))
        (links, linked), (inside, joints) = (
            _split(now, part, sources, first, self.lanes) for part, sources in ((over, lost), (now.epsilons, first))
        )
        levels = cut_levels(now[:3], links, inside, [news.tolist(), linked, joints])
        return [Standing(*each) for each in zip(scores, places, levels)]


def side_by_side(standings: Sequence[Standing]) -> Standings:
    """Puts lanes that stood elsewhere side by side."""
    device = standings[0].before.device
    before = [len(standing.before) for standing in standings]
    score, place = (torch.cat(column) for column in zip(*(standing[:2] for standing in standings)))
    now = [s.level._replace(lane=torch.full_like(s.level.lane, lane)) for lane, s in enumerate(standings)]
    level, lanes = concatenate(now, before), of_each(range(len(before)), before, device)
    level = level._replace(links=level.links._replace(source=level.links.source - len(lanes)))
    none = torch.zeros(len(before), dtype=torch.int64, device=device)
    return Standings(in_a_row([bare_level(lanes, place, score)]), level, none)


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
