"""The native engine on a graph of H, C and L that is composed with G while it is searched (`hybrid.lookahead`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hybrid.base.compiled import is_kept
from hybrid.base.errors import InputError
from hybrid.lookahead.compose_kernels import Source, begin_composed
from hybrid.lookahead.composed import Composed
from hybrid.search.composed_graph import NOTHING_LEFT, ComposedGraph, exact_result
from hybrid.search.config import SearchConfig
from hybrid.search.engines.native import NativeSearcher, NativeStream
from hybrid.search.protocol import SearchResult

__all__ = ["LookaheadSearcher"]

MOST = 1 << 22  # arcs that are kept for the next utterance: 88 MB


class LookaheadSearcher(NativeSearcher):
    """Implements `Searcher` over H∘C∘L and a G; what one utterance has composed serves the next ones."""

    def __init__(
        self, source: Source, num_pdfs: int, config: SearchConfig | None = None, exact_backoff: bool = False
    ) -> None:
        """Begins the composition.

        Args:
          exact_backoff: no path of a lattice backs off beside an n-gram of G.

        Raises:
          InputError: no sentence of G can be said.
        """
        self.source, self.config = source, config or SearchConfig()
        self._columns, self.exact_backoff = num_pdfs, exact_backoff
        self._kept = [begin_composed(source)]  # a stream takes one out, so that no two write to it
        if not self._kept[0].counts[0]:
            cure = "Give a model of the graph's words."
            raise InputError.at("language model", "no sentence begins with a word of the graph", cure)

    @property
    def compiled(self) -> bool:
        """See `NativeSearcher`."""
        return is_kept(begin_composed, self.source)

    @property
    def num_pdfs(self) -> int:
        """Columns of the scores."""
        return self._columns

    def with_config(self, config: SearchConfig) -> LookaheadSearcher:
        """The same graphs with other settings; what has been composed serves both."""
        other = LookaheadSearcher(self.source, self._columns, config, self.exact_backoff)
        other._kept = self._kept
        return other

    def _stream(self, follow: bool) -> LookaheadStream:
        return LookaheadStream(self, follow)

    def lend(self) -> Composed:
        """Returns a composition that nobody else uses."""
        try:
            return self._kept.pop()
        except IndexError:
            return begin_composed(self.source)

    def take_back(self, composed: Composed) -> None:
        """Keeps a composition for the next stream, unless it has become large."""
        if composed.counts[1] <= MOST:
            self._kept.append(composed)


class LookaheadStream(NativeStream):
    """Implements `Stream`; what was composed goes back to the searcher when it ends."""

    def __init__(self, searcher: LookaheadSearcher, follow: bool) -> None:
        """Opens it; see `NativeStream`."""
        self._follow, self._config, self._searcher = follow, searcher.config, searcher
        self._begin(searcher.lend(), 0, source=searcher.source)
        self._graph, self._left = self._composed, NOTHING_LEFT

    def advance(self, scores: Any) -> None:
        """See `Stream.advance`."""
        super().advance(scores)
        self._graph = self._composed

    def commit(self, frames: int) -> SearchResult | None:
        """See `Stream.commit`."""
        plain, self._graph = self._graph, self._marked
        result = super().commit(frames)
        self._graph = plain
        return None if result is None else self._exact(result)

    def finish(self) -> SearchResult:
        """See `Stream.finish`."""
        self._graph = self._marked
        result = super().finish()
        assert isinstance(self._arcs, Composed)
        self._searcher.take_back(self._arcs)
        return self._exact(result)

    @property
    def _composed(self) -> ComposedGraph:
        assert isinstance(self._arcs, Composed)
        return ComposedGraph.of(self._arcs, self._searcher.source, self._searcher.num_pdfs)

    @property
    def _marked(self) -> ComposedGraph:
        """The graph with marks on back-off arcs, where back-off is to be exact."""
        return replace(self._composed, marked=self._searcher.exact_backoff)

    def _exact(self, result: SearchResult) -> SearchResult:
        if self._searcher.exact_backoff:
            result, self._left = exact_result(self._searcher.source, result, self._left)
        return result
