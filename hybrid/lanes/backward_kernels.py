"""What the best continuation of each token loses, compiled by Triton: one program a lane, levels backwards.

`lane_losses` looks at levels as torch holds them, `chunk_losses` at the logs of a chunk as the passes left them.
"""

# mypy: ignore-errors
from __future__ import annotations

import triton
import triton.language as tl

from hybrid.lanes.cutoff_kernels import sized_jit

__all__ = ["chunk_losses", "lane_losses"]


@triton.jit
def _take(extra, sources, targets, slack, begin, end, beam, BLOCK: tl.constexpr):
    """Takes the losses of some links to their sources; what is lost is never negative, so its bits are in order."""
    for at in range(begin, end, BLOCK):
        i = at + tl.arange(0, BLOCK)
        inside = i < end
        target = tl.load(targets + i, mask=inside, other=0)
        # Other threads of this program wrote it: past what this one has in its cache.
        loss = tl.load(extra + target, mask=inside, other=0, volatile=True).to(tl.float64, bitcast=True)
        worse = loss + tl.load(slack + i, mask=inside, other=float("inf"))
        worse = tl.where(worse < 0.0, 0.0, worse)
        source = tl.load(sources + i, mask=inside, other=0)
        tl.atomic_min(extra + source, worse.to(tl.int64, bitcast=True), mask=inside & (worse <= beam))


@sized_jit
def lane_losses(
    extra, link_sources, link_targets, link_slack, link_bounds, inner_sources, inner_targets, inner_slack,
    inner_bounds, levels, depth, beam, BLOCK: tl.constexpr,
):  # fmt: skip
    """See `backward.take_losses`; bounds: int64 [levels × lanes + 1], the first link of each lane in each level."""
    lane, lanes = tl.program_id(0), tl.num_programs(0)
    for step in range(levels):
        at = (levels - 1 - step) * lanes + lane
        begin, end = tl.load(inner_bounds + at), tl.load(inner_bounds + at + 1)
        if begin < end:
            for _ in range(depth):
                _take(extra, inner_sources, inner_targets, inner_slack, begin, end, beam, BLOCK)
                tl.debug_barrier()
        begin, end = tl.load(link_bounds + at), tl.load(link_bounds + at + 1)
        _take(extra, link_sources, link_targets, link_slack, begin, end, beam, BLOCK)
        tl.debug_barrier()


@triton.jit
def _lower(values, begin, end, value):
    """Returns the first place between two where rising values are not below a value, by binary search."""
    while begin < end:
        middle = (begin + end) // 2
        below = tl.load(values + middle) < value
        begin, end = tl.where(below, middle + 1, begin), tl.where(below, end, middle)
    return begin


@triton.jit
def _take_logged(
    extra, kept, log_score, arc_scores, acoustic, scale, sources, targets, arcs, source_begin, target_begin, begin, end,
    beam, FRAMES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """As `_take`, of links in the logs; notes which of them lie within the beam as far as is known."""
    for at in range(begin, end, BLOCK):
        i = at + tl.arange(0, BLOCK)
        inside = i < end
        source = source_begin + tl.load(sources + i, mask=inside, other=0)
        target = target_begin + tl.load(targets + i, mask=inside, other=0)
        arc = tl.load(arcs + i, mask=inside, other=0).to(tl.int64)
        total = tl.load(log_score + source, mask=inside, other=0.0)
        total = total + tl.load(arc_scores + 3 * arc + 2, mask=inside, other=0.0).to(tl.float64)
        if FRAMES:
            total = total + scale * tl.load(acoustic + i, mask=inside, other=0.0).to(tl.float64)
        loss = tl.load(extra + target, mask=inside, other=0, volatile=True).to(tl.float64, bitcast=True)
        worse = loss + (tl.load(log_score + target, mask=inside, other=0.0) - total)
        near = inside & (worse <= beam)
        worse = tl.where(worse < 0.0, 0.0, worse)
        tl.store(kept + i, near.to(tl.int8), mask=inside)
        tl.atomic_min(extra + source, worse.to(tl.int64, bitcast=True), mask=near)


@sized_jit
def chunk_losses(
    extra, kept_links, kept_inner, marks, lane_log, lengths, settings, log_score, arc_scores, link_source, link_target,
    link_arc, link_acoustic, inner_source, inner_target, inner_arc, lanes, frame_count, depth, beam,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """The losses of all tokens of a chunk whose lanes are alive at their last levels, and which links are kept.

    Tokens of a level lie lane by lane, links in the order of their sources. Level 0 is where the chunk begins.
    """
    lane = tl.program_id(0)
    length, scale = tl.load(lengths + lane), tl.load(settings + 2)
    for level in range(frame_count + 1):
        before = tl.load(marks + 3 * (level - 1), mask=level > 0, other=0)
        begin = before + tl.load(lane_log + level * (lanes + 1) + lane)
        end = before + tl.load(lane_log + level * (lanes + 1) + lane + 1)
        loss = tl.where(level == length, 0.0, float("inf")).to(tl.float64)
        for at in range(begin, end, BLOCK):
            i = at + tl.arange(0, BLOCK)
            tl.store(extra + i, tl.zeros([BLOCK], tl.int64) + loss.to(tl.int64, bitcast=True), mask=i < end)
    tl.debug_barrier()
    for step in range(frame_count):
        level = frame_count - step
        here = tl.load(marks + 3 * (level - 1))
        before = tl.load(marks + 3 * (level - 2), mask=level > 1, other=0)
        own = lane_log + level * (lanes + 1) + lane
        first, last = tl.load(marks + 3 * (level - 1) + 2), tl.load(marks + 3 * level + 2)
        begin, end = (
            _lower(inner_source, first, last, tl.load(own)),
            _lower(inner_source, first, last, tl.load(own + 1)),
        )
        for _ in range(depth + 1):
            _take_logged(
                extra, kept_inner, log_score, arc_scores, link_acoustic, scale, inner_source, inner_target, inner_arc,
                here, here, begin, end, beam, False, BLOCK,
            )  # fmt: skip
            tl.debug_barrier()
        own -= lanes + 1
        first, last = tl.load(marks + 3 * (level - 1) + 1), tl.load(marks + 3 * level + 1)
        begin = _lower(link_source, first, last, tl.load(own))
        end = _lower(link_source, first, last, tl.load(own + 1))
        _take_logged(
            extra, kept_links, log_score, arc_scores, link_acoustic, scale, link_source, link_target, link_arc, before,
            here, begin, end, beam, True, BLOCK,
        )  # fmt: skip
        tl.debug_barrier()
