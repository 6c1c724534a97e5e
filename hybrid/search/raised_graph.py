"""A search graph whose phrases are raised: composed with a bias automaton as far as the search goes.

Boosts of words stand on arcs of the graph: what a word gains where no phrase is under way is added to its arcs once,
in pages of their own where the graph is mapped. Where a list has single words only that is all, and the result is an
ordinary graph. Longer phrases need the automaton's state beside a token's, see `search.engines.bias_kernels`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from hybrid.search.engines.bias_kernels import BiasSource, Raised, arcs_of, compose_pairs, index_of, number_of
from hybrid.search.graph import SearchGraph
from lm.biasing.bias_automaton import BiasAutomaton

__all__ = ["BiasedGraph", "BiasedStates", "ComposedPairs", "OpenGraph", "raised"]

MOST_PAIRS, MOST_ARCS = (
    1 << 17,
    1 << 20,
)  # of pairs of states that are kept for the next utterance; twice as many in all
NO_ROWS = np.zeros((0, 3), np.int32)


def raised(graph: SearchGraph, automaton: BiasAutomaton) -> SearchGraph | BiasedGraph:
    """Returns a graph with the phrases of an automaton raised; without phrases the graph itself."""
    if len(automaton) == 1:
        return graph
    rest, keys = np.array(automaton.rest, np.int32), np.array(automaton.keys, np.int64)
    first = np.flatnonzero(keys[1:] >> 32 == 0) + 1  # states behind words that begin phrases
    words = keys[first] & 0xFFFFFFFF
    place = np.full(int(words.max()) + 1, -1, np.int32)
    place[words] = first
    arcs = arcs_of(graph.word_ids, place)
    state = place[graph.word_ids[arcs]]
    gain, held = np.array(automaton.gain), np.array(automaton.held)
    scores = (graph.graph_scores[arcs].astype(np.float64) + (gain + held)[state]).astype(np.float32)
    if not rest.any():
        rows = graph.joined("arcs", NO_ROWS)
        rows.view(np.float32)[arcs, 2] = scores
        return replace(graph, arcs=rows, source=None)
    source = BiasSource(
        graph.num_states + 1, graph.word_ids, np.ascontiguousarray(graph.bounds).reshape(-1).view(np.uint32),
        *_flat(np.ascontiguousarray(graph.arcs)), keys, index_of(keys, len(keys), len(keys)),
        np.array(automaton.fail, np.int32), rest, gain, held,
    )  # fmt: skip
    return BiasedGraph(graph, automaton, source, arcs, scores, rest[state])


def _flat(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Arcs as the kernels take them, and the same memory as scores."""
    return rows.reshape(-1).view(np.uint32), rows.reshape(-1).view(np.float32)


class BiasedGraph:
    """A graph and phrases of several words; made by `raised`.

    Attributes:
      base: the graph. automaton: the phrases. source: both for kernels.
    """

    def __init__(
        self, base: SearchGraph, automaton: BiasAutomaton, source: BiasSource, arcs: np.ndarray, scores: np.ndarray,
        rest: np.ndarray,
    ) -> None:  # fmt: skip
        """Takes both.

        Args:
          arcs, scores, rest: of words that begin phrases, the arcs, what they are worth, the automaton's state behind.
        """
        self.base, self.automaton, self.source = base, automaton, source
        targets = base.arcs[arcs, 0].astype(np.int64)
        self._keys, number = np.unique(rest.astype(np.int64) << 32 | targets, return_inverse=True)
        plain = int(np.count_nonzero(self._keys < 1 << 32))
        self._keys = self._keys[plain:]
        pairs = source.first + 2 * (number.reshape(-1) - plain)
        self._arcs, self._scores = arcs, scores
        self._targets = np.where(rest > 0, pairs, targets)
        self._entered = self._targets[(rest > 0) & (base.arcs[arcs, 1] < 0)].astype(np.int32)
        self._kept = [self._begun()]  # a stream takes one out, so that no two write to it

    def _begun(self) -> Raised:
        """The graph with boosts on its arcs, and the pairs that these lead to; those that an ε leads to have arcs."""
        base, room = self.base, 2 * MOST_ARCS
        bounds = base.joined("bounds", NO_ROWS[:, :2], room=4 * max(MOST_PAIRS, len(self._keys)))
        rows = base.joined("arcs", NO_ROWS, room=room)
        rows[self._arcs, 0], rows.view(np.float32)[self._arcs, 2] = self._targets, self._scores
        begin = len(base.bounds)
        bounds[begin : begin + 2 * len(self._keys)] = -1
        made = Raised(
            bounds.reshape(-1).view(np.uint32), *_flat(rows), np.empty(room, np.int32), self._keys.copy(),
            index_of(self._keys, len(self._keys), len(self._keys)), np.array([len(self._keys), len(base.arcs)]),
        )  # fmt: skip
        return compose_pairs(self.source, made, self._entered)

    @property
    def start(self) -> int:
        """The start state."""
        return self.base.start

    @property
    def num_pdfs(self) -> int:
        """Columns of the scores."""
        return self.base.num_pdfs

    def opened(self) -> BiasedStates:
        """The graph for one utterance."""
        return BiasedStates(self)

    def lend(self) -> Raised:
        """Returns pairs of states, as far as they have been met, that nobody else uses."""
        try:
            return self._kept.pop()
        except IndexError:
            return self._begun()

    def take_back(self, pairs: Raised) -> None:
        """Keeps pairs for the next stream, unless they have become too many."""
        if pairs.counts[0] <= MOST_PAIRS and pairs.counts[1] - len(self.base.arcs) <= MOST_ARCS:
            self._kept.append(pairs)


