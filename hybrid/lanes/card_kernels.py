"""The kernels of token passing in lanes, compiled by Triton; `twin` is what they compute, `card` launches them.

Work is spread over arcs: of each of them a binary search in prefix sums tells whose it is. Tokens are recombined in a
hash table by (lane, state), scores by an atomic maximum over bits in the order of the numbers. Nothing depends on the
order in which programs run but the order of tokens and links, which nobody reads. No program trusts a size: what does
not fit sets a flag, and the chunk is searched again with more room.
"""

# mypy: ignore-errors
from __future__ import annotations

import triton
import triton.language as tl

from hybrid.lanes.cutoff_kernels import (
    CLAIMED,
    EPSILONS,
    FRAME,
    FULL,
    LEVEL,
    LINKS,
    LOWEST,
    NEXT,
    TOKENS,
    WAVE,
    amount,
    ordered,
    unordered,
)

__all__ = ["clear", "closing_sizes", "emit", "emit_links", "emit_sizes", "epsilon_links", "first_wave",
           "inner_sizes", "insert", "next_frame", "next_wave", "place", "relax"]  # fmt: skip

FREE = tl.constexpr(-1)
PROBES = tl.constexpr(4096)


@triton.jit
def emit_sizes(
    counters, log_lane, log_state, log_score, cutoff, lengths, bounds, sizes, room, BLOCK: tl.constexpr
):  # fmt: skip
    """How many emitting arcs each token of the last level is followed over; 0 beyond them."""
    level, frame = tl.load(counters + LEVEL), tl.load(counters + FRAME)
    count = amount(counters, tl.load(counters + TOKENS) - level, room)
    for at in range(tl.program_id(0) * BLOCK, room, tl.num_programs(0) * BLOCK):
        i = at + tl.arange(0, BLOCK)
        inside = i < count
        lane = tl.load(log_lane + level + i, mask=inside, other=0)
        going = inside & (tl.load(lengths + lane, mask=inside, other=0) > frame)
        score = tl.load(log_score + level + i, mask=going, other=0.0)
        going &= score >= tl.load(cutoff + lane, mask=going, other=0.0)
        state = tl.load(log_state + level + i, mask=going, other=0)
        first = tl.load(bounds + 2 * state, mask=going, other=0)
        tl.store(sizes + i, tl.load(bounds + 2 * state + 1, mask=going, other=0) - first, mask=i < room)


@triton.jit
def _owner(ends, j, count, inside):
    """Returns whose arc each one is: the first of the rising `ends` beyond it, by binary search."""
    low, high = j * 0, j * 0 + count
    while tl.max(tl.where(inside, high - low, 0), 0) > 0:
        middle = (low + high) // 2
        searching = inside & (low < high)
        beyond = tl.load(ends + middle, mask=searching, other=0) > j
        high = tl.where(searching & beyond, middle, high)
        low = tl.where(searching & (beyond == 0), middle + 1, low)
    return low


@triton.jit
def emit(
    counters, log_lane, log_state, log_score, bounds, arcs, arc_scores, frames, frame_count, num_pdfs, settings, sizes,
    ends, totals, owners, best, room_tokens, room, BLOCK: tl.constexpr,
):  # fmt: skip
    """The score over each arc, and the best one of each lane."""
    level = tl.load(counters + LEVEL)
    count = tl.load(counters + TOKENS) - level
    work = amount(counters, tl.load(ends + room_tokens - 1), room)
    for at in range(tl.program_id(0) * BLOCK, work, tl.num_programs(0) * BLOCK):
        j = at + tl.arange(0, BLOCK).to(tl.int64)
        inside = j < work
        token = _owner(ends, j, count, inside)
        state = tl.load(log_state + level + token, mask=inside, other=0)
        begun = tl.load(ends + token, mask=inside, other=0) - tl.load(sizes + token, mask=inside, other=0)
        arc = tl.load(bounds + 2 * state, mask=inside, other=0) + j - begun
        lane = tl.load(log_lane + level + token, mask=inside, other=0)
        pdf = tl.load(arcs + 3 * arc + 1, mask=inside, other=0)
        row = lane.to(tl.int64) * frame_count + tl.load(counters + FRAME)
        acoustic = tl.load(frames + row * num_pdfs + pdf, mask=inside, other=0.0)
        score = tl.load(log_score + level + token, mask=inside, other=float("-inf"))
        total = score + tl.load(arc_scores + 3 * arc + 2, mask=inside, other=0.0).to(tl.float64)
        total = total + tl.load(settings + 2) * acoustic.to(tl.float64)
        tl.store(totals + j, total, mask=inside)
        tl.store(owners + j, token.to(tl.int32), mask=inside)
        first = tl.min(tl.where(inside, lane, 2147483647), 0)
        if tl.max(tl.where(inside, lane, 0), 0) == first:
            tl.atomic_max(best + first, tl.max(tl.where(inside, ordered(total), LOWEST), 0))
        else:
            tl.atomic_max(best + lane, ordered(total), mask=inside)


