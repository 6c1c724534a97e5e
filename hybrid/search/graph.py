"""The decoding graph laid out for token passing: each state's emitting arcs first, then its epsilon arcs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.base.errors import InputError
from hybrid.formats.mapped_rows import MappedRows
from hybrid.formats.openfst import FstArrays
from hybrid.ids import check_range

__all__ = ["SearchGraph", "check_fst", "lay_out"]


@dataclass(frozen=True, eq=False)
class SearchGraph:
    """HCLG for token passing; made by `from_fst`.

    Attributes:
      start: the start state, -1 if the graph is empty.
      num_pdfs: columns of the scores that belong to it.
      bounds: int32 [S+1][2], the first emitting and the first epsilon arc of each state.
      arcs: int32 [A][3]: next state, pdf_id (-1 for epsilon), bits of the float32 graph score.
      transition_ids, word_ids: int32 [A].
      final_scores: float32 [S], -inf where not final.
      source: where it is mapped from, if it is.
    """

    start: int
    num_pdfs: int
    bounds: np.ndarray
    arcs: np.ndarray
    transition_ids: np.ndarray
    word_ids: np.ndarray
    final_scores: np.ndarray
    source: MappedRows | None = field(default=None, repr=False)

    def joined(self, name: str, more: np.ndarray, rows: int | None = None, room: int = 0) -> np.ndarray:
        """Returns one of its arrays with more rows behind its first ones; what is mapped stays so.

        Args:
          rows: that are kept; None: all.
          room: rows to come, behind all others; they take no memory before they are written.
        """
        own = getattr(self, name)[:rows]
        more = np.ascontiguousarray(more, own.dtype)
        both, size = None, len(own) + len(more)
        if self.source is not None:
            spare = room * own.strides[0]
            both = self.source.joined(name, own.reshape(-1).view(np.uint8), more.reshape(-1).view(np.uint8), spare)
        if both is not None:
            return both.view(own.dtype).reshape(-1, *own.shape[1:])
        joined = np.empty((size + room, *own.shape[1:]), own.dtype)
        joined[: len(own)], joined[len(own) : size] = own, more
        return joined

    @property
    def num_states(self) -> int:
        """States of the graph."""
        return len(self.final_scores)

    @property
    def graph_scores(self) -> np.ndarray:
        """float32 [A], a view."""
        return self.arcs.view(np.float32)[:, 2]

    def link_rows(self, links: Any) -> np.ndarray:
        """Returns links, int32 [N][3], source, target and graph arc, with the bits of the arc's score: int32 [N][4]."""
        rows = np.asarray(links, np.int32).reshape(-1, 3)
        return np.column_stack([rows, self.arcs[rows[:, 2], 2]])

    # --- what a search asks; `search.raised_graph` answers it for phrases that are raised -----------------

    def opened(self) -> SearchGraph:
        """The graph for one utterance: itself."""
        return self

    def emitting(self, state: int) -> Iterator[tuple[int, int, int, float]]:
        """(arc, next state, pdf_id, graph score) of the arcs with a transition-id out of a token's state."""
        first, end = self.bounds[state]
        targets, pdf_ids = self.arcs[first:end, :2].T.tolist()
        return zip(range(first, end), targets, pdf_ids, self.graph_scores[first:end].tolist())

    def epsilons(self, state: int) -> Iterator[tuple[int, int, float]]:
        """(arc, next state, graph score) of the arcs without."""
        first, end = self.bounds[state, 1], self.bounds[state + 1, 0]
        return zip(range(first, end), self.arcs[first:end, 0].tolist(), self.graph_scores[first:end].tolist())

    def labels(self, arcs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the transition-ids and the words of arcs that tokens went over."""
        return self.transition_ids[arcs], self.word_ids[arcs]

    def ends(self, states: np.ndarray) -> np.ndarray:
        """Returns the final score of each token's state, float32, -inf where it is not final."""
        return self.final_scores[states]

    def place_of(self, state: int) -> int:
        """Returns the graph's state of a token's."""
        return state

    def state_behind(self, state: int, arcs: np.ndarray) -> int:
        """Returns the token's state behind some arcs, at least one, that lead on from a token's state."""
        return int(self.arcs[arcs[-1], 0])

    @classmethod
    def from_fst(
        cls, fst: FstArrays, transition_pdfs: np.ndarray, num_pdfs: int, place: object = "graph"
    ) -> "SearchGraph":
        """Lays out a graph with transition-ids on its input side.

        Args:
          fst: costs, transition-ids in, word-ids out.
          transition_pdfs: int32 [num_transition_ids + 1], the pdf_id of each; entry 0 unused.
          num_pdfs: of the model.
          place: names the graph in errors.

        Raises:
          MismatchError: a transition-id that the model does not have.
          InputError: the graph is empty, too large for 32 bits, has no way in or out, or a cycle of input epsilons.
        """
        check_fst(fst, transition_pdfs, num_pdfs, place)
        if 2 * fst.num_arcs >= 2**32 or fst.num_states >= 2**31:
            raise InputError.at(place, f"{fst.num_arcs} arcs are more than this engine's 32 bits can count")
        pdfs = np.asarray(transition_pdfs, np.int32).copy()
        pdfs[0] = -1
        bounds, arcs, transition_ids, word_ids = lay_out(
            fst.row_splits, fst.ilabels, fst.olabels, fst.next_states, (0.0 - fst.costs).view(np.int32), pdfs
        )
        state = _epsilon_cycle(bounds, arcs)
        if state >= 0:
            raise InputError.at(
                place, f"state {state} lies on a cycle of input epsilons", "Remove the epsilons of the language model."
            )
        return cls(fst.start, num_pdfs, bounds, arcs, transition_ids, word_ids, 0.0 - fst.final_costs)


def check_fst(fst: FstArrays, transition_pdfs: np.ndarray, num_pdfs: int, place: object) -> None:
    """Checks what every engine wants of HCLG; see `SearchGraph.from_fst` for arguments.

    Raises:
      MismatchError: a transition-id or pdf_id that the model does not have.
      InputError: no states, no arc out of the start, or no final state.
    """
    cure = "Compile the graph from this model's tree and topology."
    check_range("transition_id", fst.ilabels, 0, len(transition_pdfs) - 1, place, cure)
    check_range("pdf_id", np.asarray(transition_pdfs)[1:], 0, num_pdfs - 1, place, cure)
    cure = "Compile the graph again; look at the language model."
    if fst.start < 0 or not fst.num_states:
        raise InputError.at(place, "the graph has no states", cure)
    if fst.row_splits[fst.start] == fst.row_splits[fst.start + 1]:
        raise InputError.at(place, f"no arc leaves the start, state {fst.start}", cure)
    if not np.isfinite(fst.final_costs).any():
        raise InputError.at(place, f"none of the {fst.num_states} states is final: no utterance can end", cure)


@kernel
def lay_out(row_splits, ilabels, olabels, next_states, score_bits, pdfs):
    """Returns bounds, arcs, transition-ids and words as `SearchGraph` has them, of the arrays of an FST."""
    states, total = len(row_splits) - 1, len(ilabels)
    bounds = np.empty((states + 1, 2), np.int32)
    arcs = np.empty((total, 3), np.int32)
    transition_ids, word_ids = np.empty(total, np.int32), np.empty(total, np.int32)
    k = 0
    for s in range(states):
        bounds[s, 0] = k
        for epsilon in range(2):
            if epsilon:
                bounds[s, 1] = k
            for a in range(row_splits[s], row_splits[s + 1]):
                if (ilabels[a] == 0) == (epsilon == 1):
                    arcs[k, 0], arcs[k, 1], arcs[k, 2] = next_states[a], pdfs[ilabels[a]], score_bits[a]
                    transition_ids[k], word_ids[k] = ilabels[a], olabels[a]
                    k += 1
    bounds[states, 0] = bounds[states, 1] = k
    return bounds, arcs, transition_ids, word_ids


@kernel
def _epsilon_cycle(bounds, arcs):
    """Returns a state on a cycle of epsilon arcs, or -1 (Kahn's order over the epsilon arcs alone)."""
    states = len(bounds) - 1
    indegree = np.zeros(states, np.int32)
    for s in range(states):
        for a in range(bounds[s, 1], bounds[s + 1, 0]):
            indegree[arcs[a, 0]] += 1
    stack = np.empty(states, np.int32)
    depth = 0
    for s in range(states):
        if indegree[s] == 0:
            stack[depth] = s
            depth += 1
    seen = 0
    while depth > 0:
        depth -= 1
        s = stack[depth]
        seen += 1
        for a in range(bounds[s, 1], bounds[s + 1, 0]):
            d = arcs[a, 0]
            indegree[d] -= 1
            if indegree[d] == 0:
                stack[depth] = d
                depth += 1
    if seen == states:
        return -1
    for s in range(states):
        if indegree[s] > 0:
            return s
    return -1
