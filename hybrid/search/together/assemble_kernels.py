"""From links between tokens to the rows of a lattice, in compiled loops that other threads run beside.

`assemble.assemble` is what they compute for many lanes; the tests compare them. Nothing is left to be done afterwards
but to cut the arrays, so that threads which make lattices hold the interpreter's lock for microseconds.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.lattice.kernels import topological_order
from hybrid.search.engines.trellis import Trellis

__all__ = ["lengthened", "pruned_lanes"]

NEG_INF = -np.inf


@kernel
def _token_rows(splits, links, epsilons, rows, place, nexts, which):
    """Sorts the links of all levels by the token that they leave; tokens are counted through.

    Args:
      splits, links, epsilons: as in `Trellis`.
      rows: int64 [N+1], written: the rows of the tokens. place: int64 [N], scratch.
      nexts: int32 [A], written: the token that each arc leads to.
      which: int64 [A], written: which link over an epsilon each one is or, with their number added, over a frame.
    """
    inside, levels = len(epsilons), len(splits) - 1
    rows[:] = 0
    for t in range(levels):
        here, before = splits[t, 0], splits[max(t - 1, 0), 0]
        for i in range(splits[t, 2], splits[t + 1, 2]):
            rows[here + epsilons[i, 0] + 1] += 1
        for i in range(splits[t, 1], splits[t + 1, 1]):
            rows[before + links[i, 0] + 1] += 1
    for s in range(len(place)):
        place[s] = rows[s]
        rows[s + 1] += rows[s]
    for t in range(levels):
        here = splits[t, 0]
        for i in range(splits[t, 2], splits[t + 1, 2]):
            at = place[here + epsilons[i, 0]]
            nexts[at], which[at] = here + epsilons[i, 1], i
            place[here + epsilons[i, 0]] += 1
    for t in range(levels):
        here, before = splits[t, 0], splits[max(t - 1, 0), 0]
        for i in range(splits[t, 1], splits[t + 1, 1]):
            at = place[before + links[i, 0]]
            nexts[at], which[at] = here + links[i, 1], inside + i
            place[before + links[i, 0]] += 1


@kernel
def _ordered(rows, nexts, waiting, order):
    """Returns the reachable states in topological order; none: a cycle. Their own order, where it is one.

    Where all states are reachable, as they are after pruning, they need not be looked for (the order is the same).

    Args:
      waiting, order: int64 [N], scratch.
    """
    states, against = len(waiting), 0  # arcs that lead backwards
    waiting[:] = 0
    for s in range(states):
        for a in range(rows[s], rows[s + 1]):
            to = np.uint32(nexts[a])
            waiting[to] += 1
            against += 1 if to <= np.uint32(s) else 0
    order[0], begin, end = 0, 0, 1
    while waiting[0] == 0 and begin < end:
        at = np.uint64(order[begin])
        begin += 1
        for a in range(rows[at], rows[at + np.uint64(1)]):
            to = np.uint32(nexts[a])
            waiting[to] -= 1
            if waiting[to] == 0:
                order[end] = to
                end += 1
    if end == states and waiting[0] == 0:
        if not against:
            order[:] = np.arange(states)
        return order
    some, count = topological_order(rows, nexts, 0)
    some = some[: max(count, 0)]
    reached = np.zeros(states, np.bool_)
    for s in some:
        reached[s] = True
    for s in range(states):
        for a in range(rows[s], rows[s + 1]):
            if reached[s] and nexts[a] <= s:
                return some
    return np.flatnonzero(reached)


@kernel
def _arc_totals(which, links, acoustic, epsilons, graph_scores, scale, columns, totals):
    """Writes of each arc of `_token_rows` the graph arc and the bits of its scores, int32 [A][3], and the total."""
    bits = columns.view(np.float32)
    for i in range(len(which)):
        link = which[i] - len(epsilons)
        arc = epsilons[which[i], 2] if link < 0 else links[np.uint64(link), 2]
        own = np.float32(0.0) if link < 0 else acoustic[np.uint64(link)]
        columns[i, 0], bits[i, 1], bits[i, 2] = arc, graph_scores[np.uint32(arc)], own
        totals[i] = np.float64(bits[i, 1]) + scale * np.float64(own)


@kernel
def _ends(states, first, final_scores, ends):
    """Writes what it costs to end in each token, those of the last level; returns whether any is in a final state."""
    ends[:first], complete = NEG_INF, False
    for i in range(first, len(states)):
        ends[i] = final_scores[states[i]]
        complete = complete or ends[i] > NEG_INF
    if not complete:
        ends[first:] = 0.0
    return complete


@kernel
def _best_ways(rows, nexts, totals, order, ends, alpha, beta):
    """Writes the scores of the best ways to and from each state."""
    alpha[:], beta[:] = NEG_INF, ends
    alpha[0] = 0.0
    for s in order:
        for a in range(rows[s], rows[s + 1]):
            to, score = np.uint32(nexts[a]), alpha[s] + totals[a]
            if score > alpha[to]:
                alpha[to] = score
    for i in range(len(order) - 1, -1, -1):
        s = order[i]
        best = beta[s]
        for a in range(rows[s], rows[s + 1]):
            score = totals[a] + beta[np.uint32(nexts[a])]
            if score > best:
                best = score
        beta[s] = best


@kernel
def _numbered(order, ends, alpha, beta, threshold, number):
    """Numbers the states that a way within the beam goes through, others -1; returns how many, 0 if none may end."""
    number[:], count, end = -1, 0, False
    for s in order:
        if alpha[s] > NEG_INF and beta[s] > NEG_INF and alpha[s] + beta[s] >= threshold:
            number[s], count = count, count + 1
            end = end or alpha[s] + ends[s] >= threshold
    return count if end else 0


@kernel
def _starts(sizes, first, last):
    """Returns where tokens, links and epsilons of the lanes begin, int64 [lanes + 1][3], and the most of one lane."""
    starts, most = np.zeros((last - first + 1, 3), np.int64), np.zeros(3, np.int64)
    for lane in range(last):
        for kind in range(3):
            size = sizes[lane, :, kind].sum()
            if lane < first:
                starts[0, kind] += size
            else:
                starts[lane - first + 1, kind] = starts[lane - first, kind] + size
                most[kind] = max(most[kind], size)
    return starts, most


@kernel
def _splits(sizes, levels):
    """Returns where the levels of a lane begin, as in `Trellis`; its first one does not count."""
    splits = np.zeros((levels + 1, 3), np.int64)
    for level in range(1, levels + 1):
        splits[level] = splits[level - 1] + sizes[level]
    return splits


@kernel
def _write(order, rows, nexts, columns, totals, ways, threshold, number, graph, arcs, out):
    """Writes the lattice of a lane into the arrays of all, from arc `arcs` on; returns where its arcs end.

    Args:
      columns, totals: of `_arc_totals`. ways: float64 [N], scores of ends, of the best ways to and from each state.
      out: rows, labels, scores and finals as of `pruned_lanes`, of states from the first one of the lane on.
    """
    _, transition_ids, word_ids = graph
    out_rows, labels, scores, finals = out
    ends, alpha, beta = ways
    bits, a, s = columns.view(np.float32), arcs, 0
    out_rows[0] = 0
    for i in order:
        if number[i] < 0:
            continue
        for k in range(rows[i], rows[i + 1]):
            to = np.uint32(nexts[k])
            through = alpha[i] + totals[k] + beta[to]
            if through >= threshold and through > NEG_INF and number[to] >= 0:
                arc = np.uint32(columns[k, 0])
                labels[0, a], labels[1, a], labels[2, a] = number[to], transition_ids[arc], word_ids[arc]
                scores[0, a], scores[1, a] = bits[k, 1], bits[k, 2]
                a += 1
        finals[0, s] = ends[i] if alpha[i] + ends[i] >= threshold else NEG_INF
        finals[1, s] = 0.0 if finals[0, s] > NEG_INF else NEG_INF
        s += 1
        out_rows[s] = a - arcs
    return a, s


@kernel
def pruned_lanes(sizes, lengths, states, links, epsilons, acoustic, graph, final_scores, scale, beam, first, last):
    """Makes the lattices of the lanes from `first` up to `last`, one after the other in flat arrays.

    Args:
      sizes, states, links, epsilons, acoustic: as in `HandedLanes`; the first level of each lane is not counted.
      lengths: int64 [lane], frames. graph: scores, transition-ids and words of its arcs. scale: of acoustic scores.

    Returns:
      Rows int64 (one entry more than states in each lane); next states, transition-ids and words, int32 [3][arc]; graph
      and acoustic scores, float32 [2][arc]; the same of ends [2][state]; int64 [lanes + 1][2], where arcs and states of
      each lane begin; bool [lanes], a final state was reached.
    """
    starts, most = _starts(sizes, first, last)
    total, largest = starts[-1] - starts[0], most[1] + most[2]
    out_rows, finals = np.empty(total[0] + last - first, np.int64), np.empty((2, total[0]), np.float32)
    labels, scores = np.empty((3, total[1] + total[2]), np.int32), np.empty((2, total[1] + total[2]), np.float32)
    bounds, complete = np.zeros((last - first + 1, 2), np.int64), np.zeros(last - first, np.bool_)
    each_state, numbers = np.empty((3, most[0])), np.empty((4, most[0] + 1), np.int64)
    all_nexts, all_which = np.empty(largest, np.int32), np.empty(largest, np.int64)
    all_columns, all_totals = np.empty((largest, 3), np.int32), np.empty(largest)
    for here in range(last - first):
        (n, m, e), (o, p, f) = starts[here], starts[here + 1]
        (a, s), tokens, some = bounds[here], o - n, p - m + f - e
        splits = _splits(sizes[first + here], lengths[first + here] + 1)
        bounds[here + 1] = bounds[here]
        if len(splits) == 2 or splits[-2, 0] == tokens:
            continue
        rows, place, number = numbers[0, : tokens + 1], numbers[1, :tokens], numbers[2, :tokens]
        ends, alpha, beta = each_state[0, :tokens], each_state[1, :tokens], each_state[2, :tokens]
        nexts, which, columns, totals = all_nexts[:some], all_which[:some], all_columns[:some], all_totals[:some]
        _token_rows(splits, links[m:p], epsilons[e:f], rows, place, nexts, which)
        _arc_totals(which, links[m:p], acoustic[m:p], epsilons[e:f], graph[0], scale, columns, totals)
        complete[here] = _ends(states[n:o], splits[-2, 0], final_scores, ends)
        order = _ordered(rows, nexts, place, numbers[3, :tokens])
        _best_ways(rows, nexts, totals, order, ends, alpha, beta)
        best = beta[0] if len(order) else NEG_INF
        threshold = best - beam - 1e-9 * abs(best) if best > NEG_INF else np.inf
        if _numbered(order, ends, alpha, beta, threshold, number):
            out = out_rows[s + here :], labels, scores, finals[:, s:]
            ways = ends, alpha, beta
            a, more = _write(order, rows, nexts, columns, totals, ways, threshold, number, graph, a, out)
            bounds[here + 1, 0], bounds[here + 1, 1] = a, s + more
    return out_rows, labels, scores, finals, bounds, complete


@kernel
def lengthened(trellis, rows, splits, states, scores, links, acoustic, epsilons, arcs):
    """Returns a trellis, in arrays of its own, with pieces that a device handed out behind it.

    Args:
      rows: int64 [piece], how many splits each piece has, one more than levels.
      splits, states, scores, links, acoustic, epsilons: of all pieces, one behind the other; see `LanePiece`.
      arcs: int32 [A][3] of the graph.
    """
    levels, old = trellis.levels, trellis.splits[trellis.levels]
    all_splits = np.empty((levels + rows.sum() - len(rows) + 1, 3), np.int64)
    all_splits[: levels + 1] = trellis.splits[: levels + 1]
    row = 0
    for count in rows:
        for k in range(1, count):
            all_splits[levels + k] = all_splits[levels] + splits[row + k]
        levels, row = levels + count - 1, row + count
    tokens, over, inside = all_splits[levels]
    all_states, all_scores, extra = np.empty(tokens, np.int32), np.empty(tokens), np.zeros(tokens)
    all_links, all_acoustic = np.empty((over, 4), np.int32), np.empty(over, np.float32)
    all_epsilons = np.empty((inside, 4), np.int32)
    all_states[: old[0]], all_states[old[0] :] = trellis.states[: old[0]], states
    all_scores[: old[0]], all_scores[old[0] :] = trellis.scores[: old[0]], scores
    extra[: old[0]] = trellis.extra[: old[0]]
    all_acoustic[: old[1]], all_acoustic[old[1] :] = trellis.acoustic[: old[1]], acoustic
    _with_bits(all_links, trellis.links[: old[1]], links, arcs)
    _with_bits(all_epsilons, trellis.epsilons[: old[2]], epsilons, arcs)
    return Trellis(levels, all_splits, all_states, all_scores, extra, all_links, all_acoustic, all_epsilons)


@kernel
def _with_bits(out, old, links, arcs):
    """Writes old rows of links, and behind them new ones with the bits of the scores of their arcs."""
    out[: len(old)] = old
    for i in range(len(links)):
        k = len(old) + i
        out[k, 0], out[k, 1], out[k, 2] = links[i, 0], links[i, 1], links[i, 2]
        out[k, 3] = arcs[links[i, 2], 2]
