"""A training graph made ready for alignment: which column of the scores each arc needs, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybrid.base.errors import InputError, MismatchError
from hybrid.formats.openfst import FstArrays
from hybrid.hmm import TransitionModel

__all__ = ["AlignmentGraph", "careful_graph", "least_frames", "scaled_transition_scores", "shortest_arcs"]


def scaled_transition_scores(model: TransitionModel, transition_scale: float, self_loop_scale: float) -> np.ndarray:
    """Returns what each transition_id adds to a path: float64 [num_transition_ids + 1], entry 0 is 0.

    A self-loop weighs self_loop_scale × log p; another arc self_loop_scale × log(1 - p_loop) plus
    transition_scale × log(p / (1 - p_loop)).
    """
    log_probs = model.log_probs.astype(np.float64)
    if transition_scale == self_loop_scale:
        scores = transition_scale * log_probs
    else:
        leave = model.log_probs_not_self_loop.astype(np.float64)[model.transition_states]
        forward = self_loop_scale * leave + transition_scale * model.log_probs_ignoring_self_loops
        scores = np.where(model.is_self_loop, self_loop_scale * log_probs, forward)
    scores[0] = 0.0
    return scores


@dataclass(frozen=True, eq=False)
class AlignmentGraph:
    """A graph of one utterance, with what alignment looks up per arc.

    Attributes:
      fst: transition-ids in, one on every arc; word-ids out.
      pdf_ids: int32 [K], the pdfs that occur; column k of the scores belongs to pdf_ids[k].
      columns: int32 [num_arcs], column of each arc's pdf.
      costs: float64 [num_arcs], the arc's cost and its transition's.
    """

    fst: FstArrays
    pdf_ids: np.ndarray
    columns: np.ndarray
    costs: np.ndarray

    @classmethod
    def make(
        cls, fst: FstArrays, model: TransitionModel, transition_scores: np.ndarray, place: object = "training graph"
    ) -> AlignmentGraph:
        """Looks up pdfs and transition scores of the arcs.

        Args:
          fst: without transition probabilities, as `hybrid.graph.training` compiles it.
          transition_scores: float64 [num_transition_ids + 1] from `scaled_transition_scores`.

        Raises:
          InputError: the graph accepts nothing, or has an arc without a transition-id.
          MismatchError: the graph holds transition-ids that the model lacks.
        """
        if fst.start < 0 or not np.isfinite(fst.final_costs).any():
            raise InputError.at(place, "accepts nothing", "Check that every word has a pronunciation.")
        labels = fst.ilabels
        without = np.flatnonzero(labels < 1)
        if len(without):
            raise InputError.at(
                place,
                f"{len(without)} of {len(labels)} arcs have no transition-id, the first leaves state "
                f"{fst.sources()[without[0]]}; wanted one on every arc",
                "Compile the graphs with hybrid.graph.training, or remove the epsilons of their input side.",
            )
        highest = int(labels.max(initial=0))
        if highest > model.num_transition_ids:
            raise MismatchError(
                f"{place}: transition-id {highest} lies beyond the model's {model.num_transition_ids}. "
                "Compile the graphs with the tree and topology of this model."
            )
        pdf_ids, columns = np.unique(model.pdf_ids[labels], return_inverse=True)
        costs = fst.costs - transition_scores[labels]
        return cls(fst, pdf_ids.astype(np.int32), columns.reshape(-1).astype(np.int32), costs)

    def careful(self) -> AlignmentGraph:
        """Returns the graph followed by a second, never ending copy of itself (see `careful_graph`)."""
        fst, arcs, extra = careful_graph(self.fst)
        return AlignmentGraph(fst, self.pdf_ids, self.columns[arcs], self.costs[arcs] + extra)


def careful_graph(fst: FstArrays) -> tuple[FstArrays, np.ndarray, np.ndarray]:
    """Appends a copy without final states: whoever runs into it has found the text too short.

    A path that fits the audio better by starting the text again then outlives, within the beam, the path that
    waits at the end, and alignment fails instead of stretching the text.

    Returns:
      The graph; for each of its arcs the arc it was made of, and the cost of ending that it adds to that one's.
    """
    states, arcs = fst.num_states, np.arange(fst.num_arcs)
    sources, ends = fst.sources(), np.flatnonzero(np.isfinite(fst.final_costs))
    first = arcs[fst.row_splits[fst.start] : fst.row_splits[fst.start + 1]]
    again = np.tile(first, len(ends))  # the first arcs of the copy, out of each end
    origin = np.concatenate([arcs, arcs, again])
    wait = np.repeat(fst.final_costs[ends], len(first))
    froms = np.concatenate([sources, sources + states, np.repeat(ends, len(first))])
    targets = fst.next_states[origin] + np.concatenate([0 * arcs, 0 * arcs + states, 0 * again + states])
    extra = np.concatenate([np.zeros(2 * len(arcs)), wait])
    finals = np.concatenate([fst.final_costs, np.full(states, np.inf)])
    order = np.argsort(froms, kind="stable")
    joined = FstArrays.from_arcs(
        fst.start, froms, fst.ilabels[origin], fst.olabels[origin], targets, fst.costs[origin] + extra, finals
    )
    return joined, origin[order], extra[order]


def shortest_arcs(fst: FstArrays) -> list[int] | None:
    """Returns the arcs of a path with the fewest transition-ids from the start to a final state; None if none is."""
    if fst.start < 0:
        return None
    came: dict[int, int] = {int(fst.start): -1}  # state → arc that first reached it
    splits, targets, labels = fst.row_splits.tolist(), fst.next_states.tolist(), fst.ilabels.tolist()
    sources = fst.sources()
    layer = [int(fst.start)]
    while layer:
        following: list[int] = []  # arcs with input out of this layer
        while layer:
            state = layer.pop()
            if np.isfinite(fst.final_costs[state]):
                arcs = []
                while came[state] >= 0:
                    arcs.append(came[state])
                    state = int(sources[came[state]])
                return arcs[::-1]
            for arc in range(splits[state], splits[state + 1]):
                if labels[arc]:
                    following.append(arc)
                elif targets[arc] not in came:
                    came[targets[arc]] = arc
                    layer.append(targets[arc])
        for arc in following:
            if targets[arc] not in came:
                came[targets[arc]] = arc
                layer.append(targets[arc])
    return None


def least_frames(fst: FstArrays) -> int:
    """Returns the fewest frames that a graph accepts; -1 if it accepts nothing."""
    arcs = shortest_arcs(fst)
    return -1 if arcs is None else int((fst.ilabels[arcs] > 0).sum()) if arcs else 0
