"""The loop of token passing over the frames of a chunk, compiled by numba.

The same rules as the reference searcher, in the same order of additions, so that both keep the same tokens.
`slot` is int32 [num_states], -1 everywhere between calls: the place of a state among the tokens of the frame.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.search.engines.native_prune import prune_trellis
from hybrid.search.engines.trace import begin_trace, extend, settle
from hybrid.search.engines.trellis import Trellis, enlarged

__all__ = ["GraphArrays", "Widths", "begin_search", "search_frames"]

NEG_INF = -np.inf


class GraphArrays(NamedTuple):
    """A `SearchGraph` for the kernels.

    Attributes:
      bounds, arcs: as there. scores: float32 [A][3], the same memory as `arcs`.
    """

    bounds: np.ndarray
    arcs: np.ndarray
    scores: np.ndarray


class Widths(NamedTuple):
    """A `SearchConfig` for the kernels.

    Attributes:
      beam_delta: how much wider than the tokens kept the next frame is, where a limit decides.
      interval: frames between prunings.
    """

    beam: float
    lattice_beam: float
    max_active: int
    min_active: int
    scale: float
    beam_delta: float
    interval: int


@kernel
def begin_search(graph, start, slot):
    """Returns the trellis and the trace of an utterance without frames: the start and what it reaches by epsilons."""
    trellis = Trellis(
        1, np.zeros((64, 3), np.int64), np.empty(64, np.int32), np.empty(64, np.float64), np.empty(64, np.float64),
        np.empty((64, 3), np.int32), np.empty(64, np.float32), np.empty((64, 3), np.int32),
    )  # fmt: skip
    trellis.states[0], trellis.scores[0] = start, 0.0
    trellis.splits[1, 0] = 1
    trellis, entries = _follow_epsilons(graph, trellis, slot, NEG_INF)
    return trellis, begin_trace(entries)


@kernel
def search_frames(graph, widths, trellis, trace, slot, frames):
    """Searches the next frames.

    Args:
      frames: float32 [frame][pdf_id], unscaled.

    Returns:
      The trellis and the trace, in the memory of those given and more; and at how many frames max-active decided.
    """
    limited = 0
    for t in range(len(frames)):
        first, end = trellis.splits[trellis.levels - 1, 0], trellis.splits[trellis.levels, 0]
        cutoff, width, limit = _find_cutoff(trellis.scores[first:end], widths)
        limited += limit
        trellis, entries, floor = _pass_frame(graph, widths, trellis, slot, frames[t], cutoff, width)
        trellis, epsilons = _follow_epsilons(graph, trellis, slot, floor)
        trace = extend(trace, entries, epsilons)
        if trellis.levels % widths.interval == 0:
            prune_trellis(trellis, graph.scores, widths.scale, widths.lattice_beam, widths.interval)
            first, end = trellis.splits[trellis.levels - 1, 0], trellis.splits[trellis.levels, 0]
            trace = settle(trace, _inside(trellis.scores[first:end], widths.beam))
    return trellis, trace, limited


@kernel
def _inside(scores, beam):
    """Returns which tokens lie within the beam."""
    best = NEG_INF
    for i in range(len(scores)):
        best = max(best, scores[i])
    return scores >= best - beam


@kernel
def _find_cutoff(scores, widths):
    """Returns the score a token needs to go on, the beam of the next frame, and whether max-active decided."""
    count = len(scores)
    if count == 0:
        return np.inf, widths.beam, False
    best = scores[0]
    for i in range(count):
        best = max(best, scores[i])
    cutoff = best - widths.beam
    if count > widths.max_active:
        inside = 0
        for i in range(count):
            inside += scores[i] > cutoff
        if inside >= widths.max_active:
            limit = np.partition(scores, count - widths.max_active)[count - widths.max_active]
            if limit > cutoff:
                return limit, best - limit + widths.beam_delta, True
    if count <= widths.min_active:
        return NEG_INF, np.inf, False
    if widths.min_active > 0:
        inside = 0
        for i in range(count):
            inside += scores[i] >= cutoff
        if inside < widths.min_active:
            limit = np.partition(scores, count - widths.min_active)[count - widths.min_active]
            if limit < cutoff:
                return limit, best - limit + widths.beam_delta, False
    return cutoff, widths.beam, False


@kernel
def _best_of(graph, widths, frame, state, score):
    """Returns the best score that a token reaches over one emitting arc."""
    best = NEG_INF
    for a in range(graph.bounds[state, 0], graph.bounds[state, 1]):
        acoustic = widths.scale * np.float64(frame[graph.arcs[a, 1]])
        best = max(best, score + np.float64(graph.scores[a, 2]) + acoustic)
    return best


@kernel
def _pass_frame(graph, widths, trellis, slot, frame, cutoff, width):
    """Adds a level: moves the tokens of the last one over their emitting arcs.

    Returns:
      The trellis; the best link into each new token, int32 [N][2], source and arc; and the floor: the best new score
      less `width`, which all new tokens and links reach.
    """
    bounds, arcs, arc_scores = graph.bounds, graph.arcs, graph.scores
    begin, first = trellis.splits[trellis.levels - 1, 0], trellis.splits[trellis.levels, 0]
    room, top = 0, begin
    for i in range(begin, first):
        if trellis.scores[i] >= cutoff:
            room += bounds[trellis.states[i], 1] - bounds[trellis.states[i], 0]
        if trellis.scores[i] > trellis.scores[top]:
            top = i
    trellis = _with_level(trellis, room)
    states, scores = trellis.states, trellis.scores
    old = trellis.links[trellis.splits[trellis.levels - 1, 1] :]
    best = _best_of(graph, widths, frame, states[top], scores[top]) if first > begin else NEG_INF
    new_states, new_scores = states[first:], scores[first:]
    entries, totals = np.empty((room, 2), np.int32), np.empty(room, np.float64)
    used = count = 0
    floor = best - width
    for i in range(begin, first):
        score = scores[i]
        if score < cutoff:
            continue
        for a in range(bounds[states[i], 0], bounds[states[i], 1]):
            total = score + np.float64(arc_scores[a, 2]) + widths.scale * np.float64(frame[arcs[a, 1]])
            if total < floor or total == NEG_INF:
                continue
            if total > best:
                best = total
                floor = best - width
            d = arcs[a, 0]
            j = slot[d]
            if j < 0:
                j = count
                slot[d] = j
                new_states[j], new_scores[j] = d, total
                entries[j, 0], entries[j, 1] = i - begin, a
                count += 1
            elif total > new_scores[j]:
                new_scores[j] = total
                entries[j, 0], entries[j, 1] = i - begin, a
            old[used, 0], old[used, 1], old[used, 2], totals[used] = i - begin, j, a, total
            used += 1
    place, kept = _keep_tokens(slot, new_states[:count], new_scores[:count], entries, floor)
    end = trellis.splits[trellis.levels]
    end[0] += kept
    for k in range(used):
        if totals[k] >= floor:
            link = trellis.links[end[1]]
            link[0], link[1], link[2] = old[k, 0], place[old[k, 1]], old[k, 2]
            trellis.acoustic[end[1]] = frame[arcs[old[k, 2], 1]]
            end[1] += 1
    return trellis, entries[:kept], floor


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
def _keep_tokens(slot, states, scores, entries, floor):
    """Moves the tokens of at least `floor` to the front; returns each token's new place, or -1, and their number."""
    place = np.full(len(states), -1, np.int32)
    kept = 0
    for j in range(len(states)):
        slot[states[j]] = -1
        if scores[j] >= floor:
            place[j] = kept
            states[kept], scores[kept] = states[j], scores[j]
            entries[kept, 0], entries[kept, 1] = entries[j, 0], entries[j, 1]
            kept += 1
    return place, kept


