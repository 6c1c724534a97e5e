"""The engine "torch": many utterances side by side on a GPU, or on any device of torch (`docs/search.md`).

Tokens and fresh links live on the device (`hybrid.lanes`), by Triton's kernels where they run, else by their twin in
torch. Levels that are done with come back pruned, and are kept and pruned further as those of the engine "native".
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

from hybrid.base.errors import InputError
from hybrid.base.log import get_logger
from hybrid.lanes.backward import living, prune_back
from hybrid.lanes.lane_values import DeviceGraph, LaneLevel, LaneWidths, Standing, concatenate, place_graph
from hybrid.lanes.leaving import HandedLanes, Standings, hand_out
from hybrid.lanes.levels import in_a_row, joined
from hybrid.lanes.passes import choose_code, lanes_within
from hybrid.lanes.twin import start_level
from hybrid.lattice.lattice import Lattice
from hybrid.search.config import SearchConfig
from hybrid.search.engines.assemble import BEAM_DELTA, INTERVAL, assemble, commit, partial_result
from hybrid.search.graph import SearchGraph
from hybrid.search.protocol import PartialResult, SearcherBase, SearchResult
from hybrid.search.together.handed_out import PIECES, HandedOut
from hybrid.search.together.torch_batch import FoundTogether, chunk_on, on_device
from hybrid.search.together.torch_lanes import search_together

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
    def _pool(self) -> ThreadPoolExecutor:
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

    def open(self) -> "TorchStream":
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

    def _advance(self, streams: Sequence["TorchStream"], chunks: Sequence[np.ndarray]) -> list[str]:
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

    def _advance_group(self, streams: list["TorchStream"], chunks: list[np.ndarray]) -> None:
        for begin in range(0, max(map(len, chunks)), INTERVAL):
            moving = [i for i, chunk in enumerate(chunks) if len(chunk) > begin]
            self._move([streams[i] for i in moving], [chunks[i][begin : begin + INTERVAL] for i in moving])

    def _move(self, streams: list["TorchStream"], chunks: list[np.ndarray]) -> None:
        """Takes in at most `INTERVAL` frames of each stream."""
        frames = chunk_on(self.device, chunks)
        lengths = torch.tensor([len(chunk) for chunk in chunks], device=self.device)
        levels = _side_by_side(streams)
        passed, limited = self.code.passes(self.placed, levels[1], frames, lengths, self.widths)
        last, whole = lengths + 1, joined([in_a_row(levels), passed])
        whole = prune_back(self.placed, whole, living(whole, last), len(streams), self.widths, self.code.take_losses)
        sent, standings = hand_out(self.placed, whole, last, limited)
        *handed, counts = sent.arrays()
        pieces = HandedLanes(*handed).pieces(np.array([len(chunk) + 1 for chunk in chunks]))
        for lane, (stream, chunk, piece, count) in enumerate(zip(streams, chunks, pieces, counts.tolist())):
            stream.take(len(chunk), piece, (standings, lane), count)
        for stream in streams:
            if stream.kept.due:
                stream.kept.prune(self._pool)


def _side_by_side(streams: Sequence["TorchStream"]) -> list[LaneLevel]:
    """Returns the last level but one and the last of many lanes; the numbers of the former stand for states."""
    together, _ = streams[0].place
    moved_alike = all(stream.place == (together, lane) for lane, stream in enumerate(streams))
    if together is not None and together.lanes == len(streams) and moved_alike:
        return together.levels
    standings = [stream.standing for stream in streams]
    device = standings[0].before.device
    before = [len(standing.before) for standing in standings]
    lane = torch.repeat_interleave(torch.arange(len(before), device=device), torch.tensor(before, device=device))
    none = standings[0].level.links
    nothing = type(none)(*(column[:0] for column in none))
    score, place = (torch.cat(column) for column in zip(*(standing[:2] for standing in standings)))
    now = [s.level._replace(lane=torch.full_like(s.level.lane, lane)) for lane, s in enumerate(standings)]
    return [LaneLevel(lane, place, score, nothing, nothing), concatenate(now, before)]


class TorchStream:
    """Implements `Stream`: an utterance between chunks.

    Attributes:
      place: among the lanes that it moved with, None before it moved.
      kept: the levels that the device is done with.
      taken: frames of the chunk at hand that are done.
    """

    def __init__(self, searcher: TorchSearcher, late: int = 0) -> None:
        """See `HandedOut` for `late`."""
        self._searcher, self._graph, self._config = searcher, searcher.graph, searcher.config
        self.place: tuple[Standings | None, int] = None, 0
        self.kept = HandedOut(searcher.graph, searcher.config, late)
        self._limited = self._frames = self._first = self.taken = 0

    @property
    def standing(self) -> Standing:
        """The end of its tokens and links, on the device."""
        together, lane = self.place
        if together is not None:
            return together[lane]
        start = self._searcher.start
        return Standing(start.score[:0], start.lane[:0], start._replace(lane=start.lane * 0))

    @property
    def memory(self) -> int:
        """See `Stream`; on host and device."""
        return self.standing.memory + self.kept.memory

    def advance(self, scores: Any) -> None:
        """See `Stream.advance`."""
        (error,) = self._searcher.advance([self], [scores])
        if error:
            raise InputError(f"scores: {error}")

    def take(self, frames: int, piece: Any, place: tuple[Standings, int], limited: int) -> None:
        """Takes in what the device made of the next frames."""
        self.place = place
        self.kept.append(piece)
        self._frames, self._limited, self.taken = self._frames + frames, self._limited + limited, self.taken + frames

    def partial(self) -> PartialResult:
        """See `Stream.partial`; frames are settled where all that lived before the last one has one past."""
        tail, place = self._tail()
        trunk, branch = self.kept.path(place)
        level = self.standing.level
        tokens = level.state.cpu().numpy(), level.score.cpu().numpy()
        return partial_result(self._graph, trunk, np.concatenate([branch, tail]), self._frames, self._first, tokens)

    def _tail(self) -> tuple[np.ndarray, int]:
        """Returns the arcs of the best path in the last level, and the number of the token before; -1 at the start."""
        standing, graph, scale = self.standing, self._searcher.placed, self._config.scale
        level = standing.level
        arcs: list[int] = []
        if not len(level.score):
            return np.zeros(0, np.int32), -1
        best = torch.nonzero(level.score == level.score.max()).flatten()
        token = int(best[level.state[best].argmin()])
        while True:
            total = standing.before[level.links.source] + graph.scores[level.links.arc].double()
            total = total + scale * level.links.acoustic.double()
            link = _first(level.links, total, token, level.score)
            if link is not None:
                arcs.append(link[1])
                return np.array(arcs[::-1], np.int32), int(standing.place[link[0]])
            total = level.score[level.epsilons.source] + graph.scores[level.epsilons.arc].double()
            link = _first(level.epsilons, total, token, level.score)
            if link is None:
                return np.array(arcs[::-1], np.int32), -1
            token = link[0]
            arcs.append(link[1])

    def commit(self, frames: int) -> SearchResult | None:
        """See `Stream.commit`."""
        trellis, trunk = self.kept.trellis, self.kept.trunk
        cut = commit(self._graph, self._config, trellis, trunk, frames, self._limited, self._first)
        if cut is None:
            return None
        result, place, rest = cut
        self.kept.cut(place, frames, rest)
        self._limited, self._first, self._frames = 0, self._first + frames, self._frames - frames
        return result

    def finish(self) -> SearchResult:
        """See `Stream.finish`."""
        levels = _side_by_side([self])
        upto = torch.full((1,), 2, device=self._searcher.device)
        sent, _ = hand_out(self._searcher.placed, in_a_row(levels), upto)
        self.kept.append(*HandedLanes(*sent.arrays()).pieces(np.array([2])))
        return assemble(self._graph, self._config, self.kept.trellis, self._limited, self._first)


def _first(links: Any, totals: torch.Tensor, token: int, scores: torch.Tensor) -> tuple[int, int] | None:
    """Returns source and arc of the link that gives a token its score; of several that with the smallest arc."""
    good = torch.nonzero((links.target == token) & (totals == scores[token])).flatten()
    if not len(good):
        return None
    link = good[links.arc[good].argmin()]
    return int(links.source[link]), int(links.arc[link])
