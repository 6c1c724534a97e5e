"""The project's own engine: token passing compiled by numba, with pruning of the lattice as it grows.

Keeps the same tokens as the reference searcher by the same rules; needs neither k2 nor a GPU. Memory is bounded
by pruning old links every few frames (Povey et al. 2012, section 4), as Kaldi's lattice decoders do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from hybrid.search.config import SearchConfig
from hybrid.search.engines.assemble import INTERVAL, Level, assemble, commit, partial_result
from hybrid.search.engines.native_kernels import find_cutoff, follow_epsilons, pass_frame, prune_level
from hybrid.search.engines.reference import BEAM_DELTA
from hybrid.search.engines.trace import Trace
from hybrid.search.graph import SearchGraph
from hybrid.search.protocol import PartialResult, SearchResult, Stream, advance_each, check_scores, split_batch

__all__ = ["NativeSearcher"]

PRUNE_TOLERANCE = 0.1  # times the lattice beam: growth of a token's deficit that is worth following further back


class NativeSearcher:
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

    def search(self, scores: Any, lengths: Any = None) -> list[SearchResult]:
        """See `Searcher.search`."""
        results = []
        for utterance in split_batch(scores, lengths, self.num_pdfs):
            stream = self.open()
            stream.advance(utterance)
            results.append(stream.finish())
        return results

    def open(self) -> "NativeStream":
        """See `Searcher.open`."""
        return NativeStream(self)

    def advance(self, streams: Sequence[Stream], chunks: Sequence[Any]) -> None:
        """See `Searcher.advance`."""
        advance_each(streams, chunks, self.num_pdfs)


class SlotPool:
    """Arrays int32 [num_states] of -1 that a call borrows: one for each thread at work, not one for each stream."""

    def __init__(self, num_states: int) -> None:
        self._num_states = num_states
        self._free: deque[np.ndarray] = deque()

    @contextmanager
    def borrow(self) -> Iterator[np.ndarray]:
        """Yields an array that nobody else has; the borrower leaves -1 everywhere."""
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
        self._arc_scores = self._graph.arcs.view(np.float32)
        self._limited = self._first = 0
        self._trace = Trace()
        none, nothing = np.zeros(0, np.int32), np.zeros(0, np.float32)
        start = (np.array([self._graph.start], np.int32), np.zeros(1))
        with self._slots.borrow() as slot:
            states, scores, epsilons, eps_sources, eps_targets, eps_arcs = self._follow(slot, *start, -np.inf)
        self._trace.start(epsilons)
        extra = np.zeros(len(states))
        self._levels = [Level(states, scores, none, none, none, nothing, eps_sources, eps_targets, eps_arcs, extra)]

    def _follow(self, slot: np.ndarray, states: np.ndarray, scores: np.ndarray, floor: float) -> tuple:
        return follow_epsilons(self._graph.bounds, self._graph.arcs, self._arc_scores, slot, states, scores, floor)

    def advance(self, scores: Any) -> None:
        """See `Stream.advance`."""
        checked = check_scores(scores, self._graph.num_pdfs)
        with self._slots.borrow() as slot:
            for frame in checked:
                self._pass_frame(slot, frame)

    def _pass_frame(self, slot: np.ndarray, frame: np.ndarray) -> None:
        graph, config, last = self._graph, self._config, self._levels[-1]
        cutoff, width, limited = find_cutoff(last.scores, config.beam, config.max_active, config.min_active, BEAM_DELTA)
        self._limited += bool(limited)
        states, totals, entries, sources, targets, arcs, acoustic, floor = pass_frame(
            graph.bounds, graph.arcs, self._arc_scores, slot, last.states, last.scores, frame, config.scale,
            cutoff, width,
        )  # fmt: skip
        states, totals, epsilons, eps_sources, eps_targets, eps_arcs = self._follow(slot, states, totals, floor)
        self._trace.extend(entries, epsilons)
        extra = np.zeros(len(states))
        self._levels.append(
            Level(states, totals, sources, targets, arcs, acoustic, eps_sources, eps_targets, eps_arcs, extra)
        )
        if len(self._levels) % INTERVAL == 0:
            self._prune()
            self._trace.settle(totals >= totals.max(initial=-np.inf) - config.beam)

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
                after.targets, after.arcs, after.acoustic, self._arc_scores, config.scale,
                config.lattice_beam,
            )  # fmt: skip
            _shrink(level, after, *counts)
            if growth <= PRUNE_TOLERANCE * config.lattice_beam and t < len(levels) - INTERVAL:
                break

    def partial(self) -> PartialResult:
        """See `Stream.partial`; what is settled is found out every `INTERVAL` frames."""
        kin, branch = self._trace.kin, np.zeros(0, np.int32)
        if kin.any():
            branch = self._trace.branch(int(np.argmax(np.where(kin, self._levels[-1].scores, -np.inf))))
        return partial_result(self._graph, self._trace.trunk, branch, len(self._levels) - 1, self._first)

    def commit(self, frames: int) -> SearchResult | None:
        """See `Stream.commit`."""
        cut = commit(self._graph, self._config, self._levels, self._trace.trunk, frames, self._limited, self._first)
        if cut is None:
            return None
        result, place, self._levels = cut
        self._trace.cut(place)
        self._limited, self._first = 0, self._first + frames
        return result

    def finish(self) -> SearchResult:
        """See `Stream.finish`."""
        return assemble(self._graph, self._config, self._levels, self._limited, self._first)


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
