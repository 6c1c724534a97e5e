"""Phrases that a search is to prefer, or to avoid, as an automaton over word ids (Aho and Corasick, 1975).

A sequence of words gains the boost of a phrase each time it says it, overlapping phrases each their own. On the way
through a phrase a share of its boost is lent, so that a search does not prune what it is about to reward; whoever
leaves the phrase pays it back. Sums over whole sequences know nothing of the loan.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

__all__ = ["BiasAutomaton", "BiasPhrase"]

MAX_WORDS = 50  # of a phrase with its context


@dataclass(frozen=True, slots=True)
class BiasPhrase:
    """Some words and what saying them is worth.

    Attributes:
      words: ids.
      boost: natural log, of the whole phrase; below 0 it is pushed down, 0 changes nothing.
      context: ids of words that must stand right before it; none: anywhere.
    """

    words: tuple[int, ...]
    boost: float
    context: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        said = self.context + self.words if self.context else self.words
        if not self.words or min(said) < 1:
            raise ValueError(f"phrase {list(said)} with boost {self.boost}: wanted word ids above 0")
        if not math.isfinite(self.boost):
            raise ValueError(f"phrase {list(said)} with boost {self.boost}: wanted a finite number")
        if len(said) > MAX_WORDS:
            raise ValueError(f"a phrase of {len(said)} words, wanted at most {MAX_WORDS}")


class BiasAutomaton:
    """How much of which phrases has just been said.

    State 0 knows of nothing; every other one that a step leads to is a beginning of phrases that may go on, of which
    the words just said are the longest. It serves `hybrid.lattice.algebra.product` as it is.

    Attributes:
      keys: of each state the state before · 2³² + the word between; -1 for state 0.
      fail: the longest shorter beginning that each state also is.
      rest: where a step to a state ends: itself, or where no phrase goes on from it, the longest shorter beginning from
        which one does.
      gain: boosts of all phrases that end in a state. held: what is lent there.
    """

    start = 0

    def __init__(self, phrases: Iterable[BiasPhrase]) -> None:
        """Takes the phrases; of two with the same words both count, one whose boost is 0 does not."""
        self._children: dict[int, int] = {}  # key → state
        self.gain, self.held = [0.0], [0.0]
        levels = self._enter(phrase for phrase in phrases if phrase.boost)
        self.keys = [-1, *self._children]
        self.fail, self.rest = [0] * len(self.keys), [0] * len(self.keys)
        self._link(levels)

    def _enter(self, phrases: Iterable[BiasPhrase]) -> list[list[int]]:
        """Makes a state for each beginning of a phrase; returns the states by how many words they have, from one on."""
        children, gain, held = self._children, self.gain, self.held
        levels: list[list[int]] = []
        for phrase in phrases:
            words, boost, state = phrase.words, phrase.boost, 0
            said, depth, size = phrase.context + words if phrase.context else words, -len(phrase.context), len(words)
            while len(levels) < len(said):
                levels.append([])
            for level, word in zip(levels, said):
                new = len(gain)
                state = children.setdefault(state << 32 | word, new)
                if state == new:
                    gain.append(0.0)
                    held.append(0.0)
                    level.append(new)
                depth += 1
                if 0 < depth < size and boost * depth / size > held[state]:
                    held[state] = boost * depth / size
            gain[state] += boost
        return levels

    def _link(self, levels: Sequence[Sequence[int]]) -> None:
        """Finds the longest shorter beginning that each state also is, whose phrases end with it as well."""
        children, keys, fail, rest = self._children, self.keys, self.fail, self.rest
        gain, held = self.gain, self.held
        for key in keys[1:]:
            rest[key >> 32] = key >> 32
        for state in chain.from_iterable(levels[1:]):
            other, word = fail[keys[state] >> 32], keys[state] & 0xFFFFFFFF
            while other and other << 32 | word not in children:
                other = fail[other]
            other = children.get(other << 32 | word, 0)
            if other:
                fail[state] = other
                gain[state] += gain[other]
                held[state] = max(held[state], held[other])
                rest[state] = rest[state] or rest[other]

    def __len__(self) -> int:
        """How many states there are."""
        return len(self.gain)

    def step(self, state: int, word: int) -> tuple[int, float]:
        """Returns the state after a word and what the word gains: boosts, and the change of what is lent."""
        to = state
        while (child := self._children.get(to << 32 | word)) is None and to:
            to = self.fail[to]
        to = child or 0
        return self.rest[to], self.gain[to] + self.held[to] - self.held[state]

    def steps(self, state: int, word: int) -> Iterable[tuple[int, int, float]]:
        """The one way to read a word: (state, the word, gain)."""
        to, gain = self.step(state, word)
        return ((to, word, gain),)

    def free_steps(self, state: int) -> Iterable[tuple[int, int, float]]:
        """None: every step reads a word."""
        return ()

    def end(self, state: int) -> float:
        """What ending in a state gains: what is lent is paid back."""
        return -self.held[state]

    def score(self, words: Sequence[int]) -> float:
        """The boosts of all phrases that a sequence of words says."""
        state, total = 0, 0.0
        for word in words:
            state, gain = self.step(state, word)
            total += gain
        return total + self.end(state)