@kernel
def _follow_epsilons(graph, trellis, slot, floor):
    """Adds the tokens that epsilon arcs reach from the last level at no less than `floor`, and these links.

    Returns:
      The trellis; and for each token of the level that its best path enters by an epsilon arc the first such link:
      int32 [N][2], source and arc, else -1.
    """
    bounds = graph.bounds
    first, end = trellis.splits[trellis.levels - 1, 0], trellis.splits[trellis.levels, 0]
    before = trellis.scores[first:end].copy()
    count = end - first
    stack, waiting = np.empty(count + 16, np.int32), np.zeros(count + 16, np.bool_)
    depth = 0
    for i in range(count):
        state = trellis.states[first + i]
        slot[state] = i
        if bounds[state + 1, 0] > bounds[state, 1]:
            stack[depth] = i
            waiting[i] = True
            depth += 1
    states, scores = trellis.states, trellis.scores
    while depth > 0:
        depth -= 1
        i = stack[depth]
        waiting[i] = False
        s = states[first + i]
        for a in range(bounds[s, 1], bounds[s + 1, 0]):
            total = scores[first + i] + np.float64(graph.scores[a, 2])
            if total < floor or total == NEG_INF:
                continue
            d = graph.arcs[a, 0]
            j = slot[d]
            if j < 0:
                states, scores = enlarged(states, end, end + 1), enlarged(scores, end, end + 1)
                stack, waiting = enlarged(stack, count, count + 1), enlarged(waiting, count, count + 1)
                j = count
                slot[d] = j
                states[end], scores[end], waiting[j] = d, total, False
                count, end = count + 1, end + 1
            elif total > scores[first + j]:
                scores[first + j] = total
            else:
                continue
            if not waiting[j] and bounds[d + 1, 0] > bounds[d, 1]:
                stack[depth] = j
                waiting[j] = True
                depth += 1
    extra = enlarged(trellis.extra, first, end)
    extra[first:end] = 0.0
    trellis.splits[trellis.levels, 0] = end
    epsilons = _epsilon_links(graph, trellis, slot, states[first:end], scores[first:end], floor)
    for i in range(first, end):
        slot[states[i]] = -1
    trellis = Trellis(
        trellis.levels, trellis.splits, states, scores, extra, trellis.links, trellis.acoustic, epsilons
    )  # fmt: skip
    return trellis, _best_epsilons(graph, trellis, before)


