"""The loop of token passing over the frames of a chunk, compiled by numba.

The same rules as the reference searcher, in the same order of additions, so that both keep the same tokens. Rows are
read as flat arrays of unsigned numbers: the compiler then needs no strides, and no look at whether an index counts from
the end. Rows of the graph are asked for some tokens ahead. The tokens of a level are found in a hash table
(`token_kernels`). A graph that is composed on the way has the arcs of every token's state before they are needed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.base.fetch import fetch
from hybrid.lookahead.compose_kernels import compose_states
from hybrid.search.engines.bias_kernels import compose_pairs
from hybrid.search.engines.native_epsilons import follow_epsilons
from hybrid.search.engines.native_prune import prune_trellis
from hybrid.search.engines.token_kernels import FREE, SMALLEST, find, table_of, table_size
from hybrid.search.engines.trace import begin_trace, best_epsilons, best_links, extend, settle
from hybrid.search.engines.trellis import Trellis, enlarged
from hybrid.search.engines.widths import find_cutoff, inside

__all__ = ["GraphArrays", "begin_search", "search_frames"]

NEG_INF = -np.inf
LEAST = -np.finfo(np.float64).max  # what is not less is possible
AHEAD = 12  # tokens whose arcs are asked for before they are needed
ONE, TWO, THREE, FOUR = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)


class GraphArrays(NamedTuple):
    """A `SearchGraph` for the kernels, flat.

    Attributes:
      bounds, arcs: as there, uint32 [2 (S+1)] and [3 A]. scores: float32 [3 A], the same memory as `arcs`.
    """

    bounds: np.ndarray
    arcs: np.ndarray
    scores: np.ndarray


@kernel
def begin_search(graph, start):
    """Returns the trellis and the trace of an utterance without frames.

    It holds the start and what that reaches by epsilons.
    """
    trellis = Trellis(
        1, np.zeros((64, 3), np.int64), np.empty(64, np.int32), np.empty(64, np.float64), np.empty(64, np.float64),
        np.empty((64, 4), np.int32), np.empty(64, np.float32), np.empty((64, 4), np.int32),
    )  # fmt: skip
    trellis.states[0], trellis.scores[0] = start, 0.0
    trellis.splits[1, 0] = 1
    table = table_of(trellis.states[:1], 1, np.empty(2 * SMALLEST, np.uint32))
    trellis = follow_epsilons(graph, trellis, table, LEAST)
    return trellis, begin_trace(best_epsilons(trellis, np.zeros(1)))


@kernel
def search_frames(graph, source, bias, raised, widths, trellis, trace, frames, traced):
    """Searches the next frames.

    Args:
      graph: `GraphArrays`; the `Composed` of a `Source`, where there is one.
      source: what the graph is composed of as the search goes on, None without.
      bias, raised: phrases, a `BiasSource`, and the `Raised` whose arrays the graph is; None without.
      frames: float32 [frame][pdf_id], unscaled.
      traced: keep the trace; without, there are no partial results from here on.

    Returns:
      Graph, phrases, trellis and trace, in the memory of those given and more; at how many frames max-active decided.
    """
    limited = 0
    memory = np.empty(2 * SMALLEST, np.uint32)
    for t in range(len(frames)):
        first, end = trellis.splits[trellis.levels - 1, 0], trellis.splits[trellis.levels, 0]
        cutoff, width, limit = find_cutoff(trellis.scores[first:end], widths)
        limited += limit
        moved, totals, floor = _expand(graph, widths, trellis, frames[t], cutoff, width)
        memory = enlarged(memory, 0, table_size(len(totals)))
        table = memory[: table_size(len(totals))]
        trellis = _recombine(graph, trellis, table, frames[t], moved, totals, floor)
        first, end = trellis.splits[trellis.levels - 1, 0], trellis.splits[trellis.levels, 0]
        if source is not None:
            graph = compose_states(source, graph, trellis.states[first:end])
        if bias is not None:
            raised = compose_pairs(bias, raised, trellis.states[first:end])
            graph = GraphArrays(raised.bounds, raised.arcs, raised.scores)
        before = trellis.scores[first:end].copy() if traced else trellis.scores[:0]
        trellis = follow_epsilons(graph, trellis, table, floor)
        if traced:
            trace = extend(trace, best_links(trellis, before, widths.scale), best_epsilons(trellis, before))
        if trellis.levels % widths.interval:
            continue
        prune_trellis(trellis, widths.scale, widths.lattice_beam, widths.interval)
        if traced:
            first, end = trellis.splits[trellis.levels - 1, 0], trellis.splits[trellis.levels, 0]
            trace = settle(trace, inside(trellis.scores[first:end], widths.beam))
    return graph, raised, trellis, trace, limited


@kernel
def _best_of(graph, scaled, state, score):
    """Returns the best score that a token of a state reaches over one emitting arc."""
    best, s = NEG_INF, 2 * np.int64(state)
    for a in range(np.int64(graph.bounds[s]), np.int64(graph.bounds[s + 1])):
        best = max(best, score + np.float64(graph.scores[3 * a + 2]) + scaled[graph.arcs[3 * a + 1]])
    return best


@kernel
def _rows_of(graph, states, scores, cutoff):
    """Returns the tokens that go on, uint32 [N], where their arcs begin and end, and how many arcs these are."""
    bounds = graph.bounds
    tokens, begins, ends = (
        np.empty(len(states), np.uint32),
        np.empty(len(states), np.uint32),
        np.empty(len(states), np.uint32),
    )
    count, room = 0, np.int64(0)
    for i in range(len(states)):
        if scores[i] >= cutoff:
            s = 2 * np.int64(np.uint32(states[i]))
            tokens[count], begins[count], ends[count] = i, bounds[s], bounds[s + 1]
            room += np.int64(ends[count]) - np.int64(begins[count])
            count += 1
    return tokens[:count], begins[:count], ends[:count], room


@kernel
def _expand(graph, widths, trellis, frame, cutoff, width):
    """Moves the tokens of the last level that go on over their emitting arcs.

    Returns:
      Links that may be good enough: uint32 [2 N], pairs of source and arc, and float64 [N], their scores; and the
      floor, the best of these scores less `width`, which fewer of them reach.
    """
    arcs, arc_scores = graph.arcs, graph.scores
    begin, first = trellis.splits[trellis.levels - 1, 0], trellis.splits[trellis.levels, 0]
    states, scores = trellis.states[begin:first], trellis.scores[begin:first]
    tokens, begins, ends, room = _rows_of(graph, states, scores, cutoff)
    scaled = np.empty(len(frame), np.float64)
    for p in range(len(frame)):
        scaled[p] = widths.scale * np.float64(frame[p])
    best = NEG_INF
    if len(scores):
        top = np.argmax(scores)
        best = _best_of(graph, scaled, np.uint32(states[top]), scores[top])
    floor = max(best - width, LEAST)
    moved, totals = np.empty(2 * room, np.uint32), np.empty(room, np.float64)
    used = np.uint64(0)
    for n in range(len(tokens)):
        if n + AHEAD < len(tokens):
            fetch(arcs, 3 * np.int64(begins[n + AHEAD]))
            fetch(arcs, 3 * np.int64(ends[n + AHEAD]) - 1)
        i = tokens[n]
        score = scores[i]
        for a in range(np.int64(begins[n]), np.int64(ends[n])):
            total = score + np.float64(arc_scores[3 * a + 2]) + scaled[arcs[3 * a + 1]]
            moved[used * TWO], moved[used * TWO + ONE], totals[used] = i, a, total
            used += np.uint64(total >= floor)
            if total > best:
                best = total
                floor = max(best - width, LEAST)
    return moved, totals[:used], floor


@kernel
def _recombine(graph, trellis, table, frame, moved, totals, floor):
    """Adds a level of the links that reach the floor and the tokens that they lead to, which the table then finds.

    A new token and one that is there are written in the same way: half of the links find the one, half the other, and
    a branch would be guessed wrong as often.

    Returns:
      The trellis.
    """
    trellis = _with_level(trellis, len(totals))
    end = trellis.splits[trellis.levels]
    states, scores = trellis.states[end[0] :], trellis.scores[end[0] :]
    links, acoustic = trellis.links[end[1] :].reshape(-1), trellis.acoustic[end[1] :]
    arcs, bounds, weights = graph.arcs, graph.bounds, links.view(np.float32)
    table[:] = FREE
    count, used = np.uint64(0), np.uint64(0)
    for k in range(len(totals)):
        total = totals[k]
        if total < floor:
            continue
        source, a = moved[2 * k], moved[2 * k + 1]
        row = 3 * np.int64(a)
        state, weight = arcs[row], graph.scores[row + 2]
        at = find(table, state)
        there = table[at + ONE]
        new = table[at] == FREE
        j = np.uint32(count) if new else there
        table[at], table[at + ONE] = state, j
        fetch(bounds, 2 * np.int64(state))
        best = scores[j]
        states[j], scores[j] = state, total if new or total > best else best
        count += np.uint64(new)
        place = used * FOUR
        links[place], links[place + ONE], links[place + TWO], weights[place + THREE] = source, j, a, weight
        acoustic[used] = frame[arcs[row + 1]]
        used += ONE
    end[0] += np.int64(count)
    end[1] += np.int64(used)
    return trellis


@kernel
def _with_level(trellis, room):
    """Returns the trellis with an empty level more, and room in it for so many tokens and links."""
    count, splits = trellis.levels, trellis.splits
    tokens, links = splits[count, 0], splits[count, 1]
    splits = enlarged(splits, count + 1, count + 2)
    splits[count + 1] = splits[count]
    return Trellis(
        count + 1, splits, enlarged(trellis.states, tokens, tokens + room),
        enlarged(trellis.scores, tokens, tokens + room), enlarged(trellis.extra, tokens, tokens + room),
        enlarged(trellis.links, links, links + room), enlarged(trellis.acoustic, links, links + room), trellis.epsilons,
    )  # fmt: skip