@triton.jit
def _claim(counters, keys, claimed, ranks, lane_counts, lane, key, wanted, table, room, BLOCK: tl.constexpr):
    """Finds the entries of keys in the hash table, and takes free ones for those that are not in it; -1: no room."""
    place = ((key * 0x1E3779B97F4A7C15) >> 20) & (table - 1)
    found = tl.full([BLOCK], -1, tl.int64)
    pending = wanted
    fresh = wanted & (key < 0)
    probes = 0
    while (tl.max(pending.to(tl.int32), 0) > 0) & (probes < PROBES):
        # There is no mask: who is done looks at the entry behind the table, which is never free.
        old = tl.atomic_cas(keys + tl.where(pending, place, table), tl.full([BLOCK], FREE, tl.int64), key)
        taken = pending & (old == FREE)
        here = taken | (pending & (old == key))
        fresh |= taken
        found = tl.where(here, place, found)
        pending = pending & (here == 0)
        place = tl.where(pending, (place + 1) & (table - 1), place)
        probes += 1
    number = tl.sum(fresh.to(tl.int32), 0)
    at = tl.atomic_add(counters + CLAIMED, number.to(tl.int64)) + tl.cumsum(fresh.to(tl.int32), 0) - 1
    if (tl.max(pending.to(tl.int32), 0) > 0) | (tl.max(tl.where(fresh, at, 0), 0) >= room):
        tl.store(counters + FULL, 1)
    tl.store(claimed + at, found, mask=fresh & (at < room))
    rank = tl.atomic_add(lane_counts + lane, 1, mask=fresh)
    tl.store(ranks + found, rank, mask=fresh)
    return found


@triton.jit
def insert(
    counters, log_lane, arcs, bounds, log_state, sizes, ends, totals, owners, best, width, states, keys, values,
    claimed, ranks, lane_counts, entries, table, room_tokens, room, BLOCK: tl.constexpr,
):  # fmt: skip
    """Recombines what reaches the floor of its lane: the entry of each arc, -1 for the others."""
    level, work = tl.load(counters + LEVEL), amount(counters, tl.load(ends + room_tokens - 1), room)
    for at in range(tl.program_id(0) * BLOCK, work, tl.num_programs(0) * BLOCK):
        j = at + tl.arange(0, BLOCK).to(tl.int64)
        inside = j < work
        token = tl.load(owners + j, mask=inside, other=0)
        lane = tl.load(log_lane + level + token, mask=inside, other=0)
        total = tl.load(totals + j, mask=inside, other=float("-inf"))
        floor = _floor(best, width, lane, inside)
        kept = inside & (total >= floor) & (total > float("-inf"))
        state = tl.load(log_state + level + token, mask=kept, other=0)
        begun = tl.load(ends + token, mask=kept, other=0) - tl.load(sizes + token, mask=kept, other=0)
        arc = tl.load(bounds + 2 * state, mask=kept, other=0) + j - begun
        key = lane.to(tl.int64) * states + tl.load(arcs + 3 * arc, mask=kept, other=0)
        entry = _claim(counters, keys, claimed, ranks, lane_counts, lane, key, kept, table, room_tokens, BLOCK)
        tl.atomic_max(values + entry, ordered(total), mask=entry >= 0)
        tl.store(entries + j, entry, mask=inside)


