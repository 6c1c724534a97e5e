"""Loops of `lm.g2p.pronounce`: the lattice of a word's graphones, and A* over it.

Nodes are numbered as they are made, from the start, 0, on; those after the same letters, a column, have consecutive
numbers. Arcs are listed by column of the node that they lead to.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np

from hybrid.base.compiled import kernel
from lm.ngram import LN_10, score_word

__all__ = ["MOST_EXPANSIONS", "GraphoneArrays", "find_best"]

MOST_EXPANSIONS = 200_000  # of nodes in A*
EMPTY = -1
END = -2  # in place of a node: behind the end of the word


class GraphoneArrays(NamedTuple):
    """A G2P model as the loops take it.

    Attributes:
      children, words, log_probs, backoffs, links, highest: its n-grams, see `lm.ngram.BackoffAutomaton`.
      start: the state at the start of a word. end: the word id of its end.
      members: int32, the graphones of equal letters, a group, side by side; splits: int64 [group + 1], their bounds.
      phones: int32, numbers of the phones of all graphones; phone_splits: int64 [graphone + 1].
    """

    children: np.ndarray
    words: np.ndarray
    log_probs: np.ndarray
    backoffs: np.ndarray
    links: np.ndarray
    highest: int
    start: int
    end: int
    members: np.ndarray
    splits: np.ndarray
    phones: np.ndarray
    phone_splits: np.ndarray


@kernel
def _step(model, state, word):
    """Returns (natural log score, next state)."""
    score, after = score_word(
        state, word, model.children, model.words, model.log_probs, model.backoffs, model.links, model.highest
    )
    return score * LN_10, after


@kernel
def _place(table, states, state):
    """Where the node of a state stands in a hash table of a column, or is to stand."""
    mask = len(table) - 1
    place = (int(state) * 2654435761 >> 8) & mask
    while table[place] != EMPTY and states[table[place]] != state:
        place = (place + 1) & mask
    return place


@kernel
def _table(model, groups, at, bounds):
    """Returns an empty hash table with room for twice the nodes that there may be after `at` letters."""
    most = 4
    for length in range(1, min(groups.shape[1], at) + 1):
        group = groups[at - 1, length - 1]
        if group >= 0:
            nodes = bounds[at - length + 1] - bounds[at - length]
            most += nodes * (model.splits[group + 1] - model.splits[group])
    size = 8
    while size < 2 * most:
        size *= 2
    return np.full(size, EMPTY, np.int64)


@kernel
def _column(model, groups, at, bounds, states, forward, arcs, beam):
    """Adds the nodes after `at` letters, one for each state, but for those below the beam, and the arcs to them."""
    table = _table(model, groups, at, bounds)
    some, best, into = states[:0], forward[:0], arcs[:0]
    for length in range(1, min(groups.shape[1], at) + 1):
        group = groups[at - 1, length - 1]
        for node in range(bounds[at - length], bounds[at - length + 1] if group >= 0 else 0):
            for unit in model.members[model.splits[group] : model.splits[group + 1]]:
                score, state = _step(model, states[node], unit)
                place = _place(table, some, state)
                if table[place] == EMPTY:
                    table[place] = len(some)
                    some.append(int(state))
                    best.append(-np.inf)
                target = table[place]
                best[target] = max(best[target], forward[node] + score)
                into.append((node, int(unit), score, target))
    least = -np.inf
    for value in best:
        least = max(least, value - beam)
    number = np.full(len(some), EMPTY, np.int64)
    for target in range(len(some)):
        if best[target] >= least:
            number[target] = len(states)
            states.append(some[target])
            forward.append(best[target])
    for node, unit, score, target in into:
        if number[target] != EMPTY and np.isfinite(score):
            arcs.append((node, unit, score, number[target]))
    bounds.append(len(states))


@kernel
def _leaving(arcs, nodes):
    """Returns the numbers of the arcs by the node that they leave, those of each in order, and where each begins."""
    splits = np.zeros(nodes + 1, np.int64)
    for arc in arcs:
        splits[arc[0] + 1] += 1
    splits = np.cumsum(splits)
    place, order = splits[:-1].copy(), np.empty(len(arcs), np.int64)
    for number, arc in enumerate(arcs):
        order[place[arc[0]]] = number
        place[arc[0]] += 1
    return order, splits


@kernel
def _said(model, paths, number):
    """The numbers of the phones of a path."""
    units = [0 for _ in range(0)]
    while number > 0:
        units.append(paths[number][2])
        number = paths[number][1]
    said = [0 for _ in range(0)]
    for unit in units[::-1]:
        for place in range(model.phone_splits[unit], model.phone_splits[unit + 1]):
            said.append(model.phones[place])
    return np.array(said, np.int32)


@kernel
def _holds(rows, wanted):
    """Tells whether one of some arrays is this one."""
    found = False
    for row in rows:
        found = found or np.array_equal(row, wanted)
    return found


@kernel
def _search(model, arcs, backward, last, count):
    """A* from the start to the nodes from `last` on: paths leave the queue in the order of their total scores."""
    order, splits = _leaving(arcs, len(backward))
    paths = [(0, 0, 0, 0.0)]  # of each its node, the path before its last graphone, that graphone, its score
    queue = [(-backward[0], 0)]
    found = [model.phones[:0] for _ in range(0)]
    scores = [0.0 for _ in range(0)]
    expansions = 0
    while len(queue) > 0 and len(found) < count and expansions < MOST_EXPANSIONS:
        negative, number = heappop(queue)
        node, before, unit, score = paths[number]
        if negative == np.inf:
            break
        if node == END:
            said = _said(model, paths, before)
            if len(said) > 0 and not _holds(found, said):
                found.append(said)
                scores.append(-negative)
            continue
        expansions += 1
        if node >= last:
            heappush(queue, (-(score + backward[node]), len(paths)))
            paths.append((END, number, 0, score))
        for place in range(splits[node], splits[node + 1]):
            _, unit, more, target = arcs[order[place]]
            best = score + more + backward[target]
            if best > -np.inf:
                heappush(queue, (-best, len(paths)))
                paths.append((target, number, unit, score + more))
    return found, scores


@kernel
def find_best(model, groups, count, beam):
    """Finds the likeliest pronunciations of a word.

    Args:
      model: GraphoneArrays.
      groups: int64 [letters][length - 1], the group of graphones of the so many letters that end with each; -1: none.
      count: how many at most. beam: paths this much (natural log) below the best of equal letters are given up.

    Returns:
      The phones of each, int32, and its natural log score, best first.
    """
    states, forward, bounds = [int(model.start)], [0.0], [0, 1]
    arcs = [(0, 0, 0.0, 0) for _ in range(0)]  # the node left, the graphone, its score, the node reached
    for at in range(1, len(groups) + 1):
        _column(model, groups, at, bounds, states, forward, arcs, beam)
    backward = np.full(len(states), -np.inf)
    for node in range(bounds[-2], bounds[-1]):
        backward[node] = _step(model, states[node], model.end)[0]
    for node, _, score, target in arcs[::-1]:
        backward[node] = max(backward[node], score + backward[target])
    return _search(model, arcs, backward, bounds[-2], count)
