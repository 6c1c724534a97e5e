"""Products of a compact lattice with an automaton over words: the lattice's paths, as far as the automaton goes along.

A state of the product is a state of the lattice and one of the automaton; only those that are reached are made. What
`intersect`, `compose`, `difference` and `boosted` ask of an automaton differs, the product does not.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from hybrid.formats.fst_arrays import FstArrays
from hybrid.lattice.compact import CompactLattice, gather, no_paths
from hybrid.lattice.lattice import LatticeError
from hybrid.lattice.trim import trimmed

__all__ = ["WordAutomaton", "compose", "intersect", "product"]

MAX_ARCS = 20_000_000  # of a product


class WordAutomaton(Protocol):
    """What a product asks: states are any hashable values."""

    start: Any

    def steps(self, state: Any, word: int) -> Iterable[tuple[Hashable, int, float]]:
        """Yields (next state, word put out, score) of each way to read a word; none: the path ends here."""

    def free_steps(self, state: Any) -> Iterable[tuple[Hashable, int, float]]:
        """Yields (next state, word put out, score) of each step that reads nothing."""

    def end(self, state: Any) -> float | None:
        """The score of ending in a state; None where it may not."""


def product(compact: CompactLattice, automaton: WordAutomaton) -> CompactLattice:
    """Returns the paths whose words an automaton reads, with the words it puts out and its scores added to the graph's.

    An arc without a word leaves the automaton where it is. Where both might go on alone the automaton goes first (the
    epsilon filter of Mohri et al., 2002), so that no path is there twice.

    Args:
      compact: trimmed, see `hybrid.lattice.trim`.

    Raises:
      LatticeError: it has too many arcs, or the automaton goes round in a circle without reading.
    """
    if compact.start < 0:
        return no_paths()
    rows, words, nexts = compact.row_splits.tolist(), compact.word_ids.tolist(), compact.next_states.tolist()
    first = (0, automaton.start, False)
    number, queue = {first: 0}, [first]
    made: list[tuple[int, int, int, int, float]] = []  # source, next state, arc of the lattice or -1, word, gain
    ends: list[tuple[int, int, float]] = []  # state, state of the lattice, gain

    def to(place: tuple[int, Any, bool]) -> int:
        if place not in number:
            number[place] = len(number)
            queue.append(place)
        return number[place]

    while queue:
        place = queue.pop()
        state, other, waited = place
        here = number[place]
        if np.isfinite(compact.final_graph_scores[state]) and (gain := automaton.end(other)) is not None:
            ends.append((here, state, gain))
        free = list(automaton.free_steps(other))
        if not waited:
            made += [(here, to((state, n, False)), -1, word, gain) for n, word, gain in free]
        for arc in range(rows[state], rows[state + 1]):
            if words[arc] == 0:
                made.append((here, to((nexts[arc], other, bool(free))), arc, 0, 0.0))
                continue
            for n, word, gain in automaton.steps(other, words[arc]):
                made.append((here, to((nexts[arc], n, False)), arc, word, gain))
        if len(made) > MAX_ARCS:
            raise LatticeError(f"the product has more than {MAX_ARCS} arcs; prune the lattice first")
    return _assembled(compact, made, ends, len(number))


def _assembled(compact: CompactLattice, made: list, ends: list, states: int) -> CompactLattice:
    """The product as arrays: arc -1 of the lattice has no frames and no scores."""
    sources, targets, arcs, words = (np.array(c, np.int64) for c in (list(zip(*made)) or [()] * 5)[:4])
    gains = np.array([row[4] for row in made], np.float64)
    graph, acoustic = (np.append(s, np.float32(0)) for s in (compact.graph_scores, compact.acoustic_scores))
    string_splits = np.append(compact.string_splits, compact.string_splits[-1])
    arcs = np.where(arcs < 0, compact.num_arcs, arcs)
    splits, strings = gather(string_splits, compact.strings, arcs)
    # final weights: states that do not end take row S, which is empty
    place = np.full(states, compact.num_states, np.int64)
    final_graph, final_acoustic = np.full(states, -np.inf), np.full(states, -np.inf)
    for here, state, gain in ends:
        place[here] = state
        final_graph[here] = float(compact.final_graph_scores[state]) + gain
        final_acoustic[here] = float(compact.final_acoustic_scores[state])
    final_splits = np.append(compact.final_string_splits, compact.final_string_splits[-1])
    end_splits, end_strings = gather(final_splits, compact.final_strings, place)
    return trimmed(
        replace(
            compact, start=0, sources=sources.astype(np.int32), next_states=targets.astype(np.int32),
            word_ids=words.astype(np.int32), graph_scores=(graph[arcs] + gains).astype(np.float32),
            acoustic_scores=acoustic[arcs], string_splits=splits, strings=strings,
            final_graph_scores=final_graph.astype(np.float32), final_acoustic_scores=final_acoustic.astype(np.float32),
            final_string_splits=end_splits, final_strings=end_strings,
        )
    )  # fmt: skip


class _Acceptor:
    """A compact lattice as an automaton: its words and graph scores."""

    start = 0

    def __init__(self, acceptor: CompactLattice) -> None:
        self._finals = acceptor.final_graph_scores.tolist()
        self._arcs: dict[tuple[int, int], list[tuple[int, int, float]]] = {}
        columns = (acceptor.sources, acceptor.next_states, acceptor.word_ids, acceptor.graph_scores)
        for source, to, word, score in zip(*(column.tolist() for column in columns)):
            self._arcs.setdefault((source, word), []).append((to, word, score))

    def steps(self, state: int, word: int) -> Iterable[tuple[int, int, float]]:
        return self._arcs.get((state, word), ())

    def free_steps(self, state: int) -> Iterable[tuple[int, int, float]]:
        return self._arcs.get((state, 0), ())

    def end(self, state: int) -> float | None:
        return self._finals[state] if np.isfinite(self._finals[state]) else None


def intersect(compact: CompactLattice, acceptor: CompactLattice) -> CompactLattice:
    """Returns the paths whose words an acceptor accepts, with its graph scores added (lattice-compose of two lattices).

    Args:
      acceptor: trimmed, over words; its transition-ids and acoustic scores do not count.
    """
    return no_paths() if acceptor.start < 0 else product(compact, _Acceptor(acceptor))


class _Transducer:
    """An FST as an automaton that reads input labels and puts output labels out."""

    def __init__(self, fst: FstArrays) -> None:
        self.start = fst.start
        self._finals = fst.final_costs.tolist()
        self._arcs: dict[tuple[int, int], list[tuple[int, int, float]]] = {}
        columns = (fst.sources(), fst.ilabels, fst.olabels, fst.next_states, fst.costs)
        for source, read, put, to, cost in zip(*(column.tolist() for column in columns)):
            self._arcs.setdefault((source, read), []).append((to, put, -cost))

    def steps(self, state: int, word: int) -> Iterable[tuple[int, int, float]]:
        return self._arcs.get((state, word), ())

    def free_steps(self, state: int) -> Iterable[tuple[int, int, float]]:
        return self._arcs.get((state, 0), ())

    def end(self, state: int) -> float | None:
        return -self._finals[state] if np.isfinite(self._finals[state]) else None


def compose(compact: CompactLattice, fst: FstArrays) -> CompactLattice:
    """Returns the lattice composed with a transducer over words: its output words, its scores added (lattice-compose).

    Args:
      fst: input labels are word ids of the lattice, 0 reads nothing; costs are negative logs.

    Raises:
      LatticeError: as `product`.
    """
    return no_paths() if fst.start < 0 else product(compact, _Transducer(fst))
