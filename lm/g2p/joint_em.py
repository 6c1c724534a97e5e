"""Alignment of letters with phones by EM over joint units (Ristad and Yianilos, 1998; Jiampojamarn et al., 2007).

A word and its pronunciation are cut together into graphones; the probability of a cut is the product
of its graphones' probabilities, which are those that make the dictionary most likely.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.base.errors import InputError
from hybrid.base.log import get_logger
from lm.g2p.config import GraphoneAlignConfig
from lm.g2p.graphone import Graphone

__all__ = ["Alignments", "align_lexicon"]

_log = get_logger(__name__)
_LARGEST_TABLE = 50_000_000
Pair = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Alignments:
    """Attributes:
    graphones: those of each pair that has an alignment, in the order of the pairs.
    failed: index of each pair without, and why.
    log_likelihoods: of the dictionary by pass of EM; they never fall.
    """

    graphones: list[list[Graphone]]
    failed: list[tuple[int, str]]
    log_likelihoods: tuple[float, ...]


class _Strings:
    """All substrings up to a length of some sequences, as ids: table[length - 1][position], -1 past the end."""

    def __init__(self, sequences: Sequence[Sequence[str]], longest: int) -> None:
        self.ids: dict[tuple[str, ...], int] = {}
        self.splits = np.concatenate([[0], np.cumsum([len(s) for s in sequences])]).astype(np.int64)
        self.table = np.full((longest, int(self.splits[-1])), -1, np.int32)
        for sequence, first in zip(sequences, self.splits.tolist()):
            symbols = tuple(sequence)
            for at in range(len(symbols)):
                for length in range(1, min(longest, len(symbols) - at) + 1):
                    part = symbols[at : at + length]
                    self.table[length - 1, first + at] = self.ids.setdefault(part, len(self.ids))


def _unit_sizes(config: GraphoneAlignConfig) -> np.ndarray:
    """(letters, phones) of the graphones: int64 [unit][2]."""
    wide = [(1, phones) for phones in range(config.max_phones + 1)]
    long = [(letters, 1) for letters in range(2, config.max_letters + 1)]
    return np.array(wide + long, np.int64)


@kernel
def _forward(units, letters, l0, n, phones, p0, m, probs, best, alpha):
    """Fills alpha[i][j]: the probability of all (or, if `best`, of the best) cuts of i letters and j phones."""
    alpha[: n + 1, : m + 1] = 0.0
    alpha[0, 0] = 1.0
    for i in range(n + 1):
        for j in range(m + 1):
            if alpha[i, j] == 0.0:
                continue
            for u in range(len(units)):
                a, b = units[u, 0], units[u, 1]
                if i + a > n or j + b > m:
                    continue
                column = 0 if b == 0 else phones[b - 1, p0 + j] + 1
                value = alpha[i, j] * probs[letters[a - 1, l0 + i], column]
                if best:
                    alpha[i + a, j + b] = max(alpha[i + a, j + b], value)
                else:
                    alpha[i + a, j + b] += value
    return alpha[n, m]


@kernel
def _expect(units, letters, letter_splits, phones, phone_splits, probs, counts, totals):
    """One E-step: adds expected counts of all graphones; totals[k] is the probability of pair k, 0 for none."""
    longest_n = longest_m = 0
    for k in range(len(totals)):
        longest_n = max(longest_n, letter_splits[k + 1] - letter_splits[k])
        longest_m = max(longest_m, phone_splits[k + 1] - phone_splits[k])
    alpha = np.zeros((longest_n + 1, longest_m + 1))
    beta = np.zeros((longest_n + 1, longest_m + 1))
    for k in range(len(totals)):
        l0, p0 = letter_splits[k], phone_splits[k]
        n, m = letter_splits[k + 1] - l0, phone_splits[k + 1] - p0
        totals[k] = _forward(units, letters, l0, n, phones, p0, m, probs, False, alpha)
        if totals[k] == 0.0:
            continue
        for i in range(n, -1, -1):
            for j in range(m, -1, -1):
                value = 1.0 if i == n and j == m else 0.0
                for u in range(len(units)):
                    a, b = units[u, 0], units[u, 1]
                    if i + a > n or j + b > m:
                        continue
                    column = 0 if b == 0 else phones[b - 1, p0 + j] + 1
                    row = letters[a - 1, l0 + i]
                    part = probs[row, column] * beta[i + a, j + b]
                    value += part
                    counts[row, column] += alpha[i, j] * part / totals[k]
                beta[i, j] = value


@kernel
def _best_cut(units, letters, l0, n, phones, p0, m, probs, alpha, sizes):
    """Writes the graphone sizes of the likeliest cut, last first; returns how many, 0 if there is no cut."""
    if _forward(units, letters, l0, n, phones, p0, m, probs, True, alpha) == 0.0:
        return 0
    i, j, count = n, m, 0
    while i > 0 or j > 0:
        found = -1.0
        for u in range(len(units)):
            a, b = units[u, 0], units[u, 1]
            if a > i or b > j:
                continue
            column = 0 if b == 0 else phones[b - 1, p0 + j - b] + 1
            value = alpha[i - a, j - b] * probs[letters[a - 1, l0 + i - a], column]
            if value > found:
                found = value
                sizes[count, 0], sizes[count, 1] = a, b
        i -= sizes[count, 0]
        j -= sizes[count, 1]
        count += 1
    return count


def align_lexicon(pairs: Sequence[Pair], config: GraphoneAlignConfig) -> Alignments:
    """Aligns words with pronunciations.

    Args:
      pairs: (word, phones), each with at least one letter and one phone.

    Raises:
      InputError: no pair can be aligned, or there are too many different letters and phones.
    """
    usable = [k for k, (word, phones) in enumerate(pairs) if 0 < len(word) <= config.max_length and phones]
    letters = _Strings([pairs[k][0] for k in usable], config.max_letters)
    phones = _Strings([pairs[k][1] for k in usable], config.max_phones)
    shape = (len(letters.ids), len(phones.ids) + 1)
    if shape[0] * shape[1] > _LARGEST_TABLE:
        raise InputError.at(
            "lexicon",
            f"{shape[0]} letter strings times {shape[1]} phone strings are too many",
            "Use shorter graphones.",
        )
    units = _unit_sizes(config)
    arrays = (letters.table, letters.splits, phones.table, phones.splits)
    probs, likelihoods, reached = _em(units, arrays, _first_guess(letters, phones, config.unequal), config)
    graphones: list[list[Graphone]] = []
    unusable = sorted(set(range(len(pairs))).difference(usable))
    failed = [(k, f"has no letter, no phone, or more than {config.max_length} letters") for k in unusable]
    alpha = np.zeros((config.max_length + 1, 1 + max((len(p) for _, p in pairs), default=0)))
    sizes = np.zeros((config.max_length, 2), np.int64)
    for row, k in enumerate(usable):
        word, spoken = pairs[k]
        l0, p0 = int(letters.splits[row]), int(phones.splits[row])
        count = 0
        if reached[row]:
            count = _best_cut(units, letters.table, l0, len(word), phones.table, p0, len(spoken), probs, alpha, sizes)
        if count:
            graphones.append(_cut(word, spoken, sizes[:count][::-1].tolist()))
        else:
            failed.append((k, f"{len(word)} letters and {len(spoken)} phones cannot be cut into graphones"))
    if not graphones:
        raise InputError.at("lexicon", "no word can be aligned with its pronunciation", "Is it a lexicon?")
    return Alignments(graphones, sorted(failed), likelihoods)


def _first_guess(letters: _Strings, phones: _Strings, unequal: float) -> np.ndarray:
    """float64 [letter string][0: no phone, or phone string + 1], summing to one."""
    rows = np.array([len(part) for part in letters.ids])
    columns = np.array([0, *(len(part) for part in phones.ids)])
    probs = np.where(rows[:, None] == columns, 1.0, unequal)
    return probs / probs.sum()


def _em(
    units: Any, arrays: Any, probs: np.ndarray, config: GraphoneAlignConfig
) -> tuple[np.ndarray, tuple[float, ...], np.ndarray]:
    """Returns the probabilities of graphones, the log-likelihoods, and which pairs can be aligned."""
    totals = np.zeros(len(arrays[1]) - 1)
    likelihoods: list[float] = []
    for _ in range(config.iterations):
        counts = np.zeros_like(probs)
        letters, letter_splits, phones, phone_splits = arrays
        _expect(units, letters, letter_splits, phones, phone_splits, probs, counts, totals)
        likelihoods.append(float(np.log(totals[totals > 0]).sum()))
        total = counts.sum()
        if total == 0:
            break
        probs = counts / total
        if len(likelihoods) > 1:
            rise = likelihoods[-1] - likelihoods[-2]
            if rise < -1e-6 * abs(likelihoods[-1]):
                _log.warning("EM: log-likelihood fell from %.3f to %.3f", likelihoods[-2], likelihoods[-1])
            if rise <= config.tolerance * abs(likelihoods[-1]):
                break
    return probs, tuple(likelihoods), totals > 0


def _cut(word: str, phones: tuple[str, ...], sizes: list[list[int]]) -> list[Graphone]:
    result, i, j = [], 0, 0
    for a, b in sizes:
        result.append(Graphone(tuple(word[i : i + a]), tuple(phones[j : j + b])))
        i, j = i + a, j + b
    return result
