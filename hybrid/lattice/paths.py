"""Paths through a lattice: the best one, the n best that differ in words, and some drawn by their probability."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hybrid.base.content import ByContent
from hybrid.lattice import kernels
from hybrid.lattice.lattice import Lattice

__all__ = ["Path", "best_path", "nbest", "sample_paths"]


@dataclass(frozen=True, eq=False)
class Path(ByContent):
    """One complete path through a lattice.

    Attributes:
      arcs: int64, the arcs in order (indexes into the lattice).
      transition_ids: int32, one per frame.
      word_ids: int32, the words without epsilons.
      word_frames: int32, the frame at which each word's arc starts (not yet the time of the word: see `times`).
      graph_score: the sum with the final score.
      acoustic_score: the unscaled sum.
    """

    arcs: np.ndarray
    transition_ids: np.ndarray
    word_ids: np.ndarray
    word_frames: np.ndarray
    graph_score: float
    acoustic_score: float

    def score(self, acoustic_scale: float, lm_scale: float = 1.0) -> float:
        """The combined score, without word insertion penalty."""
        return lm_scale * self.graph_score + acoustic_scale * self.acoustic_score


def _path(lattice: Lattice, arcs: list[int]) -> Path:
    index = np.array(arcs, np.int64)
    last = int(lattice.next_states[index[-1]]) if arcs else 0
    ids, words = lattice.transition_ids[index], lattice.word_ids[index]
    frames = np.cumsum(ids != 0) - (ids != 0)
    return Path(
        index,
        ids[ids != 0],
        words[words != 0],
        frames[words != 0].astype(np.int32),
        float(lattice.graph_scores[index].sum(dtype=np.float64) + lattice.final_graph_scores[last]),
        float(lattice.acoustic_scores[index].sum(dtype=np.float64) + lattice.final_acoustic_scores[last]),
    )


def best_path(
    lattice: Lattice, acoustic_scale: float, lm_scale: float = 1.0, word_insertion_penalty: float = 0.0
) -> Path | None:
    """Finds the best complete path (Viterbi); None in an empty lattice.

    Args:
      acoustic_scale, lm_scale: factors of the two parts; an LM weight w in Kaldi's scoring is acoustic_scale 1/w.
      word_insertion_penalty: taken from the graph score at every word.
    """
    if lattice.is_empty:
        return None
    scores = lattice.arc_scores(acoustic_scale, lm_scale, word_insertion_penalty)
    finals = lattice.final_scores(acoustic_scale, lm_scale)
    beta, first = kernels.backward_max(lattice.row_splits, lattice.next_states, scores, finals)
    if not np.isfinite(beta[0]):
        return None
    arcs = []
    state = 0
    while (arc := int(first[state])) >= 0:
        arcs.append(arc)
        state = int(lattice.next_states[arc])
    return _path(lattice, arcs)


def sample_paths(
    lattice: Lattice, count: int, acoustic_scale: float, random: np.random.Generator, lm_scale: float = 1.0,
    word_insertion_penalty: float = 0.0,
) -> list[Path]:  # fmt: skip
    """Draws complete paths, each with its posterior probability; none from an empty lattice."""
    scores = lattice.arc_scores(acoustic_scale, lm_scale, word_insertion_penalty)
    finals = lattice.final_scores(acoustic_scale, lm_scale)
    beta = kernels.backward_sum(lattice.row_splits, lattice.next_states, scores, finals)
    if lattice.is_empty or not np.isfinite(beta[0]):
        return []
    paths = []
    for _ in range(count):
        state, arcs = 0, []
        while True:
            leaving = np.arange(lattice.row_splits[state], lattice.row_splits[state + 1])
            ways = np.append(scores[leaving] + beta[lattice.next_states[leaving]], finals[state]) - beta[state]
            chosen = int(np.searchsorted(np.cumsum(np.exp(ways)), random.random() * np.exp(ways).sum(), side="right"))
            if chosen >= len(leaving):
                break
            arcs.append(int(leaving[chosen]))
            state = int(lattice.next_states[leaving[chosen]])
        paths.append(_path(lattice, arcs))
    return paths


@dataclass(frozen=True)
class _Link:
    """An arc and what came before it; shared between hypotheses."""

    arc: int
    before: "_Link | None"

    def trace(self) -> list[int]:
        arcs, link = [], self
        while link is not None:
            arcs.append(link.arc)
            link = link.before  # type: ignore[assignment]
        return arcs[::-1]


def nbest(
    lattice: Lattice,
    count: int,
    acoustic_scale: float,
    lm_scale: float = 1.0,
    word_insertion_penalty: float = 0.0,
    beam: float = float("inf"),
) -> list[Path]:
    """Finds the best path of each of the `count` best word sequences, best first.

    A* over word prefixes: a prefix holds every state at which its last word may have ended, with the best score
    there, so that each word sequence is met once (Chow and Schwartz, 1989; the determinisation of the word
    acceptor is done on the fly). Completion scores are exact, hence the first `count` finished are the best.

    Args:
      beam: sequences worse than the best by more than this are left out, which bounds the work in raw lattices.

    Raises:
      ValueError: count is not positive.
    """
    if count < 1:
        raise ValueError(f"{count} best paths were asked for, wanted 1 or more")
    if lattice.is_empty:
        return []
    scores = lattice.arc_scores(acoustic_scale, lm_scale, word_insertion_penalty)
    finals = lattice.final_scores(acoustic_scale, lm_scale)
    beta, _ = kernels.backward_max(lattice.row_splits, lattice.next_states, scores, finals)
    search = _PrefixSearch(lattice, scores, finals, beta, beta[0] - beam)
    return [_path(lattice, arcs) for arcs, _ in zip(search.run(), range(count))]


class _PrefixSearch:
    """Expands word prefixes in the order of their best completion."""

    def __init__(
        self, lattice: Lattice, scores: np.ndarray, finals: np.ndarray, beta: np.ndarray, threshold: float
    ) -> None:
        self._splits, self._next = lattice.row_splits.tolist(), lattice.next_states.tolist()
        self._words, self._scores = lattice.word_ids.tolist(), scores.tolist()
        self._finals, self._beta, self._threshold = finals.tolist(), beta.tolist(), threshold

    def run(self) -> Iterator[list[int]]:
        """Yields the arcs of the best path of each word sequence, best first."""
        start: dict[int, tuple[float, _Link | None]] = {0: (0.0, None)}
        queue: list[tuple] = [(-self._beta[0], 0, start)]
        counter = 1
        while queue:
            _, _, prefix = heapq.heappop(queue)
            if isinstance(prefix, list):
                yield prefix
                continue
            ended, groups = self._advance(prefix)
            if ended is not None:
                heapq.heappush(queue, (-ended[0], counter, ended[1].trace() if ended[1] else []))
                counter += 1
            for word in sorted(groups):
                best = max(score + self._beta[state] for state, (score, _) in groups[word].items())
                heapq.heappush(queue, (-best, counter, groups[word]))
                counter += 1

    def _advance(
        self, prefix: dict[int, tuple[float, _Link | None]]
    ) -> tuple[tuple[float, _Link | None] | None, dict[int, dict[int, tuple[float, _Link | None]]]]:
        """Follows wordless arcs from a prefix to its end and to the arcs with its next word."""
        best = dict(prefix)
        waiting = list(prefix)
        heapq.heapify(waiting)
        done = -1
        ended: tuple[float, _Link | None] | None = None
        groups: dict[int, dict[int, tuple[float, _Link | None]]] = {}
        while waiting:
            state = heapq.heappop(waiting)
            if state == done:
                continue
            done = state
            score, link = best[state]
            total = score + self._finals[state]
            if total >= self._threshold and total > -np.inf and (ended is None or total > ended[0]):
                ended = (total, link)
            for arc in range(self._splits[state], self._splits[state + 1]):
                to, value = self._next[arc], score + self._scores[arc]
                if value + self._beta[to] < self._threshold or self._beta[to] == -np.inf:
                    continue
                word = self._words[arc]
                target = groups.setdefault(word, {}) if word else best
                if to not in target or value > target[to][0]:
                    if not word and to not in target:
                        heapq.heappush(waiting, to)
                    target[to] = (value, _Link(arc, link))
        return ended, groups
