"""The native engine on a graph of H, C and L that is composed with G while it is searched (`hybrid.lookahead`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from hybrid.base.compiled import is_kept
from hybrid.base.errors import InputError
from hybrid.lookahead.compose_kernels import Source, begin_composed
from hybrid.lookahead.composed import Composed
from hybrid.lookahead.tree import LexiconGraph, lexicon_graph
from hybrid.search.config import SearchConfig
from hybrid.search.engines.native import NativeSearcher, NativeStream
from hybrid.search.graph import SearchGraph
from hybrid.search.protocol import SearchResult

__all__ = ["LookaheadSearcher", "lexicon_of"]

MOST = 1 << 22  # arcs that are kept for the next utterance: 88 MB


def lexicon_of(graph: SearchGraph, word_score: float) -> LexiconGraph:
    """Returns H∘C∘L for look-ahead; see `LexiconGraph.word_score`."""
    return lexicon_graph(
        graph.start, graph.bounds, graph.arcs, graph.transition_ids, graph.word_ids, graph.final_scores, word_score
    )  # fmt: skip


class LookaheadSearcher(NativeSearcher):
    """Implements `Searcher` over H∘C∘L and a G; what one utterance has composed serves the next ones."""

    def __init__(self, source: Source, num_pdfs: int, config: SearchConfig | None = None) -> None:
        """Begins the composition.

        Raises:
          InputError: no sentence of G can be said.
        """
        self.source, self.config = source, config or SearchConfig()
        self._columns = num_pdfs
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
        other = LookaheadSearcher(self.source, self._columns, config)
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
        composed = searcher.lend()
        self._graph = _as_graph(composed, searcher.num_pdfs)
        self._begin(composed, 0, source=searcher.source)

    def advance(self, scores: Any) -> None:
        """See `Stream.advance`."""
        super().advance(scores)
        self._graph = _as_graph(self._composed, self._searcher.num_pdfs)

    def finish(self) -> SearchResult:
        """See `Stream.finish`."""
        result = super().finish()
        self._searcher.take_back(self._composed)
        return result

    @property
    def _composed(self) -> Composed:
        assert isinstance(self._arcs, Composed)
        return self._arcs


def _as_graph(composed: Composed, num_pdfs: int) -> SearchGraph:
    """Returns what has been composed as a graph, in the same memory."""
    states, arcs = composed.counts.tolist()
    return SearchGraph(
        0, num_pdfs, composed.bounds[: 4 * states].view(np.int32).reshape(-1, 2),
        composed.arcs[: 3 * arcs].view(np.int32).reshape(-1, 3), composed.transition_ids[:arcs],
        composed.word_ids[:arcs], composed.final_scores[: 2 * states],
    )  # fmt: skip
