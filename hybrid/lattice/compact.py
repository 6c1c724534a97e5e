"""Kaldi's compact form: an arc carries a word and the transition-ids of all its frames.

`expand` and `factor` go between the two forms as Kaldi's ConvertLattice does: the score and the word of a compact
arc stand on the first arc of its chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.base.content import ByContent
from hybrid.lattice.lattice import Lattice, LatticeError

__all__ = ["CompactLattice", "expand", "factor", "gather", "no_paths", "require_sound"]


@dataclass(frozen=True, eq=False)
class CompactLattice(ByContent):
    """An acyclic acceptor of words whose weights hold strings of transition-ids.

    Attributes:
      start: start state, -1 if empty.
      sources, next_states, word_ids: int32 [A], arcs in order of their sources.
      graph_scores, acoustic_scores: float32 [A].
      string_splits: int64 [A+1], string a is `strings[string_splits[a]:string_splits[a + 1]]`.
      strings: int32, the transition-ids of all arcs.
      final_graph_scores, final_acoustic_scores: float32 [S], -inf where not final.
      final_string_splits: int64 [S+1]; final_strings: int32.
    """

    start: int
    sources: np.ndarray
    next_states: np.ndarray
    word_ids: np.ndarray
    graph_scores: np.ndarray
    acoustic_scores: np.ndarray
    string_splits: np.ndarray
    strings: np.ndarray
    final_graph_scores: np.ndarray
    final_acoustic_scores: np.ndarray
    final_string_splits: np.ndarray
    final_strings: np.ndarray

    @property
    def num_states(self) -> int:
        """How many states there are."""
        return len(self.final_graph_scores)

    @property
    def num_arcs(self) -> int:
        """How many arcs there are."""
        return len(self.sources)

    @property
    def is_empty(self) -> bool:
        """Whether it has no start or no final state."""
        return self.start < 0 or not np.any(np.isfinite(self.final_graph_scores))

    def __repr__(self) -> str:
        frames = int(np.diff(self.string_splits).sum())
        return f"<CompactLattice: {self.num_states} states, {self.num_arcs} arcs over {frames} transition-ids>"

    @cached_property
    def row_splits(self) -> np.ndarray:
        """int64 [S+1]; arcs of state s are `row_splits[s]:row_splits[s + 1]`."""
        return np.searchsorted(self.sources, np.arange(self.num_states + 1)).astype(np.int64)

    def string(self, arc: int) -> np.ndarray:
        """The transition-ids of one arc, int32."""
        return self.strings[self.string_splits[arc] : self.string_splits[arc + 1]]

    def final_string(self, state: int) -> np.ndarray:
        """The transition-ids of one final weight, int32."""
        return self.final_strings[self.final_string_splits[state] : self.final_string_splits[state + 1]]

    def arc_scores(
        self, acoustic_scale: float, lm_scale: float = 1.0, word_insertion_penalty: float = 0.0
    ) -> np.ndarray:
        """Returns float64 [A]: lm_scale · (graph - penalty per word) + acoustic_scale · acoustic."""
        graph = self.graph_scores.astype(np.float64) - word_insertion_penalty * (self.word_ids != 0)
        return lm_scale * graph + acoustic_scale * self.acoustic_scores.astype(np.float64)

    def final_scores(self, acoustic_scale: float, lm_scale: float = 1.0) -> np.ndarray:
        """Returns float64 [S], combined final scores; -inf where a state is not final."""
        total = np.full(self.num_states, -np.inf)
        final = np.isfinite(self.final_graph_scores) & np.isfinite(self.final_acoustic_scores)
        total[final] = lm_scale * self.final_graph_scores[final].astype(np.float64)
        total[final] += acoustic_scale * self.final_acoustic_scores[final].astype(np.float64)
        return total

    def select(self, arcs: np.ndarray, states: np.ndarray, ends: np.ndarray | None = None) -> CompactLattice:
        """Returns the lattice of the marked arcs (bool [A]) between marked states (bool [S]), in the same order.

        Args:
          ends: bool [S], states that stay final; by default all that are.
        """
        if self.start < 0 or not states[self.start]:
            return no_paths()
        kept = np.flatnonzero(arcs & states[self.sources] & states[self.next_states])
        order = np.flatnonzero(states)
        number = np.cumsum(states) - 1
        lost = np.zeros(len(order), np.bool_) if ends is None else ~ends[order]
        splits, strings = gather(self.string_splits, self.strings, kept)
        final_splits, final_strings = gather(self.final_string_splits, self.final_strings, order, lost)
        return CompactLattice(
            int(number[self.start]), number[self.sources[kept]].astype(np.int32),
            number[self.next_states[kept]].astype(np.int32), self.word_ids[kept], self.graph_scores[kept],
            self.acoustic_scores[kept], splits, strings,
            np.where(lost, np.float32(-np.inf), self.final_graph_scores[order]),
            np.where(lost, np.float32(-np.inf), self.final_acoustic_scores[order]), final_splits, final_strings,
        )  # fmt: skip


def no_paths() -> CompactLattice:
    """Returns the compact lattice without states."""
    ints, floats, splits = np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(1, np.int64)
    return CompactLattice(-1, ints, ints, ints, floats, floats, splits, ints, floats, floats, splits, ints)


def gather(
    splits: np.ndarray, strings: np.ndarray, rows: np.ndarray, emptied: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Takes rows of a ragged array in another order.

    Args:
      splits: int64 [R+1]. strings: int32. rows: numbers of rows.
      emptied: bool, as long as `rows`: which of them lose what they hold.

    Returns:
      The new splits and strings.
    """
    lengths = splits[rows + 1] - splits[rows]
    if emptied is not None:
        lengths[emptied] = 0
    out = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    index = np.arange(out[-1]) + np.repeat(splits[rows] - out[:-1], lengths)
    return out, np.ascontiguousarray(strings[index], np.int32)


