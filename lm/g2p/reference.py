"""`lm.g2p.pronounce` as it reads: the same guesses from arrays and Python, some times slower."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lm.g2p.graphone import Graphone
from lm.g2p.pronounce import Guess
from lm.g2p.pronounce_kernels import MOST_EXPANSIONS
from lm.ngram import LN_10, BackoffAutomaton
from lm.word_table import EOS

__all__ = ["readable_n_best"]


@dataclass(frozen=True, eq=False)
class _Column:
    """The nodes after some letters.

    Attributes:
      states: int32 [node], states of the n-gram model, all different.
      forward: float64 [node], best log score from the start.
      arcs: (source column, source nodes, graphone ids, log scores, target nodes), arrays [arc], by column.
    """

    states: np.ndarray
    forward: np.ndarray
    arcs: tuple[tuple[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray], ...]


def readable_n_best(
    word: str,
    automaton: BackoffAutomaton,
    graphones: Sequence[Graphone],
    by_letters: Mapping[tuple[str, ...], np.ndarray],
    count: int,
    beam: float,
) -> list[Guess]:
    """Finds the `count` likeliest pronunciations; see `lm.g2p.model.G2pModel.guess`."""
    if not word or count < 1:
        return []
    columns = _forward(word, automaton, by_letters, beam)
    if not len(columns[-1].states):
        return []
    last = columns[-1]
    ends, _ = automaton.steps(last.states, np.full(len(last.states), EOS))
    return _search(columns, ends * LN_10, graphones, count)


def _forward(
    word: str, automaton: BackoffAutomaton, by_letters: Mapping[tuple[str, ...], np.ndarray], beam: float
) -> list[_Column]:
    longest = max(map(len, by_letters), default=0)
    columns = [_Column(np.array([automaton.start], np.int32), np.zeros(1), ())]
    for at in range(1, len(word) + 1):
        parts = []
        for length in range(1, min(longest, at) + 1):
            ids = by_letters.get(tuple(word[at - length : at]))
            source = columns[at - length]
            if ids is None or not len(source.states):
                continue
            nodes, units = np.repeat(np.arange(len(source.states)), len(ids)), np.tile(ids, len(source.states))
            scores, states = automaton.steps(source.states[nodes], units)
            parts.append((at - length, nodes, units, scores * LN_10, states))
        columns.append(_merge(parts, columns, beam))
    return columns


def _merge(parts: list, columns: list[_Column], beam: float) -> _Column:
    """Makes one node of each state and drops nodes below the beam."""
    if not parts:
        return _Column(np.empty(0, np.int32), np.empty(0), ())
    states, target = np.unique(np.concatenate([part[4] for part in parts]), return_inverse=True)
    total = np.concatenate([columns[part[0]].forward[part[1]] + part[3] for part in parts])
    forward = np.full(len(states), -np.inf)
    np.maximum.at(forward, target, total)
    kept = forward >= forward.max() - beam
    number = np.where(kept, np.cumsum(kept) - 1, -1)[target]
    arcs, first = [], 0
    for source, nodes, units, scores, _ in parts:
        here = number[first : first + len(nodes)]
        first += len(nodes)
        use = (here >= 0) & np.isfinite(scores)
        arcs.append((source, nodes[use], units[use], scores[use], here[use]))
    return _Column(states[kept], forward[kept], tuple(arcs))


def _backward(columns: list[_Column], ends: np.ndarray) -> list[np.ndarray]:
    """Best log score from each node to the end."""
    backward = [np.full(len(column.states), -np.inf) for column in columns]
    backward[-1] = ends.copy()
    for at in range(len(columns) - 1, 0, -1):
        for source, nodes, _, scores, targets in columns[at].arcs:
            np.maximum.at(backward[source], nodes, scores + backward[at][targets])
    return backward


def _search(columns: list[_Column], ends: np.ndarray, graphones: Sequence[Graphone], count: int) -> list[Guess]:
    """A* from the start: paths leave the queue in the order of their total scores."""
    backward = _backward(columns, ends)
    leaving: dict[tuple[int, int], list[tuple[float, int, int, int]]] = {}
    found: dict[tuple[str, ...], float] = {}
    serial = 0
    queue: list[tuple[float, int, float, int, int, tuple[str, ...]]] = [(-float(backward[0][0]), serial, 0.0, 0, 0, ())]
    outgoing = _outgoing(columns)
    final = len(columns) - 1
    expansions = 0
    while queue and len(found) < count and expansions < MOST_EXPANSIONS:
        negative, _, score, at, node, phones = heapq.heappop(queue)
        if negative == np.inf:
            break
        if at == -1:
            if phones:
                found.setdefault(phones, -negative)
            continue
        expansions += 1
        if at == final:
            serial += 1
            heapq.heappush(queue, (-(score + float(ends[node])), serial, score, -1, 0, phones))
            continue
        key = (at, node)
        if key not in leaving:
            leaving[key] = outgoing(at, node)
        for arc_score, unit, target_at, target in leaving[key]:
            serial += 1
            total = score + arc_score
            best = total + float(backward[target_at][target])
            if best > -np.inf:
                heapq.heappush(queue, (-best, serial, total, target_at, target, phones + graphones[unit].phones))
    return [Guess(phones, score) for phones, score in found.items()]


def _outgoing(columns: list[_Column]) -> Callable[[int, int], list[tuple]]:
    """Returns a function (column, node) → its arcs as (score, graphone, target column, target node)."""
    sources: dict[int, list[tuple[int, np.ndarray, tuple]]] = {}
    for at, column in enumerate(columns):
        for arc in column.arcs:
            order = np.argsort(arc[1], kind="stable")
            sources.setdefault(arc[0], []).append((at, arc[1][order], tuple(a[order] for a in arc[2:])))

    def arcs(at: int, node: int) -> list[tuple[float, int, int, int]]:
        """What leaves a node: score, unit, position and node entered."""
        result = []
        for target_at, nodes, (units, scores, targets) in sources.get(at, ()):
            first, last = np.searchsorted(nodes, [node, node + 1])
            rows = zip(scores[first:last].tolist(), units[first:last].tolist(), targets[first:last].tolist())
            result += [(score, unit, target_at, target) for score, unit, target in rows]
        return result

    return arcs
