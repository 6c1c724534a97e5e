"""A decoding graph for k2: no input epsilons, pdfs as labels.

k2 matches labels with columns of the scores, takes label 0 for a symbol like any other, and gives label
-1 to the arcs that enter its one final state. So input epsilons are removed here, the label of an arc is
pdf_id + 1, and transition-ids and words travel along as attributes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hybrid.base.errors import InputError
from hybrid.base.optional import import_k2
from hybrid.formats.openfst import FstArrays
from hybrid.search.graph import check_fst

if TYPE_CHECKING:
    import k2

__all__ = ["PreparedGraph", "prepare_graph"]


@dataclass(frozen=True, eq=False)
class PreparedGraph:
    """An epsilon-free decoding graph in k2's terms; arcs are sorted by source state.

    Attributes:
      num_states: the last state is the final one, which arcs with label -1 enter.
      sources, next_states: int32 [num_arcs].
      labels: int32 [num_arcs], pdf_id + 1, or -1.
      scores: float32 [num_arcs], natural logs.
      transition_ids: int32 [num_arcs], 0 where the label is -1.
      word_ids: int32 [num_arcs]; 0 is none, a number from `first_sequence` on stands for several words.
      first_sequence: one more than the highest word id of the graph.
      sequences: the words of each number from `first_sequence` on.
    """

    num_states: int
    sources: np.ndarray
    next_states: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    transition_ids: np.ndarray
    word_ids: np.ndarray
    first_sequence: int
    sequences: tuple[tuple[int, ...], ...]

    @property
    def num_arcs(self) -> int:
        """How many arcs there are."""
        return len(self.labels)

    def words_of(self, word_id: int) -> tuple[int, ...]:
        """Returns the words that an arc's word_id stands for."""
        if word_id <= 0:
            return ()
        return (word_id,) if word_id < self.first_sequence else self.sequences[word_id - self.first_sequence]

    def to_k2(self, device: Any = "cpu") -> k2.Fsa:
        """Returns a k2.Fsa with attributes `transition_ids` and `aux_labels` (word_ids), int32.

        Raises:
          MissingDependencyError: k2 is not installed.
        """
        k2 = import_k2("search with k2")
        import torch

        arcs = np.stack([self.sources, self.next_states, self.labels, self.scores.view(np.int32)], axis=1)
        fsa = k2.Fsa(torch.from_numpy(arcs))
        fsa.transition_ids = torch.from_numpy(self.transition_ids)
        fsa.aux_labels = torch.from_numpy(self.word_ids)
        return fsa if str(device) == "cpu" else fsa.to(device)


def prepare_graph(fst: FstArrays, transition_pdfs: np.ndarray, num_pdfs: int, place: object = "graph") -> PreparedGraph:
    """Removes input epsilons (tropical semiring) and replaces transition-ids by labels.

    Args:
      fst: HCLG, transition-ids in, word-ids out.
      transition_pdfs: int32 [num_transition_ids + 1], the pdf_id of each; entry 0 unused.
      num_pdfs: columns of the scores.
      place: names the graph in errors.

    Raises:
      MismatchError: a transition-id or pdf_id that the model does not have.
      InputError: the graph accepts nothing, or has a cycle of input epsilons.
    """
    check_fst(fst, transition_pdfs, num_pdfs, place)
    columns, sequences = _without_epsilons(fst, place)
    columns = _without_dead_ends(columns, fst.num_states)
    source, transition_ids, word_ids, target, costs = columns
    if not (transition_ids == 0).any():
        raise InputError.at(
            place,
            "no way leads from the start to a final state",
            "Compile the graph again; look at the language model.",
        )
    # The start comes first and the final state last; all others keep their order.
    kept = np.zeros(fst.num_states, bool)
    kept[source] = True
    kept[fst.start] = False
    number = np.cumsum(kept, dtype=np.int32)
    number[fst.start] = 0
    final = 1 + int(kept.sum())
    source = number[source]
    if fst.start != 0:
        order = np.argsort(source, kind="stable")
        source, transition_ids, word_ids, target, costs = (
            a[order] for a in (source, transition_ids, word_ids, target, costs)
        )
    ends = transition_ids == 0
    return PreparedGraph(
        num_states=final + 1,
        sources=source,
        next_states=np.where(ends, np.int32(final), number[target]),
        labels=np.where(ends, np.int32(-1), np.asarray(transition_pdfs, np.int32)[transition_ids] + np.int32(1)),
        scores=-costs,
        transition_ids=transition_ids,
        word_ids=word_ids,
        first_sequence=1 + int(fst.olabels.max(initial=0)),
        sequences=sequences,
    )


