"""What token passing in lanes works on: the graph on its device, levels of tokens, and where a lane stands."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

__all__ = ["DeviceGraph", "LaneLevel", "LaneLinks", "LaneWidths", "Standing", "bare_level", "best_of_each",
           "concatenate", "cut_levels", "enter_lanes", "expand", "in_one", "of_each", "place_graph", "put"]  # fmt: skip

warnings.filterwarnings("ignore", message="scatter_reduce.* is in beta")  # of torch 1.13; what is used of it is stable


@dataclass(frozen=True, eq=False)
class DeviceGraph:
    """A decoding graph on a device: rows of arcs, of each state the emitting ones first.

    Several graphs (slots of a domain graph) can stand behind one another in these arrays: a lane's tokens name states,
    and states name ranges of arcs. Pairs of a state and one of a bias automaton would be rows behind them too
    (`docs/search.md`).

    Attributes:
      bounds: int32 [S+1][2], the first emitting and the first epsilon arc of each state.
      arcs: int32 [A][3], next state, pdf_id (-1 for epsilon), bits of the float32 graph score.
      scores: float32 [A], a view of these bits.
      depth: of the longest chain of epsilon arcs: so many waves close a level.
    """

    bounds: torch.Tensor
    arcs: torch.Tensor
    scores: torch.Tensor
    depth: int

    @property
    def num_states(self) -> int:
        """States of the graph."""
        return len(self.bounds) - 1

    @property
    def memory(self) -> int:
        """Bytes on the device."""
        return _bytes(self.bounds, self.arcs)


def place_graph(bounds: np.ndarray, arcs: np.ndarray, device: torch.device) -> DeviceGraph:
    """Copies a graph without cycles of epsilons to a device (on a CPU it shares the memory).

    Args:
      bounds, arcs: see `DeviceGraph`.
    """
    first, targets = torch.from_numpy(bounds).to(device), torch.from_numpy(arcs).to(device)
    bits = targets.view(torch.float32)[:, 2]
    return DeviceGraph(first, targets, bits, _epsilon_depth(first, targets))


def _epsilon_depth(bounds: torch.Tensor, arcs: torch.Tensor) -> int:
    """Returns the length of the longest chain of epsilon arcs: states are followed in waves until none is left."""
    states = torch.nonzero(bounds[1:, 0] > bounds[:-1, 1]).flatten()
    depth = 0
    while len(states):
        _, arc = expand(bounds[states, 1], bounds[states + 1, 0])
        reached = arcs[arc, 0].long().unique()
        states = reached[bounds[reached + 1, 0] > bounds[reached, 1]]
        depth += 1
    return depth


@dataclass(frozen=True)
class LaneWidths:
    """Settings of a search as numbers; `beam_delta`: how much wider than what is kept the next frame is at a limit."""

    beam: float
    lattice_beam: float
    max_active: int
    min_active: int
    scale: float
    beam_delta: float


class LaneLinks(NamedTuple):
    """Links to the tokens of a level.

    Attributes:
      source, target: int64 [M], a token of the level before (of the same one, if over an epsilon arc), and of this one.
      arc: int64 [M], of the graph.
      acoustic: float32 [M], unscaled; 0 over epsilon arcs.
    """

    source: torch.Tensor
    target: torch.Tensor
    arc: torch.Tensor
    acoustic: torch.Tensor


class LaneLevel(NamedTuple):
    """The tokens of all lanes after a number of frames, in any order.

    Attributes:
      lane, state: int64 [N].
      score: float64 [N], of the best path to the token.
      links: over one frame into it. epsilons: inside it.
    """

    lane: torch.Tensor
    state: torch.Tensor
    score: torch.Tensor
    links: LaneLinks
    epsilons: LaneLinks


def bare_level(lane: torch.Tensor, state: torch.Tensor, score: torch.Tensor) -> LaneLevel:
    """Returns a level of tokens that nothing leads to."""
    none = lane[:0]
    links = LaneLinks(none, none, none, none.float())
    return LaneLevel(lane, state, score, links, links)


class Standing(NamedTuple):
    """Where one utterance stands between two chunks, on the device.

    Attributes:
      before: float64 [K], scores of the tokens of the last level but one that may still be in the lattice.
      place: int64 [K], their numbers among the tokens of that level as they were handed out.
      level: the last level, in which everything is alive; `links.source` counts tokens of `before`.
    """

    before: torch.Tensor
    place: torch.Tensor
    level: LaneLevel

    @property
    def memory(self) -> int:
        """Bytes on the device."""
        level = self.level
        return _bytes(self.before, self.place, *level[:3], *level.links, *level.epsilons)


def _bytes(*tensors: torch.Tensor) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def expand(begin: torch.Tensor, end: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Spreads work over arcs instead of tokens: prefix sums of the numbers of arcs.

    Args:
      begin, end: int [N], ranges of arcs.

    Returns:
      int64 [Σ (end - begin)]: of each arc in these ranges whose it is, and its number.
    """
    sizes = (end - begin).long()
    owner = torch.repeat_interleave(torch.arange(len(sizes), device=sizes.device), sizes)
    offset = begin.long() - (sizes.cumsum(0) - sizes)
    return owner, offset[owner] + torch.arange(len(owner), device=sizes.device)


