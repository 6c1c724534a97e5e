"""Launches of the kernels for a chunk of frames: everything stays on the device, with one look at it per chunk."""

from __future__ import annotations

import torch

from hybrid.base.log import get_logger
from hybrid.lanes import card_kernels as kernels
from hybrid.lanes.backward import Row
from hybrid.lanes.backward_kernels import chunk_losses, lane_losses
from hybrid.lanes.card_memory import FULL, LOWEST, LaneMemory, Layouts
from hybrid.lanes.cutoff_kernels import cutoffs
from hybrid.lanes.lane_values import DeviceGraph, LaneLevel, LaneLinks, LaneWidths, put
from hybrid.lanes.levels import LaneLevels, places_of, without_ends

__all__ = ["CardPasses", "take_losses"]

logger = get_logger(__name__)

PER_PROCESSOR = 16  # programs that a multiprocessor holds at a time
INFINITE = 0x7FF0000000000000  # the bits of float64 infinity


class CardPasses:
    """`passes.passed_frames`, by Triton's kernels.

    Where a chunk does not fit into the memory that was laid out for it, there is more for its repetition and after.
    """

    def __init__(self, frames: int, programs: int = 0, block: int = 256) -> None:
        """See the class.

        Args:
          frames: of the longest chunk that is expected.
          programs: that share the work of a launch; 0: as many as a card runs at a time.
          block: elements that each takes at a time.
        """
        self.layouts, self.programs, self.block = Layouts(frames, block), programs, block

    def prepare(self, graph: DeviceGraph, widths: LaneWidths, lanes: int, num_pdfs: int) -> None:
        """Lays out memory for so many lanes and records what is launched, before there is anything to search."""
        self._memory(graph, widths, lanes, self.layouts.frames, num_pdfs, 0)

    def __call__(
        self, graph: DeviceGraph, level: LaneLevel, frames: torch.Tensor, lengths: torch.Tensor, widths: LaneWidths
    ) -> tuple[LaneLevels, torch.Tensor]:
        """See `passes.passed_frames`; the tokens of `level` lie lane by lane."""
        memory, marks = self._passed(graph, level, frames, lengths, widths)
        return _passed_levels(memory, marks), memory.limited[: len(lengths)].clone()

    def pruned(
        self, graph: DeviceGraph, level: LaneLevel, frames: torch.Tensor, lengths: torch.Tensor, widths: LaneWidths
    ) -> tuple[LaneLevels, LaneLevel, torch.Tensor]:
        """See `passes.pruned_frames`, its twin: nothing but what is kept leaves the logs."""
        m, marks = self._passed(graph, level, frames, lengths, widths)
        chunk_losses[(len(lengths),)](
            m.extra, m.kept_links, m.kept_inner, m.marks, m.lane_log, m.lengths, m.settings, m.log_score,
            graph.arcs.view(torch.float32), m.link_source, m.link_target, m.link_arc, m.link_acoustic, m.inner_source,
            m.inner_target, m.inner_arc, len(m.lengths), len(marks) - 1, graph.depth, widths.lattice_beam * (1 + 1e-6),
            BLOCK=512, num_warps=8, enable_fp_fusion=False,
        )  # fmt: skip
        return *_kept_levels(m, marks), m.limited[: len(lengths)].clone()

    def _passed(
        self, graph: DeviceGraph, level: LaneLevel, frames: torch.Tensor, lengths: torch.Tensor, widths: LaneWidths
    ) -> tuple[LaneMemory, list[list[int]]]:
        """Passes the frames of a chunk; returns the logs, and where each level ends in them."""
        (lanes, count, num_pdfs), alive = frames.shape, len(level.lane)
        while True:
            memory = self._memory(graph, widths, lanes, count, num_pdfs, alive)
            _begin(memory, level, frames, lengths)
            for _ in range(count):
                if memory.recorded is None:
                    self._pass_frame(graph, memory, widths)
                else:
                    memory.recorded.replay()
            facts = memory.facts.cpu()  # the one thing that the host asks in a chunk
            if not facts[FULL]:
                return memory, memory.marks_of(facts)[: count + 1].tolist()
            memory.rows.fill_(LOWEST)  # some were left in use
            self.layouts.grow(lanes)
            logger.debug("a chunk of %d lanes did not fit; searching it again with twice the room", lanes)

    def _memory(
        self, graph: DeviceGraph, widths: LaneWidths, lanes: int, frames: int, num_pdfs: int, alive: int
    ) -> LaneMemory:
        """Returns memory for a chunk; on a GPU the launches of a frame are recorded, to be replayed."""
        memory = self.layouts.part(graph, widths, lanes, frames, num_pdfs, alive)
        if memory.frames.is_cuda and memory.recorded is None:
            memory.recorded = self._recorded(graph, memory, widths)
        return memory

    def _recorded(self, graph: DeviceGraph, memory: LaneMemory, widths: LaneWidths) -> torch.cuda.CUDAGraph:
        for array in (memory.facts, memory.lengths, memory.lane_ends):
            array.zero_()
        self._pass_frame(graph, memory, widths)  # of nothing: kernels are compiled and loaded
        torch.cuda.synchronize(memory.frames.device)
        recorded = torch.cuda.CUDAGraph()
        with torch.cuda.graph(recorded):
            self._pass_frame(graph, memory, widths)
        return recorded

    def _grid(self, m: LaneMemory) -> tuple[int]:
        most = self.programs
        if not most:
            most = PER_PROCESSOR * torch.cuda.get_device_properties(m.frames.device).multi_processor_count
        return (min(most, len(m.kept_sizes)),)

    def _pass_frame(self, graph: DeviceGraph, m: LaneMemory, widths: LaneWidths) -> None:
        grid, tokens, arcs = self._grid(m), len(m.sizes), len(m.totals)
        # Sums keep their order: no multiplication is fused with an addition, so that scores are the twin's.
        own = {"BLOCK": self.block, "enable_fp_fusion": False}
        room, blocks = {"room_tokens": tokens, "room": arcs, **own}, {"EACH": self.block, **own}
        states, bits = graph.num_states, graph.arcs.view(torch.float32)
        log, shape = (m.log_lane, m.log_state, m.log_score), m.frames.shape[1:]
        spread, sums = (m.totals, m.owners, m.best, m.width), (m.sizes, m.ends, m.bases)
        cutoffs[(len(m.lengths),)](
            m.counters, m.log_score, m.lane_ends, m.cutoff, m.width, m.best, m.lane_counts, m.limited, m.lengths,
            m.settings, widths.max_active, widths.min_active, BLOCK=8 * self.block, num_warps=16,
        )  # fmt: skip
        kernels.emit_sizes[grid](
            m.counters, *log, m.cutoff, m.lengths, graph.bounds, *sums[:2], m.block_sizes, tokens, **own
        )
        torch.cumsum(m.block_sizes, 0, out=m.bases[1:])
        kernels.first_owners[grid](m.counters, *sums[1:], m.block_owners, tokens, arcs, **blocks)
        kernels.emit[grid](
            m.counters, *log, graph.bounds, graph.arcs, bits, m.frames, *shape, m.settings, *sums,
            m.block_owners, m.totals, m.owners, m.best, **room,
        )  # fmt: skip
        kernels.count_kept[grid](m.counters, m.log_lane, m.bases, *spread, m.kept_sizes, **room)
        torch.cumsum(m.kept_sizes, 0, out=m.kept_ends)
        kernels.keep[grid](
            m.counters, *log[:2], graph.bounds, graph.arcs, m.frames, *shape, *sums, *spread, m.kept_sizes, m.kept_ends,
            m.kept_totals, m.link_source, m.link_arc, m.link_acoustic, log_room=len(m.link_arc), **room,
        )  # fmt: skip
        kernels.insert[grid](
            m.counters, m.log_lane, graph.arcs, states, m.rows, m.claimed, m.lane_counts, m.kept_ends, m.kept_totals,
            m.link_source, m.link_arc, m.keys, tokens, arcs, **blocks,
        )  # fmt: skip
        self._close(graph, m)
        torch.cumsum(m.lane_counts, 0, out=m.lane_ends[1:])
        kernels.place[grid](
            m.counters, m.claimed, m.rows, m.lane_ends, m.lane_log, len(m.lengths), states, *log, tokens,
            len(m.log_lane), **own,
        )  # fmt: skip
        new = (m.counters, *log, m.best, m.width)
        kernels.link_targets[grid](
            *new, graph.bounds, bits, m.rows, m.kept_ends, m.keys, m.link_target, *sums[:2], m.block_sizes, tokens,
            arcs, len(m.link_arc), **blocks,
        )  # fmt: skip
        torch.cumsum(m.block_sizes, 0, out=m.bases[1:])
        kernels.epsilon_links[grid](
            *new, m.claimed, states, graph.bounds, graph.arcs, bits, m.rows, *sums,
            m.inner_source, m.inner_target, m.inner_arc, tokens, len(m.inner_arc), **own,
        )  # fmt: skip
        kernels.next_frame[(1,)](m.counters, m.kept_ends, m.bases, m.marks, tokens, arcs, EACH=self.block)

    def _close(self, graph: DeviceGraph, m: LaneMemory) -> None:
        """Follows epsilon arcs, as many waves as the longest chain has arcs."""
        if not graph.depth:
            return
        grid, tokens, bits = self._grid(m), len(m.sizes), graph.arcs.view(torch.float32)
        kernels.first_wave[(1,)](m.counters, graph.depth)
        wave = m.claimed
        for number in range(graph.depth):
            following = m.waves[number % 2]
            kernels.relax[grid](
                m.counters, number, wave, following, m.best, m.width, graph.num_states, graph.bounds, graph.arcs, bits,
                m.rows, m.claimed, m.lane_counts, tokens, BLOCK=self.block, enable_fp_fusion=False,
            )  # fmt: skip
            wave = following


