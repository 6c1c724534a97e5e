"""Launches of the kernels for a chunk of frames: everything stays on the device, with one look at it per chunk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from hybrid.base.log import get_logger
from hybrid.lanes import card_kernels as kernels
from hybrid.lanes.cutoff_kernels import cutoffs
from hybrid.lanes.lane_values import DeviceGraph, LaneLevel, LaneLinks, LaneWidths
from hybrid.lanes.rooms import Rooms

__all__ = ["CardPasses"]

logger = get_logger(__name__)

FULL, COUNTERS = 8, 9  # see card_kernels
LOWEST = torch.iinfo(torch.int64).min


@dataclass(eq=False)
class _Memory:
    """What the kernels work in; see `card_kernels` for the names."""

    frames: torch.Tensor
    lengths: torch.Tensor
    limited: torch.Tensor
    settings: torch.Tensor
    counters: torch.Tensor
    marks: torch.Tensor
    lane_ends: torch.Tensor
    lane_counts: torch.Tensor
    cutoff: torch.Tensor
    width: torch.Tensor
    best: torch.Tensor
    log_lane: torch.Tensor
    log_state: torch.Tensor
    log_score: torch.Tensor
    link_source: torch.Tensor
    link_target: torch.Tensor
    link_arc: torch.Tensor
    link_acoustic: torch.Tensor
    inner_source: torch.Tensor
    inner_target: torch.Tensor
    inner_arc: torch.Tensor
    sizes: torch.Tensor
    ends: torch.Tensor
    inner_sizes: torch.Tensor
    inner_ends: torch.Tensor
    totals: torch.Tensor
    owners: torch.Tensor
    entries: torch.Tensor
    claimed: torch.Tensor
    waves: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor
    ranks: torch.Tensor
    numbers: torch.Tensor
    stamps: torch.Tensor
    recorded: Any = None

    @classmethod
    def make(cls, rooms: Rooms, lanes: int, frames: int, num_pdfs: int, device: torch.device) -> _Memory:
        """Allocates all arrays on the device, empty."""

        def new(kind: torch.dtype, *shape: int, value: float = 0) -> torch.Tensor:
            return torch.full(shape, value, dtype=kind, device=device)

        double, long, whole = torch.float64, torch.int64, torch.int32
        tokens, arcs, entries = rooms.tokens, rooms.arcs, rooms.table + 1
        memory = cls(
            frames=new(torch.float32, lanes, frames, num_pdfs), lengths=new(long, lanes), limited=new(long, lanes),
            settings=new(double, 3), counters=new(long, COUNTERS), marks=new(long, frames + 1, 3),
            lane_ends=new(long, lanes + 1), lane_counts=new(whole, lanes), cutoff=new(double, lanes),
            width=new(double, lanes), best=new(long, lanes), log_lane=new(whole, rooms.log_tokens),
            log_state=new(whole, rooms.log_tokens), log_score=new(double, rooms.log_tokens),
            link_source=new(whole, rooms.log_links), link_target=new(whole, rooms.log_links),
            link_arc=new(whole, rooms.log_links), link_acoustic=new(torch.float32, rooms.log_links),
            inner_source=new(whole, rooms.log_links), inner_target=new(whole, rooms.log_links),
            inner_arc=new(whole, rooms.log_links), sizes=new(whole, tokens), ends=new(long, tokens),
            inner_sizes=new(whole, tokens), inner_ends=new(long, tokens), totals=new(double, arcs),
            owners=new(whole, arcs), entries=new(long, arcs), claimed=new(long, tokens), waves=new(long, 2, tokens),
            keys=new(long, entries, value=-1), values=new(long, entries, value=LOWEST), ranks=new(whole, entries),
            numbers=new(whole, entries), stamps=new(whole, entries),
        )  # fmt: skip
        memory.keys[-1] = -2  # looked at by who looks for nothing: neither free nor anybody's
        return memory


class CardPasses:
    """`twin.pass_frames`, by Triton's kernels.

    Where a chunk does not fit into the memory that was laid out for it, there is more for its repetition and after.
    """

    def __init__(self, programs: int = 512, block: int = 256) -> None:
        """See the class.

        Args:
          programs: that share the work of a launch. block: elements that each takes at a time.
        """
        self.programs, self.block, self.growth = programs, block, 1
        self._memory: tuple[Any, _Memory] | None = None

    def __call__(
        self, graph: DeviceGraph, level: LaneLevel, frames: torch.Tensor, lengths: torch.Tensor, widths: LaneWidths
    ) -> tuple[list[LaneLevel], torch.Tensor]:
        """See `twin.pass_frames`; the tokens of `level` lie lane by lane."""
        while True:
            memory = self._memory_for(graph, level, frames, widths)
            _begin(memory, level, frames, lengths, widths)
            self._run(graph, memory, widths, frames.shape[1])
            marks, counters = memory.marks.cpu().tolist(), memory.counters.cpu().tolist()
            if not counters[FULL]:
                count, lanes = frames.shape[1], len(lengths)
                return [_level(memory, marks[t], marks[t + 1]) for t in range(count)], memory.limited[:lanes].clone()
            self.growth *= 2
            logger.debug("a chunk of %d lanes did not fit; searching it again with twice the room", len(lengths))

    def _memory_for(self, graph: DeviceGraph, level: LaneLevel, frames: torch.Tensor, widths: LaneWidths) -> _Memory:
        lanes, count, num_pdfs = frames.shape
        rooms = Rooms.predict(graph, widths, lanes, count, self.growth, len(level.lane))
        key = (rooms, frames.shape, frames.device, graph)
        if self._memory is None or self._memory[0] != key:
            self._memory = None  # freed before the next is laid out
            self._memory = key, _Memory.make(rooms, lanes, count, num_pdfs, frames.device)
        return self._memory[1]

    def _run(self, graph: DeviceGraph, memory: _Memory, widths: LaneWidths, frames: int) -> None:
        """Passes the frames; launches of one frame are recorded once and replayed where that can be."""
        for _ in range(frames):
            if memory.recorded is not None:
                memory.recorded.replay()
            else:
                self._pass_frame(graph, memory, widths)
        if memory.recorded is None and memory.frames.is_cuda:
            memory.recorded = torch.cuda.CUDAGraph()
            torch.cuda.synchronize()
            with torch.cuda.graph(memory.recorded):
                self._pass_frame(graph, memory, widths)

    def _pass_frame(self, graph: DeviceGraph, m: _Memory, widths: LaneWidths) -> None:
        grid, tokens, arcs = (self.programs,), len(m.sizes), len(m.totals)
        # Sums keep their order: no multiplication is fused with an addition, so that scores are the twin's.
        own = {"BLOCK": self.block, "enable_fp_fusion": False}
        table, states, bits = len(m.keys) - 1, graph.num_states, graph.arcs.view(torch.float32)
        log, shape = (m.log_lane, m.log_state, m.log_score), m.frames.shape[1:]
        hashed = (m.keys, m.values, m.claimed, m.ranks, m.lane_counts)
        cutoffs[(len(m.lengths),)](
            m.counters, m.log_score, m.lane_ends, m.cutoff, m.width, m.best, m.lane_counts, m.limited, m.lengths,
            m.settings, widths.max_active, widths.min_active, **own,
        )  # fmt: skip
        kernels.emit_sizes[grid](m.counters, *log, m.cutoff, m.lengths, graph.bounds, m.sizes, tokens, **own)
        torch.cumsum(m.sizes, 0, out=m.ends)
        kernels.emit[grid](
            m.counters, *log, graph.bounds, graph.arcs, bits, m.frames, *shape, m.settings, m.sizes, m.ends, m.totals,
            m.owners, m.best, tokens, arcs, **own,
        )  # fmt: skip
        kernels.insert[grid](
            m.counters, m.log_lane, graph.arcs, graph.bounds, m.log_state, m.sizes, m.ends, m.totals, m.owners, m.best,
            m.width, states, *hashed, m.entries, table, tokens, arcs, **own,
        )  # fmt: skip
        self._close(graph, m)
        torch.cumsum(m.lane_counts, 0, out=m.lane_ends[1:])
        kernels.place[grid](
            m.counters, m.claimed, m.keys, m.values, m.ranks, m.lane_ends, states, m.numbers, *log, tokens,
            len(m.log_lane), **own,
        )  # fmt: skip
        kernels.emit_links[grid](
            m.counters, m.log_lane, m.log_state, graph.bounds, graph.arcs, m.frames, *shape, m.sizes, m.ends, m.owners,
            m.entries, m.numbers, m.link_source, m.link_target, m.link_arc, m.link_acoustic, tokens, arcs,
            len(m.link_arc), **own,
        )  # fmt: skip
        kernels.inner_sizes[grid](m.counters, m.log_state, graph.bounds, m.inner_sizes, tokens, **own)
        torch.cumsum(m.inner_sizes, 0, out=m.inner_ends)
        kernels.epsilon_links[grid](
            m.counters, *log, m.best, m.width, states, graph.bounds, graph.arcs, bits, m.inner_sizes, m.inner_ends,
            m.keys, *hashed[2:], m.numbers, m.inner_source, m.inner_target, m.inner_arc, table, tokens, arcs,
            len(m.inner_arc), **own,
        )  # fmt: skip
        kernels.clear[grid](m.counters, m.claimed, m.keys, m.values, m.stamps, tokens, BLOCK=self.block)
        kernels.next_frame[(1,)](m.counters, m.marks)

    def _close(self, graph: DeviceGraph, m: _Memory) -> None:
        """Follows epsilon arcs, as many waves as the longest chain has arcs."""
        grid, tokens, arcs, table = (self.programs,), len(m.sizes), len(m.totals), len(m.keys) - 1
        kernels.first_wave[(1,)](m.counters)
        wave = m.claimed
        for number in range(graph.depth):
            following = m.waves[number % 2]
            kernels.closing_sizes[grid](
                m.counters, m.keys, wave, graph.num_states, graph.bounds, m.inner_sizes, tokens, BLOCK=self.block
            )
            torch.cumsum(m.inner_sizes, 0, out=m.inner_ends)
            kernels.relax[grid](
                m.counters, wave, following, m.stamps, number + 1, m.best, m.width, graph.num_states, graph.bounds,
                graph.arcs, graph.arcs.view(torch.float32), m.inner_sizes, m.inner_ends, m.keys, m.values, m.claimed,
                m.ranks, m.lane_counts, table, tokens, arcs, BLOCK=self.block, enable_fp_fusion=False,
            )  # fmt: skip
            kernels.next_wave[(1,)](m.counters)
            wave = following


def _begin(m: _Memory, level: LaneLevel, frames: torch.Tensor, lengths: torch.Tensor, widths: LaneWidths) -> None:
    """Lays out where the lanes stand, and frees what a chunk that did not fit left in use."""
    count = len(level.lane)
    m.frames.copy_(frames)
    m.lengths.copy_(lengths)
    m.settings.copy_(torch.tensor([widths.beam, widths.beam_delta, widths.scale], dtype=torch.float64))
    m.limited.zero_()
    m.marks.zero_()
    if int(m.counters[FULL]):
        m.keys[:-1], m.values[:], m.stamps[:] = -1, LOWEST, 0
    m.counters.zero_()
    m.counters[1] = count
    m.marks[0, 0] = count
    for log, tokens in zip((m.log_lane, m.log_state, m.log_score), level[:3]):
        log[:count] = tokens
    m.lane_ends[1:] = torch.bincount(level.lane, minlength=len(lengths)).cumsum(0)


def _level(m: _Memory, begin: list[int], end: list[int]) -> LaneLevel:
    """Returns the level between two marks."""
    tokens, links, inside = (slice(a, b) for a, b in zip(begin, end))
    over = LaneLinks(
        m.link_source[links].long(),
        m.link_target[links].long(),
        m.link_arc[links].long(),
        m.link_acoustic[links].clone(),
    )
    arc = m.inner_arc[inside].long()
    within = LaneLinks(
        m.inner_source[inside].long(), m.inner_target[inside].long(), arc, torch.zeros_like(arc, dtype=torch.float32)
    )
    return LaneLevel(m.log_lane[tokens].long(), m.log_state[tokens].long(), m.log_score[tokens].clone(), over, within)
