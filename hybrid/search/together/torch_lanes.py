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

from hybrid.lanes.backward import within_beam
from hybrid.lanes.lane_values import LaneLevel, enter_lanes, put
from hybrid.lanes.leaving import hand_out_all
from hybrid.lanes.levels import LaneLevels, Masks, chosen, in_a_row, joined, sizes_of, without_ends
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
      level: where all lanes stand. here: its number. parts: the levels before it.

    A lane belongs to one utterance after the other, with a level between them.
    """

    def __init__(self, searcher: TorchSearcher, utterances: Sequence[Any], lanes: int) -> None:
        self.searcher, self.utterances, self.lanes = searcher, utterances, lanes
        self.widths = replace(searcher.widths, lattice_beam=searcher.widths.lattice_beam + SLACK)
        self.waiting = deque(range(len(utterances)))
        self.running: list[_Place] = []
        self.ended: list[_Place] = []
        self.level, self.here, self.parts = _nothing(searcher.start), 0, list[LaneLevels]()
        self.limited = torch.zeros(len(utterances), dtype=torch.int64, device=searcher.device)
        self.scores: torch.Tensor | None = None  # [lane][frame][pdf_id], where they lie on the device
        if on_same(searcher.device, utterances):
            shape = lanes, max(1, *map(len, utterances)), searcher.num_pdfs
            self.scores = torch.zeros(shape, device=searcher.device)

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
        self.parts.append(in_a_row([self.level]))
        between, self.level, at_limit = self.searcher.code.pruned(
            self.searcher.placed, self.level, frames, put(lengths, device), self.widths
        )
        self.parts.append(between)
        self.here += count
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
        self.level = enter_lanes(self.level, self.searcher.start, free)

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
        """Takes out the utterances that have ended, with final scores counted; the others go on, pruned.

        The host waits for the device once, for sizes; what leaves is on its way when this returns.
        """
        searcher, device = self.searcher, self.searcher.device
        whole = joined([*self.parts, in_a_row([self.level])])
        places = [*self.ended, *self.running]
        own = put(self._owners(places), device)[whole.number, whole.lane]
        begins, lengths = put(np.array([(p.begin, p.length) for p in places]).T, device)
        over = own < len(self.ended)
        loss = _final_loss(searcher, whole, own, begins + lengths, over)
        kept = within_beam(searcher.placed, whole, loss, self.lanes, self.widths, searcher.code.take_losses)
        done, left = _told_apart(whole, kept, over)
        earlier = _told_apart(whole, left, whole.number < self.here)[0]
        sizes = sizes_of([*done, *left, *earlier])
        gone = chosen(whole._replace(lane=own), done, sizes[:3])
        self._go_on(chosen(whole, left, sizes[3:6]), sizes[6:])
        which = [place.which for place in self.ended]
        found = hand_out_all(searcher.placed, gone, len(which), begins, self.limited[put(which, device)])
        frames = np.array([place.length for place in self.ended], np.int64)
        self.ended = []
        return FoundTogether(searcher.graph, searcher.config, found, which, frames)

    def _owners(self, places: list[_Place]) -> np.ndarray:
        """Returns int64 [level][lane], the number of the place that a lane belongs to."""
        owners = np.zeros((self.here + 1, self.lanes), np.int64)
        for number, place in enumerate(places):
            owners[place.begin : place.begin + place.length + 1, place.lane] = number
        return owners

    def _go_on(self, levels: LaneLevels, earlier: list[int]) -> None:
        """Keeps the levels of the utterances under way, from the first that has any.

        Args:
          earlier: how many tokens, links and links over epsilons come before the level where all stand.
        """
        first = min([place.begin for place in self.running], default=self.here)
        levels = levels._replace(levels=levels.levels - first, number=levels.number - first)
        between, self.level = without_ends(levels, None, earlier)
        self.here -= first
        self.parts = [between]
        for place in self.running:
            place.begin -= first


def _told_apart(stretch: LaneLevels, kept: Masks, some: torch.Tensor) -> tuple[Masks, Masks]:
    """Returns which of what is kept belongs to some tokens, bool [N], and what does not."""
    of_each = some, some[stretch.links.target], some[stretch.epsilons.target]
    return Masks(*(k & m for k, m in zip(kept, of_each))), Masks(*(k & ~m for k, m in zip(kept, of_each)))


def _nothing(level: LaneLevel) -> LaneLevel:
    """Returns a level without tokens."""
    links = type(level.links)(*(column[:0] for column in level.links))
    return LaneLevel(level.lane[:0], level.state[:0], level.score[:0], links, links)


def _final_loss(
    searcher: TorchSearcher, levels: LaneLevels, own: torch.Tensor, last: torch.Tensor, done: torch.Tensor
) -> torch.Tensor:
    """Returns what a path loses that ends in each token, float64: inf but for tokens of its utterance's last level.

    Final scores count; in an utterance where no token is in a final state, every token may end a path. In those that go
    on every token of the last level of all may.

    Args:
      own: int64 [N], the place of each token. last: int64 [place], the number of its last level.
      done: bool [N], whether it ends there.
    """
    infinite = float("inf")
    ended = levels.score + searcher.finals[levels.state].double()
    ending = done & (levels.number == last[own])
    none = torch.full(last.shape, -infinite, dtype=torch.float64, device=own.device)
    complete = none.scatter_reduce(0, own, torch.where(ending, ended, -infinite), "amax") > -infinite
    total = torch.where(complete[own], ended, levels.score)
    best = none.scatter_reduce(0, own, torch.where(ending, total, -infinite), "amax")
    going_on = torch.where(~done & (levels.number == levels.levels - 1), 0.0, infinite).double()
    return torch.where(ending, best[own] - total, going_on)
