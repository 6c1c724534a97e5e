"""Compiled loops of supervision: which phones an output frame may be in, and the pdf sequences that follow.

A state is an arc of the numerator at a frame: the phone that the frame before was in. Its way on is the phone's loop
pdf, or the forward pdf of a phone that follows. Different states may go on with the same pdf; sets of them make the
acceptor deterministic, so that each pdf sequence counts once.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["determinize_chunk", "determinize_untimed", "live_states"]


@kernel
def longer(array):
    """Returns the array with room for as much again."""
    more = np.empty(2 * len(array), array.dtype)
    more[: len(array)] = array
    return more


@kernel
def _splits(arcs):
    """Returns where each node's arcs begin."""
    nodes = 0
    for a in range(len(arcs)):
        nodes = max(nodes, arcs[a, 5], arcs[a, 6])
    splits = np.zeros(nodes + 2, np.int64)
    for a in range(len(arcs)):
        splits[arcs[a, 5] + 1] += 1
    return np.cumsum(splits)


@kernel
def _allowed(arcs, frames, offset, factor, left, right):
    """Returns whether some arc of a phone has each output frame within its times and tolerance: [phone][frame]."""
    phones = 0
    for a in range(len(arcs)):
        phones = max(phones, arcs[a, 0])
    allowed = np.zeros((phones + 1, frames), np.bool_)
    for a in range(len(arcs)):
        begin = max(0, -((offset + left - arcs[a, 1]) // factor))
        end = min(frames, -((offset - arcs[a, 2] - right) // factor))
        for t in range(begin, end):
            allowed[arcs[a, 0], t] = True
    return allowed


@kernel
def live_states(arcs, finals, frames, offset, factor, left, right):
    """Finds the states on some way through the whole utterance: bool [frames + 1][arcs]; frame 0 holds none.

    Output frame t is frame offset + t · factor of the features; a phone may be in it if some phone of the same name
    has that frame within its times, widened by `left` and `right` frames.
    """
    allowed = _allowed(arcs, frames, offset, factor, left, right)
    splits = _splits(arcs)
    live = np.zeros((frames + 1, len(arcs)), np.bool_)
    if frames == 0:
        return live
    for a in range(splits[0], splits[1]):
        live[1, a] = allowed[arcs[a, 0], 0]
    for t in range(1, frames):
        for a in range(len(arcs)):
            if not live[t, a]:
                continue
            if allowed[arcs[a, 0], t]:
                live[t + 1, a] = True
            for b in range(splits[arcs[a, 6]], splits[arcs[a, 6] + 1]):
                if allowed[arcs[b, 0], t]:
                    live[t + 1, b] = True
    ends = np.zeros(len(splits), np.bool_)
    for k in range(len(finals)):
        ends[finals[k]] = True
    for a in range(len(arcs)):
        live[frames, a] &= ends[arcs[a, 6]]
    for t in range(frames - 1, 0, -1):
        for a in range(len(arcs)):
            if not live[t, a]:
                continue
            good = live[t + 1, a] and allowed[arcs[a, 0], t]
            for b in range(splits[arcs[a, 6]], splits[arcs[a, 6] + 1]):
                good |= live[t + 1, b]
            live[t, a] = good
    return live


@kernel
def _ways_on(arcs, splits, members, may, ways):
    """Lists (pdf, arc) of the ways on from a set of states, sorted, each once; returns the list and its length.

    The set without members is the start of the utterance. `may` tells which arcs the next state may be in.
    """
    count = 0
    if len(members) == 0:
        for b in range(splits[0], splits[1]):
            if may[b]:
                ways, count = _insert(ways, count, arcs[b, 3], b)
    for a in members:
        if may[a]:
            ways, count = _insert(ways, count, arcs[a, 4], a)
        for b in range(splits[arcs[a, 6]], splits[arcs[a, 6] + 1]):
            if may[b]:
                ways, count = _insert(ways, count, arcs[b, 3], b)
    return ways, count


@kernel
def _insert(ways, count, pdf, arc):
    """Puts (pdf, arc) into a sorted list, once."""
    place = count
    while place > 0 and (ways[place - 1, 0] > pdf or (ways[place - 1, 0] == pdf and ways[place - 1, 1] > arc)):
        place -= 1
    if place > 0 and ways[place - 1, 0] == pdf and ways[place - 1, 1] == arc:
        return ways, count
    if count == len(ways):
        more = np.empty((2 * count, 2), np.int64)
        more[:count] = ways
        ways = more
    for k in range(count, place, -1):
        ways[k, 0], ways[k, 1] = ways[k - 1, 0], ways[k - 1, 1]
    ways[place, 0], ways[place, 1] = pdf, arc
    return ways, count + 1


@kernel
def _find(members, splits, first, count, wanted):
    """Returns the set of those members among sets first … count − 1; count if there is none."""
    for q in range(first, count):
        if splits[q + 1] - splits[q] != len(wanted):
            continue
        same = True
        for k in range(len(wanted)):
            same &= members[splits[q] + k] == wanted[k]
        if same:
            return q
    return count


@kernel
def _expand(arcs, nodes, q, first, may, members, splits, count, ways, rows, used):
    """Adds the sets that follow set q, and the rows (from set, to set, pdf); looks for equal sets from `first` on."""
    ways, size = _ways_on(arcs, nodes, members[splits[q] : splits[q + 1]], may, ways)
    begin = 0
    while begin < size:
        end = begin
        while end < size and ways[end, 0] == ways[begin, 0]:
            end += 1
        wanted = ways[begin:end, 1]
        target = _find(members, splits, first, count, wanted)
        if target == count:
            while splits[count] + len(wanted) > len(members):
                members = longer(members)
            if count + 2 > len(splits):
                splits = longer(splits)
            members[splits[count] : splits[count] + len(wanted)] = wanted
            splits[count + 1] = splits[count] + len(wanted)
            count += 1
        if used == len(rows):
            more = np.empty((2 * used, 3), np.int32)
            more[:used] = rows
            rows = more
        rows[used, 0], rows[used, 1], rows[used, 2] = q, target, ways[begin, 0]
        used += 1
        begin = end
    return members, splits, count, ways, rows, used


@kernel
def determinize_chunk(arcs, live, begin, end):
    """Returns the pdf sequences of output frames begin … end − 1 as a deterministic acceptor that begins in state 0.

    Returns:
      int32 [rows][3] (from, to, pdf), sorted by from, and bool [states], those reached by all frames.
    """
    nodes = _splits(arcs)
    members, splits = np.empty(64, np.int64), np.zeros(64, np.int64)
    count, used = 1, 0
    if begin > 0:
        for a in range(len(arcs)):
            if live[begin, a]:
                if splits[1] == len(members):
                    members = longer(members)
                members[splits[1]] = a
                splits[1] += 1
    ways, rows = np.empty((64, 2), np.int64), np.empty((256, 3), np.int32)
    low, high = 0, 1
    for t in range(begin, end):
        for q in range(low, high):
            members, splits, count, ways, rows, used = _expand(
                arcs, nodes, q, high, live[t + 1], members, splits, count, ways, rows, used
            )
        low, high = high, count
    finals = np.zeros(count, np.bool_)
    finals[low:] = True
    return rows[:used].copy(), finals


@kernel
def determinize_untimed(arcs, finals):
    """Returns all pdf sequences of a numerator whose phones may be anywhere, as a deterministic, cyclic acceptor.

    Returns:
      As `determinize_chunk`; the second: states in which the utterance may end.
    """
    nodes = _splits(arcs)
    members, splits = np.empty(64, np.int64), np.zeros(64, np.int64)
    ways, rows = np.empty((64, 2), np.int64), np.empty((256, 3), np.int32)
    may = np.ones(len(arcs), np.bool_)
    count, used, q = 1, 0, 0
    while q < count:
        members, splits, count, ways, rows, used = _expand(
            arcs, nodes, q, 1, may, members, splits, count, ways, rows, used
        )
        q += 1
    ends = np.zeros(len(nodes), np.bool_)
    for k in range(len(finals)):
        ends[finals[k]] = True
    found = np.zeros(count, np.bool_)
    for q in range(count):
        for k in range(splits[q], splits[q + 1]):
            found[q] |= ends[arcs[members[k], 6]]
    return rows[:used].copy(), found
