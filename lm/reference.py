"""The estimator of `lm.estimate` as the textbook has it: dictionaries, one n-gram after the other.

For readers, and for the tests that hold the fast estimator to it. Chen and Goodman (1998), section 3;
what is dropped, and when, follows KenLM (Heafield et al., 2013).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

from lm.config import EstimateConfig

__all__ = ["reference_estimate"]

Ngram = tuple[str, ...]


def reference_estimate(
    sentences: Sequence[Sequence[str]], config: EstimateConfig, vocabulary: Collection[str] | None = None
) -> tuple[dict[Ngram, float], dict[Ngram, float]]:
    """Estimates a model of a small text.

    Returns:
      p of each n-gram that the model lists, and the back-off weight of each context that has n-grams.
    """
    counts = _count(sentences, config.order)
    probs: dict[Ngram, float] = {}
    backoffs: dict[Ngram, float] = {}
    lower: dict[Ngram, float] = {}
    for n in range(1, config.order + 1):
        used = counts[n] if config.smoothing == "witten-bell" else _adjusted(counts, n, config.order)
        dropped = {g for g, c in counts[n].items() if _drops(g, c, config.threshold(n), vocabulary)}
        share, gamma = _shares(used, dropped, config)
        if n == 1:
            words = {g for g in used if g not in dropped} | {("<unk>",)}
            if config.add_unseen:
                words |= {(w,) for w in vocabulary or () if (w,) not in used}
            lower = {g: share.get(g, 0.0) + gamma[()] / len(words) for g in words}
            probs[("<s>",)] = 1.0
        else:
            lower = {g: share[g] + gamma[g[:-1]] * lower[g[1:]] for g in used if g not in dropped}
            backoffs |= {h: weight for h, weight in gamma.items() if h in probs}
        probs |= lower
    return probs, backoffs


def _count(sentences: Sequence[Sequence[str]], order: int) -> dict[int, Counter[Ngram]]:
    """Occurrences of the n-grams of each order; a sentence start is no unigram."""
    counts: dict[int, Counter[Ngram]] = {n: Counter() for n in range(1, order + 1)}
    for sentence in sentences:
        padded = ("<s>", *sentence, "</s>")
        for n, counter in counts.items():
            counter.update(padded[i : i + n] for i in range(n == 1, len(padded) - n + 1))
    return counts


def _adjusted(counts: dict[int, Counter[Ngram]], n: int, order: int) -> dict[Ngram, int]:
    """How many different words stand before an n-gram; its count where nothing can stand before it."""
    if n == order:
        return dict(counts[n])
    before = Counter(g[1:] for g in counts[n + 1])
    return {g: c if g[0] == "<s>" else before[g] for g, c in counts[n].items()}


def _drops(ngram: Ngram, count: int, threshold: int, vocabulary: Collection[str] | None) -> bool:
    if ngram == ("</s>",):
        return False
    outside = vocabulary is not None and any(w not in vocabulary for w in ngram if w not in ("<s>", "</s>"))
    return outside or count <= threshold


def _shares(
    used: dict[Ngram, int], dropped: set[Ngram], config: EstimateConfig
) -> tuple[dict[Ngram, float], dict[Ngram, float]]:
    """The share of each kept n-gram in its context, and what is left of each context."""
    totals: dict[Ngram, float] = defaultdict(float)
    left: dict[Ngram, float] = defaultdict(float)
    kept: dict[Ngram, float] = {}
    discounts = _discounts(list(used.values()))
    for ngram, count in used.items():
        context = ngram[:-1]
        totals[context] += count
        if config.smoothing == "witten-bell":
            totals[context] += 1
            left[context] += 1
            discount = 0.0
        else:
            discount = discounts[min(count, 3) - 1]
            left[context] += 0.0 if ngram in dropped else discount
        if ngram in dropped:
            left[context] += count
        else:
            kept[ngram] = count - discount
    share = {g: value / totals[g[:-1]] for g, value in kept.items()}
    return share, {h: value / totals[h] for h, value in left.items()}


def _discounts(counts: Sequence[int]) -> tuple[float, float, float]:
    n1, n2, n3, n4 = (counts.count(k) for k in (1, 2, 3, 4))
    if n1 and n2 and n3:
        y = n1 / (n1 + 2 * n2)
        found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        if all(0 <= d <= k for k, d in enumerate(found, 1)):
            return found
    return 0.5, 1.0, 1.5
