"""What may stand among acoustic scores: one rule for search and alignment."""

from __future__ import annotations

import numpy as np

__all__ = ["first_bad_score"]


def first_bad_score(scores: np.ndarray) -> tuple[int, int] | None:
    """Finds the first score that is none: NaN or +inf. -inf is a score like others, that of an impossible pdf.

    Args:
      scores: float [frame][column].

    Returns:
      Its frame and column; None where all are scores.
    """
    bad = ~(scores.max(axis=1, initial=-np.inf) < np.inf)
    if not bad.any():
        return None
    frame = int(bad.argmax())
    return frame, int((~(scores[frame] < np.inf)).argmax())