@triton.jit
def _floor(best, width, lane, inside):
    """Returns what a path must reach in each lane."""
    top = tl.load(best + lane, mask=inside, other=LOWEST)
    highest = tl.where(top == LOWEST, float("-inf"), unordered(top))
    return highest - tl.load(width + lane, mask=inside, other=0.0)


@triton.jit
def closing_sizes(counters, keys, wave, states, bounds, sizes, room, BLOCK: tl.constexpr):
    """How many epsilon arcs each token of the wave has; 0 beyond them."""
    count = amount(counters, tl.load(counters + WAVE), room)
    for at in range(tl.program_id(0) * BLOCK, room, tl.num_programs(0) * BLOCK):
        i = at + tl.arange(0, BLOCK)
        inside = i < count
        key = tl.load(keys + tl.load(wave + i, mask=inside, other=0), mask=inside, other=0)
        state = key % states
        first = tl.load(bounds + 2 * state + 1, mask=inside, other=0)
        tl.store(sizes + i, tl.load(bounds + 2 * state + 2, mask=inside, other=0) - first, mask=i < room)


@triton.jit
def relax(
    counters, wave, following, stamps, stamp, best, width, states, bounds, arcs, arc_scores, sizes, ends, keys, values,
    claimed, ranks, lane_counts, table, room_tokens, room, BLOCK: tl.constexpr,
):  # fmt: skip
    """Follows the epsilon arcs of a wave; the tokens that got better make the next one."""
    count, work = tl.load(counters + WAVE), amount(counters, tl.load(ends + room_tokens - 1), room)
    for at in range(tl.program_id(0) * BLOCK, work, tl.num_programs(0) * BLOCK):
        j = at + tl.arange(0, BLOCK).to(tl.int64)
        inside = j < work
        i = _owner(ends, j, count, inside)
        source = tl.load(wave + i, mask=inside, other=0)
        key = tl.load(keys + source, mask=inside, other=0)
        lane = (key // states).to(tl.int32)
        begun = tl.load(ends + i, mask=inside, other=0) - tl.load(sizes + i, mask=inside, other=0)
        arc = tl.load(bounds + 2 * (key % states) + 1, mask=inside, other=0) + j - begun
        # Another program may be raising it: then the token is in the next wave too.
        score = unordered(tl.load(values + source, mask=inside, other=LOWEST, volatile=True))
        total = score + tl.load(arc_scores + 3 * arc + 2, mask=inside, other=0.0).to(tl.float64)
        kept = inside & (total >= _floor(best, width, lane, inside)) & (total > float("-inf"))
        reached = lane.to(tl.int64) * states + tl.load(arcs + 3 * arc, mask=kept, other=0)
        entry = _claim(counters, keys, claimed, ranks, lane_counts, lane, reached, kept, table, room_tokens, BLOCK)
        kept = entry >= 0
        better = kept & (tl.atomic_max(values + entry, ordered(total), mask=kept) < ordered(total))
        better &= tl.atomic_xchg(stamps + entry, tl.full([BLOCK], 0, tl.int32) + stamp, mask=better) != stamp
        number = tl.sum(better.to(tl.int32), 0)
        to = tl.atomic_add(counters + NEXT, number.to(tl.int64)) + tl.cumsum(better.to(tl.int32), 0) - 1
        if tl.max(tl.where(better, to, 0), 0) >= room_tokens:
            tl.store(counters + FULL, 1)
        tl.store(following + to, entry, mask=better & (to < room_tokens))


@triton.jit
def place(
    counters, claimed, keys, values, ranks, lane_ends, states, numbers, log_lane, log_state, log_score, room, log_room,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Writes the tokens of the new level, lane by lane."""
    end, count = tl.load(counters + TOKENS), amount(counters, tl.load(counters + CLAIMED), room)
    count = amount(counters, end + count, log_room) - end
    for at in range(tl.program_id(0) * BLOCK, count, tl.num_programs(0) * BLOCK):
        i = at + tl.arange(0, BLOCK)
        inside = i < count
        entry = tl.load(claimed + i, mask=inside, other=0)
        key = tl.load(keys + entry, mask=inside, other=0)
        lane = (key // states).to(tl.int32)
        number = tl.load(lane_ends + lane, mask=inside, other=0) + tl.load(ranks + entry, mask=inside, other=0)
        tl.store(numbers + entry, number.to(tl.int32), mask=inside)
        to = end + number
        tl.store(log_lane + to, lane, mask=inside)
        tl.store(log_state + to, (key % states).to(tl.int32), mask=inside)
        tl.store(log_score + to, unordered(tl.load(values + entry, mask=inside, other=0)), mask=inside)


@triton.jit
def emit_links(
    counters, log_lane, log_state, bounds, arcs, frames, frame_count, num_pdfs, sizes, ends, owners, entries, numbers,
    link_source, link_target, link_arc, link_acoustic, room_tokens, room, log_room, BLOCK: tl.constexpr,
):  # fmt: skip
    """Writes the links over the frame."""
    level, work = tl.load(counters + LEVEL), amount(counters, tl.load(ends + room_tokens - 1), room)
    for at in range(tl.program_id(0) * BLOCK, work, tl.num_programs(0) * BLOCK):
        j = at + tl.arange(0, BLOCK).to(tl.int64)
        inside = j < work
        entry = tl.load(entries + j, mask=inside, other=-1)
        kept = inside & (entry >= 0)
        number = tl.sum(kept.to(tl.int32), 0)
        to = tl.atomic_add(counters + LINKS, number.to(tl.int64)) + tl.cumsum(kept.to(tl.int32), 0) - 1
        if tl.max(tl.where(kept, to, 0), 0) >= log_room:
            tl.store(counters + FULL, 1)
        kept &= to < log_room
        token = tl.load(owners + j, mask=kept, other=0)
        lane = tl.load(log_lane + level + token, mask=kept, other=0)
        state = tl.load(log_state + level + token, mask=kept, other=0)
        begun = tl.load(ends + token, mask=kept, other=0) - tl.load(sizes + token, mask=kept, other=0)
        arc = tl.load(bounds + 2 * state, mask=kept, other=0) + j - begun
        row = lane.to(tl.int64) * frame_count + tl.load(counters + FRAME)
        acoustic = tl.load(
            frames + row * num_pdfs + tl.load(arcs + 3 * arc + 1, mask=kept, other=0), mask=kept, other=0
        )
        tl.store(link_source + to, token, mask=kept)
        tl.store(link_target + to, tl.load(numbers + entry, mask=kept, other=0), mask=kept)
        tl.store(link_arc + to, arc.to(tl.int32), mask=kept)
        tl.store(link_acoustic + to, acoustic, mask=kept)


@triton.jit
def inner_sizes(counters, log_state, bounds, sizes, room, BLOCK: tl.constexpr):
    """How many epsilon arcs each token of the new level has; 0 beyond them."""
    begin, count = tl.load(counters + TOKENS), amount(counters, tl.load(counters + CLAIMED), room)
    for at in range(tl.program_id(0) * BLOCK, room, tl.num_programs(0) * BLOCK):
        i = at + tl.arange(0, BLOCK)
        inside = i < count
        state = tl.load(log_state + begin + i, mask=inside, other=0)
        first = tl.load(bounds + 2 * state + 1, mask=inside, other=0)
        tl.store(sizes + i, tl.load(bounds + 2 * state + 2, mask=inside, other=0) - first, mask=i < room)


@triton.jit
def epsilon_links(
    counters, log_lane, log_state, log_score, best, width, states, bounds, arcs, arc_scores, sizes, ends, keys, claimed,
    ranks, lane_counts, numbers, inner_source, inner_target, inner_arc, table, room_tokens, room, log_room,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Writes the links over epsilon arcs inside the new level; where they lead there are tokens."""
    begin, count = tl.load(counters + TOKENS), tl.load(counters + CLAIMED)
    work = amount(counters, tl.load(ends + room_tokens - 1), room)
    for at in range(tl.program_id(0) * BLOCK, work, tl.num_programs(0) * BLOCK):
        j = at + tl.arange(0, BLOCK).to(tl.int64)
        inside = j < work
        token = _owner(ends, j, count, inside)
        lane = tl.load(log_lane + begin + token, mask=inside, other=0)
        state = tl.load(log_state + begin + token, mask=inside, other=0)
        begun = tl.load(ends + token, mask=inside, other=0) - tl.load(sizes + token, mask=inside, other=0)
        arc = tl.load(bounds + 2 * state + 1, mask=inside, other=0) + j - begun
        score = tl.load(log_score + begin + token, mask=inside, other=float("-inf"))
        total = score + tl.load(arc_scores + 3 * arc + 2, mask=inside, other=0.0).to(tl.float64)
        kept = inside & (total >= _floor(best, width, lane, inside)) & (total > float("-inf"))
        key = lane.to(tl.int64) * states + tl.load(arcs + 3 * arc, mask=kept, other=0)
        entry = _claim(counters, keys, claimed, ranks, lane_counts, lane, key, kept, table, room_tokens, BLOCK)
        kept = entry >= 0
        number = tl.sum(kept.to(tl.int32), 0)
        to = tl.atomic_add(counters + EPSILONS, number.to(tl.int64)) + tl.cumsum(kept.to(tl.int32), 0) - 1
        if tl.max(tl.where(kept, to, 0), 0) >= log_room:
            tl.store(counters + FULL, 1)
        kept &= to < log_room
        tl.store(inner_source + to, token.to(tl.int32), mask=kept)
        tl.store(inner_target + to, tl.load(numbers + entry, mask=kept, other=0), mask=kept)
        tl.store(inner_arc + to, arc.to(tl.int32), mask=kept)


@triton.jit
def clear(counters, claimed, keys, values, stamps, room, BLOCK: tl.constexpr):
    """Frees the entries of the hash table that were in use."""
    count = tl.minimum(tl.load(counters + CLAIMED), room)
    for at in range(tl.program_id(0) * BLOCK, count, tl.num_programs(0) * BLOCK):
        i = at + tl.arange(0, BLOCK)
        entry = tl.load(claimed + i, mask=i < count, other=0)
        tl.store(keys + entry, tl.full([BLOCK], FREE, tl.int64), mask=i < count)
        tl.store(values + entry, tl.full([BLOCK], LOWEST, tl.int64), mask=i < count)
        tl.store(stamps + entry, tl.full([BLOCK], 0, tl.int32), mask=i < count)


@triton.jit
def first_wave(counters):
    """Every token that the frame brought may have epsilon arcs."""
    tl.store(counters + WAVE, tl.load(counters + CLAIMED))
    tl.store(counters + NEXT, tl.load(counters + NEXT) * 0)


@triton.jit
def next_wave(counters):
    """What got better is followed next."""
    tl.store(counters + WAVE, tl.load(counters + NEXT))
    tl.store(counters + NEXT, tl.load(counters + NEXT) * 0)


@triton.jit
def next_frame(counters, marks):
    """Ends a frame; marks: int64 [frame + 1][3], the ends of tokens, links and epsilon links."""
    frame = tl.load(counters + FRAME) + 1
    tokens, claimed = tl.load(counters + TOKENS), tl.load(counters + CLAIMED)
    tl.store(counters + LEVEL, tokens)
    tl.store(counters + TOKENS, tokens + claimed)
    tl.store(counters + CLAIMED, claimed * 0)
    tl.store(counters + FRAME, frame)
    tl.store(marks + 3 * frame, tokens + claimed)
    tl.store(marks + 3 * frame + 1, tl.load(counters + LINKS))
    tl.store(marks + 3 * frame + 2, tl.load(counters + EPSILONS))
