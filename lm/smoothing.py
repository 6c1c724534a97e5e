"""Discounts, and the step from counts of one order to probabilities before interpolation.

Every method here has the same shape (Chen and Goodman, 1998): of the mass of a context h each kept
n-gram gets `share(w | h)`, and what is left, `gamma(h)`, is spread as the order below says:

    p(w | h) = share(w | h) + gamma(h) · p(w | h without its first word)
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["FALLBACK_DISCOUNTS", "kneser_ney_discounts", "shares_of_level"]

FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)


def kneser_ney_discounts(counts: np.ndarray) -> tuple[float, float, float] | None:
    """D1, D2, D3+ of modified Kneser-Ney (Chen and Goodman, 1998, equation 26).

    Args:
      counts: int, adjusted counts of all n-grams of one order, dropped ones too.

    Returns:
      The discounts, or None where there is no n-gram with adjusted count 1, 2 or 3, or a discount
      falls outside 0 … its count.
    """
    n1, n2, n3, n4 = (int(np.count_nonzero(counts == k)) for k in (1, 2, 3, 4))
    if not (n1 and n2 and n3):
        return None
    y = n1 / (n1 + 2 * n2)
    discounts = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    if any(not 0 <= d <= k for k, d in enumerate(discounts, 1)):
        return None
    return discounts


@kernel
def _split(counts, dropped, contexts, discounts, witten_bell, share, total, left):
    """Fills share [n-gram], total and left [context]; see `shares_of_level`."""
    for i in range(len(counts)):
        count = counts[i]
        context = contexts[i]
        total[context] += count
        if witten_bell and count > 0:
            total[context] += 1.0
            left[context] += 1.0
        discount = discounts[min(count, 3)]
        if dropped[i]:
            left[context] += count
        else:
            share[i] = count - discount
            left[context] += discount
    for context in range(len(total)):
        if total[context] == 0.0:
            total[context] = left[context] = 1.0
        left[context] /= total[context]
    for i in range(len(counts)):
        share[i] /= total[contexts[i]]


def shares_of_level(
    counts: np.ndarray,
    dropped: np.ndarray,
    contexts: np.ndarray,
    num_contexts: int,
    discounts: tuple[float, float, float] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Splits the mass of each context between its n-grams and the order below.

    Args:
      counts: int64 [n-gram], adjusted (Kneser-Ney) or raw (Witten-Bell).
      dropped: bool [n-gram]; their mass goes to the order below.
      contexts: int32 [n-gram], in 0 … num_contexts - 1.
      discounts: D1, D2, D3+ of Kneser-Ney, or None for Witten-Bell (Witten and Bell, 1991): gamma is
        the number of different words seen after h over that number plus the count of h.

    Returns:
      share: float64 [n-gram], 0 where dropped; gamma: float64 [context], 1 for contexts without n-grams.
    """
    share, total, left = np.zeros(len(counts)), np.zeros(num_contexts), np.zeros(num_contexts)
    table = np.array([0.0, *(discounts or (0.0, 0.0, 0.0))])
    _split(counts, dropped, contexts, table, discounts is None, share, total, left)
    return share, left
