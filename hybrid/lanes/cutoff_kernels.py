"""What a token needs to go on, compiled by Triton: the k-th best score of a lane by histograms, exactly.

And what all kernels of this room share: places in the vector of counters, and float64 in the order of int64.
"""

# mypy: ignore-errors
from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["cutoffs"]

# Places in the vector of counters.
FRAME = tl.constexpr(0)  # of the chunk
TOKENS = tl.constexpr(1)  # end of the tokens logged; those of the last level begin at LEVEL
LEVEL = tl.constexpr(2)
LINKS = tl.constexpr(3)
EPSILONS = tl.constexpr(4)
CLAIMED = tl.constexpr(5)  # entries of the hash table in use
FULL = tl.constexpr(6)  # something did not fit
WAVES = tl.constexpr(7)  # tokens of each wave of epsilons
LOWEST = tl.constexpr(-9223372036854775808)

# No kernel is compiled anew, while streams wait, because one of these is 1 or a multiple of 16.
SIZES = ("depth", "frame_count", "lanes", "levels", "log_room", "max_active", "min_active", "num_pdfs", "number",
         "room", "room_tokens", "states")  # fmt: skip
sized_jit = triton.jit(do_not_specialize=SIZES)


@triton.jit
def amount(counters, work, room):
    """Returns an amount of work; none where it, or something before, does not fit."""
    if work > room:
        tl.store(counters + FULL, 1)
    return tl.where((tl.load(counters + FULL) == 0) & (work <= room), work, 0)


@triton.jit
def ordered(value):
    """Returns int64 in the order of float64."""
    bits = value.to(tl.int64, bitcast=True)
    return tl.where(bits < 0, bits ^ 0x7FFFFFFFFFFFFFFF, bits)


@triton.jit
def unordered(order):
    """The other way round."""
    return tl.where(order < 0, order ^ 0x7FFFFFFFFFFFFFFF, order).to(tl.float64, bitcast=True)


@triton.jit
def _bin(score, low, high, step):
    """Returns the bin of scores between two, 1 … 255 in their order; the ends lie in different ones."""
    inside = tl.where((score >= low) & (score < high), score, low)
    return tl.where(score >= high, 255, tl.minimum(((inside - low) * step).to(tl.int32) + 1, 255))


@triton.jit
def _select(scores, begin, end, rank, low, high, BLOCK: tl.constexpr):
    """Returns the score at a rank (1: the best) among some between two: a histogram of ever narrower bins."""
    bins = tl.arange(0, 256)
    left = (begin * 0).to(tl.int32) + rank
    while low < high:
        step = tl.minimum(254.0 / (high - low), 1e300)
        counts = tl.zeros([256], tl.int32)
        for at in range(begin, end, BLOCK):
            i = at + tl.arange(0, BLOCK)
            score = tl.load(scores + i, mask=i < end, other=float("-inf"))
            fits = (score >= low) & (score <= high)
            counts += tl.histogram(tl.where(fits, _bin(score, low, high, step), 0), 256)
        above = tl.cumsum(counts, 0, reverse=True)
        best = tl.max(tl.where((above >= left) & (bins > 0), bins, 0), 0)
        left -= tl.sum(tl.where(bins == best, above - counts, 0), 0)
        least, most = tl.full([BLOCK], float("inf"), tl.float64), tl.full([BLOCK], float("-inf"), tl.float64)
        for at in range(begin, end, BLOCK):
            i = at + tl.arange(0, BLOCK)
            score = tl.load(scores + i, mask=i < end, other=float("-inf"))
            fits = (score >= low) & (score <= high)
            fits &= _bin(score, low, high, step) == best
            least = tl.minimum(least, tl.where(fits, score, float("inf")))
            most = tl.maximum(most, tl.where(fits, score, float("-inf")))
        low, high = tl.min(least, 0), tl.max(most, 0)
    return high


@sized_jit
def cutoffs(
    counters, log_score, lane_ends, cutoff, width, best, lane_counts, limited, lengths, settings, max_active,
    min_active, BLOCK: tl.constexpr,
):  # fmt: skip
    """One program a lane: the score that its tokens need, and the beam of the next frame. Empties its counts."""
    lane = tl.program_id(0)
    level = tl.load(counters + LEVEL)
    begin, end = level + tl.load(lane_ends + lane), level + tl.load(lane_ends + lane + 1)
    end = tl.where(tl.load(counters + FULL) == 0, end, begin)
    beam, beam_delta = tl.load(settings), tl.load(settings + 1)
    count = (end - begin).to(tl.int32)
    top, bottom = tl.full([BLOCK], float("-inf"), tl.float64), tl.full([BLOCK], float("inf"), tl.float64)
    for at in range(begin, end, BLOCK):
        i = at + tl.arange(0, BLOCK)
        top = tl.maximum(top, tl.load(log_score + i, mask=i < end, other=float("-inf")))
        bottom = tl.minimum(bottom, tl.load(log_score + i, mask=i < end, other=float("inf")))
    highest, lowest = tl.max(top, 0), tl.min(bottom, 0)
    low, wide = highest - beam, beam
    at_limit = count * 0
    if count > max_active:
        limit = _select(log_score, begin, end, max_active, lowest, highest, BLOCK)
        if limit > low:
            low, wide = limit, highest - limit + beam_delta
            at_limit += 1
    if (at_limit == 0) & (count > min_active) & (min_active > 0):
        limit = _select(log_score, begin, end, min_active, lowest, highest, BLOCK)
        if limit < low:
            low, wide = limit, highest - limit + beam_delta
    free = (at_limit == 0) & (count <= min_active)
    low, wide = tl.where(free, float("-inf"), low), tl.where(free, float("inf"), wide)
    moving = tl.load(lengths + lane) > tl.load(counters + FRAME)
    tl.store(cutoff + lane, low)
    tl.store(width + lane, wide)
    tl.store(best + lane, LOWEST)
    tl.store(lane_counts + lane, 0)
    tl.store(limited + lane, tl.load(limited + lane) + tl.where(moving, at_limit, 0))
