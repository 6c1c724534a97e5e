"""Launches of the kernels for a chunk of frames: everything stays on the device, with one look at it per chunk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from hybrid.base.log import get_logger
from hybrid.lanes import card_kernels as kernels
from hybrid.lanes.backward import Row
from hybrid.lanes.backward_kernels import chunk_losses, lane_losses
from hybrid.lanes.cutoff_kernels import cutoffs
from hybrid.lanes.lane_values import DeviceGraph, LaneLevel, LaneWidths, cut_levels
from hybrid.lanes.rooms import Rooms

__all__ = ["CardPasses", "take_losses"]

logger = get_logger(__name__)

FULL, COUNTERS = 8, 9  # see card_kernels
PER_PROCESSOR = 16  # programs that a multiprocessor holds at a time
LOWEST = torch.iinfo(torch.int64).min
INFINITE = 0x7FF0000000000000  # the bits of float64 infinity


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
    block_owners: torch.Tensor
    totals: torch.Tensor
    owners: torch.Tensor
    kept_sizes: torch.Tensor
    kept_ends: torch.Tensor
    kept_totals: torch.Tensor
    keys: torch.Tensor
    inner_sizes: torch.Tensor
    inner_ends: torch.Tensor
    claimed: torch.Tensor
    waves: torch.Tensor
    rows: torch.Tensor
    lane_log: torch.Tensor
    extra: torch.Tensor
    kept_links: torch.Tensor
    kept_inner: torch.Tensor
    recorded: Any = None

    @classmethod
    def make(cls, rooms: Rooms, shape: torch.Size, block: int, device: torch.device) -> _Memory:
        """Allocates all arrays on the device, empty.

        Args:
          shape: [lane][frame][pdf_id]. block: arcs that a program takes at a time.
        """
        lanes, frames, _ = shape

        def new(kind: torch.dtype, *shape: int, value: float = 0) -> torch.Tensor:
            return torch.full(shape, value, dtype=kind, device=device)

        double, long, whole = torch.float64, torch.int64, torch.int32
        tokens, arcs, blocks = rooms.tokens, rooms.arcs, -(-rooms.arcs // block)
        return cls(
            frames=new(torch.float32, *shape), lengths=new(long, lanes), limited=new(long, lanes),
            settings=new(double, 3), counters=new(long, COUNTERS), marks=new(long, frames + 1, 3),
            lane_ends=new(long, lanes + 1), lane_counts=new(whole, lanes), cutoff=new(double, lanes),
            width=new(double, lanes), best=new(long, lanes), log_lane=new(whole, rooms.log_tokens),
            log_state=new(whole, rooms.log_tokens), log_score=new(double, rooms.log_tokens),
            link_source=new(whole, rooms.log_links), link_target=new(whole, rooms.log_links),
            link_arc=new(whole, rooms.log_links), link_acoustic=new(torch.float32, rooms.log_links),
            inner_source=new(whole, rooms.log_links), inner_target=new(whole, rooms.log_links),
            inner_arc=new(whole, rooms.log_links), sizes=new(whole, tokens), ends=new(long, tokens),
            block_owners=new(whole, blocks + 1), totals=new(double, arcs), owners=new(whole, arcs),
            kept_sizes=new(whole, blocks), kept_ends=new(long, blocks), kept_totals=new(double, arcs),
            keys=new(long, arcs), inner_sizes=new(whole, tokens), inner_ends=new(long, tokens),
            claimed=new(long, tokens), waves=new(long, 2, tokens), rows=new(long, rooms.rows, 2, value=LOWEST),
            lane_log=new(long, frames + 1, lanes + 1), extra=new(long, rooms.log_tokens),
            kept_links=new(torch.int8, rooms.log_links), kept_inner=new(torch.int8, rooms.log_links),
        )  # fmt: skip


class CardPasses:
    """`twin.pass_frames`, by Triton's kernels.

    Where a chunk does not fit into the memory that was laid out for it, there is more for its repetition and after.
    """

    def __init__(self, programs: int = 0, block: int = 256) -> None:
        """See the class.

        Args:
          programs: that share the work of a launch; 0: as many as a card runs at a time.
          block: elements that each takes at a time.
        """
        self.programs, self.block, self.growth = programs, block, 1
        self._laid: tuple[Any, Rooms, _Memory] | None = None

    def __call__(
        self, graph: DeviceGraph, level: LaneLevel, frames: torch.Tensor, lengths: torch.Tensor, widths: LaneWidths
    ) -> tuple[list[LaneLevel], torch.Tensor]:
        """See `twin.pass_frames`; the tokens of `level` lie lane by lane."""
        memory, marks = self._passed(graph, level, frames, lengths, widths)
        return _levels(memory, marks), memory.limited.clone()

    def pruned(
        self, graph: DeviceGraph, level: LaneLevel, frames: torch.Tensor, lengths: torch.Tensor, widths: LaneWidths
    ) -> tuple[list[LaneLevel], torch.Tensor]:
        """See `passes.pruned_frames`, its twin: nothing but what is kept leaves the logs."""
        m, marks = self._passed(graph, level, frames, lengths, widths)
        chunk_losses[(len(lengths),)](
            m.extra, m.kept_links, m.kept_inner, m.marks, m.lane_log, m.lengths, m.settings, m.log_score,
            graph.arcs.view(torch.float32), m.link_source, m.link_target, m.link_arc, m.link_acoustic, m.inner_source,
            m.inner_target, m.inner_arc, len(lengths), len(marks) - 1, graph.depth, widths.lattice_beam * (1 + 1e-6),
            BLOCK=512, num_warps=8, enable_fp_fusion=False,
        )  # fmt: skip
        return [level, *_kept_levels(m, marks)], m.limited.clone()

    def _passed(
        self, graph: DeviceGraph, level: LaneLevel, frames: torch.Tensor, lengths: torch.Tensor, widths: LaneWidths
    ) -> tuple[_Memory, list[list[int]]]:
        """Passes the frames of a chunk; returns the logs, and where each level ends in them."""
        while True:
            memory = self._memory_for(graph, level, frames, widths)
            _begin(memory, level, frames, lengths, widths)
            self._run(graph, memory, widths, frames.shape[1])
            marks, counters = memory.marks.cpu().tolist(), memory.counters.cpu().tolist()
            if not counters[FULL]:
                return memory, marks[: frames.shape[1] + 1]
            self.growth *= 2
            logger.debug("a chunk of %d lanes did not fit; searching it again with twice the room", len(lengths))

    def _memory_for(self, graph: DeviceGraph, level: LaneLevel, frames: torch.Tensor, widths: LaneWidths) -> _Memory:
        """Returns memory for a chunk: what there is, if the chunk fits into it; its recording holds for all such."""
        lanes, count, num_pdfs = frames.shape
        rooms = Rooms.predict(graph, widths, lanes, count, self.growth, len(level.lane))
        recorded = graph, widths.max_active, widths.min_active, lanes, num_pdfs
        if self._laid is not None:
            own, laid, memory = self._laid
            if own == recorded and laid.holds(rooms) and memory.frames.shape[1] >= count:
                return memory
        self._laid = None  # freed before the next is laid out
        memory = _Memory.make(rooms, frames.shape, self.block, frames.device)
        self._laid = recorded, rooms, memory
        return memory

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

    def _grid(self, m: _Memory) -> tuple[int]:
        if self.programs:
            return (self.programs,)
        return (PER_PROCESSOR * torch.cuda.get_device_properties(m.frames.device).multi_processor_count,)

    def _pass_frame(self, graph: DeviceGraph, m: _Memory, widths: LaneWidths) -> None:
        grid, tokens, arcs = self._grid(m), len(m.sizes), len(m.totals)
        # Sums keep their order: no multiplication is fused with an addition, so that scores are the twin's.
        own = {"BLOCK": self.block, "enable_fp_fusion": False}
        room, blocks = {"room_tokens": tokens, "room": arcs, **own}, {"EACH": self.block, **own}
        states, bits = graph.num_states, graph.arcs.view(torch.float32)
        log, shape = (m.log_lane, m.log_state, m.log_score), m.frames.shape[1:]
        spread = (m.sizes, m.ends, m.totals, m.owners, m.best, m.width)
        cutoffs[(len(m.lengths),)](
            m.counters, m.log_score, m.lane_ends, m.cutoff, m.width, m.best, m.lane_counts, m.limited, m.lengths,
            m.settings, widths.max_active, widths.min_active, BLOCK=8 * self.block, num_warps=16,
        )  # fmt: skip
        kernels.emit_sizes[grid](m.counters, *log, m.cutoff, m.lengths, graph.bounds, m.sizes, tokens, **own)
        torch.cumsum(m.sizes, 0, out=m.ends)
        kernels.first_owners[grid](m.counters, m.ends, m.block_owners, tokens, arcs, **blocks)
        kernels.emit[grid](
            m.counters, *log, graph.bounds, graph.arcs, bits, m.frames, *shape, m.settings, m.sizes, m.ends,
            m.block_owners, m.totals, m.owners, m.best, **room,
        )  # fmt: skip
        kernels.count_kept[grid](m.counters, m.log_lane, *spread[1:], m.kept_sizes, **room)
        torch.cumsum(m.kept_sizes, 0, out=m.kept_ends)
        kernels.keep[grid](
            m.counters, *log[:2], graph.bounds, graph.arcs, m.frames, *shape, *spread, m.kept_sizes, m.kept_ends,
            m.kept_totals, m.link_source, m.link_arc, m.link_acoustic, log_room=len(m.link_arc), **room,
        )  # fmt: skip
        kernels.insert[grid](
            m.counters, m.log_lane, graph.arcs, states, m.rows, m.claimed, m.lane_counts, m.kept_ends, m.kept_totals,
            m.link_source, m.link_arc, m.keys, tokens, arcs, **blocks,
        )  # fmt: skip
        self._close(graph, m)
        torch.cumsum(m.lane_counts, 0, out=m.lane_ends[1:])
        lanes = len(m.lengths)
        kernels.note_lanes[(lanes // self.block + 1,)](m.counters, m.lane_ends, m.lane_log, lanes, BLOCK=self.block)
        kernels.place[grid](
            m.counters, m.claimed, m.rows, m.lane_ends, states, *log, tokens, len(m.log_lane), **own
        )  # fmt: skip
        kernels.link_targets[grid](
            m.counters, m.rows, m.kept_ends, m.keys, m.link_target, arcs, len(m.link_arc), **blocks
        )  # fmt: skip
        new = (m.counters, *log, m.best, m.width)
        kernels.count_epsilons[grid](*new, graph.bounds, bits, m.inner_sizes, tokens, **own)
        torch.cumsum(m.inner_sizes, 0, out=m.inner_ends)
        kernels.epsilon_links[grid](
            *new, states, graph.bounds, graph.arcs, bits, m.rows, m.inner_sizes, m.inner_ends, m.inner_source,
            m.inner_target, m.inner_arc, tokens, len(m.inner_arc), **own,
        )  # fmt: skip
        kernels.clear[grid](m.counters, m.claimed, m.rows, tokens, BLOCK=self.block)
        kernels.next_frame[(1,)](m.counters, m.kept_ends, m.inner_ends, m.marks, tokens, arcs, EACH=self.block)

    def _close(self, graph: DeviceGraph, m: _Memory) -> None:
        """Follows epsilon arcs, as many waves as the longest chain has arcs."""
        grid, tokens, bits = self._grid(m), len(m.sizes), graph.arcs.view(torch.float32)
        kernels.first_wave[(1,)](m.counters)
        wave = m.claimed
        for number in range(graph.depth):
            following = m.waves[number % 2]
            kernels.relax[grid](
                m.counters, wave, following, m.best, m.width, graph.num_states, graph.bounds, graph.arcs, bits, m.rows,
                m.claimed, m.lane_counts, tokens, BLOCK=self.block, enable_fp_fusion=False,
            )  # fmt: skip
            kernels.next_wave[(1,)](m.counters)
            wave = following


def take_losses(extra: torch.Tensor, row: Row, depth: int, beam: float) -> None:
    """See `backward.take_losses`, its twin; one program a lane. It takes the beam as float32, so a little wider."""
    lanes = (len(row.link_bounds) - 1) // row.levels
    lane_losses[(lanes,)](
        extra.view(torch.int64), row.links.source, row.links.target, row.slack, row.link_bounds, row.epsilons.source,
        row.epsilons.target, row.inner_slack, row.inner_bounds, row.levels, depth, beam * (1 + 1e-6),
        BLOCK=512, num_warps=8,
    )  # fmt: skip


def _begin(m: _Memory, level: LaneLevel, frames: torch.Tensor, lengths: torch.Tensor, widths: LaneWidths) -> None:
    """Lays out where the lanes stand, and frees what a chunk that did not fit left in use."""
    count = len(level.lane)
    m.frames[:, : frames.shape[1]] = frames
    m.lengths.copy_(lengths)
    m.settings.copy_(torch.tensor([widths.beam, widths.beam_delta, widths.scale], dtype=torch.float64))
    m.limited.zero_()
    m.marks.zero_()
    if int(m.counters[FULL]):
        m.rows.fill_(LOWEST)
    m.counters.zero_()
    m.counters[1] = count
    m.marks[0, 0] = count
    for log, tokens in zip((m.log_lane, m.log_state, m.log_score), level[:3]):
        log[:count] = tokens
    m.lane_ends[1:] = torch.bincount(level.lane, minlength=len(lengths)).cumsum(0)
    m.lane_log[0] = m.lane_ends


def _levels(m: _Memory, marks: list[list[int]]) -> list[LaneLevel]:
    """Returns the levels between marks; nothing is shared with the memory."""
    (token, _, _), (end, links, inner) = marks[0], marks[-1]
    sizes = [[b - a for a, b in zip(column, column[1:])] for column in zip(*marks)]
    own = [m.log_lane[token:end].long(), m.log_state[token:end].long(), m.log_score[token:end].clone()]
    over = [m.link_source[:links].long(), m.link_target[:links].long(), m.link_arc[:links].long()]
    over.append(m.link_acoustic[:links].clone())
    within = [m.inner_source[:inner].long(), m.inner_target[:inner].long(), m.inner_arc[:inner].long()]
    within.append(m.link_acoustic.new_zeros(inner))
    return cut_levels(own, over, within, sizes)


def _kept_levels(m: _Memory, marks: list[list[int]]) -> list[LaneLevel]:
    """Returns the levels after the first one, of what `chunk_losses` kept; all tokens of the first one count."""
    device = m.extra.device
    token_ends, link_ends, inner_ends = (torch.tensor(column, device=device) for column in zip(*marks))
    alive = m.extra[: marks[-1][0]] != INFINITE
    alive[: marks[0][0]] = True
    number = alive.cumsum(0) - 1
    firsts = torch.cat([number.new_zeros(1), number[token_ends - 1] + 1])  # of each level, and the end
    which = [
        torch.nonzero(part).flatten() for part in (alive, m.kept_links[: marks[-1][1]], m.kept_inner[: marks[-1][2]])
    ]
    level_of = [torch.bucketize(which[1], link_ends, right=True), torch.bucketize(which[2], inner_ends, right=True)]
    begins = torch.cat([token_ends.new_zeros(1), token_ends[:-1]])

    def place(token: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        return number[begins[level] + token] - firsts[level]

    tokens = [column[which[0]] for column in (m.log_lane, m.log_state, m.log_score)]
    columns = []
    logs = (m.link_source, m.link_target, m.link_arc), (m.inner_source, m.inner_target, m.inner_arc)
    for chosen, level, (source, target, arc), back in zip(which[1:], level_of, logs, (1, 0)):
        ends = place(source[chosen], level - back), place(target[chosen], level)
        acoustic = m.link_acoustic[chosen] if back else m.link_acoustic.new_zeros(len(chosen))
        columns.append([*ends, arc[chosen].long(), acoustic])
    bounds = torch.stack([firsts[1:], *(torch.searchsorted(w, e) for w, e in zip(which[1:], (link_ends, inner_ends)))])
    sizes = [[b - a for a, b in zip(ends, ends[1:])] for ends in bounds.tolist()]
    own = [tokens[0].long(), tokens[1].long(), tokens[2]]
    return cut_levels([column[marks[0][0] :] for column in own], columns[0], columns[1], sizes)
