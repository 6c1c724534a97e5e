"""A search graph whose phrases are raised: composed with a bias automaton as far as the search goes.

Boosts of words stand on arcs of the graph: what a word gains where no phrase is under way is added to its arcs once,
in pages of their own where the graph is mapped. Where a list has single words only that is all, and the result is an
ordinary graph. Longer phrases need the automaton's state beside a token's, see `search.engines.bias_kernels`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from hybrid.search.engines.bias_kernels import MARK, BiasArrays, arcs_of, begin_pairs, index_of, number_of
from hybrid.search.graph import SearchGraph
from lm.biasing.bias_automaton import BiasAutomaton

__all__ = ["BiasedGraph", "BiasedStates", "OpenGraph", "raised"]


def raised(graph: SearchGraph, automaton: BiasAutomaton) -> SearchGraph | BiasedGraph:
    """Returns a graph with the phrases of an automaton raised; without phrases the graph itself."""
    if len(automaton) == 1:
        return graph
    rest = np.array(automaton.rest, np.int32)
    keys = np.array(automaton.keys, np.int64)
    first = np.flatnonzero(keys[1:] >> 32 == 0) + 1  # states behind words that begin phrases
    words = keys[first] & 0xFFFFFFFF
    place = np.full(int(words.max()) + 1, -1, np.int32)
    place[words] = first
    arcs = arcs_of(graph.word_ids, place)
    state = place[graph.word_ids[arcs]]
    rows = graph.joined("arcs", np.zeros((0, 3), np.int32))
    gain, held = np.array(automaton.gain), np.array(automaton.held)
    scores = rows.view(np.float32)[arcs, 2].astype(np.float64) + (gain + held)[state]
    rows.view(np.float32)[arcs, 2] = scores.astype(np.float32)
    if not rest.any():
        return replace(graph, arcs=rows, source=None)
    rows.view(np.uint32)[arcs[rest[state] > 0], 0] |= MARK
    base = np.ascontiguousarray(graph.arcs).reshape(-1)
    arrays = BiasArrays(
        graph.num_states, graph.word_ids, base.view(np.uint32), base.view(np.float32), keys,
        index_of(keys, len(keys)), np.array(automaton.fail, np.int32), rest, gain, held,
    )  # fmt: skip
    return BiasedGraph(graph, automaton, rows, arrays)


@dataclass(frozen=True, eq=False)
class BiasedGraph:
    """A graph and phrases of several words; made by `raised`.

    Attributes:
      base: the graph. automaton: the phrases.
      arcs: int32 [A][3], those of the graph with boosts of words that begin phrases, and marks on their next states
        where phrases go on.
      arrays: both for kernels.
    """

    base: SearchGraph
    automaton: BiasAutomaton
    arcs: np.ndarray
    arrays: BiasArrays

    @property
    def start(self) -> int:
        """The start state."""
        return self.base.start

    @property
    def num_pdfs(self) -> int:
        """Columns of the scores."""
        return self.base.num_pdfs

    @property
    def bounds(self) -> np.ndarray:
        """As in `SearchGraph`."""
        return self.base.bounds

    def opened(self) -> BiasedStates:
        """The graph for one utterance."""
        return BiasedStates(self)


class BiasedStates:
    """A graph composed with a bias automaton, as far as one utterance has gone.

    Attributes:
      graph: both. pairs: the pairs of states met so far.
    """

    def __init__(self, graph: BiasedGraph) -> None:
        self.graph, self.pairs = graph, begin_pairs()
        self._base, self._automaton = graph.base, graph.automaton
        self.start, self.num_pdfs = graph.start, graph.num_pdfs
        self.word_ids, self.transition_ids = graph.base.word_ids, graph.base.transition_ids

    def _split(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The states of graph and automaton, int64."""
        numbers = np.asarray(states, np.int32).view(np.uint32).astype(np.int64)
        place = numbers - self._base.num_states
        keys = np.where(place < 0, numbers, self.pairs.keys[np.maximum(place, 0)])
        return keys & 0xFFFFFFFF, keys >> 32

    def _number(self, state: int, other: int) -> int:
        number, self.pairs = number_of(self.graph.arrays, self.pairs, np.uint32(state), np.int64(other))
        return int(number)

    def emitting(self, state: int) -> Iterator[tuple[int, int, int, float]]:
        """See `SearchGraph.emitting`."""
        (here,), (other,) = self._split(np.array([state]))
        for arc, target, pdf_id, score in self._base.emitting(int(here)):
            yield (arc, *self._led(arc, target, int(other), score, pdf_id))

    def epsilons(self, state: int) -> Iterator[tuple[int, int, float]]:
        """See `SearchGraph.epsilons`."""
        (here,), (other,) = self._split(np.array([state]))
        for arc, target, score in self._base.epsilons(int(here)):
            to, _, total = self._led(arc, target, int(other), score)
            yield arc, to, total

    def _led(self, arc: int, target: int, other: int, score: float, pdf_id: int = -1) -> tuple[int, int, float]:
        """(number of the pair behind an arc, pdf_id, score with what its word gains)."""
        if word := int(self.word_ids[arc]):
            other, gain = self._automaton.step(other, word)
            score = float(np.float32(score + gain))
        return self._number(target, other), pdf_id, score

    def ends(self, states: np.ndarray) -> np.ndarray:
        """See `SearchGraph.ends`; what is lent is paid back."""
        here, other = self._split(states)
        held = self.graph.arrays.held[other]
        return (self._base.final_scores[here].astype(np.float64) - held).astype(np.float32)

    def place_of(self, state: int) -> int:
        """See `SearchGraph.place_of`."""
        return int(self._split(np.array([state]))[0][0])

    def state_behind(self, state: int, arcs: np.ndarray) -> int:
        """See `SearchGraph.state_behind`."""
        (_,), (other,) = self._split(np.array([state]))
        words = self.word_ids[arcs]
        now = int(other)
        for word in words[words != 0].tolist():
            now, _ = self._automaton.step(now, word)
        return self._number(int(self._base.arcs[arcs[-1], 0]), now)


OpenGraph = SearchGraph | BiasedStates  # what a stream searches
