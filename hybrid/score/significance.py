"""How far an error rate can be trusted, and whether one system is better than another.

Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP 2004;
Gillick and Cox, "Some statistical issues in the comparison of speech recognition algorithms", ICASSP 1989
(matched-pairs sentence-segment word error test, MAPSSWE).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hybrid.base.ranges import NATURAL, SHARE, Range, check_fields
from hybrid.score.edits import UtteranceErrors, align

__all__ = [
    "BootstrapConfig",
    "Interval",
    "MatchedPairs",
    "PairedBootstrap",
    "confidence_interval",
    "mapsswe",
    "paired_bootstrap",
    "segment_differences",
]

_BLOCK = 500  # replications drawn at once


@dataclass(frozen=True)
class BootstrapConfig:
    """How to resample.

    Attributes:
      replications: resampled test sets.
      level: share of them inside the interval.
      seed: of the random draws; the same seed gives the same interval.
    """

    replications: int = 10000
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self, replications=Range(100, 10_000_000), level=SHARE, seed=NATURAL)
        if not 0 < self.level < 1:
            raise ValueError(f"level is {self.level}, wanted between 0 and 1")


@dataclass(frozen=True)
class Interval:
    """An interval in percent."""

    low: float
    high: float


@dataclass(frozen=True)
class PairedBootstrap:
    """Difference of two error rates (first minus second, in percent points) and how sure its sign is.

    Attributes:
      difference: measured on the set itself.
      low, high: confidence interval of the difference.
      p_better: share of resampled sets on which the first system has fewer errors (ties count half).
    """

    difference: float
    low: float
    high: float
    p_better: float


def _draws(size: int, config: BootstrapConfig) -> Iterator[np.ndarray]:
    """Yields int64 [replication][utterance]: how often each utterance is in each resampled set."""
    generator = np.random.default_rng(config.seed)
    for start in range(0, config.replications, _BLOCK):
        count = min(_BLOCK, config.replications - start)
        chosen = generator.integers(0, size, size=(count, size))
        chosen += np.arange(count)[:, None] * size
        yield np.bincount(chosen.ravel(), minlength=count * size).reshape(count, size)


def _percentiles(values: np.ndarray, level: float) -> tuple[float, float]:
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(values, [tail, 100.0 - tail])
    return float(low), float(high)


def _rates(counts: np.ndarray, errors: np.ndarray, words: np.ndarray) -> np.ndarray:
    return 100.0 * (counts @ errors) / np.maximum(counts @ words, 1)


def confidence_interval(errors: UtteranceErrors, config: BootstrapConfig) -> Interval:
    """Percentile interval of the error rate when utterances are drawn again with replacement.

    Utterances, not words, are drawn: errors within one utterance hang together.
    """
    if not errors.ids:
        return Interval(0.0, 0.0)
    rates = [_rates(c, errors.errors, errors.words) for c in _draws(len(errors.ids), config)]
    return Interval(*_percentiles(np.concatenate(rates), config.level))


def paired_bootstrap(first: UtteranceErrors, second: UtteranceErrors, config: BootstrapConfig) -> PairedBootstrap:
    """Resamples the same utterances for both systems and looks at the difference of their rates.

    Raises:
      ValueError: the two do not hold the same utterances with the same references.
    """
    if first.ids != second.ids or not np.array_equal(first.words, second.words):
        raise ValueError("the two systems were not scored on the same utterances")
    if not first.ids:
        return PairedBootstrap(0.0, 0.0, 0.0, 0.5)
    lead = first.errors - second.errors
    values = np.concatenate([_rates(c, lead, first.words) for c in _draws(len(first.ids), config)])
    share = float(np.mean(values < 0) + 0.5 * np.mean(values == 0))
    measured = 100.0 * float(lead.sum()) / max(int(first.words.sum()), 1)
    return PairedBootstrap(measured, *_percentiles(values, config.level), share)


def _slots(reference: Sequence[str], hypothesis: Sequence[str]) -> np.ndarray:
    """Errors by place, int64 [2 n + 1]: gap, word, gap, …, word, gap of the n reference words."""
    slots = np.zeros(2 * len(reference) + 1, dtype=np.int64)
    place = 0
    for said, heard in align(reference, hypothesis):
        if said:
            slots[2 * place + 1] += said != heard
            place += 1
        else:
            slots[2 * place] += 1
    return slots


def segment_differences(
    reference: Sequence[str], first: Sequence[str], second: Sequence[str], good_words: int = 2
) -> list[int]:
    """Cuts an utterance where both systems are right for `good_words` words on end.

    Returns:
      For each segment with an error of either system: errors of the first minus errors of the second.
    """
    one, two = _slots(reference, first), _slots(reference, second)
    wrong = (one + two) > 0
    differences: list[int] = []
    start: int | None = None
    run = 0  # correct words since the last error
    for place, is_wrong in enumerate(wrong):
        if is_wrong:
            if start is not None and run >= good_words:
                differences.append(int((one - two)[start:place].sum()))
                start = None
            start = place if start is None else start
            run = 0
        elif place % 2:
            run += 1
    if start is not None:
        differences.append(int((one - two)[start:].sum()))
    return differences


@dataclass(frozen=True)
class MatchedPairs:
    """Result of MAPSSWE.

    Attributes:
      segments: segments with an error of either system.
      mean: errors of the first minus errors of the second, per segment.
      statistic: standard normal if the systems are equal; negative if the first is better.
      p_value: two-tailed.
    """

    segments: int
    mean: float
    statistic: float
    p_value: float


def mapsswe(triples: Mapping[str, tuple[Sequence[str], Sequence[str], Sequence[str]]]) -> MatchedPairs:
    """Matched-pairs test over segments that are independent because both systems are right between them.

    Args:
      triples: utterance id → (reference, first hypothesis, second hypothesis).
    """
    lead = np.array([d for r, a, b in triples.values() for d in segment_differences(r, a, b)], dtype=np.float64)
    if len(lead) < 2 or not lead.any():
        return MatchedPairs(len(lead), float(lead.mean()) if len(lead) else 0.0, 0.0, 1.0)
    spread = float(lead.std(ddof=1)) / math.sqrt(len(lead))
    statistic = float(lead.mean()) / spread if spread > 0 else math.copysign(math.inf, float(lead.mean()))
    return MatchedPairs(len(lead), float(lead.mean()), statistic, math.erfc(abs(statistic) / math.sqrt(2.0)))
