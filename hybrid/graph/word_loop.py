"""The grammar of a graph for look-ahead: any words in any number, all equally probable."""

from __future__ import annotations

import math

import numpy as np

from hybrid.formats.openfst import FstArrays

__all__ = ["word_loop"]


def word_loop(lexicon: FstArrays, backoff_label: int) -> FstArrays:
    """Returns the acceptor of all sequences of the words of L; the end costs what each word costs.

    Args:
      lexicon: L_disambig. backoff_label: its output label that is no word.
    """
    words = np.setdiff1d(lexicon.olabels, [0, backoff_label])
    cost = math.log(len(words) + 1)
    none = np.zeros(len(words), np.int64)
    return FstArrays.from_arcs(0, none, words, words, none, np.full(len(words), cost), np.array([cost]))