def take_losses(extra: torch.Tensor, row: Row, depth: int, beam: float) -> None:
    """See `backward.take_losses`, its twin; one program a lane. It takes the beam as float32, so a little wider."""
    lanes = (len(row.link_bounds) - 1) // row.levels
    lane_losses[(lanes,)](
        extra.view(torch.int64), row.links.source, row.links.target, row.slack, row.link_bounds, row.epsilons.source,
        row.epsilons.target, row.inner_slack, row.inner_bounds, row.levels, depth, beam * (1 + 1e-6),
        BLOCK=512, num_warps=8,
    )  # fmt: skip


def _begin(m: LaneMemory, level: LaneLevel, frames: torch.Tensor, lengths: torch.Tensor) -> None:
    """Lays out where the lanes stand; the host waits for nothing."""
    count, lanes = len(level.lane), len(lengths)
    m.frames[:lanes, : frames.shape[1]] = frames
    for array in (m.lengths, m.limited, m.facts):
        array.zero_()
    m.lengths[:lanes] = lengths
    m.counters[1] = count
    m.marks[0, 0] = count
    for log, tokens in zip((m.log_lane, m.log_state, m.log_score), level[:3]):
        log[:count] = tokens
    own = torch.arange(len(m.lengths), device=lengths.device)
    m.lane_ends[1:] = torch.searchsorted(level.lane.contiguous(), own, right=True)
    m.lane_log[0] = m.lane_ends


