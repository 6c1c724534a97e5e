"""Pruning of old links while a search goes on (Povey et al. 2012, section 4): memory stays near that of the lattice."""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["prune_trellis"]

TOLERANCE = 0.1  # times the lattice beam: growth of a token's deficit that is worth following further back


@kernel
def prune_trellis(trellis, scale, lattice_beam, interval):
    """Drops links and tokens that no path within the lattice beam of the living tokens uses; in place."""
    count, splits = trellis.levels, trellis.splits
    if splits[count - 1, 0] == splits[count, 0]:
        return
    trellis.extra[splits[count - 1, 0] : splits[count, 0]] = 0.0
    sizes = splits[1 : count + 1] - splits[:count]
    first = count - 1
    for t in range(count - 2, -1, -1):
        growth = _prune_level(trellis, t, sizes, scale, lattice_beam)
        first = t
        if growth <= TOLERANCE * lattice_beam and t < count - interval:
            break
    _close_up(trellis, first, sizes)


@kernel
def _prune_level(trellis, t, sizes, scale, lattice_beam):
    """Finds how much worse than the best path each token of a level is, and drops what is beyond the lattice beam.

    What stays of the level's arrays, and of the links to the level after, moves to their front.

    Args:
      sizes: int64 [levels][3], tokens, links and epsilon links left of each level; overwritten for levels t and t + 1.

    Returns:
      The largest growth of `extra`, inf if a token goes.
    """
    begin, end = trellis.splits[t], trellis.splits[t + 1]
    scores, extra = trellis.scores[begin[0] : end[0]], trellis.extra[begin[0] : end[0]]
    next_scores, next_extra = trellis.scores[end[0] :], trellis.extra[end[0] :]
    links, acoustic = trellis.links[end[1] :].reshape(-1), trellis.acoustic[end[1] :]
    weights = links.view(np.float32)
    before = extra.copy()
    extra[:] = np.inf
    left = 0
    for k in range(sizes[t + 1, 1]):
        i, j = np.uint32(links[4 * k]), np.uint32(links[4 * k + 1])
        total = scores[i] + np.float64(weights[4 * k + 3]) + scale * np.float64(acoustic[k])
        worse = next_extra[j] + (next_scores[j] - total)
        if worse <= lattice_beam:
            extra[i] = min(extra[i], max(worse, 0.0))
            for column in range(4):
                links[4 * left + column] = links[4 * k + column]
            acoustic[left] = acoustic[k]
            left += 1
    sizes[t + 1, 1] = left
    sizes[t, 2] = _prune_epsilons(scores, extra, trellis.epsilons[begin[2] : end[2]], lattice_beam)
    return _drop_tokens(trellis, t, sizes, before)


@kernel
def _prune_epsilons(scores, extra, links, lattice_beam):
    """Lets `extra` flow back over the links inside a level, and moves those that stay to the front."""
    weights = links.view(np.float32)
    changed = True
    while changed:
        changed = False
        for k in range(len(links) - 1, -1, -1):
            i, j = links[k, 0], links[k, 1]
            worse = extra[j] + (scores[j] - (scores[i] + np.float64(weights[k, 3])))
            if worse <= lattice_beam and max(worse, 0.0) < extra[i]:
                extra[i] = max(worse, 0.0)
                changed = True
    left = 0
    for k in range(len(links)):
        i, j = links[k, 0], links[k, 1]
        if extra[j] + (scores[j] - (scores[i] + np.float64(weights[k, 3]))) <= lattice_beam:
            links[left, 0], links[left, 1], links[left, 2], links[left, 3] = i, j, links[k, 2], links[k, 3]
            left += 1
    return left


@kernel
def _drop_tokens(trellis, t, sizes, before):
    """Drops the tokens of level t that nothing goes on from; returns the largest growth of `extra`."""
    begin, end = trellis.splits[t], trellis.splits[t + 1]
    states, scores = trellis.states[begin[0] : end[0]], trellis.scores[begin[0] : end[0]]
    extra = trellis.extra[begin[0] : end[0]]
    growth = 0.0
    place = np.full(len(states), -1, np.int32)
    alive = 0
    for i in range(len(states)):
        if extra[i] == np.inf:
            growth = np.inf
            continue
        growth = max(growth, extra[i] - before[i])
        place[i] = alive
        states[alive], scores[alive], extra[alive] = states[i], scores[i], extra[i]
        alive += 1
    sizes[t, 0] = alive
    if alive == len(states):
        return growth
    after, inside = trellis.links[end[1] :].reshape(-1), trellis.epsilons[begin[2] :].reshape(-1)
    for k in range(sizes[t + 1, 1]):
        after[4 * k] = place[np.uint32(after[4 * k])]
    for k in range(sizes[t, 2]):
        inside[4 * k], inside[4 * k + 1] = place[np.uint32(inside[4 * k])], place[np.uint32(inside[4 * k + 1])]
    links, acoustic = trellis.links[begin[1] :].reshape(-1), trellis.acoustic[begin[1] :]
    entering = 0
    for k in range(sizes[t, 1]):
        target = place[np.uint32(links[4 * k + 1])]
        if target >= 0:
            links[4 * entering], links[4 * entering + 1] = links[4 * k], target
            links[4 * entering + 2], links[4 * entering + 3] = links[4 * k + 2], links[4 * k + 3]
            acoustic[entering] = acoustic[k]
            entering += 1
    sizes[t, 1] = entering
    return growth


@kernel
def _close_up(trellis, first, sizes):
    """Moves what is left of the levels from `first` on together."""
    splits, rows, inside = trellis.splits, trellis.links.reshape(-1), trellis.epsilons.reshape(-1)
    tokens, links, epsilons = splits[first, 0], splits[first, 1], splits[first, 2]
    for t in range(first, trellis.levels):
        i, k, e = splits[t, 0], splits[t, 1], splits[t, 2]
        splits[t, 0], splits[t, 1], splits[t, 2] = tokens, links, epsilons
        for n in range(sizes[t, 0]):
            trellis.states[tokens + n] = trellis.states[i + n]
            trellis.scores[tokens + n] = trellis.scores[i + n]
            trellis.extra[tokens + n] = trellis.extra[i + n]
        for n in range(sizes[t, 1]):
            trellis.acoustic[links + n] = trellis.acoustic[k + n]
        for n in range(4 * sizes[t, 1]):
            rows[4 * links + n] = rows[4 * k + n]
        for n in range(4 * sizes[t, 2]):
            inside[4 * epsilons + n] = inside[4 * e + n]
        tokens, links, epsilons = tokens + sizes[t, 0], links + sizes[t, 1], epsilons + sizes[t, 2]
    count = trellis.levels
    splits[count, 0], splits[count, 1], splits[count, 2] = tokens, links, epsilons
