"""Phrases as one graph of phones: beginnings shared as a tree, ends shared where only one phrase is left.

A word's label stands on the first arc that no other phrase shares, or on its last phone. Between words and after the
last one there may be silence, as in L. Weights stand as far ahead as they can: what leaves a state sums to one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Phrase", "PhraseGraph", "WordPhones"]

WordPhones = Mapping[int, Sequence[tuple[tuple[int, ...], float]]]  # word id → (phone ids, cost) of each


class Phrase(NamedTuple):
    """One way to fill a slot.

    Attributes:
      words: ids, at least one.
      cost: of choosing it; natural log, negated.
    """

    words: tuple[int, ...]
    cost: float


class _Way(NamedTuple):
    """A phrase from the beginning of a word: a pronunciation of that word, the words that follow, what it costs."""

    phones: tuple[int, ...]
    word: int
    rest: tuple[int, ...]
    cost: float


class _Arc(NamedTuple):
    phone: int
    word: int
    cost: float
    target: int


class PhraseGraph:
    """Grows while phrases are added.

    Attributes:
      arcs: of each state; a state's number is larger than those of the states that follow it.
      ends: last phone → the state where a phrase ends with it; 0 → the only one where last phones are not told apart.
    """

    def __init__(self, pronunciations: WordPhones, silence_phone: int, silence_prob: float, tell_ends: bool) -> None:
        self.arcs: list[list[_Arc]] = []
        self.ends: dict[int, int] = {}
        self._potentials: list[float] = []
        self._pronunciations, self._silence = pronunciations, silence_phone
        self._skip = -math.log(1 - silence_prob)
        self._pause = -math.log(silence_prob) if silence_prob else math.inf
        self._known: dict[object, int] = {}
        self._tell_ends = tell_ends

    def add(self, phrases: Sequence[Phrase]) -> list[_Arc]:
        """Adds phrases that none was added before of; returns the arcs of their beginning, with all their weight.

        Args:
          phrases: each once.
        """
        root = self._begin([(phrase.words, phrase.cost) for phrase in phrases])
        return [arc._replace(cost=arc.cost + self._potentials[root]) for arc in self.arcs[root]]

    def _state(self, arcs: list[_Arc]) -> int:
        """Makes a state; its weight before it is what its arcs sum to, and goes to those that enter it."""
        if len(arcs) == 1:  # most states
            (arc,) = arcs
            total = arc.cost + self._potentials[arc.target]
            self.arcs.append(arcs if arc.cost == 0 else [_Arc(arc.phone, arc.word, 0.0, arc.target)])
        else:
            costs = [arc.cost + self._potentials[arc.target] for arc in arcs]
            least = min(costs, default=0.0)
            total = least - math.log(sum(math.exp(least - cost) for cost in costs)) if costs else 0.0
            self.arcs.append([_Arc(arc.phone, arc.word, cost - total, arc.target) for arc, cost in zip(arcs, costs)])
        self._potentials.append(total)
        return len(self.arcs) - 1

    def _begin(self, phrases: Sequence[tuple[tuple[int, ...], float]]) -> int:
        """The state from which one of some sequences of words is said."""
        key = phrases[0][0] if len(phrases) == 1 and not phrases[0][1] else None
        if key is not None and key in self._known:
            return self._known[key]
        ways = sorted(
            _Way(phones, words[0], words[1:], cost + more)
            for words, cost in phrases
            for phones, more in self._pronunciations[words[0]]
        )
        state = self._tree(ways, 0)
        if key is not None:
            self._known[key] = state
        return state

    def _tree(self, ways: Sequence[_Way], depth: int) -> int:
        """The state after `depth` phones that all these ways share."""
        groups: dict[int, list[_Way]] = {}
        for way in ways:
            groups.setdefault(way.phones[depth], []).append(way)
        arcs: list[_Arc] = []
        for phone, group in groups.items():
            ending = [way for way in group if len(way.phones) == depth + 1]
            going = [way for way in group if len(way.phones) > depth + 1]
            if len(group) == 1 and going:
                phones, word, rest, cost = group[0]
                arcs.append(_Arc(phone, word, cost, self._tail(phones[depth + 1 :], rest)))
            elif going:
                arcs.append(_Arc(phone, 0, 0.0, self._tree(going, depth + 1)))
            for word in dict.fromkeys(way.word for way in ending):
                arcs += self._after(phone, word, [(way.rest, way.cost) for way in ending if way.word == word])
        return self._state(arcs)

    def _tail(self, phones: tuple[int, ...], rest: tuple[int, ...]) -> int:
        """The state before the last phones of a word that is known, and the words after it."""
        for begin in range(len(phones) - 1, -1, -1):
            key = (phones[begin:], rest)
            if key not in self._known:
                last = begin + 1 == len(phones)
                arcs = (
                    self._after(phones[begin], 0, [(rest, 0.0)])
                    if last
                    else [_Arc(phones[begin], 0, 0.0, self._known[phones[begin + 1 :], rest])]
                )
                self._known[key] = self._state(arcs)
        return self._known[phones, rest]

    def _after(self, phone: int, word: int, rests: Sequence[tuple[tuple[int, ...], float]]) -> list[_Arc]:
        """The last phone of a word, and what follows it: silence or none, then other words or the end."""
        over = [cost for rest, cost in rests if not rest]
        more = [(rest, cost) for rest, cost in rests if rest]
        arcs: list[_Arc] = []
        for cost in over:
            arcs.append(_Arc(phone, word, cost + self._skip, self._end(phone)))
            if self._pause < math.inf:
                arcs.append(_Arc(phone, word, cost + self._pause, self._quiet(self._end(self._silence))))
        if more:
            cost = more[0][1] if len(more) == 1 else 0.0
            target = self._begin([(rest, 0.0) for rest, _ in more] if len(more) == 1 else more)
            arcs.append(_Arc(phone, word, cost + self._skip, target))
            if self._pause < math.inf:
                arcs.append(_Arc(phone, word, cost + self._pause, self._quiet(target)))
        return arcs

    def _end(self, phone: int) -> int:
        phone = phone if self._tell_ends else 0
        if phone not in self.ends:
            self.ends[phone] = self._state([])
        return self.ends[phone]

    def _quiet(self, target: int) -> int:
        """The state before silence and another state."""
        key = ("silence", target)
        if key not in self._known:
            self._known[key] = self._state([_Arc(self._silence, 0, 0.0, target)])
        return self._known[key]

    def columns(self) -> tuple[np.ndarray, ...]:
        """Returns sources, phones, words, costs and targets of all arcs."""
        rows = [arc for arcs in self.arcs for arc in arcs]
        sources = np.repeat(np.arange(len(self.arcs)), [len(arcs) for arcs in self.arcs])
        phones, words, costs, targets = (np.array(column) for column in zip(*rows)) if rows else (np.zeros(0, int),) * 4
        return sources, phones, words, costs, targets
