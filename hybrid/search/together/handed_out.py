"""What a device has handed out of one utterance: levels, pruned further as they grow old, and the settled path."""

from __future__ import annotations

from concurrent.futures import Executor, Future

import numpy as np

from hybrid.lanes.leaving import LanePiece
from hybrid.search.config import SearchConfig
from hybrid.search.engines.assemble import INTERVAL
from hybrid.search.engines.native_prune import prune_trellis
from hybrid.search.engines.trellis import Trellis
from hybrid.search.graph import SearchGraph
from hybrid.search.together.assemble_kernels import lengthened

__all__ = ["PIECES", "HandedOut", "trellis_of"]

PIECES = 8  # that wait until they are put together and pruned


class HandedOut:
    """The levels of one utterance that the device is done with.

    Attributes:
      trunk: int32, graph arcs of the best path that no later frame can change.
    """

    def __init__(self, graph: SearchGraph, config: SearchConfig, late: int = 0) -> None:
        """See the class.

        Args:
          late: how many pieces more may wait the first time: streams that move together need not be pruned together.
        """
        self._graph, self._config, self._patience = graph, config, PIECES + late
        self._waiting: list[LanePiece] = []
        self._trellis = _nothing()
        self._job: Future[Trellis] | None = None  # that makes it
        self._entries: np.ndarray | None = None
        self.trunk = np.zeros(0, np.int32)
        self._settled = 0  # the level where the trunk ends

    @property
    def memory(self) -> int:
        """Bytes."""
        waiting = sum(array.nbytes for piece in self._waiting for array in piece)
        return waiting + self._done().memory

    def append(self, piece: LanePiece) -> None:
        """Takes in the levels that follow."""
        self._waiting.append(piece)
        self._entries = None

    @property
    def due(self) -> bool:
        """Whether enough pieces wait to be put together and pruned."""
        return len(self._waiting) > self._patience

    def prune(self, pool: Executor) -> None:
        """Has a thread put the pieces together and prune them; who asks for anything before that is done waits."""
        self._patience = PIECES
        whole, pieces, self._waiting = self._done(), self._waiting, []
        self._job = pool.submit(self._pruned, whole, pieces)

    def _pruned(self, trellis: Trellis, pieces: list[LanePiece]) -> Trellis:
        trellis = _with_pieces(self._graph, trellis, pieces)
        prune_trellis(trellis, self._config.scale, float(self._config.lattice_beam), INTERVAL)
        return trellis

    def _done(self) -> Trellis:
        """Returns the levels that have been put together, when that is over."""
        if self._job is not None:
            self._trellis, self._job = self._job.result(), None
        return self._trellis

    @property
    def trellis(self) -> Trellis:
        """All levels, as one."""
        if self._waiting:
            self._trellis, self._waiting = _with_pieces(self._graph, self._done(), self._waiting), []
        return self._done()

    def path(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the settled part of the best path to a token of the last level, and the rest; graph arcs.

        Args:
          place: of the token in its level; -1: the utterance has no path.
        """
        none = np.zeros(0, np.int32)
        if place < 0 or not self.trellis.levels:
            return self.trunk, none
        self._settle()
        trellis, entries = self.trellis, self._best_entries()
        first, token, arcs = trellis.splits[:, 0], trellis.last.start + place, []
        while token >= first[self._settled + 1] or entries[token, 0] >= first[self._settled]:
            if entries[token, 0] < 0:
                break
            arcs.append(entries[token, 1])
            token = entries[token, 0]
        return self.trunk, np.array(arcs[::-1], np.int32)

    def _best_entries(self) -> np.ndarray:
        """int64 [tokens][2]: the token that each one's best path comes from, -1 at the start, and the arc between.

        An emitting arc comes before an epsilon, a smaller arc before a larger.
        """
        if self._entries is None:
            trellis, scores = self.trellis, self._graph.graph_scores
            splits = trellis.splits[: trellis.levels + 1]
            here = np.repeat(splits[:-1, 0], np.diff(splits[:, 1]))
            before = np.repeat(np.concatenate([[0], splits[:-2, 0]]), np.diff(splits[:, 1]))
            inside = np.repeat(splits[:-1, 0], np.diff(splits[:, 2]))
            links, epsilons = trellis.links[: splits[-1, 1]], trellis.epsilons[: splits[-1, 2]]
            found = np.full((splits[-1, 0], 2), -1, np.int64)
            for rows, sources, targets, more in (
                (epsilons, inside, inside, 0.0),
                (links, before, here, self._config.scale * trellis.acoustic[: len(links)].astype(np.float64)),
            ):
                source, target, arc = sources + rows[:, 0], targets + rows[:, 1], rows[:, 2].astype(np.int64)
                total = trellis.scores[source] + scores[arc].astype(np.float64) + more
                best = np.flatnonzero(total == trellis.scores[target])
                best = best[np.argsort(-arc[best], kind="stable")]  # the last one written stays
                found[target[best], 0], found[target[best], 1] = source[best], arc[best]
            self._entries = found
        return self._entries

    def _settle(self) -> None:
        """Lengthens the trunk to where the best paths of all tokens of the last level have met."""
        trellis, entries = self.trellis, self._best_entries()
        first, level = trellis.splits[:, 0], trellis.levels - 1
        tokens = np.arange(first[level], first[level + 1])
        while level > self._settled and len(tokens):
            inside = entries[tokens, 0] >= first[level]
            while inside.any():
                tokens = np.unique(np.where(inside, entries[tokens, 0], tokens))
                inside = entries[tokens, 0] >= first[level]
            if len(tokens) == 1 and level < trellis.levels - 1:
                self._lengthen(int(tokens[0]), level)
                return
            tokens = np.unique(entries[tokens, 0])
            level -= 1

    def _lengthen(self, token: int, level: int) -> None:
        entries, first, arcs = self._best_entries(), self.trellis.splits[:, 0], []
        while token >= first[self._settled + 1] or entries[token, 0] >= first[self._settled]:
            if entries[token, 0] < 0:
                break
            arcs.append(entries[token, 1])
            token = int(entries[token, 0])
        self.trunk = np.concatenate([self.trunk, np.array(arcs[::-1], np.int32)])
        self._settled = level

    def cut(self, arcs: int, frames: int, rest: Trellis) -> None:
        """Forgets the first arcs of the trunk with their frames; `rest` is what is left of the levels."""
        self.trunk, self._settled = self.trunk[arcs:], self._settled - frames
        self._trellis, self._entries = rest, None


def trellis_of(graph: SearchGraph, piece: LanePiece) -> Trellis:
    """Returns what a device handed out with the scores of its arcs."""
    links, epsilons = graph.link_rows(piece.links), graph.link_rows(piece.epsilons)
    levels, extra = len(piece.splits) - 1, np.zeros(len(piece.states))
    return Trellis(levels, piece.splits, piece.states, piece.scores, extra, links, piece.acoustic, epsilons)


def _nothing() -> Trellis:
    """Returns a trellis without levels."""
    none, flat = np.zeros((0, 4), np.int32), np.zeros(0)
    return Trellis(0, np.zeros((1, 3), np.int64), none[:, 0].copy(), flat, flat, none, flat.astype(np.float32), none)


def _with_pieces(graph: SearchGraph, trellis: Trellis, pieces: list[LanePiece]) -> Trellis:
    """Puts what a device handed out behind what there is."""
    rows = np.array([len(piece.splits) for piece in pieces])
    columns = [np.concatenate(column) for column in zip(*pieces)]
    return Trellis(*lengthened(trellis, rows, *columns, graph.arcs))  # type: ignore[call-arg]
