"""Back-pruning of the links of a chunk (Povey et al. 2012, section 4), and what of them leaves the device.

What a token's best continuation loses against the best path of the tokens alive is found level by level, backwards.
Only minima are taken, so the result does not depend on an order. What is pruned here no later frame can bring back:
its loss against the best path can only grow.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from hybrid.lanes.lane_values import DeviceGraph, LaneLevel, LaneLinks, LaneWidths, Standing

__all__ = ["LanePiece", "hand_out", "prune_back", "stand"]


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


def prune_back(graph: DeviceGraph, levels: list[LaneLevel], last: torch.Tensor, widths: LaneWidths) -> list[LaneLevel]:
    """Drops links and tokens that no path within the lattice beam of the living tokens uses.

    Args:
      levels: of a chunk; the first one has no links.
      last: int64 [lane], the last level of each lane: all its tokens live.
    """
    beam = widths.lattice_beam
    extras: list[torch.Tensor] = []
    pruned: list[LaneLevel] = []
    for number in range(len(levels) - 1, -1, -1):
        level = levels[number]
        extra = torch.where(last[level.lane] == number, 0.0, float("inf")).double()
        if pruned:
            links = pruned[-1].links
            total = level.score[links.source] + graph.scores[links.arc].double()
            total = total + widths.scale * links.acoustic.double()
            worse = extras[-1][links.target] + (levels[number + 1].score[links.target] - total)
            kept = worse <= beam
            extra = extra.scatter_reduce(0, links.source[kept], worse[kept].clamp_min(0), "amin")
            pruned[-1] = pruned[-1]._replace(links=_select(links, kept))
        inside, cost = level.epsilons, graph.scores[level.epsilons.arc].double()
        slack = level.score[inside.target] - (level.score[inside.source] + cost)
        for _ in range(graph.depth):
            worse = extra[inside.target] + slack
            extra = extra.scatter_reduce(
                0, inside.source, torch.where(worse <= beam, worse.clamp_min(0), float("inf")), "amin"
            )
        pruned.append(level._replace(epsilons=_select(inside, extra[inside.target] + slack <= beam)))
        extras.append(extra)
    return _renumbered(pruned[::-1], [extra < float("inf") for extra in extras[::-1]])


def _select(links: LaneLinks, kept: torch.Tensor) -> LaneLinks:
    return LaneLinks(*(column[kept] for column in links))


def _renumbered(levels: list[LaneLevel], alive: list[torch.Tensor]) -> list[LaneLevel]:
    found = []
    number: list[torch.Tensor] = [kept.cumsum(0) - 1 for kept in alive]
    for t, (level, kept) in enumerate(zip(levels, alive)):
        links = level.links
        if t:
            links = links._replace(source=number[t - 1][links.source], target=number[t][links.target])
        inside = level.epsilons
        inside = inside._replace(source=number[t][inside.source], target=number[t][inside.target])
        found.append(LaneLevel(level.lane[kept], level.state[kept], level.score[kept], links, inside))
    return found


class _Flat(NamedTuple):
    """Levels one after the other, sorted by lane: tokens of a lane lie together, level by level, in order of states."""

    group: torch.Tensor  # lane × levels + level of each token, rising
    rank: torch.Tensor  # of each token within its group
    order: torch.Tensor  # where it stood
    where: torch.Tensor  # and the other way round
    firsts: list[int]  # of each level, in the old order


def _flat(levels: list[LaneLevel]) -> _Flat:
    group = torch.cat([level.lane * len(levels) + number for number, level in enumerate(levels)])
    order = torch.argsort(torch.cat([level.state for level in levels]))
    order = order[torch.argsort(group[order], stable=True)]
    group = group[order]
    rank = torch.arange(len(group), device=group.device) - torch.searchsorted(group, group)
    where = torch.empty_like(order)
    where[order] = torch.arange(len(order), device=order.device)
    return _Flat(group, rank, order, where, [0, *np.cumsum([len(level.lane) for level in levels]).tolist()])


def hand_out(levels: list[LaneLevel], upto: torch.Tensor) -> tuple[list[LanePiece], _Flat]:
    """Returns the levels of each lane from the second one up to, without, level `upto`, and how they were sorted.

    Args:
      levels: pruned; in the first one the numbers of its tokens when they were handed out take the place of states.
      upto: int64 [lane].
    """
    flat, count, lanes = _flat(levels), len(levels), len(upto)
    states = torch.cat([level.state for level in levels])[flat.order]
    scores = torch.cat([level.score for level in levels])[flat.order]
    done = (flat.group % count > 0) & (flat.group % count < upto[flat.group // count])
    tokens = torch.bincount(flat.group[done], minlength=lanes * count)
    place = _places(levels, flat)
    links, acoustic, per_link = _rows([level.links for level in levels], levels, flat, place, upto, 1)
    epsilons, _, per_epsilon = _rows([level.epsilons for level in levels], levels, flat, place, upto, 0)
    sizes = torch.stack([tokens, per_link, per_epsilon], 1).reshape(lanes, count, 3).cpu().numpy()
    arrays = [x.cpu().numpy() for x in (states[done].int(), scores[done], links, acoustic, epsilons)]
    return _cut(sizes, arrays, upto.cpu().numpy()), flat


def _rows(
    parts: list[LaneLinks], levels: list[LaneLevel], flat: _Flat, place: torch.Tensor, upto: torch.Tensor, back: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns the links into levels that are done, sorted by these and by arcs, acoustic scores, how many each has."""
    count = len(levels)
    target = torch.cat([part.target + flat.firsts[t] for t, part in enumerate(parts)])
    source = torch.cat([part.source + flat.firsts[max(t - back, 0)] for t, part in enumerate(parts)])
    target, source = flat.where[target], flat.where[source]
    group = flat.group[target]
    done = (group % count > 0) & (group % count < upto[group // count])
    arc = torch.cat([part.arc for part in parts])[done]
    order = torch.argsort(arc)
    order = order[torch.argsort(group[done][order], stable=True)]
    ends = place[source[done][order]], flat.rank[target[done][order]], arc[order]
    rows = torch.stack([column.int() for column in ends], 1)
    acoustic = torch.cat([part.acoustic for part in parts])[done][order]
    return rows, acoustic, torch.bincount(group[done], minlength=len(upto) * count)


def _cut(sizes: np.ndarray, arrays: list[np.ndarray], upto: np.ndarray) -> list[LanePiece]:
    """Cuts the arrays of all lanes into those of each."""
    states, scores, links, acoustic, epsilons = arrays
    ends = sizes.sum(1).cumsum(0)
    pieces = []
    for lane, (n, m, e) in enumerate(np.concatenate([np.zeros((1, 3), np.int64), ends[:-1]])):
        own = sizes[lane, 1 : max(int(upto[lane]), 1)]
        splits = np.concatenate([np.zeros((1, 3), np.int64), own.cumsum(0)])
        tokens, some, inner = splits[-1]
        pieces.append(
            LanePiece(
                splits, states[n : n + tokens], scores[n : n + tokens], links[m : m + some], acoustic[m : m + some],
                epsilons[e : e + inner],
            )
        )  # fmt: skip
    return pieces


def _places(levels: list[LaneLevel], flat: _Flat) -> torch.Tensor:
    """Returns of each token its number in its level, as the host counts."""
    place = flat.rank.clone()
    place[flat.where[: flat.firsts[1]]] = levels[0].state
    return place


def stand(levels: list[LaneLevel], last: torch.Tensor, flat: _Flat) -> list[Standing]:
    """Returns where each lane stands after a chunk.

    Args:
      levels, flat: as of `hand_out`.
      last: int64 [lane], its last level.
    """
    count = len(levels)
    state = torch.cat([level.state for level in levels])[flat.order]
    score = torch.cat([level.score for level in levels])[flat.order]
    place = _places(levels, flat)
    first = torch.searchsorted(flat.group, torch.arange(len(last) * count + 1, device=last.device)).cpu().tolist()
    links = _by_lane([level.links for level in levels], flat, last, count, 1)
    inside = _by_lane([level.epsilons for level in levels], flat, last, count, 0)
    found = []
    for lane, end in enumerate(last.cpu().tolist()):
        now = slice(first[lane * count + end], first[lane * count + end + 1])
        before = slice(first[lane * count + end - 1], first[lane * count + end])
        level = LaneLevel(torch.full_like(state[now], lane), state[now], score[now], links[lane], inside[lane])
        found.append(Standing(score[before], place[before], level))
    return found


def _by_lane(parts: list[LaneLinks], flat: _Flat, last: torch.Tensor, count: int, back: int) -> list[LaneLinks]:
    """Returns of each lane the links into its last level; tokens are counted within their levels."""
    target = flat.where[torch.cat([part.target + flat.firsts[t] for t, part in enumerate(parts)])]
    source = flat.where[torch.cat([part.source + flat.firsts[max(t - back, 0)] for t, part in enumerate(parts)])]
    lane = flat.group[target] // count
    kept = torch.nonzero(flat.group[target] % count == last[lane]).flatten()
    kept = kept[torch.argsort(lane[kept], stable=True)]
    columns = [flat.rank[source], flat.rank[target]]
    columns += [torch.cat([part.arc for part in parts]), torch.cat([part.acoustic for part in parts])]
    sizes = torch.bincount(lane[kept], minlength=len(last)).cpu().tolist()
    return [LaneLinks(*each) for each in zip(*(column[kept].split(sizes) for column in columns))]