@kernel
def _epsilon_links(graph, trellis, slot, states, scores, floor):
    """Appends the epsilon arcs between the tokens of the last level that reach at least `floor`."""
    bounds, ends = graph.bounds, trellis.splits[trellis.levels]
    room = 0
    for i in range(len(states)):
        room += bounds[states[i] + 1, 0] - bounds[states[i], 1]
    links = enlarged(trellis.epsilons, ends[2], ends[2] + room)
    for i in range(len(states)):
        for a in range(bounds[states[i], 1], bounds[states[i] + 1, 0]):
            total = scores[i] + np.float64(graph.scores[a, 2])
            if total >= floor and total > NEG_INF:
                links[ends[2], 0], links[ends[2], 1], links[ends[2], 2] = i, slot[graph.arcs[a, 0]], a
                ends[2] += 1
    return links


@kernel
def _best_epsilons(graph, trellis, before):
    """Returns by which epsilon arc the best path enters the tokens of the last level; `before`: scores without them."""
    begin, end = trellis.splits[trellis.levels - 1], trellis.splits[trellis.levels]
    scores = trellis.scores[begin[0] : end[0]]
    entries = np.full((len(scores), 2), -1, np.int32)
    for k in range(begin[2], end[2]):
        i, j, a = trellis.epsilons[k, 0], trellis.epsilons[k, 1], trellis.epsilons[k, 2]
        better = j >= len(before) or scores[j] > before[j]
        if better and entries[j, 0] < 0 and scores[i] + np.float64(graph.scores[a, 2]) == scores[j]:
            entries[j, 0], entries[j, 1] = i, a
    return entries
