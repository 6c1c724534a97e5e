"""Likelihoods of stretches of frames under single HMMs, compiled by numba."""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.base.log_math import log_add

__all__ = ["hmm_log_likelihood", "segment_posteriors"]


@kernel
def hmm_log_likelihood(scores, scale, start, end, states, first_ids, targets, pdf_ids, transition_scores):
    """Sums over all paths of one HMM through frames start … end - 1, from its first state out of its last.

    A frame that enters a state is scored with the pdf of the arcs that leave it, the frames after it with that of its
    self-loop (graphs put self-loops after the arc that they belong to).

    Args:
      scores: float32 [frame][pdf_id]. scale: what they are multiplied by.
      states: int32 [HMM state], transition_state of each, 0 for none.
      first_ids: int64, first transition_id of each transition_state, and one more at the end.
      targets, pdf_ids, transition_scores: by transition_id.
    """
    count = 0
    while count < len(states) and states[count] > 0:
        count += 1
    alpha, following = np.full(count, -np.inf), np.empty(count)
    forward_pdf, loop_pdf = np.full(count, -1, np.int64), np.full(count, -1, np.int64)
    for i in range(count):
        for arc in range(first_ids[states[i]], first_ids[states[i] + 1]):
            if targets[arc] == i:
                loop_pdf[i] = pdf_ids[arc]
            else:
                forward_pdf[i] = pdf_ids[arc]
    alpha[0] = scale * scores[start, forward_pdf[0]]
    for frame in range(start + 1, end):
        following[:] = -np.inf
        for i in range(count):
            if alpha[i] == -np.inf:
                continue
            for arc in range(first_ids[states[i]], first_ids[states[i] + 1]):
                target = targets[arc]
                if target == count:
                    continue
                pdf = loop_pdf[i] if target == i else forward_pdf[target]
                total = alpha[i] + transition_scores[arc] + scale * scores[frame, pdf]
                following[target] = log_add(following[target], total)
        alpha, following = following, alpha
    out = -np.inf
    for i in range(count):
        for arc in range(first_ids[states[i]], first_ids[states[i] + 1]):
            if targets[arc] == count:
                out = log_add(out, alpha[i] + transition_scores[arc])
    return out


@kernel
def segment_posteriors(
    scores, scale, starts, ends, splits, states, first_ids, targets, pdf_ids, transition_scores
):  # fmt: skip
    """Returns float64 [segment]: the share of the first row's likelihood in that of all rows of the segment."""
    out = np.zeros(len(starts))
    for i in range(len(starts)):
        own, total = -np.inf, -np.inf
        for row in range(splits[i], splits[i + 1]):
            value = hmm_log_likelihood(
                scores, scale, starts[i], ends[i], states[row], first_ids, targets, pdf_ids, transition_scores
            )
            if row == splits[i]:
                own = value
            total = log_add(total, value)
        if own > -np.inf:
            out[i] = np.exp(own - total)
    return out
