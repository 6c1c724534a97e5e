"""A whole lattice composed with a language model, the best first (Xu et al. 2018).

States of the result are states of the lattice with a history: all words, or the last few, where others are taken to be
like those that came first. They are expanded in the order of the best complete path that may cross them; what is
missing of it is taken from the scores that `score_arcs` gave every arc. What stays more than a beam behind the best
complete path is never scored.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace

import numpy as np

from hybrid.base.ranges import COUNT, NATURAL, check_fields
from hybrid.rescore.arc_batch import best_suffixes, combined_scores
from hybrid.rescore.histories import END, WordHistories
from hybrid.rescore.scored import Mixture, ScoredLattice

__all__ = ["CompositionConfig", "compose_pruned"]


@dataclass(frozen=True)
class CompositionConfig:
    """How far a composition goes.

    Attributes:
      beam: behind the best complete path.
      order: words that tell histories apart, the next one included; 0: all.
      width: states expanded together.
      most_arcs: of the result.
    """

    beam: float = 8.0
    order: int = 4
    width: int = 64
    most_arcs: int = 1_000_000

    def __post_init__(self) -> None:
        check_fields(self, beam=NATURAL, order=NATURAL, width=COUNT, most_arcs=COUNT)


def compose_pruned(
    scored: ScoredLattice, histories: WordHistories, begin: int, acoustic_scale: float, mixture: Mixture,
    config: CompositionConfig | None = None,
) -> ScoredLattice:  # fmt: skip
    """Composes a lattice with a model.

    Args:
      scored: by `score_arcs`, whose scores guide the search.
      begin: node at the start of the sentence.

    Returns:
      The part of the composition that was reached, on complete paths, with exact scores of the new model.
    """
    if not scored.bare.num_states:
        return scored
    return _Composition(scored, histories, begin, acoustic_scale, mixture, config or CompositionConfig()).run()


class _Composition:
    def __init__(
        self, scored: ScoredLattice, histories: WordHistories, begin: int, acoustic_scale: float, mixture: Mixture,
        config: CompositionConfig,
    ) -> None:  # fmt: skip
        compact = scored.bare
        self._scored, self._histories, self._mixture, self._config = scored, histories, mixture, config
        self._plain, self._ends = combined_scores(compact, acoustic_scale)
        guide = self._plain + scored.arc_scores(mixture)
        beta = best_suffixes(compact.sources, compact.next_states, guide, self._ends + scored.final_scores(mixture))
        self._beta, self._words, self._nexts = beta.tolist(), compact.word_ids.tolist(), compact.next_states.tolist()
        self._rows = np.searchsorted(compact.sources, np.arange(compact.num_states + 1)).tolist()
        self._number: dict[tuple, int] = {}
        self._state: list[int] = []
        self._node: list[int] = []
        self._tail: list[tuple[int, ...]] = []
        self._alpha: list[float] = []
        self._arcs: dict[int, list[tuple[int, int, float, float]]] = {}  # arc, next state, its score, the new model's
        self._final: dict[int, float] = {}
        self._heap: list[tuple[float, int]] = []
        self._best, self._made = -np.inf, 0
        self._reach(0, begin, (), 0.0)

    def run(self) -> ScoredLattice:
        """Expands states until no other is worth it."""
        while self._heap and self._made < self._config.most_arcs:
            batch = self._next()
            if not batch:
                break
            self._expand([number for number in batch if number not in self._arcs])
            for number in batch:
                for _, to, score, _ in self._arcs[number]:
                    if self._alpha[number] + score > self._alpha[to]:
                        self._alpha[to] = self._alpha[number] + score
                        self._push(to)
        return self._result()

    def _push(self, number: int) -> None:
        heapq.heappush(self._heap, (-self._alpha[number] - self._beta[self._state[number]], number))

    def _next(self) -> list[int]:
        """The best states that wait, unless they are behind the beam."""
        batch: list[int] = []
        while self._heap and len(batch) < self._config.width:
            cost, number = heapq.heappop(self._heap)
            if cost > -self._alpha[number] - self._beta[self._state[number]]:
                continue  # a better way to it was found since
            if -cost < self._best - self._config.beam:
                self._heap = []
                break
            batch.append(number)
        return batch

    def _reach(self, state: int, node: int, tail: tuple[int, ...], alpha: float) -> int:
        key = (state, *tail) if self._config.order else (state, node)
        found = self._number.setdefault(key, len(self._state))
        if found == len(self._state):
            self._state.append(state)
            self._node.append(node)
            self._tail.append(tail)
            self._alpha.append(alpha)
            self._push(found)
        return found

    def _expand(self, batch: list[int]) -> None:
        """Scores the arcs and ends of states, all in one batch."""
        wanted = []
        for number in batch:
            state, node = self._state[number], self._node[number]
            words = self._words[self._rows[state] : self._rows[state + 1]]
            wanted += [(node, word) for word in words if word] + [(node, END)]
        if not wanted:
            return
        asked = np.array(wanted, np.int64)
        found = iter(self._histories.log_probs(asked[:, 0], asked[:, 1]).tolist())
        for number in batch:
            self._arcs[number] = [self._follow(number, arc, found) for arc in self._leaving(number)]
            self._end(number, next(found))
            self._made += len(self._arcs[number])

    def _leaving(self, number: int) -> range:
        state = self._state[number]
        return range(self._rows[state], self._rows[state + 1])

    def _follow(self, number: int, arc: int, found: object) -> tuple[int, int, float, float]:
        word, node, tail = self._words[arc], self._node[number], self._tail[number]
        new, score = 0.0, float(self._plain[arc])
        if word:
            new = next(found)  # type: ignore[call-overload]
            score += float(self._mixture.of(self._scored.old[arc], new))
            node = self._histories.child(node, word)
            order = self._config.order
            tail = (*tail, word)[1 - order :] if order > 1 else ()
        to = self._reach(self._nexts[arc], node, tail, -np.inf)
        return arc, to, score, new

    def _end(self, number: int, new: float) -> None:
        end = float(self._ends[self._state[number]])
        if end > -np.inf:
            self._final[number] = new
            score = end + float(self._mixture.of(self._scored.final_old[self._state[number]], new))
            self._best = max(self._best, self._alpha[number] + score)

    def _result(self) -> ScoredLattice:
        """What was expanded and lies on a complete path, in the order of the lattice's states."""
        order = sorted(self._arcs, key=lambda number: (self._state[number], number))
        useful: set[int] = set()
        for number in reversed(order):
            if number in self._final or any(to in useful for _, to, _, _ in self._arcs[number]):
                useful.add(number)
        kept = [number for number in order if number in useful]
        place = {number: i for i, number in enumerate(kept)}
        rows = [(place[number], place[to], arc, new) for number in kept
                for arc, to, _, new in self._arcs[number] if to in useful]  # fmt: skip
        columns = np.array(rows, np.float64).reshape(-1, 4)
        sources, nexts, arcs = (columns[:, i].astype(np.int64) for i in range(3))
        made = self._scored.taken(sources, nexts, arcs, np.array([self._state[n] for n in kept], np.int64))
        finals = np.array([self._final.get(number, 0.0) for number in kept])
        return replace(made, new=columns[:, 3].copy(), final_new=finals)