class BiasedStates:
    """A graph composed with a bias automaton, as far as one utterance has gone: the readable way.

    Attributes:
      graph: both.
    """

    def __init__(self, graph: BiasedGraph) -> None:
        self.graph = graph
        self._base, self._automaton = graph.base, graph.automaton
        self.start, self.num_pdfs = graph.start, graph.num_pdfs
        self._keys: list[int] = []  # of each pair the automaton's state · 2³² + the graph's
        self._numbers: dict[int, int] = {}

    def _split(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The states of graph and automaton, int64."""
        numbers = np.asarray(states, np.int32).astype(np.int64)
        place = numbers - self.graph.source.first
        known = self._known()
        keys = numbers if not len(known) else np.where(place < 0, numbers, known[np.maximum(place, 0) >> 1])
        return keys & 0xFFFFFFFF, keys >> 32

    def _known(self) -> np.ndarray:
        """Keys of the pairs met so far, int64."""
        return np.array(self._keys, np.int64)

    def _number(self, state: int, other: int) -> int:
        key = other << 32 | state
        if other and key not in self._numbers:
            self._numbers[key] = self.graph.source.first + 2 * len(self._keys)
            self._keys.append(key)
        return self._numbers[key] if other else state

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
        if word := int(self._base.word_ids[arc]):
            other, gain = self._automaton.step(other, word)
            score = float(np.float32(score + gain))
        return self._number(target, other), pdf_id, score

    def _arcs(self, arcs: np.ndarray) -> np.ndarray:
        """The graph's arcs that tokens went over."""
        return arcs

    def labels(self, arcs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `SearchGraph.labels`."""
        return self._base.labels(self._arcs(arcs))

    def ends(self, states: np.ndarray) -> np.ndarray:
        """See `SearchGraph.ends`; what is lent is paid back."""
        here, other = self._split(states)
        held = self.graph.source.held[other]
        return (self._base.final_scores[here].astype(np.float64) - held).astype(np.float32)

    def place_of(self, state: int) -> int:
        """See `SearchGraph.place_of`."""
        return int(self._split(np.array([state]))[0][0])

    def state_behind(self, state: int, arcs: np.ndarray) -> int:
        """See `SearchGraph.state_behind`."""
        (_,), (other,) = self._split(np.array([state]))
        own = self._arcs(arcs)
        words = self._base.word_ids[own]
        now = int(other)
        for word in words[words != 0].tolist():
            now, _ = self._automaton.step(now, word)
        return self._number(int(self._base.arcs[own[-1], 0]), now)


class ComposedPairs(BiasedStates):
    """The same, as kernels compose it.

    Attributes:
      pairs: the pairs of states met so far, borrowed from the graph.
    """

    def __init__(self, graph: BiasedGraph) -> None:
        super().__init__(graph)
        self.pairs = graph.lend()

    @property
    def memory(self) -> int:
        """Bytes of the pairs."""
        states, arcs = self.pairs.counts.tolist()
        own = arcs - len(self._base.arcs)
        return self.pairs.keys.nbytes + self.pairs.table.nbytes + 16 * (states + own)  # 4 bounds; 3 numbers and origin

    def close(self) -> None:
        """Gives the pairs back; it is of no use afterwards."""
        self.graph.take_back(self.pairs)

    def _known(self) -> np.ndarray:
        return self.pairs.keys[: self.pairs.counts[0]]

    def _number(self, state: int, other: int) -> int:
        return int(number_of(self.graph.source, self.pairs, state, other))  # it has been met

    def _arcs(self, arcs: np.ndarray) -> np.ndarray:
        place = np.asarray(arcs, np.int32).astype(np.int64) - len(self._base.arcs)
        return np.where(place < 0, arcs, self.pairs.origins[np.maximum(place, 0)])


OpenGraph = SearchGraph | BiasedStates  # what a stream searches
