"""The kernels of token passing in lanes, compiled by Triton; `twin` is what they compute, `card` launches them.

Work is spread over arcs: of each of them a binary search in prefix sums tells whose it is. Tokens are recombined in a
row for each lane and state, scores by an atomic maximum over bits in the order of the numbers. Nothing depends on the
order in which programs run but the order of the tokens of a lane, which nobody reads. No program trusts a size: what
does not fit sets a flag, and the chunk is searched again with more room.
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
    TOKENS,
    WAVES,
    amount,
    ordered,
    sized_jit,
    unordered,
)

__all__ = ["count_kept", "emit", "emit_sizes", "epsilon_links", "first_owners", "first_wave", "insert", "keep",
           "link_targets", "next_frame", "place", "relax"]  # fmt: skip

# The row of a lane and a state: the bits of the token's score, and its rank in its lane, later its number in the level.
NUMBER = tl.constexpr(1)


@sized_jit
def emit_sizes(
    counters, log_lane, log_state, log_score, cutoff, lengths, bounds, sizes, ends, block_sizes, room,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """How many emitting arcs each token of the last level is followed over, summed within a block, and of blocks."""
    level, frame = tl.load(counters + LEVEL), tl.load(counters + FRAME)
    count = amount(counters, tl.load(counters + TOKENS) - level, room)
    for at in range(tl.program_id(0) * BLOCK, room, tl.num_programs(0) * BLOCK):
        number = 0
        if at < count:
            i = at + tl.arange(0, BLOCK)
            inside = i < count
            lane = tl.load(log_lane + level + i, mask=inside, other=0)
            going = inside & (tl.load(lengths + lane, mask=inside, other=0) > frame)
            score = tl.load(log_score + level + i, mask=going, other=0.0)
            going &= score >= tl.load(cutoff + lane, mask=going, other=0.0)
            state = tl.load(log_state + level + i, mask=going, other=0)
            first = tl.load(bounds + 2 * state, mask=going, other=0)
            number = _sum(tl.load(bounds + 2 * state + 1, mask=going, other=0) - first, sizes, ends, i, inside)
        tl.store(block_sizes + at // BLOCK, number)


@triton.jit
def _sum(size, sizes, ends, i, inside):
    """Writes the sizes of a block, and their sums up to each; returns the sum of all."""
    tl.store(sizes + i, size, mask=inside)
    tl.store(ends + i, tl.cumsum(size, 0), mask=inside)
    return tl.sum(size, 0)


@triton.jit
def _end(ends, bases, i, inside, BLOCK: tl.constexpr):
    """Returns the sum of all sizes up to some; `bases` has that of all blocks before each, and of all."""
    return tl.load(bases + i // BLOCK, mask=inside, other=0) + tl.load(ends + i, mask=inside, other=0)


@triton.jit
def _owner(ends, bases, j, low, high, span, inside, BLOCK: tl.constexpr):
    """Returns whose arc each one is: the first whose end lies beyond it, between two at most `span` apart."""
    while span > 0:
        middle = (low + high) // 2
        searching = inside & (low < high)
        beyond = _end(ends, bases, middle, searching, BLOCK) > j
        high = tl.where(searching & beyond, middle, high)
        low = tl.where(searching & (beyond == 0), middle + 1, low)
        span = span // 2
    return low


@sized_jit
def first_owners(counters, ends, bases, owners, room_tokens, room, EACH: tl.constexpr, BLOCK: tl.constexpr):
    """Whose each EACH-th arc is, so that others need not search among all tokens."""
    count = tl.load(counters + TOKENS) - tl.load(counters + LEVEL)
    work = amount(counters, tl.load(bases + tl.cdiv(room_tokens, BLOCK)), room)
    for at in range(tl.program_id(0) * BLOCK, tl.cdiv(work, EACH), tl.num_programs(0) * BLOCK):
        i = at + tl.arange(0, BLOCK).to(tl.int64)
        inside = i * EACH < work
        owner = _owner(ends, bases, i * EACH, i * 0, i * 0 + count, count, inside, BLOCK)
        tl.store(owners + i, owner.to(tl.int32), mask=inside)


@sized_jit
def emit(
    counters, log_lane, log_state, log_score, bounds, arcs, arc_scores, frames, frame_count, num_pdfs, settings, sizes,
    ends, bases, block_owners, totals, owners, best, room_tokens, room, BLOCK: tl.constexpr,
):  # fmt: skip
    """The score over each arc, and the best one of each lane; of each block `block_owners` says whose its first is."""
    level = tl.load(counters + LEVEL)
    count = tl.load(counters + TOKENS) - level
    work = amount(counters, tl.load(bases + tl.cdiv(room_tokens, BLOCK)), room)
    for at in range(tl.program_id(0) * BLOCK, work, tl.num_programs(0) * BLOCK):
        j = at + tl.arange(0, BLOCK).to(tl.int64)
        inside = j < work
        first, further = tl.load(block_owners + at // BLOCK), at + BLOCK < work
        last = tl.load(block_owners + at // BLOCK + 1, mask=further, other=0)
        last = tl.where(further, last, count)
        token = _owner(ends, bases, j, j * 0 + first, j * 0 + last, last - first, inside, BLOCK)
        state = tl.load(log_state + level + token, mask=inside, other=0)
        begun = _end(ends, bases, token, inside, BLOCK) - tl.load(sizes + token, mask=inside, other=0)
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
        lowest = tl.min(tl.where(inside, lane, 2147483647), 0)
        if tl.max(tl.where(inside, lane, 0), 0) == lowest:
            tl.atomic_max(best + lowest, tl.max(tl.where(inside, ordered(total), LOWEST), 0))
        else:
            tl.atomic_max(best + lane, ordered(total), mask=inside)


@triton.jit
def _floor(best, width, lane, inside):
    """Returns what a path must reach in each lane."""
    top = tl.load(best + lane, mask=inside, other=LOWEST)
    highest = tl.where(top == LOWEST, float("-inf"), unordered(top))
    return highest - tl.load(width + lane, mask=inside, other=0.0)


@triton.jit
def _reaching(counters, log_lane, totals, owners, best, width, j, inside):
    """Returns which arcs reach the floor of their lanes, their tokens and totals."""
    token = tl.load(owners + j, mask=inside, other=0)
    lane = tl.load(log_lane + tl.load(counters + LEVEL) + token, mask=inside, other=0)
    total = tl.load(totals + j, mask=inside, other=float("-inf"))
    return inside & (total >= _floor(best, width, lane, inside)) & (total > float("-inf")), token, total


@sized_jit
def count_kept(
    counters, log_lane, bases, totals, owners, best, width, kept_sizes, room_tokens, room, BLOCK: tl.constexpr
):  # fmt: skip
    """How many arcs of each block reach the floor; 0 beyond them."""
    work = amount(counters, tl.load(bases + tl.cdiv(room_tokens, BLOCK)), room)
    for at in range(tl.program_id(0) * BLOCK, room, tl.num_programs(0) * BLOCK):
        number = 0
        if at < work:
            j = at + tl.arange(0, BLOCK).to(tl.int64)
            kept, _, _ = _reaching(counters, log_lane, totals, owners, best, width, j, j < work)
            number = tl.sum(kept.to(tl.int32), 0)
        tl.store(kept_sizes + at // BLOCK, number)


@sized_jit
def keep(
    counters, log_lane, log_state, bounds, arcs, frames, frame_count, num_pdfs, sizes, ends, bases, totals, owners,
    best, width, kept_sizes, kept_ends, kept_totals, link_source, link_arc, link_acoustic, room_tokens, room, log_room,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Writes the links over the frame, but where they lead, and their totals."""
    level, links = tl.load(counters + LEVEL), tl.load(counters + LINKS)
    work = amount(counters, tl.load(bases + tl.cdiv(room_tokens, BLOCK)), room)
    found = tl.load(kept_ends + tl.cdiv(room, BLOCK) - 1)
    work = tl.where(amount(counters, links + found, log_room) == 0, 0, work)
    for at in range(tl.program_id(0) * BLOCK, work, tl.num_programs(0) * BLOCK):
        j = at + tl.arange(0, BLOCK).to(tl.int64)
        kept, token, total = _reaching(counters, log_lane, totals, owners, best, width, j, j < work)
        begun = tl.load(kept_ends + at // BLOCK) - tl.load(kept_sizes + at // BLOCK)
        number = begun + tl.cumsum(kept.to(tl.int32), 0) - 1
        state = tl.load(log_state + level + token, mask=kept, other=0)
        passed = _end(ends, bases, token, kept, BLOCK) - tl.load(sizes + token, mask=kept, other=0)
        arc = tl.load(bounds + 2 * state, mask=kept, other=0) + j - passed
        pdf = tl.load(arcs + 3 * arc + 1, mask=kept, other=0)
        lane = tl.load(log_lane + level + token, mask=kept, other=0)
        row = lane.to(tl.int64) * frame_count + tl.load(counters + FRAME)
        tl.store(kept_totals + number, total, mask=kept)
        tl.store(link_source + links + number, token, mask=kept)
        tl.store(link_arc + links + number, arc.to(tl.int32), mask=kept)
        acoustic = tl.load(frames + row * num_pdfs + pdf, mask=kept, other=0.0)
        tl.store(link_acoustic + links + number, acoustic, mask=kept)


@triton.jit
def _raise(counters, rows, claimed, lane_counts, lane, key, total, wanted, room):
    """Raises tokens to scores, makes those that are not there; returns what their scores were."""
    before = tl.atomic_max(rows + 2 * key, ordered(total), mask=wanted)
    fresh = wanted & (before == LOWEST)
    number = tl.sum(fresh.to(tl.int32), 0)
    at = tl.atomic_add(counters + CLAIMED, number.to(tl.int64)) + tl.cumsum(fresh.to(tl.int32), 0) - 1
    if tl.max(tl.where(fresh, at, 0), 0) >= room:
        tl.store(counters + FULL, 1)
    tl.store(claimed + at, key, mask=fresh & (at < room))
    rank = tl.cumsum(fresh.to(tl.int32), 0) - 1
    lowest, highest = tl.min(tl.where(fresh, lane, 2147483647), 0), tl.max(tl.where(fresh, lane, -1), 0)
    if lowest == highest:  # as nearly always
        rank += tl.atomic_add(lane_counts + lowest, number)
    elif number > 0:
        rank = tl.atomic_add(lane_counts + lane, 1, mask=fresh)
    tl.store(rows + 2 * key + NUMBER, rank.to(tl.int64), mask=fresh)
    return before


@sized_jit
def insert(
    counters, log_lane, arcs, states, rows, claimed, lane_counts, kept_ends, kept_totals, link_source, link_arc, keys,
    room_tokens, room, EACH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Recombines the paths over the links; `keys`: lane × states + state of the token that each leads to."""
    level, links = tl.load(counters + LEVEL), tl.load(counters + LINKS)
    work = amount(counters, tl.load(kept_ends + tl.cdiv(room, EACH) - 1), room)
    for at in range(tl.program_id(0) * BLOCK, work, tl.num_programs(0) * BLOCK):
        k = at + tl.arange(0, BLOCK).to(tl.int64)
        inside = k < work
        token = tl.load(link_source + links + k, mask=inside, other=0)
        arc = tl.load(link_arc + links + k, mask=inside, other=0).to(tl.int64)
        lane = tl.load(log_lane + level + token, mask=inside, other=0)
        key = lane.to(tl.int64) * states + tl.load(arcs + 3 * arc, mask=inside, other=0)
        total = tl.load(kept_totals + k, mask=inside, other=float("-inf"))
        tl.store(keys + k, key, mask=inside)
        _raise(counters, rows, claimed, lane_counts, lane, key, total, inside, room_tokens)


@sized_jit
def relax(
    counters, number, wave, following, best, width, states, bounds, arcs, arc_scores, rows, claimed, lane_counts,
    room_tokens, BLOCK: tl.constexpr,
):  # fmt: skip
    """Follows the epsilon arcs of a wave, token by token; the tokens that got better make the next one."""
    here = counters + WAVES + number
    work = amount(counters, tl.load(here), room_tokens)
    for at in range(tl.program_id(0) * BLOCK, work, tl.num_programs(0) * BLOCK):
        i = at + tl.arange(0, BLOCK)
        inside = i < work
        key = tl.load(wave + i, mask=inside, other=0)
        lane = (key // states).to(tl.int32)
        first = tl.load(bounds + 2 * (key % states) + 1, mask=inside, other=0).to(tl.int64)
        count = tl.load(bounds + 2 * (key % states) + 2, mask=inside, other=0) - first
        # Another program may be raising it: then the token is in the next wave too.
        score = unordered(tl.load(rows + 2 * key, mask=inside & (count > 0), other=LOWEST, volatile=True))
        floor = _floor(best, width, lane, inside & (count > 0))
        for step in range(0, tl.max(count, 0)):
            going = inside & (step < count)
            total = score + tl.load(arc_scores + 3 * (first + step) + 2, mask=going, other=0.0).to(tl.float64)
            kept = going & (total >= floor) & (total > float("-inf"))
            reached = lane.to(tl.int64) * states + tl.load(arcs + 3 * (first + step), mask=kept, other=0)
            before = _raise(counters, rows, claimed, lane_counts, lane, reached, total, kept, room_tokens)
            better = kept & (before < ordered(total))
            fresh = tl.sum(better.to(tl.int32), 0)
            to = tl.atomic_add(here + 1, fresh.to(tl.int64)) + tl.cumsum(better.to(tl.int32), 0) - 1
            if tl.max(tl.where(better, to, 0), 0) >= room_tokens:
                tl.store(counters + FULL, 1)
            tl.store(following + to, reached, mask=better & (to < room_tokens))


@sized_jit
def place(
    counters, claimed, rows, lane_ends, lane_log, lanes, states, log_lane, log_state, log_score, room, log_room,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Writes the tokens of the new level, lane by lane, and where each lane begins (`lane_log`)."""
    own = lane_log + (tl.load(counters + FRAME) + 1) * (lanes + 1)
    for at in range(tl.program_id(0) * BLOCK, lanes + 1, tl.num_programs(0) * BLOCK):
        i = at + tl.arange(0, BLOCK)
        tl.store(own + i, tl.load(lane_ends + i, mask=i <= lanes, other=0), mask=i <= lanes)
    end, count = tl.load(counters + TOKENS), amount(counters, tl.load(counters + CLAIMED), room)
    count = amount(counters, end + count, log_room) - end
    for at in range(tl.program_id(0) * BLOCK, count, tl.num_programs(0) * BLOCK):
        i = at + tl.arange(0, BLOCK)
        inside = i < count
        key = tl.load(claimed + i, mask=inside, other=0)
        lane = (key // states).to(tl.int32)
        number = tl.load(lane_ends + lane, mask=inside, other=0) + tl.load(
            rows + 2 * key + NUMBER, mask=inside, other=0
        )
        tl.store(rows + 2 * key + NUMBER, number, mask=inside)
        tl.store(log_lane + end + number, lane, mask=inside)
        tl.store(log_state + end + number, (key % states).to(tl.int32), mask=inside)
        tl.store(log_score + end + number, unordered(tl.load(rows + 2 * key, mask=inside, other=0)), mask=inside)


@triton.jit
def _epsilons(log_lane, log_state, log_score, best, width, bounds, begin, i, inside):
    """Returns of tokens of the new level: lane, score, floor, first epsilon arc and how many there are."""
    lane = tl.load(log_lane + begin + i, mask=inside, other=0)
    state = tl.load(log_state + begin + i, mask=inside, other=0).to(tl.int64)
    first = tl.load(bounds + 2 * state + 1, mask=inside, other=0).to(tl.int64)
    count = tl.load(bounds + 2 * state + 2, mask=inside, other=0) - first
    score = tl.load(log_score + begin + i, mask=inside & (count > 0), other=float("-inf"))
    return lane, score, _floor(best, width, lane, inside & (count > 0)), first, count


@triton.jit
def _follows(arc_scores, score, floor, first, count, step):
    """Returns which epsilon arcs of a step reach the floor; a token has one at most for each step."""
    going = step < count
    total = score + tl.load(arc_scores + 3 * (first + step) + 2, mask=going, other=0.0).to(tl.float64)
    return going & (total >= floor) & (total > float("-inf"))


@sized_jit
def link_targets(
    counters, log_lane, log_state, log_score, best, width, bounds, arc_scores, rows, kept_ends, keys, link_target,
    sizes, ends, block_sizes, room_tokens, room, log_room, EACH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Writes where links lead; and how many epsilon arcs of each new token reach the floor, summed as `emit_sizes`."""
    links, work = tl.load(counters + LINKS), amount(counters, tl.load(kept_ends + tl.cdiv(room, EACH) - 1), room)
    work = amount(counters, links + work, log_room) - links
    for at in range(tl.program_id(0) * BLOCK, work, tl.num_programs(0) * BLOCK):
        k = at + tl.arange(0, BLOCK)
        inside = k < work
        number = tl.load(rows + 2 * tl.load(keys + k, mask=inside, other=0) + NUMBER, mask=inside, other=0)
        tl.store(link_target + links + k, number.to(tl.int32), mask=inside)
    begin, work = tl.load(counters + TOKENS), amount(counters, tl.load(counters + CLAIMED), room_tokens)
    for at in range(tl.program_id(0) * BLOCK, room_tokens, tl.num_programs(0) * BLOCK):
        number = 0
        if at < work:
            i = at + tl.arange(0, BLOCK)
            _, score, floor, first, count = _epsilons(
                log_lane, log_state, log_score, best, width, bounds, begin, i, i < work
            )  # fmt: skip
            some = tl.zeros([BLOCK], tl.int32)
            for step in range(0, tl.max(count, 0)):
                some += _follows(arc_scores, score, floor, first, count, step).to(tl.int32)
            number = _sum(some, sizes, ends, i, i < work)
        tl.store(block_sizes + at // BLOCK, number)


@sized_jit
def epsilon_links(
    counters, log_lane, log_state, log_score, best, width, claimed, states, bounds, arcs, arc_scores, rows, sizes, ends,
    bases, inner_source, inner_target, inner_arc, room, log_room, BLOCK: tl.constexpr,
):  # fmt: skip
    """Writes the links over epsilon arcs inside the new level; where they lead there are tokens. Frees their rows.

    Of a row only the number is read here, and only the score is written.
    """
    begin, work = tl.load(counters + TOKENS), amount(counters, tl.load(counters + CLAIMED), room)
    links = tl.load(counters + EPSILONS)
    found = tl.load(bases + tl.cdiv(room, BLOCK))
    work = tl.where(amount(counters, links + found, log_room) == 0, 0, work)
    for at in range(tl.program_id(0) * BLOCK, work, tl.num_programs(0) * BLOCK):
        i = at + tl.arange(0, BLOCK)
        inside = i < work
        lane, score, floor, first, count = _epsilons(
            log_lane, log_state, log_score, best, width, bounds, begin, i, inside
        )  # fmt: skip
        to = links + _end(ends, bases, i, inside, BLOCK) - tl.load(sizes + i, mask=inside, other=0)
        for step in range(0, tl.max(count, 0)):
            kept = _follows(arc_scores, score, floor, first, count, step)
            key = lane.to(tl.int64) * states + tl.load(arcs + 3 * (first + step), mask=kept, other=0)
            number = tl.load(rows + 2 * key + NUMBER, mask=kept, other=0)
            tl.store(inner_source + to, i.to(tl.int32), mask=kept)
            tl.store(inner_target + to, number.to(tl.int32), mask=kept)
            tl.store(inner_arc + to, (first + step).to(tl.int32), mask=kept)
            to += kept.to(tl.int64)
    count = tl.minimum(tl.load(counters + CLAIMED), room)
    for at in range(tl.program_id(0) * BLOCK, count, tl.num_programs(0) * BLOCK):
        i = at + tl.arange(0, BLOCK)
        key = tl.load(claimed + i, mask=i < count, other=0)
        tl.store(rows + 2 * key, tl.full([BLOCK], LOWEST, tl.int64), mask=i < count)


@sized_jit
def first_wave(counters, depth):
    """Every token that the frame brought may have epsilon arcs; nothing follows yet."""
    tl.store(counters + WAVES, tl.load(counters + CLAIMED))
    for number in range(depth):
        tl.store(counters + WAVES + number + 1, tl.load(counters + WAVES) * 0)


@sized_jit
def next_frame(counters, kept_ends, bases, marks, room_tokens, room, EACH: tl.constexpr):
    """Ends a frame; marks: int64 [frame + 1][3], the ends of tokens, links and epsilon links."""
    frame = tl.load(counters + FRAME) + 1
    tokens, claimed = tl.load(counters + TOKENS), tl.load(counters + CLAIMED)
    tl.store(counters + LEVEL, tokens)
    tl.store(counters + TOKENS, tokens + claimed)
    tl.store(counters + CLAIMED, claimed * 0)
    tl.store(counters + FRAME, frame)
    links = tl.load(counters + LINKS) + tl.load(kept_ends + tl.cdiv(room, EACH) - 1)
    epsilons = tl.load(counters + EPSILONS) + tl.load(bases + tl.cdiv(room_tokens, EACH))
    tl.store(counters + LINKS, links)
    tl.store(counters + EPSILONS, epsilons)
    tl.store(marks + 3 * frame, tokens + claimed)
    tl.store(marks + 3 * frame + 1, links)
    tl.store(marks + 3 * frame + 2, epsilons)
