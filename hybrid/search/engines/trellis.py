"""What token passing keeps of an utterance: its tokens and the links between them, level by level.

A level holds the tokens alive after a number of frames. The levels of a stretch lie one after the other in a few flat
arrays, so that one compiled loop can search many frames, and a lattice is made of them without going through frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["Level", "Trellis", "cut", "enlarged", "join", "split"]


class Trellis(NamedTuple):
    """The levels of a stretch of frames; arrays may be longer than what is used of them.

    Attributes:
      levels: how many, one more than frames.
      splits: int64 [≥ levels + 1][3], the first token, link and epsilon link of each level; after them the ends.
      states: int32 [tokens], graph state of each token.
      scores: float64 [tokens], the best score of a path to it.
      extra: float64 [tokens], by how much the best path through a token was known to be worse than the best path.
      links: int32 [links][4], over one frame: token of the level before, token of this level, graph arc, bits of the
        arc's float32 score.
      acoustic: float32 [links], their unscaled acoustic scores.
      epsilons: int32 [epsilon links][4]: from token and to token, both of this level, graph arc, bits of its score.
    """

    levels: int
    splits: np.ndarray
    states: np.ndarray
    scores: np.ndarray
    extra: np.ndarray
    links: np.ndarray
    acoustic: np.ndarray
    epsilons: np.ndarray

    @property
    def num_frames(self) -> int:
        """Frames between the first level and the last."""
        return self.levels - 1

    @property
    def last(self) -> slice:
        """The tokens of the last level."""
        return slice(int(self.splits[self.levels - 1, 0]), int(self.splits[self.levels, 0]))

    @property
    def memory(self) -> int:
        """Bytes of the arrays."""
        return sum(array.nbytes for array in self[1:])


@dataclass(frozen=True, eq=False)
class Level:
    """One level; fields as in `Trellis`."""

    states: np.ndarray
    scores: np.ndarray
    extra: np.ndarray
    links: np.ndarray
    acoustic: np.ndarray
    epsilons: np.ndarray

    @property
    def memory(self) -> int:
        """Bytes of the arrays."""
        arrays = self.states, self.scores, self.extra, self.links, self.acoustic, self.epsilons
        return sum(array.nbytes for array in arrays)


def split(trellis: Trellis) -> list[Level]:
    """Returns the levels as views."""
    bounds = trellis.splits[: trellis.levels + 1].tolist()
    return [
        Level(
            trellis.states[i:j], trellis.scores[i:j], trellis.extra[i:j], trellis.links[k:m], trellis.acoustic[k:m],
            trellis.epsilons[p:q],
        )
        for (i, k, p), (j, m, q) in zip(bounds, bounds[1:])
    ]  # fmt: skip


def join(levels: Sequence[Level]) -> Trellis:
    """Puts levels one after the other; nothing is shared with them."""
    sizes = [(len(level.states), len(level.links), len(level.epsilons)) for level in levels]
    splits = np.zeros((len(levels) + 1, 3), np.int64)
    np.cumsum(sizes, axis=0, out=splits[1:])
    return Trellis(
        len(levels),
        splits,
        np.concatenate([level.states for level in levels]),
        np.concatenate([level.scores for level in levels]),
        np.concatenate([level.extra for level in levels]),
        np.concatenate([level.links for level in levels]),
        np.concatenate([level.acoustic for level in levels]),
        np.concatenate([level.epsilons for level in levels]),
    )


def cut(trellis: Trellis, frame: int, state: int) -> tuple[Trellis, Trellis]:
    """Cuts an utterance at the token of `state` after `frame` frames, through which its best path goes.

    Returns:
      The levels up to there, the last one with this token alone; and those from there on, the first one with this
      token and what it reaches by epsilons. Other paths over the cut are gone.
    """
    levels = split(trellis)
    level = levels[frame]
    token = int(np.flatnonzero(level.states == state)[0])
    into = level.links[:, 1] == token
    ends = Level(
        level.states[[token]], level.scores[[token]], np.zeros(1), level.links[into] * np.array([1, 0, 1, 1], np.int32),
        level.acoustic[into], level.epsilons[:0],
    )  # fmt: skip
    reached = [token]
    for at in reached:
        reached += sorted(set(level.epsilons[level.epsilons[:, 0] == at, 1].tolist()) - set(reached))
    place = np.full(len(level.states), -1, np.int32)
    place[reached] = np.arange(len(reached))
    epsilons = level.epsilons[place[level.epsilons[:, 0]] >= 0]
    epsilons[:, :2] = place[epsilons[:, :2]]
    begins = Level(
        level.states[reached], level.scores[reached], np.zeros(len(reached)), level.links[:0], level.acoustic[:0],
        epsilons,
    )  # fmt: skip
    rest = levels[frame + 1 :]
    if rest:
        going_on = place[rest[0].links[:, 0]] >= 0
        links = rest[0].links[going_on]
        links[:, 0] = place[links[:, 0]]
        rest[0] = replace(rest[0], links=links, acoustic=rest[0].acoustic[going_on])
    return join([*levels[:frame], ends]), join([begins, *rest])


@kernel
def enlarged(array, used, need):
    """Returns the array with room for `need` rows: itself, or a larger one with its first `used` rows."""
    if need <= len(array):
        return array
    larger = np.empty((need + need // 2,) + array.shape[1:], array.dtype)
    larger[:used] = array[:used]
    return larger
