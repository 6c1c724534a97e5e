"""The graph of H, C and L for look-ahead: its arcs, the numbers of its words, and what each state reaches."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.lookahead.reach import count_numbers, number_words, reach_sets

__all__ = ["LexiconGraph", "lexicon_graph"]


WIDE = 6  # arcs from which on those that lead to a word are looked up


class WideStates(NamedTuple):
    """Of states with many arcs, which of them lead to a word.

    Attributes:
      rows: int32 [S], the place of a state here, -1 where it has few arcs.
      splits: int64 [W+1], stretches of numbers of each state.
      begins: int32 [N], first number of each stretch; it ends where the next one begins.
      arc_splits: int64 [N+1]. arcs: int32, of each stretch the arcs after which its numbers can come.
      whole_splits: int64 [W+1]. whole_arcs: int32, of each state the arcs after which everything can come.
    """

    rows: np.ndarray
    splits: np.ndarray
    begins: np.ndarray
    arc_splits: np.ndarray
    arcs: np.ndarray
    whole_splits: np.ndarray
    whole_arcs: np.ndarray


class LexiconGraph(NamedTuple):
    """H∘C∘L, a graph of words that are equally probable, laid out for token passing.

    Attributes:
      start: its start state.
      bounds, arcs, transition_ids, word_ids, final_scores: as `hybrid.search.graph.SearchGraph` has them, tables flat.
      word_score: what each word, and the end of the sentence, has more in a grammar than in this graph: log of their
        number.
      word_numbers: int32 [word_id], see `reach.number_words`. numbered: int32, the word of each number.
      numbers: int32 [A], of the words of arcs.
      sets: int32 [S], what can come next; -1: nothing. set_splits, begins, ends: see `reach.reach_sets`.
      shares: float64 [N], log of the share of all words that is in each set.
      everything: the set of all words and the end.
      scores: float32 [A], of arcs.
      branches: uint8 [S], whether a state that reaches everything has an arc that does not, a word or an end.
      most: arcs of a state. wide: which arcs of states with many arcs lead to a word.
    """

    start: int
    bounds: np.ndarray
    arcs: np.ndarray
    transition_ids: np.ndarray
    word_ids: np.ndarray
    final_scores: np.ndarray
    word_score: float
    word_numbers: np.ndarray
    numbered: np.ndarray
    numbers: np.ndarray
    sets: np.ndarray
    set_splits: np.ndarray
    begins: np.ndarray
    ends: np.ndarray
    shares: np.ndarray
    everything: int
    scores: np.ndarray
    branches: np.ndarray
    most: int
    wide: WideStates


def lexicon_graph(
    start: int, bounds: np.ndarray, arcs: np.ndarray, transition_ids: np.ndarray, word_ids: np.ndarray,
    final_scores: np.ndarray, word_score: float,
) -> LexiconGraph:  # fmt: skip
    """Finds what each state of H∘C∘L reaches; see `LexiconGraph` for the arguments."""
    splits = bounds[:, 0].astype(np.int64)
    next_states = np.ascontiguousarray(arcs[:, 0])
    words = 1 + int(word_ids.max(initial=0))
    word_numbers = number_words(start, splits, next_states, word_ids, words)
    numbers = word_numbers[word_ids]
    numbered = np.argsort(word_numbers, kind="stable")[np.count_nonzero(word_numbers < 0) :].astype(np.int32)
    sets, *reached = reach_sets(splits, next_states, numbers, np.isfinite(final_scores))
    set_splits, begins, ends = reached
    counts = count_numbers(set_splits, begins, ends)
    everything = int(counts.argmax()) if len(counts) else -1
    shares = np.log(counts / max(1, counts.max(initial=1)))
    branches = _branches(splits, next_states, numbers, sets, np.isfinite(final_scores), everything).view(np.uint8)
    wide = _wide_states(splits, next_states, numbers, sets, reached, everything)
    scores = np.ascontiguousarray(arcs.view(np.float32)[:, 2])
    return LexiconGraph(
        start, bounds.reshape(-1), arcs.reshape(-1), transition_ids, word_ids, final_scores, float(word_score),
        word_numbers, numbered, numbers, sets, set_splits, begins, ends, shares, everything, scores, branches,
        int(np.diff(splits).max()), wide,
    )  # fmt: skip


def _wide_states(
    splits: np.ndarray, next_states: np.ndarray, numbers: np.ndarray, sets: np.ndarray, reached: list[np.ndarray],
    everything: int,
) -> WideStates:  # fmt: skip
    """Cuts the numbers that come after each wide state where the arcs that lead to them change."""
    states = np.flatnonzero(np.diff(splits) >= WIDE)
    rows = np.full(len(splits) - 1, -1, np.int32)
    rows[states] = np.arange(len(states))
    set_splits, first, last = reached
    begins, counts, arcs, stretches, whole = [], [], [], [0], [np.zeros(0, np.int64)] * len(states)
    for w, s in enumerate(states.tolist()):
        own = np.arange(splits[s], splits[s + 1])
        after = sets[next_states[own]]
        said = numbers[own] > 0
        whole[w] = own[~said & (after == everything)]
        inner = own[~said & (after >= 0) & (after != everything)]
        k = sets[next_states[inner]]
        sizes = set_splits[k + 1] - set_splits[k]
        at = np.repeat(set_splits[k] - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes) + np.arange(sizes.sum())
        low = np.concatenate([first[at], numbers[own[said]]])
        high = np.concatenate([last[at], numbers[own[said]] + 1])
        of = np.concatenate([np.repeat(inner, sizes), own[said]])
        cuts = np.unique(np.concatenate([low, high]))
        at, to = np.searchsorted(cuts, low), np.searchsorted(cuts, high)
        place = np.repeat(at - np.concatenate([[0], np.cumsum(to - at)[:-1]]), to - at) + np.arange((to - at).sum())
        of = np.repeat(of, to - at)
        order = np.lexsort((of, place))
        begins.append(cuts)
        counts.append(np.bincount(place, minlength=len(cuts)))
        arcs.append(of[order])
        stretches.append(len(cuts))

    def joined(parts: list[np.ndarray]) -> np.ndarray:
        """Arrays one after the other."""
        return np.concatenate([np.zeros(0, np.int64), *parts]).astype(np.int32)

    arc_splits = np.concatenate([[0], np.cumsum(joined(counts))])
    whole_splits = np.cumsum([0, *(len(part) for part in whole)])
    return WideStates(rows, np.cumsum(stretches), joined(begins), arc_splits, joined(arcs), whole_splits, joined(whole))


@kernel
def _branches(splits, next_states, numbers, sets, final, everything):
    """See `LexiconGraph.branches`."""
    found = final.copy()
    for s in range(len(final)):
        for a in range(splits[s], splits[s + 1]):
            if numbers[a] != 0 or sets[next_states[a]] != everything:
                found[s] = True
    return found
