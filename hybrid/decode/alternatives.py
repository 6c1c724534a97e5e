"""Other answers than the best: word sequences by their probability, and the words that compete at each place."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hybrid.lattice.kernels import backward_sum
from hybrid.lattice.lattice import Lattice
from hybrid.lattice.mbr import ConfusionNetwork
from hybrid.lattice.paths import nbest

__all__ = ["Alternative", "Choices", "alternatives", "choices", "join_alternatives"]


@dataclass(frozen=True)
class Alternative:
    """One of the best word sequences.

    Attributes:
      words: without pauses.
      graph_score, acoustic_score: of its best path, natural logs, the acoustic one unscaled.
      posterior: its share of the probability of all paths in the lattice.
    """

    words: tuple[str, ...]
    graph_score: float
    acoustic_score: float
    posterior: float

    @property
    def text(self) -> str:
        """The words with single spaces between them."""
        return " ".join(self.words)


@dataclass(frozen=True)
class Choices:
    """The words that compete at one place of a confusion network.

    Attributes:
      start, end: expected times in the recording, seconds.
      words: (word, posterior), the most probable first; the word "" stands for "nothing here". They sum to one.
    """

    start: float
    end: float
    words: tuple[tuple[str, float], ...]


def alternatives(lattice: Lattice, count: int, scale: float, name: Callable[[int], str]) -> list[Alternative]:
    """Lists the best distinct word sequences of a determinised lattice.

    Args:
      scale: factor of the acoustic scores.
      name: word id → word, "" for what is not to be shown.
    """
    if lattice.is_empty:
        return []
    scores, finals = lattice.arc_scores(scale), lattice.final_scores(scale)
    total = float(backward_sum(lattice.row_splits, lattice.next_states, scores, finals)[0])
    return [
        Alternative(
            tuple(word for word in map(name, path.word_ids.tolist()) if word),
            path.graph_score,
            path.acoustic_score,
            min(1.0, float(np.exp(path.score(scale) - total))),
        )
        for path in nbest(lattice, count, scale)
    ]


def join_alternatives(parts: Sequence[Sequence[Alternative]], count: int) -> list[Alternative]:
    """Lists the best sequences of a recording from those of its stretches, which do not depend on each other."""
    found = [Alternative((), 0.0, 0.0, 1.0)]
    for part in parts:
        pairs = (
            Alternative(
                one.words + other.words,
                one.graph_score + other.graph_score,
                one.acoustic_score + other.acoustic_score,
                one.posterior * other.posterior,
            )
            for one, other in itertools.product(found, part)
        )
        found = heapq.nlargest(count, pairs, key=lambda pair: pair.posterior) or found
    return found if any(parts) else []


def choices(
    network: ConfusionNetwork, name: Callable[[int], str], time: Callable[[float], float]
) -> tuple[Choices, ...]:
    """Names a confusion network; places where nothing competes with silence are left out.

    Args:
      time: frame → seconds.
    """
    found = []
    for number in range(len(network)):
        row = [(name(word) if word else "", posterior) for word, posterior in network.bin(number)]
        if any(word for word, _ in row):
            begin, end = float(network.bin_begins[number]), float(network.bin_ends[number])
            found.append(Choices(time(begin), time(end), tuple(row)))
    return tuple(found)
