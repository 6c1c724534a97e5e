"""The project's own engine: token passing compiled by numba, with pruning of the lattice as it grows.

Keeps the same tokens as the reference searcher by the same rules; needs neither k2 nor a GPU. Memory is bounded
by pruning old links every few frames (Povey et al. 2012, section 4), as Kaldi's lattice decoders do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hybrid.search.assemble import Level, assemble, trace_best
from hybrid.search.config import SearchConfig
from hybrid.search.graph import SearchGraph
from hybrid.search.native_kernels import find_cutoff, follow_epsilons, pass_frame, prune_level
from hybrid.search.reference import BEAM_DELTA
from hybrid.search.searcher import PartialResult, SearchResult, check_scores, split_batch

__all__ = ["NativeSearcher"]

PRUNE_INTERVAL = 25  # frames between prunings of old links
PRUNE_TOLERANCE = 0.1  # times the lattice beam: growth of a token's deficit that is worth following further back


class NativeSearcher:
    """Implements `Searcher` over a `SearchGraph`."""

    def __init__(self, graph: SearchGraph, config: SearchConfig | None = None) -> None:
        self.graph, self.config = graph, config or SearchConfig()

    @property
    def num_pdfs(self) -> int:
        """Columns of the scores."""
        return self.graph.num_pdfs

    def with_config(self, config: SearchConfig) -> "NativeSearcher":
        """The same graph with other settings."""
        return NativeSearcher(self.graph, config)

    def search(self, scores: Any, lengths: Any = None) -> list[SearchResult]:
        """See `Searcher.search`."""
        results = []
        slot = _slots(self.graph)
        for utterance in split_batch(scores, lengths, self.num_pdfs):
            stream = NativeStream(self.graph, self.config, slot)
            stream.advance(utterance)
            results.append(stream.finish())
        return results

    def start(self) -> "NativeStream":
        """See `Searcher.start`."""
        return NativeStream(self.graph, self.config, _slots(self.graph))


def _slots(graph: SearchGraph) -> np.ndarray:
    return np.full(graph.num_states, -1, np.int32)


class NativeStream:
    """Implements `Stream`."""

    def __init__(self, graph: SearchGraph, config: SearchConfig, slot: np.ndarray) -> None:
        self._graph, self._config, self._slot = graph, config, slot
        self._arc_scores = graph.arcs.view(np.float32)
        self._limited = 0
        none, nothing = np.zeros(0, np.int32), np.zeros(0, np.float32)
        start = (np.array([graph.start], np.int32), np.zeros(1))
        states, scores, eps_sources, eps_targets, eps_arcs = self._follow(*start, -np.inf)
        extra = np.zeros(len(states))
        self._levels = [Level(states, scores, none, none, none, nothing, eps_sources, eps_targets, eps_arcs, extra)]

    def _follow(self, states: np.ndarray, scores: np.ndarray, floor: float) -> tuple:
        return follow_epsilons(
            self._graph.bounds, self._graph.arcs, self._arc_scores, self._slot, states, scores, floor
        )

    def advance(self, scores: Any) -> None:
        """See `Stream.advance`."""
        graph, config = self._graph, self._config
        for frame in check_scores(scores, graph.num_pdfs):
            last = self._levels[-1]
            cutoff, width, limited = find_cutoff(
                last.scores, config.beam, config.max_active, config.min_active, BEAM_DELTA
            )
            self._limited += bool(limited)
            states, totals, sources, targets, arcs, acoustic, floor = pass_frame(
                graph.bounds, graph.arcs, self._arc_scores, self._slot, last.states, last.scores, frame,
                config.acoustic_scale, cutoff, width,
            )  # fmt: skip
            states, totals, eps_sources, eps_targets, eps_arcs = self._follow(states, totals, floor)
            level = Level(
                states, totals, sources, targets, arcs, acoustic, eps_sources, eps_targets, eps_arcs,
                np.zeros(len(states)),
            )  # fmt: skip
            self._levels.append(level)
            if len(self._levels) % PRUNE_INTERVAL == 0:
                self._prune()

    def _prune(self) -> None:
        """Drops links and tokens that no path within the lattice beam of the living tokens uses."""
        config, levels = self._config, self._levels
        if not len(levels[-1].states):
            return
        levels[-1].extra[:] = 0.0
        for t in range(len(levels) - 2, -1, -1):
            level, after = levels[t], levels[t + 1]
            *counts, growth = prune_level(
                level.states, level.scores, level.extra, level.sources, level.targets, level.arcs, level.acoustic,
                level.eps_sources, level.eps_targets, level.eps_arcs, after.scores, after.extra, after.sources,
                after.targets, after.arcs, after.acoustic, self._arc_scores, config.acoustic_scale,
                config.lattice_beam,
            )  # fmt: skip
            _shrink(level, after, *counts)
            if growth <= PRUNE_TOLERANCE * config.lattice_beam and t < len(levels) - PRUNE_INTERVAL:
                break

    def partial(self) -> PartialResult:
        """See `Stream.partial`."""
        return trace_best(self._graph, self._config, self._levels)

    def finish(self) -> SearchResult:
        """See `Stream.finish`."""
        return assemble(self._graph, self._config, self._levels, self._limited)


def _shrink(level: Level, after: Level, tokens: int, links: int, eps: int, links_after: int) -> None:
    """Cuts arrays to what `prune_level` left in them; memory is given back where much is gone."""
    for owner, names, count in (
        (level, ("states", "scores", "extra"), tokens),
        (level, ("sources", "targets", "arcs", "acoustic"), links),
        (level, ("eps_sources", "eps_targets", "eps_arcs"), eps),
        (after, ("sources", "targets", "arcs", "acoustic"), links_after),
    ):
        if count == len(getattr(owner, names[0])):
            continue
        for name in names:
            array = getattr(owner, name)[:count]
            base = array.base
            setattr(owner, name, array.copy() if base is None or 2 * count < len(base) else array)
