"""The readable searcher: token passing with a lattice beam, in plain Python.

Povey et al., "Generating exact lattices in the WFST framework" (2012), before determinisation. It is the
measure of the other engines, not meant for speed; it keeps every link of an utterance until the end.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import numpy as np

from hybrid.search.batch import check_scores
from hybrid.search.config import SearchConfig
from hybrid.search.engines.assemble import BEAM_DELTA, INTERVAL, assemble, commit, partial_result
from hybrid.search.engines.trellis import Level, join, split
from hybrid.search.graph import SearchGraph
from hybrid.search.protocol import PartialResult, SearcherBase, SearchResult
from hybrid.search.raised_graph import BiasedGraph

__all__ = ["ReferenceSearcher"]

Tokens = dict[int, float]  # graph state → best score of a path to it


class ReferenceSearcher(SearcherBase):
    """Implements `Searcher` over a `SearchGraph`."""

    def __init__(self, graph: SearchGraph | BiasedGraph, config: SearchConfig | None = None) -> None:
        self.graph, self.config = graph, config or SearchConfig()

    @property
    def num_pdfs(self) -> int:
        """Columns of the scores."""
        return self.graph.num_pdfs

    def with_config(self, config: SearchConfig) -> "ReferenceSearcher":
        """The same graph with other settings."""
        return ReferenceSearcher(self.graph, config)

    def open(self) -> "ReferenceStream":
        """See `Searcher.open`."""
        return ReferenceStream(self.graph, self.config)


class ReferenceStream:
    """Implements `Stream`: tokens and links of one utterance, level by level."""

    def __init__(self, graph: SearchGraph | BiasedGraph, config: SearchConfig) -> None:
        self._graph, self._config = graph.opened(), config
        self._limited = self._first = 0
        self._trunk: list[int] = []  # graph arcs that no later frame can change
        tokens = {graph.start: 0.0}
        eps = self._follow_epsilons(tokens, -np.inf)
        self._tokens = tokens
        self._levels = [_level({}, tokens, [], eps)]

    @property
    def memory(self) -> int:
        """See `Stream`."""
        return sum(level.memory for level in self._levels)

    def advance(self, scores: Any) -> None:
        """See `Stream.advance`."""
        for frame in check_scores(scores, self._graph.num_pdfs):
            cutoff, width = self._cutoff()
            links, tokens = self._emit(frame, cutoff, width)
            floor = max(tokens.values(), default=-np.inf) - width
            tokens = {state: score for state, score in tokens.items() if score >= floor}
            links = [link[:5] for link in links if link[5] >= floor]
            eps = self._follow_epsilons(tokens, floor)
            self._levels.append(_level(self._tokens, tokens, links, eps))
            self._tokens = tokens
            if len(self._levels) % INTERVAL == 0:
                self._settle()

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
        """Moves every token over its emitting arcs.

        Returns:
          Links (source, target, arc, graph score, acoustic score, total) and new tokens.
        """
        links: list[tuple] = []
        tokens: Tokens = {}
        for source, score in self._tokens.items():
            if score < cutoff:
                continue
            for arc, target, pdf_id, graph_score in self._graph.emitting(source):
                acoustic = float(frame[pdf_id])
                total = score + graph_score + self._config.scale * acoustic
                if total > -np.inf:
                    links.append((source, target, arc, graph_score, acoustic, total))
                    tokens[target] = max(total, tokens.get(target, -np.inf))
        return links, tokens

    def _follow_epsilons(self, tokens: Tokens, floor: float) -> list[tuple]:
        """Adds the tokens that epsilon arcs reach at no less than `floor`.

        Returns:
          Links (source, target, arc, graph score).
        """
        waiting = list(tokens)
        while waiting:
            source = waiting.pop()
            for _, target, graph_score in self._graph.epsilons(source):
                total = tokens[source] + graph_score
                if total >= floor and total > tokens.get(target, -np.inf):
                    tokens[target] = total
                    waiting.append(target)
        links = []
        for source, score in tokens.items():
            for arc, target, graph_score in self._graph.epsilons(source):
                total = score + graph_score
                if total >= floor and total > -np.inf:
                    links.append((source, target, arc, graph_score))
        return links

    def partial(self) -> PartialResult:
        """See `Stream.partial`."""
        best, scores = self._trunk, self._levels[-1].scores
        kin = self._kin()
        if kin:
            best = kin[max(kin, key=lambda token: scores[token])]
        count = len(self._trunk)
        return partial_result(
            self._graph, np.array(best[:count], np.int32), np.array(best[count:], np.int32), len(self._levels) - 1,
            self._first, (self._levels[-1].states, scores),
        )  # fmt: skip

    def _kin(self) -> dict[int, list[int]]:
        """The tokens of the last level whose best path begins with the trunk, and these paths."""
        paths = {token: self._path(token) for token in range(len(self._levels[-1].states))}
        count = len(self._trunk)
        return {token: path for token, path in paths.items() if path is not None and path[:count] == self._trunk}

    def _settle(self) -> None:
        """Makes the arcs that the best paths within the beam begin with the trunk."""
        scores = self._levels[-1].scores
        floor = scores.max(initial=-np.inf) - self._config.beam
        paths = [path for token, path in self._kin().items() if scores[token] >= floor]
        if paths:
            self._trunk = [arcs[0] for arcs in takewhile(lambda arcs: len(set(arcs)) == 1, zip(*paths))]

    def _path(self, token: int) -> list[int] | None:
        """The arcs of the best path to a token of the last level; None where it was cut off by a commit."""
        arcs: list[int] = []
        frame = len(self._levels) - 1
        while (frame, token) != (0, 0):
            link = self._best_link(frame, token)
            if link is None:
                return None
            arc, token, crossed = link
            arcs.append(arc)
            frame -= crossed
        return arcs[::-1]

    def _best_link(self, frame: int, token: int) -> tuple[int, int, int] | None:
        """(graph arc, source token, frames crossed) of the first link that gives a token its score."""
        level, wanted = self._levels[frame], self._levels[frame].scores[token]
        for k in np.flatnonzero(level.links[:, 1] == token):
            source, _, arc = level.links[k][:3].tolist()
            total = self._levels[frame - 1].scores[source] + float(level.links[k].view(np.float32)[3])
            if total + self._config.scale * float(level.acoustic[k]) == wanted:
                return arc, source, 1
        for k in np.flatnonzero(level.epsilons[:, 1] == token):
            source, _, arc = level.epsilons[k][:3].tolist()
            if level.scores[source] + float(level.epsilons[k].view(np.float32)[3]) == wanted:
                return arc, source, 0
        return None

    def commit(self, frames: int) -> SearchResult | None:
        """See `Stream.commit`."""
        trunk = np.array(self._trunk, np.int32)
        cut = commit(self._graph, self._config, join(self._levels), trunk, frames, self._limited, self._first)
        if cut is None:
            return None
        result, place, rest = cut
        self._levels = split(rest)
        self._trunk = self._trunk[place:]
        self._limited, self._first = 0, self._first + frames
        return result

    def finish(self) -> SearchResult:
        """See `Stream.finish`."""
        return assemble(self._graph, self._config, join(self._levels), self._limited, self._first)


def _level(before: Tokens, tokens: Tokens, links: list[tuple], eps: list[tuple]) -> Level:
    """Turns states into places in the list of tokens."""
    source = {state: place for place, state in enumerate(before)}
    here = {state: place for place, state in enumerate(tokens)}
    return Level(
        np.array(list(tokens), np.int32),
        np.array(list(tokens.values()), np.float64),
        np.zeros(len(tokens)),
        _rows([(source[link[0]], here[link[1]], *link[2:4]) for link in links]),
        np.array([link[4] for link in links], np.float32),
        _rows([(here[link[0]], here[link[1]], *link[2:]) for link in eps]),
    )


def _rows(links: list[tuple[int, int, int, float]]) -> np.ndarray:
    """Links with the bits of their float32 scores, int32 [N][4]."""
    rows = np.array([link[:3] for link in links], np.int32).reshape(-1, 3)
    return np.column_stack([rows, np.array([link[3] for link in links], np.float32).view(np.int32)])
