"""The readable searcher: token passing with a lattice beam, in plain Python.

Povey et al., "Generating exact lattices in the WFST framework" (2012), before determinisation. It is the
measure of the other engines, not meant for speed; it keeps every link of an utterance until the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from hybrid.search.assemble import Level, assemble, trace_best
from hybrid.search.config import SearchConfig
from hybrid.search.graph import SearchGraph
from hybrid.search.searcher import PartialResult, SearchResult, check_scores, split_batch

__all__ = ["BEAM_DELTA", "ReferenceSearcher"]

BEAM_DELTA = 0.5  # as in Kaldi: how much wider than the tokens kept the next frame is, where a limit decides

Tokens = dict[int, float]  # graph state → best score of a path to it


class ReferenceSearcher:
    """Implements `Searcher` over a `SearchGraph`."""

    def __init__(self, graph: SearchGraph, config: SearchConfig | None = None) -> None:
        self.graph, self.config = graph, config or SearchConfig()

    @property
    def num_pdfs(self) -> int:
        """Columns of the scores."""
        return self.graph.num_pdfs

    def with_config(self, config: SearchConfig) -> "ReferenceSearcher":
        """The same graph with other settings."""
        return ReferenceSearcher(self.graph, config)

    def search(self, scores: Any, lengths: Any = None) -> list[SearchResult]:
        """See `Searcher.search`."""
        results = []
        for utterance in split_batch(scores, lengths, self.num_pdfs):
            stream = self.start()
            stream.advance(utterance)
            results.append(stream.finish())
        return results

    def start(self) -> "ReferenceStream":
        """See `Searcher.start`."""
        return ReferenceStream(self.graph, self.config)


class ReferenceStream:
    """Implements `Stream`: tokens and links of one utterance, level by level."""

    def __init__(self, graph: SearchGraph, config: SearchConfig) -> None:
        self._graph, self._config = graph, config
        self._graph_scores = graph.graph_scores
        self._limited = 0
        tokens = {graph.start: 0.0}
        eps = self._follow_epsilons(tokens, -np.inf)
        self._tokens = tokens
        self._levels = [_level({}, tokens, [], eps)]

    def advance(self, scores: Any) -> None:
        """See `Stream.advance`."""
        for frame in check_scores(scores, self._graph.num_pdfs):
            cutoff, width = self._cutoff()
            links, tokens = self._emit(frame, cutoff, width)
            floor = max(tokens.values(), default=-np.inf) - width
            tokens = {state: score for state, score in tokens.items() if score >= floor}
            links = [link[:4] for link in links if link[4] >= floor]
            eps = self._follow_epsilons(tokens, floor)
            self._levels.append(_level(self._tokens, tokens, links, eps))
            self._tokens = tokens

    def _cutoff(self) -> tuple[float, float]:
        """The score that a token needs to go on, and the beam of the next frame."""
        config = self._config
        ranked = sorted(self._tokens.values(), reverse=True)
        if not ranked:
            return np.inf, config.beam
        best, cutoff = ranked[0], ranked[0] - config.beam
        if len(ranked) > config.max_active and ranked[config.max_active - 1] > cutoff:
            self._limited += 1
            cutoff = ranked[config.max_active - 1]
            return cutoff, best - cutoff + BEAM_DELTA
        if len(ranked) <= config.min_active:
            return -np.inf, np.inf
        if config.min_active and ranked[config.min_active - 1] < cutoff:
            cutoff = ranked[config.min_active - 1]
            return cutoff, best - cutoff + BEAM_DELTA
        return cutoff, config.beam

    def _emit(self, frame: np.ndarray, cutoff: float, width: float) -> tuple[list[tuple], Tokens]:
        """Moves every token over its emitting arcs: links (source, target, arc, acoustic, total), new tokens."""
        links: list[tuple] = []
        tokens: Tokens = {}
        for source, score in self._tokens.items():
            if score < cutoff:
                continue
            for arc, target, pdf_id, graph_score in self._emitting(source):
                acoustic = float(frame[pdf_id])
                total = score + graph_score + self._config.acoustic_scale * acoustic
                if total > -np.inf:
                    links.append((source, target, arc, acoustic, total))
                    tokens[target] = max(total, tokens.get(target, -np.inf))
        return links, tokens

    def _follow_epsilons(self, tokens: Tokens, floor: float) -> list[tuple]:
        """Adds the tokens that epsilon arcs reach at no less than `floor`; returns links (source, target, arc)."""
        waiting = list(tokens)
        while waiting:
            source = waiting.pop()
            for _, target, graph_score in self._epsilons(source):
                total = tokens[source] + graph_score
                if total >= floor and total > tokens.get(target, -np.inf):
                    tokens[target] = total
                    waiting.append(target)
        links = []
        for source, score in tokens.items():
            for arc, target, graph_score in self._epsilons(source):
                total = score + graph_score
                if total >= floor and total > -np.inf:
                    links.append((source, target, arc))
        return links

    def _emitting(self, state: int) -> Iterator[tuple[int, int, int, float]]:
        """(arc, next state, pdf_id, graph score) of the arcs with a transition-id."""
        first, end = self._graph.bounds[state]
        targets, pdf_ids = self._graph.arcs[first:end, :2].T.tolist()
        return zip(range(first, end), targets, pdf_ids, self._graph_scores[first:end].tolist())

    def _epsilons(self, state: int) -> Iterator[tuple[int, int, float]]:
        """(arc, next state, graph score) of the arcs without."""
        first, end = self._graph.bounds[state, 1], self._graph.bounds[state + 1, 0]
        return zip(range(first, end), self._graph.arcs[first:end, 0].tolist(), self._graph_scores[first:end].tolist())

    def partial(self) -> PartialResult:
        """See `Stream.partial`."""
        return trace_best(self._graph, self._config, self._levels)

    def finish(self) -> SearchResult:
        """See `Stream.finish`."""
        return assemble(self._graph, self._config, self._levels, self._limited)


def _level(before: Tokens, tokens: Tokens, links: list[tuple], eps: list[tuple]) -> Level:
    """Turns states into places in the list of tokens."""
    source = {state: place for place, state in enumerate(before)}
    here = {state: place for place, state in enumerate(tokens)}
    return Level(
        np.array(list(tokens), np.int32),
        np.array(list(tokens.values()), np.float64),
        np.array([source[link[0]] for link in links], np.int32),
        np.array([here[link[1]] for link in links], np.int32),
        np.array([link[2] for link in links], np.int32),
        np.array([link[3] for link in links], np.float32),
        np.array([here[link[0]] for link in eps], np.int32),
        np.array([here[link[1]] for link in eps], np.int32),
        np.array([link[2] for link in eps], np.int32),
        np.zeros(len(tokens)),
    )
