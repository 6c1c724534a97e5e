"""Full-sum training: all alignments of a transcript with an HMM whose states a network gives posteriors of.

No alignment, no denominator (Raissi et al., 2023): the likelihood of an utterance is the sum over its alignments of
Π posterior(pdf | frame) / prior(pdf)^scale · transitions. The acceptor here holds the transitions; posteriors and
priors are the scores that it is given, so that `total_log_score` of it is that sum.
"""

from __future__ import annotations

import math

import numpy as np

from hybrid.chain.acceptor import PdfAcceptor
from hybrid.chain.numerator import Numerator

__all__ = ["full_sum_acceptor"]


def full_sum_acceptor(
    numerator: Numerator, num_frames: int, loop_probability: float = 0.5, transition_scale: float = 1.0
) -> PdfAcceptor:
    """Returns all alignments of an utterance, whatever times its phones have: each way and duration is a path.

    Args:
      num_frames: of the network's output.
      loop_probability: that a phone lasts a frame more.
      transition_scale: of the log-probabilities of transitions; 0 leaves durations to the network.

    Raises:
      ValueError: a probability not between 0 and 1.
    """
    if not 0 < loop_probability < 1:
        raise ValueError(f"loop_probability is {loop_probability}, wanted a number between 0 and 1")
    arcs = numerator.arcs
    begins, ends = arcs[:, 5], arcs[:, 6]
    splits = np.searchsorted(begins, np.arange(int(arcs[:, 5:].max()) + 2))
    states = np.arange(1, len(arcs) + 1)  # state a + 1: in the phone of arc a; 0: before the first
    degrees = (splits[1:] - splits[:-1])[ends]
    before = np.repeat(states, degrees)
    after = np.arange(degrees.sum()) - np.repeat(np.cumsum(degrees) - degrees, degrees) + splits[ends][before - 1]
    first = np.arange(splits[0], splits[1])
    leave, stay = (transition_scale * math.log(p) for p in (1.0 - loop_probability, loop_probability))
    parts = [
        (0 * first, first + 1, arcs[first, 3], 0.0),
        (states, states, arcs[:, 4], stay),
        (before, after + 1, arcs[after, 3], leave),
    ]
    from_state, to_state, pdf = (np.concatenate([part[k] for part in parts]).astype(np.int32) for k in range(3))
    weights = np.concatenate([np.full(len(part[0]), part[3], np.float32) for part in parts])
    initial, final = np.full((2, len(arcs) + 1), -np.inf, np.float32)
    initial[0] = 0.0
    final[1:][np.isin(ends, numerator.finals)] = leave
    order = np.argsort(from_state, kind="stable")
    return PdfAcceptor(from_state[order], to_state[order], pdf[order], weights[order], initial, final, num_frames)
