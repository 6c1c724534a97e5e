"""The project's own engine: token passing compiled by numba, with pruning of the lattice as it grows.

Keeps the same tokens as the reference searcher by the same rules; needs neither k2 nor a GPU. Memory is bounded
by pruning old links every few frames (Povey et al. 2012, section 4), as Kaldi's lattice decoders do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hybrid.base.compiled import is_kept
from hybrid.lookahead.compose_kernels import Source
from hybrid.lookahead.composed import Composed
from hybrid.search.batch import check_scores
from hybrid.search.config import SearchConfig
from hybrid.search.engines.assemble import BEAM_DELTA, INTERVAL, assemble, commit, partial_result
from hybrid.search.engines.bias_kernels import BiasSource, Raised
from hybrid.search.engines.native_kernels import GraphArrays, begin_search, search_frames
from hybrid.search.engines.native_prune import prune_trellis
from hybrid.search.engines.widths import Widths
from hybrid.search.graph import SearchGraph
from hybrid.search.protocol import PartialResult, SearcherBase, SearchResult
from hybrid.search.raised_graph import BiasedGraph, ComposedPairs

__all__ = ["NativeSearcher", "NativeStream"]


class NativeSearcher(SearcherBase):
    """Implements `Searcher` over a `SearchGraph`, with phrases that are raised or without."""

    def __init__(self, graph: SearchGraph | BiasedGraph, config: SearchConfig | None = None) -> None:
        self.graph, self.config = graph, config or SearchConfig()

    @property
    def compiled(self) -> bool:
        """Whether its kernels are there; otherwise the first search compiles them, for a minute."""
        return is_kept(begin_search, self.arrays, self.graph.start)

    @property
    def arrays(self) -> GraphArrays:
        """The graph as the kernels take it, without phrases of several words."""
        graph = self.graph.base if isinstance(self.graph, BiasedGraph) else self.graph
        bounds, arcs = graph.bounds.reshape(-1), graph.arcs.reshape(-1)
        return GraphArrays(bounds.view(np.uint32), arcs.view(np.uint32), arcs.view(np.float32))

    @property
    def num_pdfs(self) -> int:
        """Columns of the scores."""
        return self.graph.num_pdfs

    def with_config(self, config: SearchConfig) -> "NativeSearcher":
        """The same graph with other settings."""
        return NativeSearcher(self.graph, config)

    def open(self) -> "NativeStream":
        """See `Searcher.open`."""
        return self._stream(True)

    def _stream(self, follow: bool) -> "NativeStream":
        if isinstance(self.graph, BiasedGraph):
            return RaisedStream(self, self.graph, follow)
        return NativeStream(self, follow)

    def _search(self, utterances: list[np.ndarray]) -> list[SearchResult]:
        """See `SearcherBase`; without what partial results need."""
        results = []
        for utterance in utterances:
            stream = self._stream(False)
            stream.advance(utterance)
            results.append(stream.finish())
        return results


class NativeStream:
    """Implements `Stream`."""

    def __init__(self, searcher: NativeSearcher, follow: bool) -> None:
        """Opens it.

        Args:
          follow: keep what `partial` and `commit` need.
        """
        graph = searcher.graph
        assert isinstance(graph, SearchGraph)
        self._follow, self._config, self._graph = follow, searcher.config, graph
        self._begin(searcher.arrays, graph.start)

    def _begin(
        self, arcs: GraphArrays | Composed, start: int, source: Source | None = None,
        bias: BiasSource | None = None, pairs: Raised | None = None,
    ) -> None:  # fmt: skip
        """Takes the graph for the kernels, and what it is composed of if it is; see `search_frames`."""
        self._arcs, self._source, self._bias, self._pairs = arcs, source, bias, pairs
        self._limited = self._first = 0
        self._trellis, self._trace = begin_search(arcs, start)

    @property
    def memory(self) -> int:
        """See `Stream`."""
        return self._trellis.memory + self._trace.memory

    def advance(self, scores: Any) -> None:
        """See `Stream.advance`."""
        frames = np.require(check_scores(scores, self._graph.num_pdfs), requirements="W")
        self._arcs, self._pairs, self._trellis, self._trace, limited = search_frames(
            self._arcs, self._source, self._bias, self._pairs, _widths(self._config), self._trellis, self._trace,
            frames, self._follow,
        )  # fmt: skip
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
        """See `Stream.finish`; the last links are pruned first, most of them leave and need not become arcs."""
        prune_trellis(self._trellis, self._config.scale, float(self._config.lattice_beam), INTERVAL)
        return assemble(self._graph, self._config, self._trellis, self._limited, self._first)


class RaisedStream(NativeStream):
    """Implements `Stream` over a graph with phrases of several words; what was composed serves the next one."""

    _graph: ComposedPairs  # type: ignore[assignment]

    def __init__(self, searcher: NativeSearcher, graph: BiasedGraph, follow: bool) -> None:
        """Opens it; see `NativeStream`."""
        self._follow, self._config, self._graph = follow, searcher.config, ComposedPairs(graph)
        pairs = self._graph.pairs
        self._begin(GraphArrays(pairs.bounds, pairs.arcs, pairs.scores), graph.start, None, graph.source, pairs)

    @property
    def memory(self) -> int:
        """See `Stream`."""
        return super().memory + self._graph.memory

    def advance(self, scores: Any) -> None:
        """See `Stream.advance`."""
        super().advance(scores)
        assert self._pairs is not None
        self._graph.pairs = self._pairs

    def finish(self) -> SearchResult:
        """See `Stream.finish`."""
        result = super().finish()
        self._graph.close()
        return result


def _widths(config: SearchConfig) -> Widths:
    return Widths(float(config.beam), float(config.lattice_beam), config.max_active, config.min_active, config.scale,
                  BEAM_DELTA, INTERVAL)  # fmt: skip
