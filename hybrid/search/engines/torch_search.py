"""The engine "torch": many utterances side by side on a GPU, or on any device of torch (`docs/search.md`).

Tokens and fresh links live on the device (`hybrid.lanes`), by Triton's kernels where they run, else by their twin in
torch. Levels that are done with come back pruned, and are kept and pruned further as those of the engine "native".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from hybrid.base.errors import InputError
from hybrid.base.log import get_logger
from hybrid.lanes.backward import hand_out, prune_back, stand
from hybrid.lanes.lane_values import DeviceGraph, LaneLevel, LaneWidths, Standing, concatenate, place_graph
from hybrid.lanes.passes import choose_passes, lanes_within
from hybrid.lanes.twin import start_level
from hybrid.search.config import SearchConfig
from hybrid.search.engines.assemble import BEAM_DELTA, INTERVAL, assemble, commit, partial_result
from hybrid.search.engines.handed_out import HandedOut
from hybrid.search.graph import SearchGraph
from hybrid.search.protocol import PartialResult, SearcherBase, SearchResult

__all__ = ["TorchSearcher"]

logger = get_logger(__name__)


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
        self.passes = choose_passes(kernels, self.device)
        self.start = start_level(self.placed, graph.start)

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
        """See `Searcher.open`."""
        return TorchStream(self)

    def _search(self, utterances: list[np.ndarray]) -> list[SearchResult]:
        """See `SearcherBase`; utterances of like length go together."""
        streams = [self.open() for _ in utterances]
        errors = self._advance(streams, utterances)
        return [s.finish().fail(error) if error else s.finish() for s, error in zip(streams, errors)]

    def _advance(self, streams: Sequence["TorchStream"], chunks: Sequence[np.ndarray]) -> list[str]:
        """Moves as many streams at once as fit, the longest chunks first; returns an error, or "", of each."""
        errors = [""] * len(streams)
        order = sorted(range(len(streams)), key=lambda i: -len(chunks[i]))
        at_once = lanes_within(self.placed, self.widths, self.num_pdfs, INTERVAL, self.device)
        while order:
            now, order = order[:at_once], order[at_once:]
            try:
                self._advance_group([streams[i] for i in now], [chunks[i] for i in now])
            except torch.cuda.OutOfMemoryError:  # type: ignore[misc]
                if len(now) == 1:
                    cure = "Use a narrower beam or fewer active tokens, or the engine native."
                    errors[now[0]] = f"does not fit into the memory of {self.device} by itself. {cure}"
                else:
                    at_once = len(now) // 2
                    logger.warning(
                        "%d utterances at once do not fit into %s; going on with %d", len(now), self.device, at_once
                    )
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
        longest = max(map(len, chunks))
        padded = np.zeros((len(chunks), longest, self.num_pdfs), np.float32)
        for row, chunk in zip(padded, chunks):
            row[: len(chunk)] = chunk
        frames = torch.from_numpy(padded).to(self.device, non_blocking=True)
        lengths = torch.tensor([len(chunk) for chunk in chunks], device=self.device)
        levels = _side_by_side([stream.standing for stream in streams])
        passed, limited = self.passes(self.placed, levels[1], frames, lengths, self.widths)
        last = lengths + 1
        levels = prune_back(self.placed, [*levels, *passed], last, self.widths)
        pieces, flat = hand_out(levels, last)
        standings = stand(levels, last, flat)
        counts = limited.cpu().tolist()
        for stream, chunk, piece, standing, count in zip(streams, chunks, pieces, standings, counts):
            stream.take(len(chunk), piece, standing, count)


def _side_by_side(standings: Sequence[Standing]) -> list[LaneLevel]:
    """Returns the last level but one and the last of many lanes; the numbers of the former stand for states."""
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
      standing: the end of its tokens and links, on the device.
      taken: frames of the chunk at hand that are done.
    """

    def __init__(self, searcher: TorchSearcher) -> None:
        self._searcher, self._graph, self._config = searcher, searcher.graph, searcher.config
        start = searcher.start
        self.standing = Standing(start.score[:0], start.lane[:0], start._replace(lane=start.lane * 0))
        self._kept = HandedOut(searcher.graph, searcher.config)
        self._limited = self._frames = self._first = self.taken = 0

    @property
    def memory(self) -> int:
        """See `Stream`; on host and device."""
        return self.standing.memory + self._kept.memory

    def advance(self, scores: Any) -> None:
        """See `Stream.advance`."""
        (error,) = self._searcher.advance([self], [scores])
        if error:
            raise InputError(f"scores: {error}")

    def take(self, frames: int, piece: Any, standing: Standing, limited: int) -> None:
        """Takes in what the device made of the next frames."""
        self.standing = standing
        self._kept.append(piece)
        self._frames, self._limited, self.taken = self._frames + frames, self._limited + limited, self.taken + frames

    def partial(self) -> PartialResult:
        """See `Stream.partial`; frames are settled where all that lived before the last one has one past."""
        tail, place = self._tail()
        trunk, branch = self._kept.path(place)
        level = self.standing.level
        tokens = level.state.cpu().numpy(), level.score.cpu().numpy()
        return partial_result(self._graph, trunk, np.concatenate([branch, tail]), self._frames, self._first, tokens)

    def _tail(self) -> tuple[np.ndarray, int]:
        """Returns the arcs of the best path in the last level, and the number of the token before; -1 at the start."""
        level, graph, scale = self.standing.level, self._searcher.placed, self._config.scale
        arcs: list[int] = []
        if not len(level.score):
            return np.zeros(0, np.int32), -1
        best = torch.nonzero(level.score == level.score.max()).flatten()
        token = int(best[level.state[best].argmin()])
        while True:
            total = self.standing.before[level.links.source] + graph.scores[level.links.arc].double()
            total = total + scale * level.links.acoustic.double()
            link = _first(level.links, total, token, level.score)
            if link is not None:
                arcs.append(link[1])
                return np.array(arcs[::-1], np.int32), int(self.standing.place[link[0]])
            total = level.score[level.epsilons.source] + graph.scores[level.epsilons.arc].double()
            link = _first(level.epsilons, total, token, level.score)
            if link is None:
                return np.array(arcs[::-1], np.int32), -1
            token = link[0]
            arcs.append(link[1])

    def commit(self, frames: int) -> SearchResult | None:
        """See `Stream.commit`."""
        trellis, trunk = self._kept.trellis, self._kept.trunk
        cut = commit(self._graph, self._config, trellis, trunk, frames, self._limited, self._first)
        if cut is None:
            return None
        result, place, rest = cut
        self._kept.cut(place, frames, rest)
        self._limited, self._first, self._frames = 0, self._first + frames, self._frames - frames
        return result

    def finish(self) -> SearchResult:
        """See `Stream.finish`."""
        levels = _side_by_side([self.standing])
        (piece,), _ = hand_out(levels, torch.full((1,), 2, device=self._searcher.device))
        self._kept.append(piece)
        return assemble(self._graph, self._config, self._kept.trellis, self._limited, self._first)


def _first(links: Any, totals: torch.Tensor, token: int, scores: torch.Tensor) -> tuple[int, int] | None:
    """Returns source and arc of the link that gives a token its score; of several that with the smallest arc."""
    good = torch.nonzero((links.target == token) & (totals == scores[token])).flatten()
    if not len(good):
        return None
    link = good[links.arc[good].argmin()]
    return int(links.source[link]), int(links.arc[link])
