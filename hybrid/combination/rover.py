"""ROVER: systems vote on each word (Fiscus, "A post-processing system to yield reduced word error rates", 1997)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hybrid.base.ranges import SHARE, check_fields
from hybrid.combination.slots import align_slots

__all__ = ["RoverConfig", "rover"]


@dataclass(frozen=True)
class RoverConfig:
    """How votes count.

    Attributes:
      votes: share of the votes in a word's score; the rest is the mean confidence of those that say it.
      nothing: confidence of "no word here", which no system states.
    """

    votes: float = 0.7
    nothing: float = 0.5

    def __post_init__(self) -> None:
        check_fields(self, votes=SHARE, nothing=SHARE)


def rover(
    hypotheses: Sequence[Sequence[str]], weights: Sequence[float] | None = None,
    confidences: Sequence[Sequence[float]] | None = None, config: RoverConfig | None = None,
) -> list[tuple[str, float]]:  # fmt: skip
    """Joins hypotheses of one utterance by a vote on every word.

    The hypotheses are aligned one after another, in their order, with the slots of those before; a slot's word of the
    highest score `votes · weight of those that say it + (1 − votes) · their mean confidence` wins, of equals the one
    named first.

    Args:
      hypotheses: words of each system.
      weights: of the systems' votes, only their shares count; equal if not given.
      confidences: of each system's words, 0 to 1; without them votes alone decide.

    Returns:
      (word, score) of each slot that a word wins.

    Raises:
      ValueError: numbers of weights or confidences that do not fit.
    """
    config, count = config or RoverConfig(), len(hypotheses)
    weights = [1.0] * count if weights is None else list(weights)
    if len(weights) != count or not all(0 < w < float("inf") for w in weights):
        raise ValueError(f"weights {weights} for {count} systems: wanted one above 0 for each")
    sure = [[1.0] * len(h) for h in hypotheses] if confidences is None else confidences
    if [len(h) for h in hypotheses] != [len(c) for c in sure]:
        raise ValueError("wanted a confidence for each word")
    share = 1.0 if confidences is None else config.votes
    found = []
    for slot in _slots(hypotheses):
        said = [("" if at < 0 else hypotheses[n][at], config.nothing if at < 0 else sure[n][at]) for n, at in slot]
        scores: dict[str, float] = {}
        for word in dict.fromkeys(word for word, _ in said):
            votes = sum(weights[n] for (n, _), (other, _) in zip(slot, said) if other == word) / sum(weights)
            mine = [confidence for other, confidence in said if other == word]
            scores[word] = share * votes + (1.0 - share) * sum(mine) / len(mine)
        best = max(scores, key=lambda word: scores[word])
        if best:
            found.append((best, scores[best]))
    return found


def _slots(hypotheses: Sequence[Sequence[str]]) -> list[list[tuple[int, int]]]:
    """Returns slots of (system, place in its words, -1 where it says nothing)."""
    slots: list[list[tuple[int, int]]] = []
    for number, words in enumerate(hypotheses):
        shares = [_shares(slot, hypotheses) for slot in slots]
        pairs = align_slots(shares, [{word: 1.0} for word in words])
        silent = [(before, -1) for before in range(number)]
        slots = [[*(silent if i < 0 else slots[i]), (number, j)] for i, j in pairs]
    return slots


def _shares(slot: Sequence[tuple[int, int]], hypotheses: Sequence[Sequence[str]]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for number, at in slot:
        word = "" if at < 0 else hypotheses[number][at]
        shares[word] = shares.get(word, 0.0) + 1.0 / len(slot)
    return shares
