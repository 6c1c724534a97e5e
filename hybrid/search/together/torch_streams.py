"""Streams side by side on a device: what is searched stays there for some frames, and leaves pruned.

Levels wait in a window of the device until the frames after them have shown what of them is in no lattice, which is
nine tokens of ten; then they are handed out to the host. Who asks for a path, ends a stream, or moves it in other
company has all of them handed out, of all streams of that window at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
import torch

from hybrid.base.errors import InputError
from hybrid.lanes.backward import living, within_beam
from hybrid.lanes.lane_values import Standing, put
from hybrid.lanes.leaving import HandedLanes, Standings, hand_out, hand_out_early, side_by_side
from hybrid.lanes.levels import apart, chosen, sizes_of
from hybrid.lanes.to_host import ToHost
from hybrid.search.engines.assemble import INTERVAL, assemble, commit, partial_result
from hybrid.search.protocol import PartialResult, SearchResult
from hybrid.search.together.handed_out import HandedOut
from hybrid.search.together.torch_batch import chunk_on

if TYPE_CHECKING:
    from hybrid.search.together.torch_search import TorchSearcher

__all__ = ["TorchStream", "move_streams"]

LONGEST = 2 * INTERVAL + 2  # levels of a window; all but `INTERVAL` frames leave of one that would be longer


class _Company:
    """Streams that move together.

    Attributes:
      standings: where they stand, a lane each.
    """

    def __init__(self, searcher: TorchSearcher, streams: Sequence[TorchStream], standings: Standings) -> None:
        self.searcher, self.standings, self.lock = searcher, standings, Lock()
        self.members = [ref(stream) for stream in streams]

    def is_of(self, streams: Sequence[TorchStream]) -> bool:
        """Whether these are all of them, in this order."""
        places = enumerate(stream.place for stream in streams)
        return len(streams) == len(self.members) and all(own is self and at == lane for lane, (own, at) in places)

    def told(self) -> Standings:
        """Hands out all levels but the last; returns where the streams stand then."""
        with self.lock:
            if self.standings.between.levels > 1:
                whole, lanes = self.standings.with_levels(), self.standings.lanes
                last = torch.full((lanes,), whole.levels - 1, device=self.searcher.device)
                sent, standings = hand_out(self.searcher.placed, whole, last, self.standings.limited)
                self.give(sent, np.full(lanes, whole.levels - 1), standings)
        return self.standings

    def give(self, sent: ToHost, upto: np.ndarray, standings: Standings) -> None:
        """Gives every stream what leaves of it.

        Args:
          upto: int64 [lane], the first level of each that does not leave. standings: where they stand without.
        """
        *handed, limited = sent.arrays()
        self.standings = standings
        pieces = HandedLanes(*handed).pieces(upto)
        for lane, (member, piece, count) in enumerate(zip(self.members, pieces, limited.tolist())):
            stream = member()
            if stream is not None and stream.place[0] is self and stream.place[1] == lane:
                stream.limited += count
                stream.kept.append(piece)
                if stream.kept.due:
                    stream.kept.prune(self.searcher.pool)


def move_streams(searcher: TorchSearcher, streams: list[TorchStream], chunks: list[np.ndarray]) -> None:
    """Takes in at most `INTERVAL` frames of each stream, at least one."""
    frames, sizes, graph = chunk_on(searcher.device, chunks), [len(chunk) for chunk in chunks], searcher.placed
    company, _ = streams[0].place
    if company is None or not company.is_of(streams):
        company = _Company(searcher, streams, side_by_side([stream.standing for stream in streams]))
    stood, lengths = company.standings, put(sizes, searcher.device)
    passed, limited = searcher.code.passes(graph, stood.level, frames, lengths, searcher.widths)
    whole, last, limited = stood.with_levels(passed), lengths + stood.between.levels, stood.limited + limited
    losses = searcher.code.take_losses
    kept = within_beam(graph, whole, living(whole, last), len(streams), searcher.widths, losses)
    alike, upto = min(sizes) == max(sizes), whole.levels - 1 - INTERVAL
    if alike and whole.levels <= LONGEST:
        company.standings = Standings(*apart(whole, kept), limited)
        for lane, stream in enumerate(streams):
            stream.take(sizes[lane], (company, lane))
        return
    whole = chosen(whole, kept, sizes_of(kept))
    if alike:
        sent, standings = hand_out_early(graph, whole, len(streams), upto, limited)
        ends = np.full(len(streams), upto + 1)
    else:
        sent, standings = hand_out(graph, whole, last, limited)
        ends = np.array(sizes) + stood.between.levels
    for lane, stream in enumerate(streams):
        stream.take(sizes[lane], (company, lane))
    company.give(sent, ends, standings)


class TorchStream:
    """Implements `Stream`: an utterance between chunks.

    Attributes:
      place: among the streams that it moved with; None before it moved.
      kept: the levels that the device has handed out. limited: frames of them at which max-active decided.
      taken: frames of the chunk at hand that are done.
    """

    def __init__(self, searcher: TorchSearcher, late: int = 0) -> None:
        """See `HandedOut` for `late`."""
        self._searcher, self._graph, self._config = searcher, searcher.graph, searcher.config
        self.place: tuple[_Company | None, int] = None, 0
        self.kept = HandedOut(searcher.graph, searcher.config, late)
        self._frames = self._first = self.limited = self.taken = 0

    @property
    def standing(self) -> Standing:
        """The end of its tokens and links, on the device; all before that is handed out."""
        company, lane = self.place
        if company is not None:
            return company.told()[lane]
        start = self._searcher.start
        return Standing(start.score[:0], start.lane[:0], start._replace(lane=start.lane * 0))

    def _told(self) -> None:
        """Has all levels but the last one handed out."""
        company, _ = self.place
        if company is not None:
            company.told()

    @property
    def memory(self) -> int:
        """See `Stream`; on the host, and its share of the device."""
        company, _ = self.place
        shared = self.standing.memory if company is None else company.standings.memory // company.standings.lanes
        return shared + self.kept.memory

    def advance(self, scores: Any) -> None:
        """See `Stream.advance`."""
        (error,) = self._searcher.advance([self], [scores])
        if error:
            raise InputError(f"scores: {error}")

    def take(self, frames: int, place: tuple[_Company, int]) -> None:
        """Notes that so many frames more were searched."""
        self.place = place
        self._frames, self.taken = self._frames + frames, self.taken + frames

    def partial(self) -> PartialResult:
        """See `Stream.partial`; frames are settled where all that lived before the last one has one past."""
        standing = self.standing
        tail, place = self._tail(standing)
        trunk, branch = self.kept.path(place)
        tokens = standing.level.state.cpu().numpy(), standing.level.score.cpu().numpy()
        return partial_result(self._graph, trunk, np.concatenate([branch, tail]), self._frames, self._first, tokens)

    def _tail(self, standing: Standing) -> tuple[np.ndarray, int]:
        """Returns the arcs of the best path in the last level, and the number of the token before; -1 at the start."""
        graph, scale = self._searcher.placed, self._config.scale
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
        self._told()
        trellis, trunk = self.kept.trellis, self.kept.trunk
        cut = commit(self._graph, self._config, trellis, trunk, frames, self.limited, self._first)
        if cut is None:
            return None
        result, place, rest = cut
        self.kept.cut(place, frames, rest)
        self.limited, self._first, self._frames = 0, self._first + frames, self._frames - frames
        return result

    def finish(self) -> SearchResult:
        """See `Stream.finish`."""
        levels = side_by_side([self.standing]).with_levels()
        upto = torch.full((1,), 2, device=self._searcher.device)
        sent, _ = hand_out(self._searcher.placed, levels, upto)
        self.kept.append(*HandedLanes(*sent.arrays()).pieces(np.array([2])))
        return assemble(self._graph, self._config, self.kept.trellis, self.limited, self._first)


def _first(links: Any, totals: torch.Tensor, token: int, scores: torch.Tensor) -> tuple[int, int] | None:
    """Returns source and arc of the link that gives a token its score; of several that with the smallest arc."""
    good = torch.nonzero((links.target == token) & (totals == scores[token])).flatten()
    if not len(good):
        return None
    link = good[links.arc[good].argmin()]
    return int(links.source[link]), int(links.arc[link])