def _level_numbers(marks: list[list[int]], kind: int, count: torch.Tensor) -> torch.Tensor:
    """Returns of places in the log of one kind the level of each."""
    return torch.bucketize(count, put([ends[kind] for ends in marks], count.device), right=True)


def _passed_levels(m: LaneMemory, marks: list[list[int]]) -> LaneLevels:
    """Returns all levels after the first one; nothing is shared with the memory."""
    (first, _, _), (tokens, links, inner) = marks[0], marks[-1]
    number, over, inside = (
        _level_numbers(marks, kind, torch.arange(begin, end, device=m.extra.device))
        for kind, (begin, end) in enumerate(((first, tokens), (0, links), (0, inner)))
    )
    begins = put([-first, *(ends[0] - first for ends in marks[:-1])], m.extra.device)  # of each level
    own = [log[first:tokens].long() for log in (m.log_lane, m.log_state)]
    here = begins[over]
    source, target, arc = (log[:links].long() for log in (m.link_source, m.link_target, m.link_arc))
    linked = LaneLinks(source + begins[over - 1], target + here, arc, m.link_acoustic[:links].clone())
    here = begins[inside]
    source, target, arc = (log[:inner].long() for log in (m.inner_source, m.inner_target, m.inner_arc))
    closing = LaneLinks(source + here, target + here, arc, m.link_acoustic.new_zeros(inner))
    return LaneLevels(len(marks) - 1, number - 1, own[0], own[1], m.log_score[first:tokens].clone(), linked, closing)


def _kept_levels(m: LaneMemory, marks: list[list[int]]) -> tuple[LaneLevels, LaneLevel]:
    """Returns the levels after the first one, of what `chunk_losses` kept; all tokens of the first one count."""
    device, (first, _, _), (tokens, links, inner) = m.extra.device, marks[0], marks[-1]
    alive = m.extra[:tokens] != INFINITE
    alive[:first] = True
    masks = alive, m.kept_links[:links] != 0, m.kept_inner[:inner] != 0
    upto = [torch.nn.functional.pad(kept.cumsum(0), (1, 0)) for kept in masks]
    sizes = torch.stack([sums[ends[kind]] for ends in marks[-2:] for kind, sums in enumerate(upto)]).tolist()
    which = [places_of(sums[1:], size) for sums, size in zip(upto, sizes[3:])]
    number, over, inside = (_level_numbers(marks, kind, some) for kind, some in enumerate(which))
    begins = put([0, *(ends[0] for ends in marks[:-1])], device)  # of each level
    here, linked = begins[over], which[1]
    source, target = begins[over - 1] + m.link_source[linked], here + m.link_target[linked]
    into = LaneLinks(upto[0][source], upto[0][target], m.link_arc[linked].long(), m.link_acoustic[linked])
    here, linked = begins[inside], which[2]
    source, target = here + m.inner_source[linked], here + m.inner_target[linked]
    none = m.link_acoustic.new_zeros(len(linked))
    closing = LaneLinks(upto[0][source], upto[0][target], m.inner_arc[linked].long(), none)
    lane, state = (log[which[0]].long() for log in (m.log_lane, m.log_state))
    found = LaneLevels(len(marks), number, lane, state, m.log_score[which[0]], into, closing)
    return without_ends(found, first, sizes[:3])
