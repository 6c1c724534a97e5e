"""The engine "torch": many utterances side by side on a GPU, or on any device of torch (`docs/search.md`).

Tokens and fresh links live on the device (`hybrid.lanes`), by Triton's kernels where they run, else by their twin in
torch. What is done with comes back pruned, and is kept and pruned further as that of the engine "native".
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import Any
from weakref import WeakSet

import numpy as np
import torch

from hybrid.base.log import get_logger
from hybrid.lanes.lane_values import DeviceGraph, LaneWidths, place_graph
from hybrid.lanes.passes import choose_code, lanes_within
from hybrid.lanes.twin import start_level
from hybrid.lattice.lattice import Lattice
from hybrid.search.config import SearchConfig
from hybrid.search.engines.assemble import BEAM_DELTA, INTERVAL
from hybrid.search.graph import SearchGraph
from hybrid.search.protocol import SearcherBase, SearchResult
from hybrid.search.together.handed_out import PIECES
from hybrid.search.together.torch_batch import FoundTogether, on_device
from hybrid.search.together.torch_lanes import search_together
from hybrid.search.together.torch_streams import TorchStream, move_streams

__all__ = ["TorchSearcher"]

logger = get_logger(__name__)

LANES = 1024  # side by side: more keep a card no busier
THREADS = min(os.cpu_count() or 1, 16)  # that make lattices and prune, mostly without the interpreter's lock


class TorchSearcher(SearcherBase):
    """Implements `Searcher` over a `SearchGraph` that is copied to a device."""

    batched = True

    def __init__(
        self,
        graph: SearchGraph,
        config: SearchConfig | None = None,
        device: Any = "cpu",
        kernels: str = "auto",
        placed: DeviceGraph | None = None,
    ) -> None:
        """See the class.

        Args:
          kernels: "triton", "torch" (their twin), or "auto": Triton's on a GPU where they agree with the twin.
          placed: the graph, where it is on the device already.
        """
        self.graph, self.config, self.device, self.kernels = (
            graph,
            config or SearchConfig(),
            torch.device(device),
            kernels,
        )
        self.placed = placed or place_graph(graph.bounds, graph.arcs, self.device)
        self.code = choose_code(kernels, self.device, INTERVAL)
        self.start = start_level(self.placed, graph.start)
        self.finals = torch.from_numpy(graph.final_scores).to(self.device)
        self._streams: WeakSet[TorchStream] = WeakSet()
        self._lanes = 0  # side by side; 0: to be predicted

    @cached_property
    def pool(self) -> ThreadPoolExecutor:
        """Threads that prune what was handed out of streams, while the device goes on."""
        return ThreadPoolExecutor(THREADS)

    @property
    def num_pdfs(self) -> int:
        """Columns of the scores."""
        return self.graph.num_pdfs

    @property
    def widths(self) -> LaneWidths:
        """The settings as numbers."""
        c = self.config
        return LaneWidths(c.beam, c.lattice_beam, c.max_active, c.min_active, c.scale, BEAM_DELTA)

    def with_config(self, config: SearchConfig) -> "TorchSearcher":
        """The same graph with other settings."""
        return TorchSearcher(self.graph, config, self.device, self.kernels, self.placed)

    def open(self) -> TorchStream:
        """See `Searcher.open`; memory for all open streams is laid out here, before the first of their scores."""
        stream = TorchStream(self, len(self._streams) % PIECES)
        self._streams.add(stream)
        if self.code.card is not None:
            try:
                lanes = min(len(self._streams), self._at_once())
                self.code.card.prepare(self.placed, self.widths, lanes, self.num_pdfs)
            except torch.cuda.OutOfMemoryError:  # type: ignore[misc]
                self._release()  # fewer move side by side
        return stream

    def search(self, scores: Any, lengths: Any = None) -> list[SearchResult]:
        """See `Searcher.search`; scores that lie on the device stay there."""
        utterances = on_device(self.device, scores, lengths, self.num_pdfs)
        return super().search(scores, lengths) if utterances is None else self._search(utterances)

    def _search(self, utterances: list[Any]) -> list[SearchResult]:
        """See `SearcherBase`; the longest begin first, and where one ends the next begins."""
        waiting = sorted(range(len(utterances)), key=lambda i: -len(utterances[i]))
        at_once, results = self._at_once(), dict[int, SearchResult]()
        parts: list[tuple[list[int], Future[list[SearchResult]]]] = []
        with ThreadPoolExecutor(THREADS) as pool:  # they make lattices of what the device found, while it goes on
            while waiting:
                left = dict.fromkeys(waiting)
                try:
                    for found in search_together(self, [utterances[i] for i in waiting], at_once):
                        which = [waiting[i] for i in found.which]
                        parts += self._made(pool, which, found)
                        for i in which:
                            del left[i]
                except torch.cuda.OutOfMemoryError:  # type: ignore[misc]
                    lanes, first = min(at_once, len(left)), next(iter(left))
                    if lanes > 1:
                        at_once = self._fewer(lanes)
                    else:
                        nothing = SearchResult(Lattice.empty(), "empty", None, len(utterances[first]), (self.config,))
                        results[first] = nothing.fail(self._too_large())
                        del left[first]
                waiting = list(left)
        results |= {i: result for some, part in parts for i, result in zip(some, part.result())}
        return [results[i] for i in range(len(utterances))]

    def _made(
        self, pool: ThreadPoolExecutor, which: list[int], found: FoundTogether
    ) -> list[tuple[list[int], Future[list[SearchResult]]]]:
        """Has lattices made of what was found; returns whose, and where they will be."""
        if self.device.type == "cpu":
            return [(which, pool.submit(found.plain_results))]
        step = -(-len(which) // THREADS)
        begins = range(0, len(which), step)
        return [(which[i : i + step], pool.submit(found.results, i, i + step)) for i in begins]

    def _at_once(self) -> int:
        """Returns how many lanes are searched side by side: predicted once, since what is laid out counts as taken."""
        if not self._lanes:
            fitting = lanes_within(self.placed, self.widths, self.num_pdfs, INTERVAL, self.device)
            self._lanes = min(LANES, fitting)
        return self._lanes

    def _fewer(self, lanes: int) -> int:
        """Returns how many lanes to go on with where some did not fit into memory; says so."""
        self._release()
        logger.warning("%d utterances at once do not fit into %s; going on with %d", lanes, self.device, lanes // 2)
        return lanes // 2

    def _release(self) -> None:
        """Gives back what was laid out, for more lanes than there is memory for."""
        self._lanes = 0
        if self.code.card is not None:
            self.code.card.layouts.forget()
            torch.cuda.empty_cache()

    def _too_large(self) -> str:
        """What is wrong with an utterance that does not fit into memory alone."""
        cure = "Use a narrower beam or fewer active tokens, or the engine native."
        return f"does not fit into the memory of {self.device} by itself. {cure}"

    def _advance(self, streams: Sequence[TorchStream], chunks: Sequence[np.ndarray]) -> list[str]:
        """Moves as many streams at once as fit, the longest chunks first; returns an error, or "", of each."""
        errors = [""] * len(streams)
        order = sorted(range(len(streams)), key=lambda i: -len(chunks[i]))
        at_once = self._at_once()
        while order:
            now, order = order[:at_once], order[at_once:]
            try:
                self._advance_group([streams[i] for i in now], [chunks[i] for i in now])
            except torch.cuda.OutOfMemoryError:  # type: ignore[misc]
                if len(now) == 1:
                    errors[now[0]] = self._too_large()
                else:
                    at_once = self._fewer(len(now))
                    done = {i: streams[i].taken for i in now}
                    chunks = [chunk[done.get(i, 0) :] for i, chunk in enumerate(chunks)]
                    order = now + order
            for i in now:
                streams[i].taken = 0
        return errors

    def _advance_group(self, streams: list[TorchStream], chunks: list[np.ndarray]) -> None:
        for begin in range(0, max(map(len, chunks)), INTERVAL):
            moving = [i for i, chunk in enumerate(chunks) if len(chunk) > begin]
            self._move([streams[i] for i in moving], [chunks[i][begin : begin + INTERVAL] for i in moving])

    def _move(self, streams: list[TorchStream], chunks: list[np.ndarray]) -> None:
        move_streams(self, streams, chunks)
