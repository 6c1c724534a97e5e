"""What leaves the device: levels that are done with, sorted, on their way to the host; and where lanes stand then."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from hybrid.lanes.lane_values import DeviceGraph, LaneLevel, LaneLinks, Standing, cut_levels
from hybrid.lanes.levels import LaneLevels, places_of, sizes_of
from hybrid.lanes.to_host import ToHost

__all__ = ["HandedLanes", "LanePiece", "Standings", "hand_out", "hand_out_all"]


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
    lanes, count = len(last), stretch.levels
    end = last[stretch.lane]
    done, now, old = (stretch.number > 0) & (stretch.number < end), stretch.number == end, stretch.number == end - 1
    group = stretch.lane * count + stretch.number
    tokens = _sorted(graph, stretch, group)
    place = torch.where(stretch.number > 0, tokens.rank, stretch.state)
    masks = [mask[tokens.order] for mask in (done, now, old)]
    masks += [mask[part.target] for part in stretch.both for mask in (done, now)]
    upto, sizes = [mask.cumsum(0) for mask in masks], sizes_of(masks)
    gone, here, before, *which = (places_of(*each) for each in zip(upto, sizes))
    rows = []
    for part, some in zip(stretch.both, which[::2]):
        leaving = LaneLinks(*(column[some] for column in part))
        rows.append(_rows(graph, leaving, group[leaving.target], place, tokens.rank, lanes * count))
    own = tokens.order[gone]
    per_level = _counts(tokens.group[gone], lanes * count), rows[0][2], rows[1][2]
    sent = [torch.stack(per_level, 1).reshape(lanes, count, 3), stretch.state[own].int(), stretch.score[own]]
    number, earlier = (sums[tokens.where] - 1 for sums in upto[1:3])  # of each token, as it stood
    links, inside = (
        _into(part, some, sources, number) for part, some, sources in zip(stretch.both, which[1::2], (earlier, number))
    )
    lost, own = tokens.order[before], tokens.order[here]
    nothing = LaneLinks(*(column[:0] for column in links))
    ends = LaneLevel(stretch.lane[lost], place[lost], stretch.score[lost], nothing, nothing)
    stands = LaneLevel(stretch.lane[own], stretch.state[own], stretch.score[own], links, inside)
    return ToHost([*sent, *rows[0][:2], rows[1][0], *others]), Standings([ends, stands], lanes)


def _into(links: LaneLinks, some: torch.Tensor, sources: torch.Tensor, targets: torch.Tensor) -> LaneLinks:
    """Returns some links, which lie in the order of their targets, with their tokens renumbered."""
    source, target, arc, acoustic = (column[some] for column in links)
    target, order = torch.sort(targets[target], stable=True)
    return LaneLinks(sources[source[order]], target, arc[order], acoustic[order])


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
