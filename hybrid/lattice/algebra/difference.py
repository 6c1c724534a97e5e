"""What one lattice says and another does not (lattice-difference)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hybrid.lattice.algebra.product import product
from hybrid.lattice.compact import CompactLattice

__all__ = ["difference"]


def difference(compact: CompactLattice, other: CompactLattice) -> CompactLattice:
    """Returns the paths whose word sequence is none of another lattice's.

    Args:
      compact, other: trimmed, see `hybrid.lattice.trim`; the scores and alignments of `other` do not count.
    """
    return compact if other.start < 0 else product(compact, _Complement(other))


class _Complement:
    """Accepts what a lattice does not say: subsets of its states are states, and they end where none of theirs does."""

    def __init__(self, other: CompactLattice) -> None:
        self._final = np.isfinite(other.final_graph_scores).tolist()
        self._arcs: dict[tuple[int, int], list[int]] = {}
        for source, to, word in zip(other.sources.tolist(), other.next_states.tolist(), other.word_ids.tolist()):
            self._arcs.setdefault((source, word), []).append(to)
        self.start = self._closed([0])

    def _closed(self, states: Iterable[int]) -> frozenset[int]:
        """Those that are reached without a word, too."""
        found, stack = set(), list(states)
        while stack:
            state = stack.pop()
            if state not in found:
                found.add(state)
                stack += self._arcs.get((state, 0), ())
        return frozenset(found)

    def steps(self, state: frozenset[int], word: int) -> Iterable[tuple[frozenset[int], int, float]]:
        yield self._closed(to for one in state for to in self._arcs.get((one, word), ())), word, 0.0

    def free_steps(self, state: frozenset[int]) -> Iterable[tuple[frozenset[int], int, float]]:
        return ()

    def end(self, state: frozenset[int]) -> float | None:
        return None if any(self._final[one] for one in state) else 0.0
