"""Epsilon arcs inside the last level: the tokens that they reach, and the links between them.

The walk itself (`_walk`) names its arrays once and leaves when they are too short. Where a loop gives an array a new
value, numba counts references in every turn, with instructions that wait for all memory before them: half the time.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.base.fetch import fetch
from hybrid.search.engines.token_kernels import FREE, find, table_of
from hybrid.search.engines.trellis import Trellis, enlarged

__all__ = ["follow_epsilons"]

SPARE = 64  # tokens that there is room for beside twice those of the level


@kernel
def follow_epsilons(graph, trellis, table, floor):
    """Adds the tokens that epsilon arcs reach from the last level at no less than `floor`, and these links.

    Args:
      table: finds the tokens of the level, see `token_kernels`.

    Returns:
      The trellis.
    """
    first, end = trellis.splits[trellis.levels - 1, 0], trellis.splits[trellis.levels, 0]
    room = 2 * (end - first) + SPARE
    states, scores = enlarged(trellis.states, end, first + room), enlarged(trellis.scores, end, first + room)
    sources, waiting, number = _with_epsilons(graph, states[first:end], room)
    stack, counts = sources.copy(), np.array([end - first, number, number])
    done = False
    while not done:
        done = _walk(graph, states[first:], scores[first:], table, floor, stack, waiting, sources, counts)
        if not done:
            room *= 2
            end = first + counts[0]
            states, scores = enlarged(states, end, first + room), enlarged(scores, end, first + room)
            stack, waiting = enlarged(stack, counts[1], room), enlarged(waiting, counts[0], room)
            sources = enlarged(sources, counts[2], room)
            table = table_of(states[first:end], room, table[:0])
    trellis = _with_tokens(trellis, states, scores, first + counts[0])
    return _with_links(graph, trellis, table, sources[: counts[2]], floor)


@kernel
def _with_epsilons(graph, states, room):
    """Returns the tokens that epsilon arcs leave, uint32 [room]; which these are, bool [room]; and their number."""
    bounds, arcs = graph.bounds, graph.arcs
    sources, waiting = np.empty(room, np.uint32), np.zeros(room, np.bool_)
    number = 0
    for i in range(len(states)):
        s = 2 * np.int64(np.uint32(states[i]))
        if bounds[s + 2] > bounds[s + 1]:
            fetch(arcs, 3 * np.int64(bounds[s + 1]))
            sources[number], waiting[i] = i, True
            number += 1
    return sources, waiting, number


@kernel
def _walk(graph, states, scores, table, floor, stack, waiting, sources, counts):
    """Follows the epsilon arcs of the tokens that wait, and of those that these reach at a better score than before.

    Args:
      states, scores: of the level's tokens, with room for more. stack: the tokens that wait, as `waiting` tells too.
      sources: the tokens that epsilon arcs leave.
      counts: int64 [3], numbers of tokens, of those on the stack, of sources; overwritten.

    Returns:
      Whether no token waits any more: otherwise there may be no room for what the next one leads to.
    """
    bounds, arcs, arc_scores = graph.bounds, graph.arcs, graph.scores
    count, depth, number = counts[0], counts[1], counts[2]
    room = min(len(stack), len(table) // 4)
    while depth > 0:
        i = stack[depth - 1]
        s = 2 * np.int64(np.uint32(states[i]))
        begin, end = np.int64(bounds[s + 1]), np.int64(bounds[s + 2])
        if count + end - begin > room:
            break
        depth -= 1
        waiting[i] = False
        score = scores[i]
        for a in range(begin, end):
            d, weight = arcs[3 * a], arc_scores[3 * a + 2]
            total = score + np.float64(weight)
            if total < floor:
                continue
            at = find(table, d)
            new = table[at] == FREE
            j = np.uint32(count) if new else table[at + np.uint64(1)]
            if not new and total <= scores[j]:
                continue
            scores[j] = total
            if new:
                table[at], table[at + np.uint64(1)] = d, j
                states[j], waiting[j] = d, False
                count += 1
            behind = 2 * np.int64(d)
            if bounds[behind + 2] > bounds[behind + 1]:
                if new:
                    sources[number] = j
                    number += 1
                if not waiting[j]:
                    stack[depth], waiting[j] = j, True
                    depth += 1
    counts[0], counts[1], counts[2] = count, depth, number
    return depth == 0


@kernel
def _with_tokens(trellis, states, scores, end):
    """Returns the trellis with other arrays of tokens, of which the last level's end at `end`."""
    first = trellis.splits[trellis.levels - 1, 0]
    extra = enlarged(trellis.extra, first, end)
    extra[first:end] = 0.0
    trellis.splits[trellis.levels, 0] = end
    return Trellis(
        trellis.levels, trellis.splits, states, scores, extra, trellis.links, trellis.acoustic, trellis.epsilons
    )  # fmt: skip


@kernel
def _with_links(graph, trellis, table, sources, floor):
    """Returns the trellis with the epsilon arcs between the tokens of the last level that reach at least `floor`."""
    bounds, arcs, arc_scores = graph.bounds, graph.arcs, graph.scores
    first, ends = trellis.splits[trellis.levels - 1, 0], trellis.splits[trellis.levels]
    states, scores = trellis.states[first : ends[0]], trellis.scores[first : ends[0]]
    room = np.int64(0)
    for i in sources:
        s = 2 * np.int64(np.uint32(states[i]))
        room += np.int64(bounds[s + 2]) - np.int64(bounds[s + 1])
    links = enlarged(trellis.epsilons, ends[2], ends[2] + room)
    new, used = links[ends[2] :].reshape(-1), 0
    weights = new.view(np.float32)
    for i in sources:
        s = 2 * np.int64(np.uint32(states[i]))
        for a in range(np.int64(bounds[s + 1]), np.int64(bounds[s + 2])):
            d, weight = arcs[3 * a], arc_scores[3 * a + 2]
            if scores[i] + np.float64(weight) >= floor:
                target = table[find(table, d) + np.uint64(1)]
                new[4 * used], new[4 * used + 1], new[4 * used + 2], weights[4 * used + 3] = i, target, a, weight
                used += 1
    ends[2] += used
    return Trellis(
        trellis.levels, trellis.splits, trellis.states, trellis.scores, trellis.extra, trellis.links, trellis.acoustic,
        links,
    )  # fmt: skip