def best_of_each(values: torch.Tensor, place: torch.Tensor, count: int) -> torch.Tensor:
    """Returns float64 [count], the largest of the values that have each place; -inf where none has."""
    return values.new_full((count,), float("-inf")).scatter_reduce(0, place, values, "amax")


def cut_levels(tokens: Sequence[Any], links: Sequence[Any], epsilons: Sequence[Any], sizes: Any) -> list[LaneLevel]:
    """Cuts columns of all levels into levels.

    Args:
      tokens, links, epsilons: the columns of `LaneLevel` and of `LaneLinks`, level after level.
      sizes: of each kind, how many every level has.
    """
    columns = zip((tokens, links, epsilons), sizes)
    own, over, within = (list[Any](zip(*(c.split(size) for c in kind))) for kind, size in columns)
    return [
        LaneLevel(lane, state, score, LaneLinks(*a), LaneLinks(*b))
        for (lane, state, score), a, b in zip(own, over, within)
    ]


def concatenate(levels: list[LaneLevel], sizes_before: list[int]) -> LaneLevel:
    """Puts levels of different lanes side by side.

    Args:
      sizes_before: tokens of the level before each, which `links.source` counts.
    """
    tokens = [torch.cat(column) for column in zip(*(level[:3] for level in levels))]
    own = _offsets([len(level.lane) for level in levels])
    before = _offsets(sizes_before)
    links = in_one([level.links for level in levels], before, own)
    epsilons = in_one([level.epsilons for level in levels], own, own)
    return LaneLevel(tokens[0], tokens[1], tokens[2], links, epsilons)


def enter_lanes(level: LaneLevel, start: LaneLevel, lanes: Sequence[int]) -> LaneLevel:
    """Returns a level that more lanes enter; tokens and links lie lane by lane.

    Args:
      start: of one lane before any frame. lanes: numbers that the level has no tokens of.
    """
    count, device = len(lanes), start.state.device
    shift = torch.arange(count, device=device) * len(start.state)
    more = shift[:, None].expand(-1, len(start.epsilons.arc)).flatten()
    source, target, arc, acoustic = (column.repeat(count) for column in start.epsilons)
    lane = put(lanes, device)[:, None].expand(-1, len(start.state)).flatten()
    inside = LaneLinks(source + more, target + more, arc, acoustic)
    fresh = LaneLevel(lane, start.state.repeat(count), start.score.repeat(count), start.links, inside)
    both = concatenate([level, fresh], [0, 0])
    order = torch.argsort(both.lane, stable=True)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=device)
    tokens = [column[order] for column in both[:3]]
    links = both.links._replace(target=place[both.links.target])
    inside = both.epsilons._replace(source=place[both.epsilons.source], target=place[both.epsilons.target])
    inside = LaneLinks(*(column[torch.argsort(tokens[0][inside.target], stable=True)] for column in inside))
    return LaneLevel(tokens[0], tokens[1], tokens[2], links, inside)


def _offsets(sizes: list[int]) -> list[int]:
    return [0, *np.cumsum(sizes).tolist()][:-1]


def of_each(numbers: Sequence[int], sizes: Sequence[int], device: torch.device) -> torch.Tensor:
    """Returns int64 [Σ sizes], each number as often as its size says."""
    place = torch.arange(sum(sizes), device=device)  # `repeat_interleave` gives each number to one thread
    return put(numbers, device)[torch.searchsorted(put(np.cumsum(sizes), device), place, right=True)]


def put(numbers: Any, device: torch.device) -> torch.Tensor:
    """Returns a few numbers as a tensor on a device; the host does not wait until the device has done all before."""
    return torch.as_tensor(numbers).to(device, non_blocking=True)


def in_one(parts: Sequence[LaneLinks], sources: Sequence[int], targets: Sequence[int]) -> LaneLinks:
    """Returns the links of all parts, tokens counted through.

    Args:
      sources, targets: of each part, how many tokens come before those that it counts.
    """
    flat = parts[0] if len(parts) == 1 else LaneLinks(*(torch.cat(column) for column in zip(*parts)))
    if not any(sources) and not any(targets):
        return flat
    source, target, arc, acoustic = flat
    sizes, device = [len(part.arc) for part in parts], arc.device
    more = of_each(targets, sizes, device)
    other = more if sources == targets else of_each(sources, sizes, device)
    return LaneLinks(source + other, target + more, arc, acoustic)
