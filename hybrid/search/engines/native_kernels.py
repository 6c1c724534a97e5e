"""The loops of token passing over arcs, compiled by numba; one call per frame.

The same rules as the reference searcher, in the same order of additions, so that both keep the same tokens.
`slot` is int32 [num_states], -1 everywhere between calls: the place of a state among the tokens of the frame.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["find_cutoff", "follow_epsilons", "pass_frame", "prune_level"]

NEG_INF = -np.inf


@kernel
def find_cutoff(scores, beam, max_active, min_active, beam_delta):
    """Returns the score a token needs to go on, the beam of the next frame, and whether max-active decided."""
    count = len(scores)
    if count == 0:
        return np.inf, beam, False
    best = scores[0]
    for i in range(count):
        best = max(best, scores[i])
    cutoff = best - beam
    if count > max_active:
        inside = 0
        for i in range(count):
            inside += scores[i] > cutoff
        if inside >= max_active:
            limit = np.partition(scores, count - max_active)[count - max_active]
            if limit > cutoff:
                return limit, best - limit + beam_delta, True
    if count <= min_active:
        return NEG_INF, np.inf, False
    if min_active > 0:
        inside = 0
        for i in range(count):
            inside += scores[i] >= cutoff
        if inside < min_active:
            limit = np.partition(scores, count - min_active)[count - min_active]
            if limit < cutoff:
                return limit, best - limit + beam_delta, False
    return cutoff, beam, False


@kernel
def pass_frame(bounds, arcs, arc_scores, slot, states, scores, frame, scale, cutoff, width):
    """Moves tokens over their emitting arcs.

    Returns:
      states int32 [N], scores float64 [N] of the tokens reached within `width` of the best of them, and the best
      link into each: int32 [N][2], source and arc; the links to them: sources, targets, arcs int32 [L], acoustic
      float32 [L]; and the floor, best - width.
    """
    room = 0
    top = 0
    for i in range(len(states)):
        if scores[i] >= cutoff:
            room += bounds[states[i], 1] - bounds[states[i], 0]
        if scores[i] > scores[top]:
            top = i
    sources, targets, links = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
    totals = np.empty(room, np.float64)
    new_states, new_scores = np.empty(room, np.int32), np.empty(room, np.float64)
    entries = np.empty((room, 2), np.int32)
    best = NEG_INF
    if len(states):
        for a in range(bounds[states[top], 0], bounds[states[top], 1]):
            best = max(best, scores[top] + np.float64(arc_scores[a, 2]) + scale * np.float64(frame[arcs[a, 1]]))
    used = count = 0
    floor = best - width
    for i in range(len(states)):
        score = scores[i]
        if score < cutoff:
            continue
        for a in range(bounds[states[i], 0], bounds[states[i], 1]):
            total = score + np.float64(arc_scores[a, 2]) + scale * np.float64(frame[arcs[a, 1]])
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
                new_states[j] = d
                new_scores[j] = total
                entries[j, 0], entries[j, 1] = i, a
                count += 1
            elif total > new_scores[j]:
                new_scores[j] = total
                entries[j, 0], entries[j, 1] = i, a
            sources[used], targets[used], links[used], totals[used] = i, j, a, total
            used += 1
    place, kept = _keep_tokens(slot, new_states[:count], new_scores[:count], entries[:count], floor)
    out = 0
    for k in range(used):
        if totals[k] >= floor:
            sources[out], targets[out], links[out] = sources[k], place[targets[k]], links[k]
            out += 1
    acoustic = np.empty(out, np.float32)
    for k in range(out):
        acoustic[k] = frame[arcs[links[k], 1]]
    return (new_states[:kept].copy(), new_scores[:kept].copy(), entries[:kept].copy(), sources[:out].copy(),
            targets[:out].copy(), links[:out].copy(), acoustic, floor)  # fmt: skip


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
def follow_epsilons(bounds, arcs, arc_scores, slot, states, scores, floor):
    """Adds the tokens that epsilon arcs reach at no less than `floor`.

    Returns:
      states, scores with the new tokens after the old; for each token that its best path enters by an epsilon arc the
      first such link: int32 [N][2], source and arc, else -1; links: sources, targets, arcs int32 [E].
    """
    count = len(states)
    capacity = 2 * count + 16
    all_states, all_scores = np.empty(capacity, np.int32), np.empty(capacity, np.float64)
    all_states[:count] = states
    all_scores[:count] = scores
    stack = np.empty(capacity, np.int32)
    waiting = np.zeros(capacity, np.bool_)
    depth = 0
    for i in range(count):
        slot[states[i]] = i
        if bounds[states[i] + 1, 0] > bounds[states[i], 1]:
            stack[depth] = i
            waiting[i] = True
            depth += 1
    while depth > 0:
        depth -= 1
        i = stack[depth]
        waiting[i] = False
        s = all_states[i]
        for a in range(bounds[s, 1], bounds[s + 1, 0]):
            total = all_scores[i] + np.float64(arc_scores[a, 2])
            if total < floor or total == NEG_INF:
                continue
            d = arcs[a, 0]
            j = slot[d]
            if j < 0:
                if count == capacity:
                    capacity *= 2
                    all_states, all_scores = _grown(all_states, capacity), _grown(all_scores, capacity)
                    stack, waiting = _grown(stack, capacity), _grown(waiting, capacity)
                j = count
                slot[d] = j
                all_states[j], all_scores[j], waiting[j] = d, total, False
                count += 1
            elif total > all_scores[j]:
                all_scores[j] = total
            else:
                continue
            if not waiting[j] and bounds[d + 1, 0] > bounds[d, 1]:
                stack[depth] = j
                waiting[j] = True
                depth += 1
    all_states, all_scores = all_states[:count].copy(), all_scores[:count].copy()
    sources, targets, links = _epsilon_links(bounds, arcs, arc_scores, slot, all_states, all_scores, floor)
    for i in range(count):
        slot[all_states[i]] = -1
    entries = np.full((count, 2), -1, np.int32)
    for k in range(len(links)):
        i, j = sources[k], targets[k]
        better = j >= len(scores) or all_scores[j] > scores[j]
        if better and entries[j, 0] < 0 and all_scores[i] + np.float64(arc_scores[links[k], 2]) == all_scores[j]:
            entries[j, 0], entries[j, 1] = i, links[k]
    return all_states, all_scores, entries, sources, targets, links


@kernel
def _epsilon_links(bounds, arcs, arc_scores, slot, states, scores, floor):
    """Lists the epsilon arcs between tokens that reach at least `floor`."""
    room = 0
    for i in range(len(states)):
        room += bounds[states[i] + 1, 0] - bounds[states[i], 1]
    sources, targets, links = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
    out = 0
    for i in range(len(states)):
        for a in range(bounds[states[i], 1], bounds[states[i] + 1, 0]):
            total = scores[i] + np.float64(arc_scores[a, 2])
            if total >= floor and total > NEG_INF:
                sources[out], targets[out], links[out] = i, slot[arcs[a, 0]], a
                out += 1
    return sources[:out].copy(), targets[:out].copy(), links[:out].copy()


@kernel
def _grown(array, capacity):
    larger = np.empty(capacity, array.dtype)
    larger[: len(array)] = array
    return larger


@kernel
def prune_level(
    states, scores, extra, sources, targets, arcs, acoustic, eps_sources, eps_targets, eps_arcs, next_scores,
    next_extra, next_sources, next_targets, next_arcs, next_acoustic, arc_scores, scale, lattice_beam,
):  # fmt: skip
    """Finds how much worse than the best path each token of a level is, and drops what is beyond the lattice beam.

    All arrays of the level, and the links to the level after (`next_sources` …), are overwritten with what stays.

    Args:
      states, scores, extra: of the level's N tokens.
      sources, targets, arcs, acoustic: the links into it; eps_*: its links without a frame.
      next_scores, next_extra: of the tokens of the level after.

    Returns:
      How many tokens, links into it, links without a frame, and links to the level after are left; and the largest
      growth of `extra`, inf if a token goes.
    """
    before = extra.copy()
    extra[:] = np.inf
    left = 0
    for k in range(len(next_sources)):
        i, j = next_sources[k], next_targets[k]
        total = scores[i] + np.float64(arc_scores[next_arcs[k], 2]) + scale * np.float64(next_acoustic[k])
        worse = next_extra[j] + (next_scores[j] - total)
        if worse <= lattice_beam:
            extra[i] = min(extra[i], max(worse, 0.0))
            next_sources[left], next_targets[left] = i, j
            next_arcs[left], next_acoustic[left] = next_arcs[k], next_acoustic[k]
            left += 1
    eps_left = _prune_epsilons(scores, extra, eps_sources, eps_targets, eps_arcs, arc_scores, lattice_beam)
    growth = 0.0
    place = np.empty(len(states), np.int32)
    alive = 0
    for i in range(len(states)):
        place[i] = -1
        if extra[i] == np.inf:
            growth = np.inf
            continue
        growth = max(growth, extra[i] - before[i])
        place[i] = alive
        states[alive], scores[alive], extra[alive] = states[i], scores[i], extra[i]
        alive += 1
    entering = len(sources)
    if alive < len(states):
        for k in range(left):
            next_sources[k] = place[next_sources[k]]
        for k in range(eps_left):
            eps_sources[k], eps_targets[k] = place[eps_sources[k]], place[eps_targets[k]]
        entering = 0
        for k in range(len(sources)):
            if place[targets[k]] >= 0:
                sources[entering], targets[entering] = sources[k], place[targets[k]]
                arcs[entering], acoustic[entering] = arcs[k], acoustic[k]
                entering += 1
    return alive, entering, eps_left, left, growth


@kernel
def _prune_epsilons(scores, extra, sources, targets, arcs, arc_scores, lattice_beam):
    """Lets `extra` flow back over the links inside a level, and moves those that stay to the front."""
    changed = True
    while changed:
        changed = False
        for k in range(len(sources) - 1, -1, -1):
            i, j = sources[k], targets[k]
            worse = extra[j] + (scores[j] - (scores[i] + np.float64(arc_scores[arcs[k], 2])))
            if worse <= lattice_beam and max(worse, 0.0) < extra[i]:
                extra[i] = max(worse, 0.0)
                changed = True
    left = 0
    for k in range(len(sources)):
        i, j = sources[k], targets[k]
        if extra[j] + (scores[j] - (scores[i] + np.float64(arc_scores[arcs[k], 2]))) <= lattice_beam:
            sources[left], targets[left], arcs[left] = i, j, arcs[k]
            left += 1
    return left
