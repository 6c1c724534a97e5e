"""Pruning of old links while a search goes on (Povey et al. 2012, section 4): memory stays near that of the lattice."""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["prune_trellis"]

ONE, TWO, THREE, FOUR = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
TOLERANCE = 0.1  # times the lattice beam: growth of a token's deficit that is worth following further back


@kernel
def prune_trellis(trellis, scale, lattice_beam, interval):
    """Drops links and tokens that no path within the lattice beam of the living tokens uses; in place."""
    count, splits = trellis.levels, trellis.splits
    if splits[count - 1, 0] == splits[count, 0]:
        return
    trellis.extra[splits[count - 1, 0] : splits[count, 0]] = 0.0
    sizes = splits[1 : count + 1] - splits[:count]
    places = np.arange(sizes[count - 1, 0]).astype(np.int32)
    first = count - 1
    for t in range(count - 2, -1, -1):
        growth, places = _prune_level(trellis, t, sizes, places, scale, lattice_beam)
        first = t
        if growth <= TOLERANCE * lattice_beam and t < count - interval:
            break
    _close_up(trellis, first, sizes)


@kernel
def _prune_level(trellis, t, sizes, after, scale, lattice_beam):
    """Finds how much worse than the best path each token of a level is, and drops what is beyond the lattice beam.

    What stays of the links inside the level and to the one after moves to their front, and tells where its tokens will
    be; these stay where they are, at an `extra` of inf those that go.

    Args:
      sizes: int64 [levels][3], tokens, links and epsilon links left of each level; overwritten.
      after: int32 [tokens of the level after], where they will be.

    Returns:
      The largest growth of `extra`, inf if a token goes; and where the tokens of the level will be.
    """
    begin, end = trellis.splits[t], trellis.splits[t + 1]
    scores, extra = trellis.scores[begin[0] : end[0]], trellis.extra[begin[0] : end[0]]
    next_scores, next_extra = trellis.scores[end[0] :], trellis.extra[end[0] :]
    links, acoustic = trellis.links[end[1] :].reshape(-1), trellis.acoustic[end[1] :]
    weights = links.view(np.float32)
    before = extra.copy()
    extra[:] = np.inf
    left = np.uint64(0)
    for k in range(sizes[t + 1, 1]):
        i, j, a, weight = np.uint32(links[4 * k]), np.uint32(links[4 * k + 1]), links[4 * k + 2], weights[4 * k + 3]
        total = scores[i] + np.float64(weight) + scale * np.float64(acoustic[k])
        worse = next_extra[j] + (next_scores[j] - total)
        good = worse <= lattice_beam
        extra[i] = min(extra[i], max(worse, 0.0) if good else np.inf)
        place = left * FOUR  # written whether it stays or not: no branch to guess wrong
        links[place], links[place + ONE], links[place + TWO], weights[place + THREE] = i, after[j], a, weight
        acoustic[left] = acoustic[k]
        left += np.uint64(good)
    sizes[t + 1, 1] = left
    epsilons = trellis.epsilons[begin[2] : end[2]].reshape(-1)
    sizes[t, 2] = _prune_epsilons(scores, extra, epsilons, lattice_beam)
    growth, places, sizes[t, 0] = _places(extra, before)
    if sizes[t, 0] < len(extra):
        for k in range(sizes[t + 1, 1]):
            links[4 * k] = places[np.uint32(links[4 * k])]
        for k in range(sizes[t, 2]):
            epsilons[4 * k] = places[np.uint32(epsilons[4 * k])]
            epsilons[4 * k + 1] = places[np.uint32(epsilons[4 * k + 1])]
    return growth, places


@kernel
def _prune_epsilons(scores, extra, links, lattice_beam):
    """Lets `extra` flow back over the links inside a level, and moves those that stay to the front."""
    weights = links.view(np.float32)
    changed = True
    while changed:
        changed = False
        for k in range(len(links) - 4, -1, -4):
            i, j = np.uint32(links[k]), np.uint32(links[k + 1])
            worse = extra[j] + (scores[j] - (scores[i] + np.float64(weights[k + 3])))
            if worse <= lattice_beam and max(worse, 0.0) < extra[i]:
                extra[i] = max(worse, 0.0)
                changed = True
    left = np.uint64(0)
    for k in range(0, len(links), 4):
        i, j, a, weight = np.uint32(links[k]), np.uint32(links[k + 1]), links[k + 2], weights[k + 3]
        good = extra[j] + (scores[j] - (scores[i] + np.float64(weight))) <= lattice_beam
        place = left * FOUR
        links[place], links[place + ONE], links[place + TWO], weights[place + THREE] = i, j, a, weight
        left += np.uint64(good)
    return np.int64(left)


@kernel
def _places(extra, before):
    """Returns the largest growth of `extra`, inf if a token goes; where each token will be; and how many stay."""
    growth, alive = 0.0, 0
    places = np.empty(len(extra), np.int32)
    for i in range(len(extra)):
        places[i] = alive
        alive += extra[i] < np.inf
        growth = max(growth, extra[i] - before[i])
    return growth, places, alive


@kernel
def _close_up(trellis, first, sizes):
    """Moves what is left of the levels from `first` on together."""
    splits, rows, inside = trellis.splits, trellis.links.reshape(-1), trellis.epsilons.reshape(-1)
    tokens, links, epsilons = splits[first, 0], splits[first, 1], splits[first, 2]
    for t in range(first, trellis.levels):
        i, k, e, end = splits[t, 0], splits[t, 1], splits[t, 2], splits[t + 1, 0]
        splits[t, 0], splits[t, 1], splits[t, 2] = tokens, links, epsilons
        for n in range(i, end):
            trellis.states[tokens], trellis.scores[tokens] = trellis.states[n], trellis.scores[n]
            stays = trellis.extra[n] < np.inf
            trellis.extra[tokens] = trellis.extra[n]
            tokens += stays
        for n in range(sizes[t, 1]):
            trellis.acoustic[links + n] = trellis.acoustic[k + n]
        for n in range(4 * sizes[t, 1]):
            rows[4 * links + n] = rows[4 * k + n]
        for n in range(4 * sizes[t, 2]):
            inside[4 * epsilons + n] = inside[4 * e + n]
        links, epsilons = links + sizes[t, 1], epsilons + sizes[t, 2]
    count = trellis.levels
    splits[count, 0], splits[count, 1], splits[count, 2] = tokens, links, epsilons
