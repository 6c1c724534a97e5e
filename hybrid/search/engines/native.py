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
from hybrid.search.engines.bias_kernels import BiasArrays, Pairs
from hybrid.search.engines.native_kernels import GraphArrays, begin_search, search_frames
from hybrid.search.engines.native_prune import prune_trellis
from hybrid.search.engines.widths import Widths
from hybrid.search.graph import SearchGraph
from hybrid.search.protocol import PartialResult, SearcherBase, SearchResult
from hybrid.search.raised_graph import BiasedGraph, BiasedStates

__all__ = ["NativeSearcher", "NativeStream"]


class NativeSearcher(SearcherBase):
    """Implements `Searcher` over a `SearchGraph`, with phrases that are raised or without."""

    def __init__(self, graph: SearchGraph | BiasedGraph, config: SearchConfig | None = None) -> None:
        self.graph, self.config = graph, config or SearchConfig()

    @property
    def compiled(self) -> bool:
        """Whether its kernels are there; otherwise the first search compiles them, for a minute."""
        return is_kept(begin_search, self.arrays, self.graph.start, None, None)

    @property
    def arrays(self) -> GraphArrays:
        """The graph as the kernels take it."""
        bounds, arcs = self.graph.bounds.reshape(-1), self.graph.arcs.reshape(-1)
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
        self._follow = follow
        self._graph, self._config = searcher.graph.opened(), searcher.config
        bias, pairs = None, None
        if isinstance(self._graph, BiasedStates):
            bias, pairs = self._graph.graph.arrays, self._graph.pairs
        self._begin(searcher.arrays, searcher.graph.start, bias, pairs)

    def _begin(
        self, arcs: GraphArrays | Composed, start: int, bias: BiasArrays | None = None, pairs: Pairs | None = None,
        source: Source | None = None,
    ) -> None:  # fmt: skip
        """Takes the graph for the kernels, phrases that are raised, and what the graph is composed of if it is."""
        self._arcs, self._source, self._bias = arcs, source, bias
        self._limited = self._first = 0
        self._trellis, self._trace, pairs = begin_search(arcs, start, bias, pairs)
        self._keep(pairs)

    def _keep(self, pairs: Pairs | None) -> None:
        if pairs is not None and isinstance(self._graph, BiasedStates):
            self._graph.pairs = pairs
        self._pairs = pairs

    @property
    def memory(self) -> int:
        """See `Stream`."""
        own = 0 if self._pairs is None else self._pairs.keys.nbytes + self._pairs.table.nbytes
        return self._trellis.memory + self._trace.memory + own

    def advance(self, scores: Any) -> None:
        """See `Stream.advance`."""
        frames = np.require(check_scores(scores, self._graph.num_pdfs), requirements="W")
        self._arcs, self._trellis, self._trace, limited, pairs = search_frames(
            self._arcs,
            self._source,
            _widths(self._config),
            self._trellis,
            self._trace,
            frames,
            self._follow,
            self._bias,
            self._pairs,
        )
        self._keep(pairs)
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


def _widths(config: SearchConfig) -> Widths:
    return Widths(float(config.beam), float(config.lattice_beam), config.max_active, config.min_active, config.scale,
                  BEAM_DELTA, INTERVAL)  # fmt: skip
