"""Whole utterances in lanes: one that ends makes room for the next that waits.

Levels stay on the device, of all lanes one behind the other, until as much of them belongs to utterances that have
ended as to those that go on; then what has ended leaves. So memory holds about what lanes hold anyway, and each level
is looked at a few times, however many utterances there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from hybrid.lanes.backward import within_beam
from hybrid.lanes.lane_values import LaneLevel, enter_lanes, of_each, put
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
    while batch.going:
        batch.move()
        if batch.ripe:
            yield batch.harvest()


class _Places(NamedTuple):
    """Where utterances are, int64 each: their numbers, their lanes, the levels at which they begin and end."""

    which: np.ndarray
    lane: np.ndarray
    begin: np.ndarray
    end: np.ndarray

    def some(self, mask: np.ndarray) -> _Places:
        """Returns those of a mask."""
        return _Places(*(column[mask] for column in self))

    def and_more(self, more: _Places) -> _Places:
        """Returns these and others behind them."""
        return _Places(*map(np.concatenate, zip(self, more)))


NOBODY = _Places(*np.zeros((4, 0), np.int64))


class _Lanes:
    """Utterances under way.

    A lane belongs to one utterance after the other, with a level between them. What the host knows of lanes lies in
    arrays, and on the device too, where it changes only when utterances begin: a move asks little of either.

    Attributes:
      waiting: the number of the first that has not begun. running: those in lanes. ended: those whose levels are here.
      level: where all lanes stand. here: its number. parts: the levels before it.
      at: int64 [3][lane] on the device: utterance, begin and end; of a lane without one a number that nobody has.
    """

    def __init__(self, searcher: TorchSearcher, utterances: Sequence[Any], lanes: int) -> None:
        self.searcher, self.utterances, self.lanes = searcher, utterances, lanes
        self.widths = replace(searcher.widths, lattice_beam=searcher.widths.lattice_beam + SLACK)
        self.sizes, self.waiting = np.array(list(map(len, utterances)), np.int64), 0
        self.running, self.ended = NOBODY, NOBODY
        self.level, self.here, self.parts = _nothing(searcher.start), 0, list[LaneLevels]()
        self.limited = torch.zeros(len(utterances) + 1, dtype=torch.int64, device=searcher.device)
        self.scores: torch.Tensor | None = None  # [lane][frame][pdf_id], where they lie on the device
        if on_same(searcher.device, utterances):
            shape = lanes, max(1, int(self.sizes.max())), searcher.num_pdfs
            self.scores = torch.zeros(shape, device=searcher.device)

    @property
    def going(self) -> bool:
        """Whether there is something to do."""
        return bool(len(self.running.which)) or self.waiting < len(self.sizes)

    @property
    def ripe(self) -> bool:
        """Whether as many frames belong to utterances that have ended as to those under way."""
        under_way = np.minimum(self.here, self.running.end) - self.running.begin
        return bool(len(self.ended.which)) and (self.ended.end - self.ended.begin).sum() >= under_way.sum()

    def move(self) -> None:
        """Fills lanes that are free, and passes the next frames of all."""
        self._enter()
        left, waits = (self.running.end - self.here).max(), self.waiting < len(self.sizes)
        # A lane is free one level after the end of its utterance; where nothing waits that does not matter.
        count = int(min(max(left, 1) + waits, INTERVAL))
        lengths = (self.at[2] - self.here).clamp(0, count)
        frames = self._frames(count)
        self.parts.append(in_a_row([self.level]))
        between, self.level, at_limit = self.searcher.code.pruned(
            self.searcher.placed, self.level, frames, lengths, self.widths
        )
        self.parts.append(between)
        self.here += count
        self.limited.index_add_(0, self.at[0], at_limit)
        over = self.running.end < self.here + (not waits)
        self.ended, self.running = self.ended.and_more(self.running.some(over)), self.running.some(~over)

    def _enter(self) -> None:
        busy = np.zeros(self.lanes, np.bool_)
        busy[self.running.lane] = True
        free = np.flatnonzero(~busy)[: len(self.sizes) - self.waiting]
        if not len(free):
            return
        which = np.arange(self.waiting, self.waiting + len(free))
        self.waiting += len(free)
        here = np.full(len(free), self.here)
        self.running = self.running.and_more(_Places(which, free, here, self.here + self.sizes[which]))
        table = np.array([[len(self.sizes)], [0], [0]]).repeat(self.lanes, 1)
        table[:, self.running.lane] = self.running.which, self.running.begin, self.running.end
        self.at = put(table, self.searcher.device)
        if self.scores is not None:
            place = which.tolist()
            first = (free * self.scores.shape[1] - self.sizes[which].cumsum() + self.sizes[which]).tolist()
            scores = torch.cat([self.utterances[i] for i in place])
            rows = of_each(first, self.sizes[which].tolist(), scores.device)
            rows += torch.arange(len(rows), device=rows.device)
            self.scores.view(-1, self.scores.shape[2]).index_copy_(0, rows, scores)
        self.level = enter_lanes(self.level, self.searcher.start, free.tolist())

    def _frames(self, count: int) -> torch.Tensor:
        """Returns the next frames, float32 [lane][frame][pdf_id]; beyond the end of an utterance whatever there is."""
        device = self.searcher.device
        if self.scores is not None:
            frame = (self.here - self.at[1])[:, None] + torch.arange(count, device=device)
            frame = frame.clamp(0, self.scores.shape[1] - 1)
            return self.scores[torch.arange(self.lanes, device=device)[:, None], frame]
        chunks = [self.utterances[0][:0]] * self.lanes
        for which, lane, begin in zip(*(column.tolist() for column in self.running[:3])):
            chunks[lane] = self.utterances[which][self.here - begin : self.here - begin + INTERVAL]
        frames = chunk_on(device, chunks)
        return torch.nn.functional.pad(frames, (0, 0, 0, count - frames.shape[1]))

    def harvest(self) -> FoundTogether:
        """Takes out the utterances that have ended, with final scores counted; the others go on, pruned.

        The host waits for the device once, for sizes; what leaves is on its way when this returns.
        """
        searcher, device = self.searcher, self.searcher.device
        whole = joined([*self.parts, in_a_row([self.level])])
        places, ended = self.ended.and_more(self.running), len(self.ended.which)
        lanes, begins, ends = put(np.stack(places[1:]), device)
        own = self._owners(lanes, begins)[whole.number, whole.lane]
        over = own < ended
        loss = _final_loss(searcher, whole, own, ends, over)
        kept = within_beam(searcher.placed, whole, loss, self.lanes, self.widths, searcher.code.take_losses)
        done, left = _told_apart(whole, kept, over)
        earlier = _told_apart(whole, left, whole.number < self.here)[0]
        sizes = sizes_of([*done, *left, *earlier])
        gone = chosen(whole._replace(lane=own), done, sizes[:3])
        self._go_on(chosen(whole, left, sizes[3:6]), sizes[6:])
        limited = self.limited[put(self.ended.which, device)]
        found = hand_out_all(searcher.placed, gone, ended, begins, limited)
        which, frames = self.ended.which.tolist(), self.ended.end - self.ended.begin
        self.ended = NOBODY
        return FoundTogether(searcher.graph, searcher.config, found, which, frames)

    def _owners(self, lanes: torch.Tensor, begins: torch.Tensor) -> torch.Tensor:
        """Returns int64 [level][lane], the number of the place that a lane belongs to; later ones have larger numbers.

        Args:
          lanes, begins: int64 [place].
        """
        owners = torch.zeros((self.here + 1, self.lanes), dtype=torch.int64, device=lanes.device)
        owners[begins, lanes] = torch.arange(len(lanes), device=lanes.device)
        return torch.cummax(owners, 0).values

    def _go_on(self, levels: LaneLevels, earlier: list[int]) -> None:
        """Keeps the levels of the utterances under way, from the first that has any.

        Args:
          earlier: how many tokens, links and links over epsilons come before the level where all stand.
        """
        first = int(self.running.begin.min(initial=self.here))
        levels = levels._replace(levels=levels.levels - first, number=levels.number - first)
        between, self.level = without_ends(levels, None, earlier)
        self.here, self.parts, self.at = (
            self.here - first,
            [between],
            self.at - put([[0], [first], [first]], self.at.device),
        )
        self.running = self.running._replace(begin=self.running.begin - first, end=self.running.end - first)


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
