"""G for look-ahead: arcs by the numbers of words, sums of probabilities over them, and where states back off to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.base.errors import InputError
from hybrid.formats.fst_arrays import FstArrays

__all__ = [
    "ARC", "BACKOFF", "BACKOFF_SCORE", "BEGIN", "END", "LARGEST", "NEXT", "PENDING", "PROBABILITY", "ROW", "SCORE",
    "TOTAL", "Language", "language_of",
]  # fmt: skip

CURE = "Remove its epsilons and determinise it, or give an ARPA file."


BEGIN, END, BACKOFF, BACKOFF_SCORE, LARGEST, TOTAL, ROW = 0, 1, 2, 3, 4, 5, 8  # of a row of `Language.rows`
SCORE, PROBABILITY, NEXT, PENDING, ARC = 0, 1, 2, 3, 4  # of a row of `Language.arcs`


class Language(NamedTuple):
    """G, with words numbered as `reach.number_words` does; 0 is the end of the sentence.

    What is wanted together lies together: a row is one look into memory.

    Attributes:
      start: a state. states: their number.
      rows: int64 [8 S], of each state where its arcs begin and end and where it backs off to (-1: nowhere); and in
        `values`, float64, the same memory: the score of that; log of the largest probability of an arc, 0 where there
        is none; log of all probability that leaves the state, along back-off arcs too, -inf where nothing does.
      numbers: int32 [A], of the words of arcs; they rise within a state, and none is there twice.
      arcs: int32 [4 A], of each arc what it leads to, -1 for the end; and what it leads to where its word is put out
        before the graph of H, C and L has come to it: S + the number of the pair of the word and the state after it.
        In `scores`, float32, the same memory: before these its score, and its probability over its state's largest.
      sums: float64 [A], probabilities of the arcs of a state up to and with this one, over its largest.
      pairs: int32 [2 P], number of the word and state after it.
    """

    start: int
    states: int
    rows: np.ndarray
    values: np.ndarray
    numbers: np.ndarray
    arcs: np.ndarray
    scores: np.ndarray
    sums: np.ndarray
    pairs: np.ndarray


def language_of(grammar: FstArrays, backoff_label: int, numbers: np.ndarray, place: object = "G") -> Language:
    """Lays out G; arcs of words without a number are left out.

    Args:
      grammar: over word ids, `backoff_label` on arcs that back off.
      numbers: int32 [word_id], see `reach.number_words`.
      place: names G in errors.

    Raises:
      InputError: G accepts nothing, has arcs without label, two arcs of one word or two back-off arcs in a state, or
        backs off in a circle.
    """
    if grammar.start < 0 or not np.isfinite(grammar.final_costs).any():
        raise InputError.at(place, "the grammar accepts nothing", "Look at the text or file that it was made from.")
    sources, labels = grammar.sources(), grammar.ilabels
    backs = labels == backoff_label
    _refuse(sources[labels == 0], place, "an arc that reads nothing")
    states = np.sort(sources[backs])
    _refuse(states[1:][states[1:] == states[:-1]], place, "two back-off arcs")
    backoffs, backoff_scores = np.full(grammar.num_states, -1, np.int32), np.zeros(grammar.num_states)
    backoffs[sources[backs]] = grammar.next_states[backs]
    backoff_scores[sources[backs]] = -grammar.costs[backs].astype(np.float64)
    known = np.append(numbers, np.full(max(0, int(labels.max(initial=0)) + 1 - len(numbers)), -1, np.int32))
    said = np.flatnonzero(~backs & (known[labels] > 0) & np.isfinite(grammar.costs))
    ends = np.flatnonzero(np.isfinite(grammar.final_costs))
    of = np.concatenate([ends.astype(np.int32), sources[said]])
    number = np.concatenate([np.zeros(len(ends), np.int32), known[labels[said]]])
    order = np.lexsort((number, of))
    of, number = of[order], number[order]
    _refuse(of[1:][(of[1:] == of[:-1]) & (number[1:] == number[:-1])], place, "two arcs of one word")
    scores = -np.concatenate([grammar.final_costs[ends], grammar.costs[said]])[order]
    targets = np.concatenate([np.full(len(ends), -1, np.int32), grammar.next_states[said]])[order]
    splits = np.concatenate([[0], np.cumsum(np.bincount(of, minlength=grammar.num_states))])
    probabilities, sums, largest, totals = _summed(splits, scores, backoffs, backoff_scores)
    if not len(totals):
        raise InputError.at(place, "its back-off arcs lead round in a circle", CURE)
    if totals[grammar.start] == -np.inf:
        raise InputError.at(place, "no sentence begins with a word of the graph", "Give a model of the graph's words.")
    pairs, pending = np.unique(number.astype(np.int64) << 32 | targets.astype(np.uint32), return_inverse=True)
    rows, arcs = np.zeros((grammar.num_states, ROW), np.int64), np.empty((len(number), ARC), np.int32)
    values, arc_scores = rows.view(np.float64), arcs.view(np.float32)
    rows[:, BEGIN], rows[:, END], rows[:, BACKOFF] = splits[:-1], splits[1:], backoffs
    values[:, BACKOFF_SCORE], values[:, LARGEST], values[:, TOTAL] = backoff_scores, largest, totals
    arc_scores[:, SCORE], arc_scores[:, PROBABILITY] = scores, probabilities
    arcs[:, NEXT], arcs[:, PENDING] = targets, pending + grammar.num_states
    after = np.stack([(pairs >> 32).astype(np.int32), pairs.astype(np.uint32).view(np.int32)], axis=1)
    return Language(
        grammar.start, grammar.num_states, rows.reshape(-1), values.reshape(-1), number, arcs.reshape(-1),
        arc_scores.reshape(-1), sums, after.reshape(-1),
    )  # fmt: skip


def _refuse(states: np.ndarray, place: object, what: str) -> None:
    if len(states):
        raise InputError.at(place, f"state {int(states[0])} has {what}; wanted a deterministic grammar", CURE)


@kernel
def _summed(splits, scores, backoffs, backoff_scores):
    """Returns of a `Language` probabilities, sums, largest, and totals; the last empty where back-off is a circle."""
    states, probabilities = len(splits) - 1, np.empty(len(scores), np.float32)
    sums, largest, totals = np.empty(len(scores)), np.zeros(states), np.empty(states)
    for s in range(states):
        if splits[s] < splits[s + 1]:
            largest[s] = scores[splits[s] : splits[s + 1]].max()
        total = 0.0
        for a in range(splits[s], splits[s + 1]):
            one = np.exp(np.float64(scores[a]) - largest[s])
            total += one
            probabilities[a], sums[a] = one, total
        totals[s] = largest[s] + np.log(total) if total > 0.0 else -np.inf
    done, stack = np.zeros(states, np.bool_), np.empty(states + 1, np.int64)
    for root in range(states):
        node, depth = np.int64(root), 0
        while node >= 0 and not done[node]:
            if depth == states:
                return probabilities, sums, largest, totals[:0]
            stack[depth] = node
            depth += 1
            node = np.int64(backoffs[node])
        while depth > 0:
            depth -= 1
            node = stack[depth]
            done[node] = True
            if backoffs[node] >= 0:
                totals[node] = np.logaddexp(totals[node], backoff_scores[node] + totals[backoffs[node]])
    return probabilities, sums, largest, totals