def require_sound(compact: CompactLattice) -> None:
    """Raises LatticeError where a state or an id is out of range, or a score is NaN or +inf."""
    states = compact.num_states
    for ends in (compact.sources, compact.next_states, np.array([compact.start])):
        if len(ends) and (ends.min() < 0 or ends.max() >= states):
            raise LatticeError(f"a state is out of range (there are {states})")
    if compact.num_arcs and compact.word_ids.min() < 0 or len(compact.strings) and compact.strings.min() <= 0:
        raise LatticeError("a negative word, or a transition-id below 1")
    for name in ("graph_scores", "acoustic_scores", "final_graph_scores", "final_acoustic_scores"):
        if not np.all(getattr(compact, name) < np.inf):
            raise LatticeError(f"{name} hold NaN or +inf")


def expand(compact: CompactLattice) -> Lattice:
    """Gives every transition-id an arc of its own; chain states follow the state they leave.

    Raises:
      LatticeError: the result is no lattice (a cycle, a state out of range, NaN or +inf).
    """
    states = compact.num_states
    if compact.start < 0 or states == 0:
        return Lattice.empty()
    require_sound(compact)
    lengths = np.diff(compact.string_splits)
    final = np.isfinite(compact.final_graph_scores)
    final_lengths = np.where(final, np.diff(compact.final_string_splits), 0)
    inner = np.bincount(compact.sources, weights=np.maximum(lengths - 1, 0), minlength=states).astype(np.int64)
    number = np.concatenate([[0], np.cumsum(1 + inner + final_lengths)])
    total_arcs = int(np.maximum(lengths, 1).sum() + final_lengths.sum())
    order = np.argsort(compact.sources, kind="stable")
    arcs = _expand(
        number, order, compact.sources, compact.next_states, compact.word_ids, compact.graph_scores,
        compact.acoustic_scores, compact.string_splits, compact.strings, final, compact.final_graph_scores,
        compact.final_acoustic_scores, compact.final_string_splits, compact.final_strings, total_arcs,
    )  # fmt: skip
    finals = np.full((2, int(number[-1])), -np.inf, np.float32)
    for s in np.flatnonzero(final):
        if final_lengths[s]:
            finals[:, number[s + 1] - 1] = 0.0
        else:
            finals[:, number[s]] = compact.final_graph_scores[s], compact.final_acoustic_scores[s]
    return Lattice.from_arcs(int(number[-1]), int(number[compact.start]), arcs, finals)


