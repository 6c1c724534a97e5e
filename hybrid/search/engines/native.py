"""The project's own engine: token passing compiled by numba, with pruning of the lattice as it grows.

Keeps the same tokens as the reference searcher by the same rules; needs neither k2 nor a GPU. Memory is bounded
by pruning old links every few frames (Povey et al. 2012, section 4), as Kaldi's lattice decoders do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from hybrid.search.config import SearchConfig
from hybrid.search.engines.assemble import BEAM_DELTA, INTERVAL, assemble, commit, partial_result
from hybrid.search.engines.native_kernels import GraphArrays, Widths, begin_search, search_frames
from hybrid.search.graph import SearchGraph
from hybrid.search.protocol import PartialResult, SearcherBase, SearchResult, check_scores

__all__ = ["NativeSearcher"]


class NativeSearcher(SearcherBase):
    """Implements `Searcher` over a `SearchGraph`."""

    def __init__(self, graph: SearchGraph, config: SearchConfig | None = None, slots: SlotPool | None = None) -> None:
        self.graph, self.config = graph, config or SearchConfig()
        self.slots = slots or SlotPool(graph.num_states)

    @property
    def num_pdfs(self) -> int:
        """Columns of the scores."""
        return self.graph.num_pdfs

    def with_config(self, config: SearchConfig) -> "NativeSearcher":
        """The same graph with other settings."""
        return NativeSearcher(self.graph, config, self.slots)

    def open(self) -> "NativeStream":
        """See `Searcher.open`."""
        return NativeStream(self)


class SlotPool:
    """Arrays int32 [num_states] of -1 that a call borrows: one for each thread at work, not one for each stream."""

    def __init__(self, num_states: int) -> None:
        self._num_states = num_states
        self._free: deque[np.ndarray] = deque()

    @contextmanager
    def borrow(self) -> Iterator[np.ndarray]:
        """Yields an array that nobody else has, int32 [states of the graph]; the borrower leaves -1 everywhere."""
        try:
            slot = self._free.pop()
        except IndexError:
            slot = np.full(self._num_states, -1, np.int32)
        yield slot
        self._free.append(slot)  # after an exception its state is unknown: it is dropped then


class NativeStream:
    """Implements `Stream`."""

    def __init__(self, searcher: NativeSearcher) -> None:
        self._graph, self._config, self._slots = searcher.graph, searcher.config, searcher.slots
        self._arcs = GraphArrays(self._graph.bounds, self._graph.arcs, self._graph.arcs.view(np.float32))
        self._limited = self._first = 0
        with self._slots.borrow() as slot:
            self._trellis, self._trace = begin_search(self._arcs, self._graph.start, slot)

    @property
    def memory(self) -> int:
        """See `Stream`."""
        return self._trellis.memory + self._trace.memory

    def advance(self, scores: Any) -> None:
        """See `Stream.advance`."""
        frames = np.require(check_scores(scores, self._graph.num_pdfs), requirements="W")
        with self._slots.borrow() as slot:
            self._trellis, self._trace, limited = search_frames(
                self._arcs, _widths(self._config), self._trellis, self._trace, slot, frames
            )
        self._limited += limited

    def partial(self) -> PartialResult:
        """See `Stream.partial`; what is settled is found out every `INTERVAL` frames."""
        trellis, trace = self._trellis, self._trace
        kin, branch = trace.kin, np.zeros(0, np.int32)
        if kin.any():
            branch = trace.branch(int(np.argmax(np.where(kin, trellis.scores[trellis.last], -np.inf))))
        tokens = trellis.states[trellis.last], trellis.scores[trellis.last]
        return partial_result(self._graph, trace.trunk, branch, trellis.num_frames, self._first, tokens)

    def commit(self, frames: int) -> SearchResult | None:
        """See `Stream.commit`."""
        trunk = self._trace.trunk
        cut = commit(self._graph, self._config, self._trellis, trunk, frames, self._limited, self._first)
        if cut is None:
            return None
        result, place, self._trellis = cut
        self._trace = self._trace.cut(place)
        self._limited, self._first = 0, self._first + frames
        return result

    def finish(self) -> SearchResult:
        """See `Stream.finish`."""
        return assemble(self._graph, self._config, self._trellis, self._limited, self._first)


def _widths(config: SearchConfig) -> Widths:
    return Widths(
        float(config.beam), float(config.lattice_beam), config.max_active, config.min_active, config.scale, BEAM_DELTA,
        INTERVAL,
    )  # fmt: skip
