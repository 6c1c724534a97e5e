"""By what means a graph is compiled: how much memory it may want, and whether it waits for kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from hybrid.base.compiled import interpreted
from hybrid.base.log import get_logger
from hybrid.formats.openfst import FstArrays
from hybrid.fst.det_star import is_compiled
from hybrid.graph.report import within_memory

__all__ = ["phones_spelt", "within_means"]

T = TypeVar("T")
# Of G spelt out, at the peak of compilation. Trigrams took: of 33 thousand words 79 with monophones (0.90 GB), 161 with
# triphones (1.84 GB); of 126 thousand 86 with monophones (2.93 GB).
BYTES_PER_PHONE = 400
LITTLE = 20_000  # phones, about ten seconds by plain Python
REHEARSE = "`hybrid doctor --compile`"

LOGGER = get_logger(__name__)


def within_means(function: Callable[..., T], gigabytes: float, lexicon: FstArrays, grammar: FstArrays, *rest: Any) -> T:
    """Returns `function(lexicon, grammar, *rest)`, which compiles a graph, within a limit on memory.

    Where it has little to do and kernels are not compiled yet, it is done by plain Python, which is sooner and told.

    Args:
      gigabytes: what it may take, in 1e9 bytes; 0 means nine tenths of what is free now.

    Raises:
      HybridError: it ran out of memory.
    """
    phones = phones_spelt(lexicon, grammar)
    by_python = phones <= LITTLE and not is_compiled(lexicon)
    if by_python:
        LOGGER.info(
            "plain Python, for it is little and kernels are not compiled yet (once, a few minutes: %s)", REHEARSE
        )
    with interpreted(by_python):
        predicted = BYTES_PER_PHONE * (1 + phones)
        return within_memory(function, lexicon, grammar, *rest, gigabytes=gigabytes, predicted=predicted)


def phones_spelt(lexicon: FstArrays, grammar: FstArrays) -> float:
    """Returns the phones of all arcs of G, each word spelt out in all its pronunciations."""
    pronunciations = np.bincount(lexicon.olabels, minlength=1 + int(grammar.ilabels.max(initial=0)))
    pronunciations[0] = 1
    phones = lexicon.num_arcs / max(1, np.count_nonzero(lexicon.olabels))
    return phones * float(pronunciations[grammar.ilabels].sum())
