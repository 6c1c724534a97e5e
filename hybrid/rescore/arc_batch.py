"""All arcs of lattices in one batch (Li, Povey and Khudanpur 2021): each word is scored after the best way to it.

A lattice is first expanded where its arcs are probable: an arc whose posterior reaches a threshold gets a state of its
own behind it, so that what follows has one history. In the result the best ways to all states form a tree, which a
model reads in a few large batches, those of several lattices together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.lattice.compact import CompactLattice
from hybrid.rescore.histories import END, WordHistories
from hybrid.rescore.scored import ScoredLattice

__all__ = ["best_prefixes", "best_suffixes", "combined_scores", "expand_by_posterior", "score_arcs"]


def combined_scores(compact: CompactLattice, acoustic_scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns float64 [A] and [S], graph and scaled acoustic scores of arcs and ends together."""
    arcs = compact.graph_scores.astype(np.float64) + acoustic_scale * compact.acoustic_scores.astype(np.float64)
    ends = compact.final_graph_scores.astype(np.float64)
    ends = ends + acoustic_scale * np.where(np.isfinite(ends), compact.final_acoustic_scores, 0.0)
    return arcs, ends


@kernel
def _backward_sum(sources, nexts, scores, ends):
    beta = ends.copy()
    for a in range(len(sources) - 1, -1, -1):
        value = scores[a] + beta[nexts[a]]
        here = beta[sources[a]]
        if value > here:
            here, value = value, here
        beta[sources[a]] = here if value == -np.inf else here + np.log1p(np.exp(value - here))
    return beta


@kernel
def best_prefixes(sources, nexts, scores, states):
    """Returns float64 [S] the score of the best way to each state, and int64 [S] its last arc, -1 at the start.

    Args:
      sources, nexts: of arcs in the order of their sources, from a top-sorted lattice. scores: float64 [A].
    """
    alpha, last = np.full(states, -np.inf), np.full(states, -1, np.int64)
    if states:
        alpha[0] = 0.0
    for a in range(len(sources)):
        value = alpha[sources[a]] + scores[a]
        if value > alpha[nexts[a]]:
            alpha[nexts[a]], last[nexts[a]] = value, a
    return alpha, last


@kernel
def best_suffixes(sources, nexts, scores, ends):
    """Returns float64 [S] the score of the best way from each state to the end; see `best_prefixes`."""
    beta = ends.copy()
    for a in range(len(sources) - 1, -1, -1):
        beta[sources[a]] = max(beta[sources[a]], scores[a] + beta[nexts[a]])
    return beta


def expand_by_posterior(scored: ScoredLattice, scores: np.ndarray, ends: np.ndarray, threshold: float) -> ScoredLattice:
    """Gives each arc whose posterior reaches a threshold a state of its own behind it; paths and scores stay.

    Args:
      scores, ends: float64 [A] and [S], what posteriors are made of.
      threshold: above 0; above 1 leaves the lattice as it is.
    """
    compact = scored.bare
    if threshold > 1 or not compact.num_states:
        return scored
    beta = _backward_sum(compact.sources, compact.next_states, scores, ends)
    onward = np.exp(scores + beta[compact.next_states] - beta[compact.sources]).tolist()
    entering = np.bincount(compact.next_states, minlength=compact.num_states).tolist()
    rows = np.searchsorted(compact.sources, np.arange(compact.num_states + 1)).tolist()
    nexts = compact.next_states.tolist()
    copies: list[list[list]] = [[] for _ in range(compact.num_states)]  # of each state: [posterior, arcs that enter]
    shared: list[list | None] = [None] * compact.num_states
    copies[0].append([1.0, []])
    arcs: list[int] = []
    sources: list[int] = []
    targets: list[int] = []
    states: list[int] = []
    for state in range(compact.num_states):
        several = len(copies[state]) > 1
        for posterior, entered in copies[state]:
            number = len(states)
            states.append(state)
            for made in entered:
                targets[made] = number
            for arc in range(rows[state], rows[state + 1]):
                to, share = nexts[arc], posterior * onward[arc]
                if share >= threshold and (several or entering[to] > 1):
                    copies[to].append([share, [len(arcs)]])
                else:
                    if shared[to] is None:
                        shared[to] = [0.0, []]
                        copies[to].append(shared[to])
                    shared[to][0] += share
                    shared[to][1].append(len(arcs))
                arcs.append(arc)
                sources.append(number)
                targets.append(-1)
    return scored.taken(np.array(sources, np.int64), np.array(targets, np.int64), np.array(arcs, np.int64),
                        np.array(states, np.int64))  # fmt: skip


def score_arcs(
    lattices: Sequence[ScoredLattice], histories: WordHistories, begins: Sequence[int], acoustic_scale: float,
    threshold: float = 2.0,
) -> list[ScoredLattice]:  # fmt: skip
    """Scores the words of lattices with a new model, all in one batch.

    Args:
      lattices: see `without_old`. begins: the node at the start of each.
      threshold: posterior from which arcs have a history of their own; above 1: none has.

    Returns:
      The lattices, expanded, with the scores of the new model.
    """
    expanded, nodes_of, nodes, words = [], [], [], []
    for scored, begin in zip(lattices, begins):
        scores, ends = combined_scores(scored.bare, acoustic_scale)
        scored = expand_by_posterior(scored, scores + scored.old, ends + scored.final_old, threshold)
        expanded.append(scored)
        compact = scored.bare
        scores, _ = combined_scores(compact, acoustic_scale)
        _, last = best_prefixes(compact.sources, compact.next_states, scores + scored.old, compact.num_states)
        at = np.full(compact.num_states, begin, np.int64)
        for state, arc in enumerate(last.tolist()):
            if arc >= 0:
                word, before = int(compact.word_ids[arc]), int(at[compact.sources[arc]])
                at[state] = histories.child(before, word) if word else before
        nodes_of.append(at)
        said, final = compact.word_ids != 0, np.isfinite(compact.final_graph_scores)
        nodes += [at[compact.sources[said]], at[final]]
        words += [compact.word_ids[said].astype(np.int64), np.full(int(final.sum()), END, np.int64)]
    if not nodes:
        return []
    found = histories.log_probs(np.concatenate(nodes), np.concatenate(words))
    out, place = [], 0
    for scored in expanded:
        said, final = scored.bare.word_ids != 0, np.isfinite(scored.bare.final_graph_scores)
        new, final_new = np.zeros(scored.bare.num_arcs), np.zeros(scored.bare.num_states)
        new[said] = found[place : place + said.sum()]
        place += int(said.sum())
        final_new[final] = found[place : place + final.sum()]
        place += int(final.sum())
        out.append(replace(scored, new=new, final_new=final_new))
    return out