@kernel
def _expand(
    number, order, sources, next_states, words, graph, acoustic, splits, strings, final, final_graph, final_acoustic,
    final_splits, final_strings, total,
):  # fmt: skip
    out_source, out_next = np.empty(total, np.int64), np.empty(total, np.int64)
    out_tid, out_word = np.zeros(total, np.int32), np.zeros(total, np.int32)
    out_graph, out_acoustic = np.zeros(total, np.float32), np.zeros(total, np.float32)
    k = i = 0
    for s in range(len(number) - 1):
        free = number[s] + 1
        while i < len(order) and sources[order[i]] == s:
            a = order[i]
            i += 1
            out_word[k], out_graph[k], out_acoustic[k] = words[a], graph[a], acoustic[a]
            here = number[s]
            length = splits[a + 1] - splits[a]
            for n in range(max(length, 1)):
                out_source[k] = here
                if n < length:
                    out_tid[k] = strings[splits[a] + n]
                if n + 1 < length:
                    here = free
                    free += 1
                else:
                    here = number[next_states[a]]
                out_next[k] = here
                k += 1
        if final[s] and final_splits[s + 1] > final_splits[s]:
            out_graph[k], out_acoustic[k] = final_graph[s], final_acoustic[s]
            here = number[s]
            for n in range(final_splits[s], final_splits[s + 1]):
                out_source[k], out_tid[k], out_next[k] = here, final_strings[n], free
                here = free
                free += 1
                k += 1
    return out_source, out_next, out_tid, out_word, out_graph, out_acoustic


def factor(lattice: Lattice) -> CompactLattice:
    """Joins chains of arcs into one: a state inside a chain has one arc in, one wordless arc out, and is not final.

    Raises:
      LatticeError: the lattice has more columns of scores than Kaldi's two.
    """
    if lattice.columns:
        raise LatticeError(f"has scores {', '.join(lattice.columns)} beside Kaldi's two; fold them: lattice.folded()")
    states = lattice.num_states
    entering = np.bincount(lattice.next_states, minlength=states)
    inside = (entering == 1) & (np.diff(lattice.row_splits) == 1) & ~np.isfinite(lattice.final_graph_scores)
    if states:
        inside[0] = False
    first = lattice.row_splits[:-1][inside]
    inside[inside] = lattice.word_ids[first] == 0
    number = np.cumsum(~inside) - 1
    heads = np.flatnonzero(~inside[lattice.sources]) if states else np.zeros(0, np.int64)
    ends, graph, acoustic, splits, strings = _factor(
        lattice.row_splits, lattice.next_states, lattice.transition_ids, lattice.graph_scores.astype(np.float64),
        lattice.acoustic_scores.astype(np.float64), inside, heads,
    )  # fmt: skip
    kept = ~inside
    return CompactLattice(
        0 if states else -1,
        number[lattice.sources[heads]].astype(np.int32) if states else np.zeros(0, np.int32),
        number[ends].astype(np.int32) if states else np.zeros(0, np.int32),
        lattice.word_ids[heads],
        graph.astype(np.float32),
        acoustic.astype(np.float32),
        splits,
        strings,
        lattice.final_graph_scores[kept],
        lattice.final_acoustic_scores[kept],
        np.zeros(int(kept.sum()) + 1, np.int64),
        np.zeros(0, np.int32),
    )


@kernel
def _factor(row_splits, next_states, transition_ids, graph_scores, acoustic_scores, inside, heads):
    ends = np.empty(len(heads), np.int64)
    graph, acoustic = np.zeros(len(heads)), np.zeros(len(heads))
    splits = np.zeros(len(heads) + 1, np.int64)
    strings = np.empty(len(next_states), np.int32)
    used = 0
    for h in range(len(heads)):
        a = heads[h]
        while True:
            graph[h] += graph_scores[a]
            acoustic[h] += acoustic_scores[a]
            if transition_ids[a] != 0:
                strings[used] = transition_ids[a]
                used += 1
            if not inside[next_states[a]]:
                break
            a = row_splits[next_states[a]]
        ends[h] = next_states[a]
        splits[h + 1] = used
    return ends, graph, acoustic, splits, strings[:used].copy()
