"""The expected edit distance of a hypothesis to a lattice, and what stands where (Xu et al. 2011, figures 5 and 6)."""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.lattice.kernels import forward_sum

__all__ = ["edit_statistics"]

EXTRA = 1e-5  # what an insertion costs beyond 1, so that ties are broken in favour of substitutions (Kaldi's delta)
MATCH, INSERTED, DELETED = 1, 2, 3


@kernel
def _skipped(word):
    """What it costs that a word of the lattice stands for none of the hypothesis."""
    return EXTRA + (1.0 if word != 0 else 0.0)


@kernel
def _ways(before, word, hypothesis, out, q):
    """Expected distances to the first q words of the hypothesis by each of the three edits."""
    here = hypothesis[q - 1]
    matched = before[q - 1] + (0.0 if word == here else 1.0)
    return matched, before[q] + _skipped(word), out[q - 1] + (0.0 if here == 0 else 1.0)


@kernel
def _distances(before, word, hypothesis, out):
    """Expected distances after an arc to each prefix of the hypothesis, from those before it: least of three edits."""
    out[0] = before[0] + _skipped(word)
    for q in range(1, len(out)):
        matched, inserted, deleted = _ways(before, word, hypothesis, out, q)
        out[q] = min(matched, min(inserted, deleted))


@kernel
def _edits(before, word, hypothesis, out, edits):
    """As `_distances`, and which edit each was."""
    out[0] = before[0] + _skipped(word)
    for q in range(1, len(out)):
        matched, inserted, deleted = _ways(before, word, hypothesis, out, q)
        if matched <= inserted and matched <= deleted:
            edits[q], out[q] = MATCH, matched
        elif inserted < matched and inserted <= deleted:
            edits[q], out[q] = INSERTED, inserted
        else:
            edits[q], out[q] = DELETED, deleted


@kernel
def edit_statistics(splits, nexts, words, scores, times, hypothesis, num_words):
    """Accumulates the statistics of one pass.

    Args:
      splits, nexts: a top-sorted lattice from state 0 with one end, its last state.
      words: int64 [A], 0 for none. scores: float64 [A]. times: int64 [S], frames.
      hypothesis: int64 [Q], words and gaps (0) in turn. num_words: words are below it.

    Returns:
      The expected edit distance, and float64 [Q][num_words]: the posterior of each word at each place, and its begin
      and end times multiplied with it.
    """
    num_states, places = len(splits) - 1, len(hypothesis)
    alpha = forward_sum(splits, nexts, scores)
    distances = np.zeros((num_states, places + 1))
    arc = np.empty(places + 1)
    for q in range(1, places + 1):
        distances[0, q] = distances[0, q - 1] + (0.0 if hypothesis[q - 1] == 0 else 1.0)
    for s in range(num_states):
        for a in range(splits[s], splits[s + 1]):
            n = nexts[a]
            share = np.exp(alpha[s] + scores[a] - alpha[n])
            _distances(distances[s], words[a], hypothesis, arc)
            for q in range(places + 1):
                distances[n, q] += share * arc[q]
    gamma = np.zeros((places, num_words))
    begins, ends = np.zeros((places, num_words)), np.zeros((places, num_words))
    weights = np.zeros((num_states, places + 1))
    weights[num_states - 1, places] = 1.0
    edits = np.zeros(places + 1, np.int8)
    flow = np.empty(places + 1)
    for s in range(num_states - 1, -1, -1):
        for a in range(splits[s + 1] - 1, splits[s] - 1, -1):
            n = nexts[a]
            share = np.exp(alpha[s] + scores[a] - alpha[n])
            if share == 0.0:
                continue
            _edits(distances[s], words[a], hypothesis, arc, edits)
            flow[:] = 0.0
            for q in range(places, 0, -1):
                flow[q] += share * weights[n, q]
                if flow[q] == 0.0:
                    continue
                if edits[q] == MATCH:
                    weights[s, q - 1] += flow[q]
                    gamma[q - 1, words[a]] += flow[q]
                    begins[q - 1, words[a]] += flow[q] * times[s]
                    ends[q - 1, words[a]] += flow[q] * times[n]
                elif edits[q] == INSERTED:
                    weights[s, q] += flow[q]
                else:
                    flow[q - 1] += flow[q]
                    gamma[q - 1, 0] += flow[q]
                    begins[q - 1, 0] += flow[q] * times[n]
                    ends[q - 1, 0] += flow[q] * times[n]
            weights[s, 0] += flow[0] + share * weights[n, 0]
    flow[:] = 0.0
    for q in range(places, 0, -1):
        flow[q] += weights[0, q]
        flow[q - 1] += flow[q]
        gamma[q - 1, 0] += flow[q]
    return distances[num_states - 1, places], gamma, begins, ends
