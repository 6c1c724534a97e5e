"""Whole utterances in lanes: one that ends makes room for the next that waits.

Levels stay on the device, of all lanes one behind the other, until as much of them belongs to utterances that have
ended as to those that go on; then what has ended leaves. So memory holds about what lanes hold anyway, and each level
is looked at a few times, however many utterances there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hybrid.lanes.backward import hand_out, keep_lanes, level_numbers, prune_back
from hybrid.lanes.lane_values import LaneLevel, enter_lanes, put, relabel_lanes
from hybrid.search.engines.assemble import INTERVAL
from hybrid.search.together.torch_batch import FoundTogether, chunk_on, on_same

if TYPE_CHECKING:
    from hybrid.search.together.torch_search import TorchSearcher

__all__ = ["search_together"]

SLACK = 1e-3  # the device prunes by so much less than asked for; the last word has `assemble`, as in every engine


def search_together(searcher: TorchSearcher, utterances: Sequence[Any], lanes: int) -> Iterator[FoundTogether]:
    """Searches utterances side by side; yields what was found of some of them, as they end.

    Args:
      utterances: checked scores, float32 [frame][pdf_id] each, arrays or tensors of the device; the first begin first.
      lanes: how many are searched at a time.
    """
    if not utterances:
        return
    batch = _Lanes(searcher, utterances, min(lanes, len(utterances)))
    while batch.running or batch.waiting:
        batch.move()
        if batch.ripe:
            yield batch.harvest()


@dataclass(eq=False)
class _Place:
    """Where an utterance is: its number, its lane, the level at which it begins, its frames."""

    which: int
    lane: int
    begin: int
    length: int


class _Lanes:
    """Utterances under way.

    Attributes:
      waiting: numbers of those that have not begun. running: those in lanes. ended: those whose levels are still here.
      levels: of all lanes; a lane belongs to one utterance after the other, with a level between them.
    """

    def __init__(self, searcher: TorchSearcher, utterances: Sequence[Any], lanes: int) -> None:
        self.searcher, self.utterances, self.lanes = searcher, utterances, lanes
        self.widths = replace(searcher.widths, lattice_beam=searcher.widths.lattice_beam + SLACK)
        self.waiting = deque(range(len(utterances)))
        self.running: list[_Place] = []
        self.ended: list[_Place] = []
        self.levels = [_nothing(searcher.start)]
        self.limited = torch.zeros(len(utterances), dtype=torch.int64, device=searcher.device)
        self.scores: torch.Tensor | None = None  # [lane][frame][pdf_id], where they lie on the device
        if on_same(searcher.device, utterances):
            shape = lanes, max(1, *map(len, utterances)), searcher.num_pdfs
            self.scores = torch.zeros(shape, device=searcher.device)

    @property
    def here(self) -> int:
        """The level where all lanes stand."""
        return len(self.levels) - 1

    @property
    def ripe(self) -> bool:
        """Whether as many frames belong to utterances that have ended as to those under way."""
        under_way = sum(min(self.here - place.begin, place.length) for place in self.running)
        return bool(self.ended) and sum(place.length for place in self.ended) >= under_way

    def move(self) -> None:
        """Fills lanes that are free, and passes the next frames of all."""
        self._enter()
        left = [min(max(place.length - self.here + place.begin, 0), INTERVAL) for place in self.running]
        # A lane is free one level after the end of its utterance; where nothing waits that does not matter.
        count = min(max(max(left), 1) + bool(self.waiting), INTERVAL)
        lengths = np.zeros(self.lanes, np.int64)
        own = [place.lane for place in self.running]
        lengths[own] = left
        frames, device = self._frames(count), self.searcher.device
        self.levels[-1:], at_limit = self.searcher.code.pruned(
            self.searcher.placed, self.levels[-1], frames, put(lengths, device), self.widths
        )
        self.limited[put([place.which for place in self.running], device)] += at_limit[put(own, device)]
        upto = self.here + (not self.waiting)
        self.ended += [place for place in self.running if place.begin + place.length < upto]
        self.running = [place for place in self.running if place.begin + place.length >= upto]

    def _enter(self) -> None:
        free = sorted(set(range(self.lanes)) - {place.lane for place in self.running})[: len(self.waiting)]
        if not free:
            return
        for lane in free:
            which = self.waiting.popleft()
            place = _Place(which, lane, self.here, len(self.utterances[which]))
            self.running.append(place)
            if self.scores is not None:
                self.scores[lane, : place.length] = self.utterances[which]
        self.levels[-1] = enter_lanes(self.levels[-1], self.searcher.start, free)

    def _frames(self, count: int) -> torch.Tensor:
        """Returns the next frames, float32 [lane][frame][pdf_id]; beyond the end of an utterance whatever there is."""
        device, passed = self.searcher.device, [0] * self.lanes
        for place in self.running:
            passed[place.lane] = self.here - place.begin
        if self.scores is not None:
            first, last = put(passed, device)[:, None], self.scores.shape[1] - 1
            frame = (first + torch.arange(count, device=device)).clamp_max(last)
            return self.scores[torch.arange(self.lanes, device=device)[:, None], frame]
        chunks = [self.utterances[0][:0]] * self.lanes
        for place in self.running:
            begin = passed[place.lane]
            chunks[place.lane] = self.utterances[place.which][begin : begin + INTERVAL]
        frames = chunk_on(device, chunks)
        return torch.nn.functional.pad(frames, (0, 0, 0, count - frames.shape[1]))

    def harvest(self) -> FoundTogether:
        """Takes out the utterances that have ended, with final scores counted; the others go on, pruned."""
        searcher, device = self.searcher, self.searcher.device
        places = sorted([*self.ended, *self.running], key=lambda place: (place.lane, place.begin))
        levels = relabel_lanes(self.levels, self._owners(places))
        begins, lengths = put([(p.begin, p.length) for p in places], device).T
        over = np.array([place.begin + place.length < self.here + (not self.waiting) for place in places])
        done = put(over, device)
        loss = _final_loss(searcher, levels, begins + lengths, done)
        levels = prune_back(searcher.placed, levels, loss, len(places), self.widths, searcher.code.take_losses)
        gone, self.levels = keep_lanes(levels, done), self._going_on(keep_lanes(levels, ~done), places)
        handed, _ = hand_out([_nothing(levels[0]), *gone], torch.where(done, lengths + 2, 0), begins)
        which = [place.which for place, ended in zip(places, over) if ended]
        limited = self.limited[which].cpu().numpy()
        self.ended = []
        return FoundTogether(
            searcher.graph, searcher.config, handed._replace(sizes=handed.sizes[over]), which,
            np.array([len(self.utterances[i]) for i in which], np.int64), limited,
        )  # fmt: skip

    def _owners(self, places: list[_Place]) -> torch.Tensor:
        """Returns int64 [level][lane], the number of the place that a lane belongs to."""
        owners = np.zeros((len(self.levels), self.lanes), np.int64)
        for number, place in enumerate(places):
            owners[place.begin : place.begin + place.length + 1, place.lane] = number
        return put(owners, self.searcher.device)

    def _going_on(self, levels: list[LaneLevel], places: list[_Place]) -> list[LaneLevel]:
        """Returns the levels of the utterances under way by lanes again, from the first that has any."""
        if not self.running:
            return [_nothing(levels[0])]
        lanes = put([[place.lane for place in places]], self.searcher.device).expand(len(levels), -1)
        first = min(place.begin for place in self.running)
        for place in self.running:
            place.begin -= first
        return relabel_lanes(levels, lanes)[first:]


def _nothing(level: LaneLevel) -> LaneLevel:
    """Returns a level without tokens."""
    links = type(level.links)(*(column[:0] for column in level.links))
    return LaneLevel(level.lane[:0], level.state[:0], level.score[:0], links, links)


def _final_loss(
    searcher: TorchSearcher, levels: list[LaneLevel], last: torch.Tensor, done: torch.Tensor
) -> torch.Tensor:
    """Returns what a path loses that ends in each token, float64: inf but for tokens of its lane's last level.

    Final scores count; in a lane where no token is in a final state, every token may end a path. In lanes that go on
    every token of the last level of all may.

    Args:
      last: int64 [lane], the number of a lane's last level. done: bool [lane], whether it ends there.
    """
    lane = torch.cat([level.lane for level in levels])
    number = level_numbers(levels)
    loss = torch.where(~done[lane] & (number == len(levels) - 1), 0.0, float("inf")).double()
    ending = torch.nonzero(done[lane] & (number == last[lane])).flatten()
    own = lane[ending]
    state, score = (torch.cat(column)[ending] for column in list(zip(*levels))[1:3])
    ended = score + searcher.finals[state].double()
    none = torch.full(last.shape, float("-inf"), dtype=torch.float64, device=lane.device)
    complete = none.scatter_reduce(0, own, ended, "amax") > float("-inf")
    total = torch.where(complete[own], ended, score)
    loss[ending] = none.scatter_reduce(0, own, total, "amax")[own] - total
    return loss
