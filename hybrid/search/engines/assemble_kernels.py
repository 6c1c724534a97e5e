"""From links between tokens to the rows of a lattice, in compiled loops that other threads run beside.

`assemble.assemble` is what they compute for many lanes; the tests compare them.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.lattice.kernels import backward_max, forward_max, keep_arcs, topological_order

__all__ = ["pruned_lanes"]


@kernel
def _token_rows(splits, links, epsilons):
    """Sorts the links of all levels by the token that they leave; tokens are counted through.

    Args:
      splits, links, epsilons: as in `Trellis`.

    Returns:
      int64 [N+1], the rows of the tokens; int32 [A], the token that each arc leads to; int64 [A], which link over an
      epsilon each one is or, with their number added, which link over a frame.
    """
    tokens, frames, inside = splits[-1, 0], splits[-1, 1], splits[-1, 2]
    sources, targets = np.empty(frames + inside, np.int64), np.empty(frames + inside, np.int64)
    for t in range(len(splits) - 1):
        here, before = splits[t, 0], splits[max(t - 1, 0), 0]
        for i in range(splits[t, 2], splits[t + 1, 2]):
            sources[i], targets[i] = here + epsilons[i, 0], here + epsilons[i, 1]
        for i in range(splits[t, 1], splits[t + 1, 1]):
            sources[inside + i], targets[inside + i] = before + links[i, 0], here + links[i, 1]
    rows = np.zeros(tokens + 1, np.int64)
    for source in sources:
        rows[source + 1] += 1
    rows = np.cumsum(rows)
    place, nexts, which = rows.copy(), np.empty(len(sources), np.int32), np.empty(len(sources), np.int64)
    for i in range(len(sources)):
        at = place[sources[i]]
        nexts[at], which[at] = targets[i], i
        place[sources[i]] += 1
    return rows, nexts, which


@kernel
def _ordered(rows, nexts):
    """Returns the reachable states in topological order; -1 of them: a cycle. Their own order, where it is one."""
    order, count = topological_order(rows, nexts, 0)
    reached = np.zeros(len(rows) - 1, np.bool_)
    for i in range(max(count, 0)):
        reached[order[i]] = True
    for s in range(len(reached)):
        for a in range(rows[s], rows[s + 1]):
            if reached[s] and nexts[a] <= s:
                return order, count
    return np.flatnonzero(reached), count


@kernel
def _renumbered(rows, nexts, order, kept):
    """Returns rows and next states of the states in `order`, and the places of their arcs that are kept."""
    number = np.full(len(rows) - 1, -1, np.int64)
    for i in range(len(order)):
        number[order[i]] = i
    out, size = np.zeros(len(order) + 1, np.int64), 0
    places, states = np.empty(len(nexts), np.int64), np.empty(len(nexts), np.int32)
    for i in range(len(order)):
        for a in range(rows[order[i]], rows[order[i] + 1]):
            if kept[a] and number[nexts[a]] >= 0:
                places[size], states[size] = a, number[nexts[a]]
                size += 1
        out[i + 1] = size
    return out, states[:size], places[:size]


@kernel
def _pruned_rows(rows, nexts, scores, finals, beam):
    """Sorts the states of a lattice that starts in state 0, and keeps what lies on a path within the beam.

    Args:
      rows, nexts: of any order of states. scores: float64 [A]. finals: float64 [N], -inf where none ends.

    Returns:
      Rows int64, next states int32, the old places of arcs and of states, int64, and which states may end, bool; no
      states where there is no path; -1 instead of the number of states where there is a cycle.
    """
    order, count = _ordered(rows, nexts)
    every = np.ones(len(nexts), np.bool_)
    order = order[: max(count, 0)]
    top_rows, top_nexts, places = _renumbered(rows, nexts, order, every)
    own, ends = scores[places], finals[order]
    alpha, (beta, _) = forward_max(top_rows, top_nexts, own), backward_max(top_rows, top_nexts, own, ends)
    best = beta[0] if count > 0 else -np.inf
    threshold = best - beam - 1e-9 * abs(best) if best > -np.inf else np.inf
    arcs, states = keep_arcs(top_rows, top_nexts, own, alpha, beta, threshold)
    alive = np.flatnonzero(states)
    out, targets, chosen = _renumbered(top_rows, top_nexts, alive, arcs)
    last = alpha[alive] + ends[alive] >= threshold
    return out, targets, places[chosen], order[alive], last, count


@kernel
def _arc_columns(which, links, acoustic, epsilons, graph_scores, scale):
    """Returns graph arc, acoustic score and scaled total of each arc of `_token_rows`."""
    arcs, own = np.empty(len(which), np.int32), np.zeros(len(which), np.float32)
    totals = np.empty(len(which), np.float64)
    for i in range(len(which)):
        link = which[i] - len(epsilons)
        arcs[i] = epsilons[which[i], 2] if link < 0 else links[link, 2]
        own[i] = 0.0 if link < 0 else acoustic[link]
        totals[i] = np.float64(graph_scores[arcs[i]]) + scale * np.float64(own[i])
    return arcs, own, totals


@kernel
def _ends(states, first, final_scores):
    """Returns float64 [N], what it costs to end in each token, those of the last level; and whether any is final."""
    ends, complete = np.full(len(states), -np.inf), False
    for i in range(first, len(states)):
        ends[i] = final_scores[states[i]]
        complete = complete or ends[i] > -np.inf
    if not complete:
        ends[first:] = 0.0
    return ends, complete


@kernel
def pruned_lanes(
    sizes, lengths, states, links, epsilons, acoustic, graph_scores, final_scores, scale, beam, first, last
):  # fmt: skip
    """Makes the lattices of the lanes from `first` up to `last`, one after the other in flat arrays.

    Args:
      sizes, states, links, epsilons, acoustic: as in `HandedLanes`; the first level of each lane is not counted.
      lengths: int64 [lane], frames. graph_scores, final_scores: of the graph. scale: of acoustic scores.

    Returns:
      Rows int64 (one entry more than states in each lane), next states, graph arcs int32, acoustic scores, final scores
      float32; int64 [lanes + 1][2], where arcs and states of each lane begin; bool [lanes], a final state was reached.
    """
    before, total = np.zeros(3, np.int64), np.zeros(3, np.int64)
    for lane in range(last):
        for kind in range(3):
            size = sizes[lane, :, kind].sum()
            if lane < first:
                before[kind] += size
            else:
                total[kind] += size
    room = total[1] + total[2]
    rows, finals = np.empty(total[0] + last - first, np.int64), np.empty(total[0], np.float32)
    nexts, arcs, own = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.float32)
    bounds, complete = np.zeros((last - first + 1, 2), np.int64), np.zeros(last - first, np.bool_)
    n, m, e = before[0], before[1], before[2]
    for lane in range(first, last):
        splits = np.zeros((lengths[lane] + 2, 3), np.int64)
        for level in range(1, lengths[lane] + 2):
            for kind in range(3):
                splits[level, kind] = splits[level - 1, kind] + sizes[lane, level, kind]
        tokens, some, inner = splits[-1, 0], splits[-1, 1], splits[-1, 2]
        a, s = bounds[lane - first, 0], bounds[lane - first, 1]
        here = lane - first
        if lengths[lane] and splits[-2, 0] < tokens:
            steps, inside = links[m : m + some], epsilons[e : e + inner]
            own_rows, own_nexts, which = _token_rows(splits, steps, inside)
            columns = _arc_columns(which, steps, acoustic[m : m + some], inside, graph_scores, scale)
            ends, complete[here] = _ends(states[n : n + tokens], splits[-2, 0], final_scores)
            made = _pruned_rows(own_rows, own_nexts, columns[2], ends, beam)
            if made[4].any():
                size, count = len(made[1]), len(made[3])
                rows[s + here : s + here + count + 1] = made[0]
                nexts[a : a + size], arcs[a : a + size] = made[1], columns[0][made[2]]
                own[a : a + size] = columns[1][made[2]]
                finals[s : s + count] = np.where(made[4], ends[made[3]], -np.inf)
                a, s = a + size, s + count
        bounds[here + 1, 0], bounds[here + 1, 1] = a, s
        n, m, e = n + tokens, m + some, e + inner
    return rows, nexts[: bounds[-1, 0]], arcs[: bounds[-1, 0]], own[: bounds[-1, 0]], finals, bounds, complete
