"""A lattice with the scores of two language models beside it, whose weights are chosen without scoring again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hybrid.base.content import ByContent
from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.trim import gather, trimmed
from hybrid.rescore.ngram_swap import WordModel, swap_ngram

__all__ = ["Mixture", "ScoredLattice", "reindexed", "without_old"]


@dataclass(frozen=True)
class Mixture:
    """How two models make one.

    Attributes:
      share: of the new model, 0 to 1.
      linear: probabilities are mixed; otherwise their logs.
    """

    share: float = 0.5
    linear: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share is {self.share:g}, wanted 0 to 1")

    def of(self, old: Any, new: Any) -> Any:
        """Returns natural logs of the mixture of two models' natural logs, numbers or arrays."""
        if not self.linear:
            return (1 - self.share) * old + self.share * new
        with np.errstate(divide="ignore"):
            return np.logaddexp(np.log(1 - self.share) + old, np.log(self.share) + new)


@dataclass(frozen=True, eq=False)
class ScoredLattice(ByContent):
    """A lattice and two models' scores of its words.

    Attributes:
      bare: graph scores hold neither model.
      old, new: float64 [A], natural logs of each arc's word; 0 without a word.
      final_old, final_new: float64 [S], of the sentence end, where a state is final.
      has_old: whether there is an old model; otherwise the graph scores still hold what the graph's model gave.
    """

    bare: CompactLattice
    old: np.ndarray
    new: np.ndarray
    final_old: np.ndarray
    final_new: np.ndarray
    has_old: bool = True

    def mixed(self, mixture: Mixture) -> CompactLattice:
        """Returns the lattice with a mixture in its graph scores; without an old model `share` times the new log.

        Raises:
          ValueError: probabilities cannot be mixed where there is one model.
        """
        if not self.has_old and mixture.linear:
            raise ValueError("probabilities can only be mixed with those of an old model")
        return replace(
            self.bare,
            graph_scores=(self.bare.graph_scores + self.arc_scores(mixture)).astype(np.float32),
            final_graph_scores=(self.bare.final_graph_scores + self.final_scores(mixture)).astype(np.float32),
        )

    def arc_scores(self, mixture: Mixture) -> np.ndarray:
        """Returns float64 [A], the mixture's score of each arc's word."""
        return np.where(self.bare.word_ids != 0, mixture.of(self.old, self.new), 0.0)

    def final_scores(self, mixture: Mixture) -> np.ndarray:
        """Returns float64 [S], the mixture's score of the sentence end."""
        return np.where(np.isfinite(self.bare.final_graph_scores), mixture.of(self.final_old, self.final_new), 0.0)

    def taken(self, sources: np.ndarray, nexts: np.ndarray, arcs: np.ndarray, states: np.ndarray) -> ScoredLattice:
        """Returns a lattice made of arcs and states of this one; see `reindexed`."""
        return replace(
            self, bare=reindexed(self.bare, sources, nexts, arcs, states), old=self.old[arcs], new=self.new[arcs],
            final_old=self.final_old[states], final_new=self.final_new[states],
        )  # fmt: skip


def reindexed(
    compact: CompactLattice, sources: np.ndarray, nexts: np.ndarray, arcs: np.ndarray, states: np.ndarray
) -> CompactLattice:
    """Returns a lattice whose arc i is arc `arcs[i]` from `sources[i]` to `nexts[i]`, and whose state s is `states[s]`.

    The caller sees to it that the result is trimmed.
    """
    splits, strings = gather(compact.string_splits, compact.strings, arcs)
    final_splits, final_strings = gather(compact.final_string_splits, compact.final_strings, states)
    return CompactLattice(
        0 if len(states) else -1, sources.astype(np.int32), nexts.astype(np.int32), compact.word_ids[arcs],
        compact.graph_scores[arcs], compact.acoustic_scores[arcs], splits, strings,
        compact.final_graph_scores[states], compact.final_acoustic_scores[states], final_splits, final_strings,
    )  # fmt: skip


def without_old(compact: CompactLattice, old: WordModel | None, of_graph: bool = False) -> ScoredLattice:
    """Takes a back-off model's scores out of a lattice and puts them beside it; the new model's are 0 yet.

    Args:
      compact: determinised. old: None: nothing is taken out.
      of_graph: the scores are those of a graph, see `swap_ngram`.
    """
    if old is None or compact.start < 0:
        bare = trimmed(compact)
        arcs, states = np.zeros(bare.num_arcs), np.zeros(bare.num_states)
        return ScoredLattice(bare, arcs, arcs, states, states, old is not None)
    if of_graph:
        compact = swap_ngram(compact, old, old)
    ends = np.isfinite(compact.final_graph_scores)
    blank = replace(compact, graph_scores=np.zeros_like(compact.graph_scores),
                    final_graph_scores=np.where(ends, 0.0, -np.inf).astype(np.float32))  # fmt: skip
    bare, taken = (swap_ngram(one, old, None, of_graph=False) for one in (compact, blank))
    arcs = -taken.graph_scores.astype(np.float64)
    finals = np.where(np.isfinite(taken.final_graph_scores), -taken.final_graph_scores.astype(np.float64), 0.0)
    return ScoredLattice(bare, arcs, np.zeros_like(arcs), finals, np.zeros_like(finals))
