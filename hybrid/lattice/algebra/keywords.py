"""Search for a phrase in a lattice: when it may have been said and how surely; and lattices in which phrases cost less.

A recogniser that hardly expects a name hardly finds it. `boosted` gives phrases a bonus on every path that says them,
and what `find_keyword` then finds there, with times and posteriors, is the search that is wanted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hybrid.base.log_math import log_add
from hybrid.lattice import kernels
from hybrid.lattice.algebra.product import product
from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.trim import state_times
from lm.biasing.bias_automaton import BiasAutomaton, BiasPhrase

__all__ = ["KeywordHit", "boosted", "find_keyword", "merged_hits"]

Phrase = tuple[int, ...]


class KeywordHit(NamedTuple):
    """A place of a phrase: frames of the acoustic model, and the expected number of times it was said just there."""

    begin_frame: int
    end_frame: int
    posterior: float


def boosted(compact: CompactLattice, bonuses: Mapping[Phrase, float]) -> CompactLattice:
    """Returns the lattice in which every path gets the bonus of a phrase each time it says it, in the graph scores.

    Args:
      compact: trimmed, see `hybrid.lattice.trim`.
      bonuses: word ids of a phrase → natural log; negative ones make it dearer.

    Raises:
      ValueError: an empty phrase, or a bonus that is no finite number.
    """
    return product(compact, BiasAutomaton(BiasPhrase(phrase, bonus) for phrase, bonus in bonuses.items()))


def find_keyword(
    compact: CompactLattice, phrase: Sequence[int], acoustic_scale: float, lm_scale: float = 1.0
) -> list[KeywordHit]:
    """Finds every place of a phrase, exactly: the share of the weight of all paths that say it there.

    Args:
      compact: trimmed, with each word on its frames (`hybrid.timing.lattice_alignment`); pauses between words of the
        phrase are passed over.
      phrase: word ids.

    Returns:
      In order of time; see `merged_hits` for places that overlap.

    Raises:
      ValueError: an empty phrase.
    """
    if not len(phrase) or min(phrase) < 1:
        raise ValueError(f"phrase {list(phrase)}: wanted word ids above 0")
    if compact.is_empty:
        return []
    scores, finals = compact.arc_scores(acoustic_scale, lm_scale), compact.final_scores(acoustic_scale, lm_scale)
    alpha = kernels.forward_sum(compact.row_splits, compact.next_states, scores)
    beta = kernels.backward_sum(compact.row_splits, compact.next_states, scores, finals)
    times = state_times(compact)
    found: dict[tuple[int, int], float] = {}
    for state in np.unique(compact.sources[compact.word_ids == phrase[0]]).tolist():
        for end, weight in _ways(compact, state, phrase, scores).items():
            key = int(times[state]), int(times[end])
            found[key] = found.get(key, 0.0) + float(np.exp(alpha[state] + weight + beta[end] - beta[0]))
    return [KeywordHit(*key, posterior) for key, posterior in sorted(found.items()) if posterior > 0]


def _ways(compact: CompactLattice, start: int, phrase: Sequence[int], scores: np.ndarray) -> dict[int, float]:
    """The log weight of the ways to say a phrase from a state on, by the state where its last word ends."""
    rows = compact.row_splits
    here = {start: 0.0}
    for position, word in enumerate(phrase):
        ends: dict[int, float] = {}
        waiting = dict(here)
        while waiting:
            state = min(waiting)
            weight = waiting.pop(state)
            for arc in range(rows[state], rows[state + 1]):
                to, value = int(compact.next_states[arc]), weight + scores[arc]
                if compact.word_ids[arc] == word:
                    ends[to] = log_add(ends.get(to, -np.inf), value)
                elif compact.word_ids[arc] == 0 and position:
                    waiting[to] = log_add(waiting.get(to, -np.inf), value)
        here = ends
    return here


def merged_hits(hits: Sequence[KeywordHit]) -> list[KeywordHit]:
    """Joins places that overlap the most probable of them: its times, the sum of their posteriors, at most 1.

    Returns:
      The most probable first.
    """
    rest, out = sorted(hits, key=lambda hit: -hit.posterior), []
    while rest:
        best = rest[0]
        near = [h for h in rest if h == best or (h.begin_frame < best.end_frame and best.begin_frame < h.end_frame)]
        rest = [hit for hit in rest if hit not in near]
        out.append(best._replace(posterior=min(1.0, sum(hit.posterior for hit in near))))
    return sorted(out, key=lambda hit: -hit.posterior)