def _without_epsilons(fst: FstArrays, place: object) -> tuple[list[np.ndarray], tuple[tuple[int, ...], ...]]:
    """Returns the arcs (source, input, words, next state, cost; sorted by source) and the word sequences."""
    from hybrid.search.engines import k2_kernels as kernels

    first = 1 + int(fst.olabels.max(initial=0))
    entering, leaving = kernels.count_ways(fst.start, fst.row_splits, fst.ilabels, fst.next_states, fst.final_costs)
    graph = (fst.row_splits, fst.ilabels, fst.olabels, fst.next_states, fst.costs)
    closure = (np.empty(kernels.ROOM, np.int32), np.empty(kernels.ROOM, np.int32), np.empty(kernels.ROOM, np.float64))
    splits = np.zeros(fst.num_states + 1, np.int64)
    room = int((fst.ilabels == 0).sum()) + kernels.ROOM
    ways: list[np.ndarray] = [np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.float64)]
    pairs = [np.empty(2 * kernels.ROOM, np.int32) for _ in range(2)]
    state = used = num_pairs = 0
    while state < fst.num_states:
        arrays: tuple[Any, ...] = (*graph, leaving, first, *pairs, *closure, splits, *ways)
        state, used, num_pairs, cycle = kernels.close_epsilons(state, used, num_pairs, entering, *arrays)
        if cycle:
            what = f"state {state} lies on a cycle of input epsilons"
            raise InputError.at(place, what, "Remove the epsilons of the language model.")
        if state < fst.num_states:
            ways = [np.concatenate([a, np.empty(len(a) // 2, a.dtype)]) for a in ways]
            pairs = [np.concatenate([a, np.empty_like(a)]) for a in pairs]
    ways = [a[:used] for a in ways]
    before, alive = kernels.choose_sides(splits, ways[0], entering, leaving)
    counts = kernels.count_arcs(*graph[:2], fst.next_states, fst.final_costs, splits, ways[0], before, alive)
    columns = [np.empty(int(counts.sum()), np.int32) for _ in range(4)] + [np.empty(int(counts.sum()), np.float32)]
    state = used = 0
    while state < fst.num_states:
        arrays = (*graph, fst.final_costs, first, *pairs, splits, *ways, before, alive, *columns)
        state, used, num_pairs = kernels.join_arcs(state, used, num_pairs, counts, *arrays)
        if state < fst.num_states:
            pairs = [np.concatenate([a, np.empty(len(a) + 2 * int(counts[state]), a.dtype)]) for a in pairs]
    return columns, _sequences(pairs[0][:num_pairs], pairs[1][:num_pairs], first)


def _without_dead_ends(columns: list[np.ndarray], num_states: int) -> list[np.ndarray]:
    """Drops arcs into states that nothing leaves, until there are none; compiled graphs have none."""
    while True:
        lives = np.zeros(num_states, bool)
        lives[columns[0]] = True
        kept = (columns[1] == 0) | lives[columns[3]]
        if kept.all():
            return columns
        columns = [column[kept] for column in columns]


def _sequences(befores: np.ndarray, words: np.ndarray, first: int) -> tuple[tuple[int, ...], ...]:
    """Spells out the word sequences; either part of one may be a sequence made before it."""
    found: list[tuple[int, ...]] = []
    for pair in zip(befores.tolist(), words.tolist()):
        found.append(sum(((part,) if part < first else found[part - first] for part in pair), ()))
    return tuple(found)
