"""The loop of token passing over the frames of a chunk, compiled by numba.

The same rules as the reference searcher, in the same order of additions, so that both keep the same tokens. Rows are
read as flat arrays of unsigned numbers: the compiler then needs no strides, and no look at whether an index counts from
the end. Rows of the graph are asked for some tokens ahead. The tokens of a level are found in a hash table
(`token_kernels`). `bias` and `pairs` are of phrases that are raised (`bias_kernels`), None without.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.base.fetch import fetch
from hybrid.lookahead.compose_kernels import compose_states
from hybrid.search.engines.bias_kernels import MARK, follow, graph_state, pair_behind
from hybrid.search.engines.native_prune import prune_trellis
from hybrid.search.engines.token_kernels import FREE, SMALLEST, find, table_of, table_size
from hybrid.search.engines.trace import begin_trace, extend, settle
from hybrid.search.engines.trellis import Trellis, enlarged
from hybrid.search.engines.widths import find_cutoff, inside

__all__ = ["GraphArrays", "begin_search", "search_frames"]

NEG_INF = -np.inf
LEAST = -np.finfo(np.float64).max  # what is not less is possible
AHEAD = 12  # tokens whose arcs are asked for before they are needed


class GraphArrays(NamedTuple):
    """A `SearchGraph` for the kernels, flat.

    Attributes:
      bounds, arcs: as there, uint32 [2 (S+1)] and [3 A]. scores: float32 [3 A], the same memory as `arcs`.
    """

    bounds: np.ndarray
    arcs: np.ndarray
    scores: np.ndarray


@kernel
def begin_search(graph, start, bias, pairs):
    """Returns the trellis and the trace of an utterance without frames, and its pairs.

    It holds the start and what that reaches by epsilons.
    """
    trellis = Trellis(
        1, np.zeros((64, 3), np.int64), np.empty(64, np.int32), np.empty(64, np.float64), np.empty(64, np.float64),
        np.empty((64, 4), np.int32), np.empty(64, np.float32), np.empty((64, 4), np.int32),
    )  # fmt: skip
    trellis.states[0], trellis.scores[0] = start, 0.0
    trellis.splits[1, 0] = 1
    table = table_of(trellis.states[:1], np.empty(2 * SMALLEST, np.uint32))
    trellis, table, entries, pairs = _follow_epsilons(graph, trellis, table, LEAST, bias, pairs)
    return trellis, begin_trace(entries), pairs


@kernel
def search_frames(graph, source, widths, trellis, trace, frames, traced, bias, pairs):
    """Searches the next frames.

    Args:
      graph: `GraphArrays`; where it is composed as the search goes on, the `Composed` of a `Source`, else None.
      frames: float32 [frame][pdf_id], unscaled.
      traced: keep the trace; without, there are no partial results from here on.

    Returns:
      Graph, trellis and trace, in the memory of those given and more; at how many frames max-active decided; pairs.
    """
    limited = 0
    memory = np.empty(2 * SMALLEST, np.uint32)
    for t in range(len(frames)):
        first, end = trellis.splits[trellis.levels - 1, 0], trellis.splits[trellis.levels, 0]
        cutoff, width, limit = find_cutoff(trellis.scores[first:end], widths)
        limited += limit
        moved, totals, floor = _expand(graph, widths, trellis, frames[t], cutoff, width, bias, pairs)
        memory = enlarged(memory, 0, table_size(len(totals)))
        table = memory[: table_size(len(totals))]
        trellis, entries, pairs = _recombine(graph, trellis, table, frames[t], moved, totals, floor, bias, pairs)
        if source is not None:
            first, end = trellis.splits[trellis.levels - 1, 0], trellis.splits[trellis.levels, 0]
            graph = compose_states(source, graph, trellis.states[first:end])
        trellis, table, epsilons, pairs = _follow_epsilons(graph, trellis, table, floor, bias, pairs)
        if traced:
            trace = extend(trace, entries, epsilons)
        if trellis.levels % widths.interval:
            continue
        prune_trellis(trellis, widths.scale, widths.lattice_beam, widths.interval)
        if traced:
            first, end = trellis.splits[trellis.levels - 1, 0], trellis.splits[trellis.levels, 0]
            trace = settle(trace, inside(trellis.scores[first:end], widths.beam))
    return graph, trellis, trace, limited, pairs


@kernel
def _best_of(graph, scaled, token, score, bias, pairs):
    """Returns the best score that a token reaches over one emitting arc."""
    best, state = NEG_INF, 2 * np.int64(graph_state(bias, pairs, token))
    for a in range(np.int64(graph.bounds[state]), np.int64(graph.bounds[state + 1])):
        weight = graph.scores[3 * a + 2]
        if bias is not None:  # noqa: SIM102
            if token >= bias.states:
                weight = follow(bias, pairs, token, a)[2]
        best = max(best, score + np.float64(weight) + scaled[graph.arcs[3 * a + 1]])
    return best


@kernel
def _rows_of(graph, states, scores, cutoff, bias, pairs):
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
            s = 2 * np.int64(graph_state(bias, pairs, np.uint32(states[i])))
            tokens[count], begins[count], ends[count] = i, bounds[s], bounds[s + 1]
            room += np.int64(ends[count]) - np.int64(begins[count])
            count += 1
    return tokens[:count], begins[:count], ends[:count], room


@kernel
def _expand(graph, widths, trellis, frame, cutoff, width, bias, pairs):
    """Moves the tokens of the last level that go on over their emitting arcs.

    Returns:
      Links that may be good enough: uint32 [2 N], pairs of source and arc, and float64 [N], their scores; and the
      floor, the best of these scores less `width`, which fewer of them reach.
    """
    arcs, arc_scores = graph.arcs, graph.scores
    begin, first = trellis.splits[trellis.levels - 1, 0], trellis.splits[trellis.levels, 0]
    states, scores = trellis.states[begin:first], trellis.scores[begin:first]
    tokens, begins, ends, room = _rows_of(graph, states, scores, cutoff, bias, pairs)
    scaled = np.empty(len(frame), np.float64)
    for p in range(len(frame)):
        scaled[p] = widths.scale * np.float64(frame[p])
    best = NEG_INF
    if len(scores):
        top = np.argmax(scores)
        best = _best_of(graph, scaled, np.uint32(states[top]), scores[top], bias, pairs)
    floor = max(best - width, LEAST)
    moved, totals = np.empty(2 * room, np.uint32), np.empty(room, np.float64)
    used = np.uint64(0)
    for n in range(len(tokens)):
        if n + AHEAD < len(tokens):
            fetch(arcs, 3 * np.int64(begins[n + AHEAD]))
            fetch(arcs, 3 * np.int64(ends[n + AHEAD]) - 1)
        i = tokens[n]
        score = scores[i]
        if bias is not None:  # noqa: SIM102
            if np.uint32(states[i]) >= bias.states:
                for a in range(np.int64(begins[n]), np.int64(ends[n])):
                    weight = follow(bias, pairs, np.uint32(states[i]), a)[2]
                    total = score + np.float64(weight) + scaled[arcs[3 * a + 1]]
                    moved[used * np.uint64(2)], moved[used * np.uint64(2) + np.uint64(1)], totals[used] = i, a, total
                    used += np.uint64(total >= floor)
                    best = max(best, total)
                    floor = max(best - width, LEAST)
                continue
        for a in range(np.int64(begins[n]), np.int64(ends[n])):
            total = score + np.float64(arc_scores[3 * a + 2]) + scaled[arcs[3 * a + 1]]
            moved[used * np.uint64(2)], moved[used * np.uint64(2) + np.uint64(1)], totals[used] = i, a, total
            used += np.uint64(total >= floor)
            if total > best:
                best = total
                floor = max(best - width, LEAST)
    return moved, totals[:used], floor


@kernel
def _recombine(graph, trellis, table, frame, moved, totals, floor, bias, pairs):
    """Adds a level of the links that reach the floor and the tokens that they lead to, which the table then finds.

    Returns:
      The trellis; the best link into each new token, int32 [N][2], source and arc; and the pairs.
    """
    before = trellis.splits[trellis.levels - 1, 0]
    trellis = _with_level(trellis, len(totals))
    end = trellis.splits[trellis.levels]
    states, scores = trellis.states[end[0] :], trellis.scores[end[0] :]
    links, acoustic = trellis.links[end[1] :].reshape(-1), trellis.acoustic[end[1] :]
    arcs, bounds, weights = graph.arcs, graph.bounds, links.view(np.float32)
    entries = np.empty(2 * len(totals), np.int32)
    table[:] = FREE
    count = used = 0
    for k in range(len(totals)):
        total = totals[k]
        if total < floor:
            continue
        source, a = moved[2 * k], moved[2 * k + 1]
        row = 3 * np.int64(a)
        state, weight = arcs[row], graph.scores[row + 2]
        if bias is not None:
            token = np.uint32(trellis.states[before + np.int64(source)])
            if state >= MARK or token >= bias.states:
                state, weight, pairs = pair_behind(bias, pairs, token, np.int64(a))
        at = find(table, state)
        if table[at] == FREE:
            table[at], table[at + np.uint64(1)] = state, count
            fetch(bounds, 2 * np.int64(graph_state(bias, pairs, state)))
            states[count], scores[count], entries[2 * count], entries[2 * count + 1] = state, total, source, a
            count += 1
        j = table[at + np.uint64(1)]
        if total > scores[j]:
            scores[j], entries[2 * np.int64(j)], entries[2 * np.int64(j) + 1] = total, source, a
        links[4 * used], links[4 * used + 1], links[4 * used + 2], weights[4 * used + 3] = source, j, a, weight
        acoustic[used] = frame[arcs[row + 1]]
        used += 1
    end[0] += count
    end[1] += used
    return trellis, entries[: 2 * count].reshape((-1, 2)), pairs


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


@kernel
def _with_epsilons(graph, states, bias, pairs):
    """Returns the tokens that epsilon arcs leave, uint32 with room for more; which these are; and their number."""
    bounds, arcs = graph.bounds, graph.arcs
    count, depth = len(states), 0
    stack, waiting = np.empty(count + 16, np.uint32), np.zeros(count + 16, np.bool_)
    for i in range(count):
        s = 2 * np.int64(graph_state(bias, pairs, np.uint32(states[i])))
        if bounds[s + 2] > bounds[s + 1]:
            fetch(arcs, 3 * np.int64(bounds[s + 1]))
            stack[depth], waiting[i] = i, True
            depth += 1
    return stack, waiting, depth


@kernel
def _follow_epsilons(graph, trellis, table, floor, bias, pairs):
    """Adds the tokens that epsilon arcs reach from the last level at no less than `floor`, and these links.

    Returns:
      The trellis; the table, perhaps a larger one; for each token of the level that its best path enters by an epsilon
      arc the first such link: int32 [N][2], source and arc, else -1; and the pairs.
    """
    bounds, arcs, arc_scores = graph.bounds, graph.arcs, graph.scores
    first, end = trellis.splits[trellis.levels - 1, 0], trellis.splits[trellis.levels, 0]
    states, scores = trellis.states, trellis.scores
    before = scores[first:end].copy()
    count = end - first
    stack, waiting, depth = _with_epsilons(graph, states[first:end], bias, pairs)
    sources, number = stack[: depth + 16].copy(), depth
    while depth > 0:
        depth -= 1
        i = stack[depth]
        waiting[i] = False
        token = np.uint32(states[first + i])
        s = 2 * np.int64(graph_state(bias, pairs, token))
        for a in range(np.int64(bounds[s + 1]), np.int64(bounds[s + 2])):
            d, weight = arcs[3 * a], arc_scores[3 * a + 2]
            if bias is not None:  # noqa: SIM102
                if d >= MARK or token >= bias.states:
                    d, weight, pairs = pair_behind(bias, pairs, token, a)
            total = scores[first + i] + np.float64(weight)
            if total < floor:
                continue
            at = find(table, d)
            new = table[at] == FREE
            if not new:
                j = table[at + np.uint64(1)]
                if total <= scores[first + j]:
                    continue
                scores[first + j] = total
            behind = 2 * np.int64(graph_state(bias, pairs, d))
            leads_on = bounds[behind + 2] > bounds[behind + 1]
            if new:
                if end == len(states) or end == len(scores) or count == len(waiting):
                    states, scores = enlarged(states, end, end + 1), enlarged(scores, end, end + 1)
                    stack, waiting = enlarged(stack, count, count + 1), enlarged(waiting, count, count + 1)
                j = np.uint32(count)
                table[at], table[at + np.uint64(1)] = d, j
                states[end], scores[end], waiting[j] = d, total, False
                count, end = count + 1, end + 1
                if 4 * count > len(table):
                    table = table_of(states[first:end], table[:0])
                if leads_on:
                    if number == len(sources):
                        sources = enlarged(sources, number, number + 1)
                    sources[number] = j
                    number += 1
            if leads_on and not waiting[j]:
                stack[depth], waiting[j] = j, True
                depth += 1
    trellis = _with_tokens(trellis, states, scores, end)
    trellis = _with_epsilon_links(graph, trellis, table, sources[:number], floor, bias, pairs)
    return trellis, table, _best_epsilons(trellis, before), pairs


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
def _with_epsilon_links(graph, trellis, table, sources, floor, bias, pairs):
    """Returns the trellis with the epsilon arcs between the tokens of the last level that reach at least `floor`."""
    bounds, arcs, arc_scores = graph.bounds, graph.arcs, graph.scores
    first, ends = trellis.splits[trellis.levels - 1, 0], trellis.splits[trellis.levels]
    states, scores = trellis.states[first : ends[0]], trellis.scores[first : ends[0]]
    room = np.int64(0)
    for i in sources:
        s = 2 * np.int64(graph_state(bias, pairs, np.uint32(states[i])))
        room += np.int64(bounds[s + 2]) - np.int64(bounds[s + 1])
    links = enlarged(trellis.epsilons, ends[2], ends[2] + room)
    new, used = links[ends[2] :].reshape(-1), 0
    weights = new.view(np.float32)
    for i in sources:
        token = np.uint32(states[i])
        s = 2 * np.int64(graph_state(bias, pairs, token))
        for a in range(np.int64(bounds[s + 1]), np.int64(bounds[s + 2])):
            d, weight = arcs[3 * a], arc_scores[3 * a + 2]
            if bias is not None:  # noqa: SIM102
                if d >= MARK or token >= bias.states:
                    d, weight, pairs = pair_behind(bias, pairs, token, a)
            if scores[i] + np.float64(weight) >= floor:
                target = table[find(table, d) + np.uint64(1)]
                new[4 * used], new[4 * used + 1], new[4 * used + 2], weights[4 * used + 3] = i, target, a, weight
                used += 1
    ends[2] += used
    return Trellis(
        trellis.levels, trellis.splits, trellis.states, trellis.scores, trellis.extra, trellis.links, trellis.acoustic,
        links,
    )  # fmt: skip


@kernel
def _best_epsilons(trellis, before):
    """Returns by which epsilon arc the best path enters the tokens of the last level; `before`: scores without them."""
    begin, end = trellis.splits[trellis.levels - 1], trellis.splits[trellis.levels]
    scores, epsilons = trellis.scores[begin[0] : end[0]], trellis.epsilons[begin[2] : end[2]].reshape(-1)
    weights = epsilons.view(np.float32)
    entries = np.full(2 * len(scores), -1, np.int32)
    for k in range(0, len(epsilons), 4):
        i, j = np.uint32(epsilons[k]), np.uint32(epsilons[k + 1])
        better = j >= len(before) or scores[j] > before[j]
        if better and scores[i] + np.float64(weights[k + 3]) == scores[j] and entries[2 * np.int64(j)] < 0:
            entries[2 * np.int64(j)], entries[2 * np.int64(j) + 1] = i, epsilons[k + 2]
    return entries.reshape((-1, 2))
