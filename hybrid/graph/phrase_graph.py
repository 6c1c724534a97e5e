"""Phrases as one graph of phones: beginnings shared as a tree, ends shared where only one phrase is left.

A word's label stands on the first arc that no other phrase shares, or on its last phone. Between words and after the
last one there may be silence, as in L. Weights stand as far ahead as they can: what leaves a state sums to one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from hybrid.fst.spelling_kernels import Ends, Spellings

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


@dataclass(frozen=True, eq=False)
class PhraseGraph:
    """The graph of some phrases.

    Attributes:
      begins: phones, words, costs and targets of the arcs of the beginning, with all their weight.
      arcs: sources, phones, words, costs and targets of all others.
      num_states: the beginning is state 0.
      ends: last phone → the state where a phrase ends with it; 0 → the only one where last phones are not told apart.
    """

    begins: tuple[np.ndarray, ...]
    arcs: tuple[np.ndarray, ...]
    num_states: int
    ends: Mapping[int, int]

    @classmethod
    def of(
        cls, phrases: Sequence[Phrase], pronunciations: WordPhones, silence: tuple[int, float], tell_ends: bool
    ) -> PhraseGraph:
        """Makes the graph of phrases, each there once; their order is that in which equal ways are added.

        Args:
          pronunciations: of all their words, and maybe more.
          silence: its phone, and how likely it is behind a word.
          tell_ends: by their last phone.
        """
        from hybrid.fst import spelling_kernels as kernels

        phone, probability = silence
        pause = -math.log(probability) if probability else math.inf
        known = np.unique(np.fromiter(chain.from_iterable(phrase.words for phrase in phrases), np.int64))
        wholes, words = _numbered([phrase.words for phrase in phrases])
        words = words._replace(heads=np.searchsorted(known, words.heads))
        spellings, symbols = _spellings(known, pronunciations)
        costs = np.array([phrase.cost for phrase in phrases])
        gap = kernels.Spacer(phone, -math.log(1 - probability), pause)
        arcs, costs, states, finals = kernels.spelled(wholes, costs, words, spellings, symbols, gap, tell_ends)
        order = np.argsort(arcs[:, 0], kind="stable")
        (source, phones, outputs, target), costs = arcs[order].T, costs[order]
        splits = np.searchsorted(source, np.arange(states + 1))
        totals = kernels.pushed_ahead(splits, target, costs)
        first = int(splits[1])
        begins = phones[:first], outputs[:first], costs[:first] + totals[0], target[:first]
        rest = source[first:], phones[first:], outputs[first:], costs[first:], target[first:]
        last = np.flatnonzero(finals >= 0)
        return cls(begins, rest, states, dict(zip(last.tolist(), finals[last].tolist())))


def _numbered(sequences: Sequence[tuple[int, ...]]) -> tuple[np.ndarray, Ends]:
    """Returns the number of each sequence, and those of the ends of all."""
    from hybrid.fst.spelling_kernels import Ends, number_ends

    splits = np.cumsum([0, *map(len, sequences)])
    wholes, heads, tails = number_ends(splits, np.fromiter(chain.from_iterable(sequences), np.int64, int(splits[-1])))
    return wholes, Ends(heads, tails)


def _spellings(words: np.ndarray, pronunciations: WordPhones) -> tuple[Spellings, Ends]:
    """Returns how some words are pronounced, sorted once for all states, and the ends of all pronunciations."""
    from hybrid.fst.spelling_kernels import Spellings

    rows = sorted((phones, word, cost) for word in words.tolist() for phones, cost in pronunciations[word])
    phones, of_word, costs = zip(*rows)
    wholes, symbols = _numbered(phones)
    outputs = np.array(of_word, np.int64)
    order = np.argsort(outputs, kind="stable")
    splits = np.searchsorted(outputs[order], np.append(words, words[-1] + 1))
    return Spellings(splits, order, wholes, outputs, np.array(costs, np.float64)), symbols
