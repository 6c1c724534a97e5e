"""What a device has handed out of one utterance: levels, pruned further as they grow old, and the settled path."""

from __future__ import annotations

import numpy as np

from hybrid.lanes.leaving import LanePiece
from hybrid.search.config import SearchConfig
from hybrid.search.engines.assemble import INTERVAL
from hybrid.search.engines.native_prune import prune_trellis
from hybrid.search.engines.trellis import Trellis
from hybrid.search.graph import SearchGraph

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
        self._trellis: Trellis | None = None
        self._entries: np.ndarray | None = None
        self.trunk = np.zeros(0, np.int32)
        self._settled = 0  # the level where the trunk ends

    @property
    def memory(self) -> int:
        """Bytes."""
        waiting = sum(array.nbytes for piece in self._waiting for array in piece)
        return waiting + (self._trellis.memory if self._trellis is not None else 0)

    def append(self, piece: LanePiece) -> None:
        """Takes in the levels that follow."""
        self._waiting.append(piece)
        self._entries = None

    @property
    def due(self) -> bool:
        """Whether enough pieces wait to be put together and pruned."""
        return len(self._waiting) > self._patience

    def prune(self) -> None:
        """Puts the pieces together and prunes them; threads may do it for several at a time."""
        self._patience = PIECES
        prune_trellis(self.trellis, self._config.scale, float(self._config.lattice_beam), INTERVAL)

    @property
    def trellis(self) -> Trellis:
        """All levels, as one."""
        if self._waiting or self._trellis is None:
            parts = [trellis_of(self._graph, piece) for piece in self._waiting]
            parts = parts if self._trellis is None else [self._trellis, *parts]
            self._trellis, self._waiting = _joined(parts), []
        return self._trellis

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


def _joined(parts: list[Trellis]) -> Trellis:
    """Puts stretches of levels one after the other."""
    if not parts:
        none = np.zeros((0, 4), np.int32)
        flat = np.zeros(0, np.float32)
        return Trellis(0, np.zeros((1, 3), np.int64), none[:, 0], np.zeros(0), np.zeros(0), none, flat, none)
    ends = np.cumsum([part.splits[part.levels] for part in parts], axis=0)
    splits = [parts[0].splits[: parts[0].levels + 1]]
    splits += [part.splits[1 : part.levels + 1] + end for part, end in zip(parts[1:], ends)]
    columns = []
    for name, kind in (("states", 0), ("scores", 0), ("extra", 0), ("links", 1), ("acoustic", 1), ("epsilons", 2)):
        columns.append(np.concatenate([getattr(part, name)[: part.splits[part.levels, kind]] for part in parts]))
    return Trellis(sum(part.levels for part in parts), np.concatenate(splits), *columns)
