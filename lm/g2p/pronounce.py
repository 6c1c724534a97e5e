"""The n likeliest pronunciations of a word: a lattice of graphones by dynamic programming, then A* over it.

Nodes are (letters read, state of the n-gram model); the score of a pronunciation is that of the
likeliest cut into graphones that gives it. With an infinite beam the result is exact. The loops are compiled;
`lm.g2p.reference` is the same in arrays and Python.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from itertools import chain

import numpy as np

from hybrid.base.compiled import is_kept
from lm.g2p.graphone import Graphone
from lm.g2p.pronounce_kernels import GraphoneArrays, find_best
from lm.ngram import BackoffAutomaton
from lm.word_table import EOS

__all__ = ["GraphoneTable", "Guess"]


@dataclass(frozen=True)
class Guess:
    """A pronunciation that no dictionary gave.

    Attributes:
      phones: names. score: natural log of the joint probability of word and phones.
    """

    phones: tuple[str, ...]
    score: float


@dataclass(frozen=True, eq=False)
class GraphoneTable:
    """What a search for pronunciations needs of a model.

    Attributes:
      arrays: as the loops take it. groups: letters → the number of the group of graphones that spell them.
      phones: names, by their numbers. longest: letters of a graphone.
    """

    arrays: GraphoneArrays
    groups: Mapping[tuple[str, ...], int]
    phones: tuple[str, ...]
    longest: int

    @classmethod
    def of(
        cls,
        automaton: BackoffAutomaton,
        graphones: Sequence[Graphone],
        by_letters: Mapping[tuple[str, ...], np.ndarray],
    ) -> GraphoneTable:
        """Lays out the graphones of an n-gram model, by its word ids."""
        names = tuple(dict.fromkeys(chain.from_iterable(graphone.phones for graphone in graphones)))
        number = {name: i for i, name in enumerate(names)}
        said = [number[phone] for graphone in graphones for phone in graphone.phones]
        arrays = GraphoneArrays(
            automaton.children, automaton.words, automaton.log_probs, automaton.backoffs, automaton.links,
            automaton.highest, automaton.start, EOS,
            np.concatenate([np.empty(0, np.int32), *by_letters.values()]), _splits(by_letters.values()),
            np.array(said, np.int32), _splits(graphone.phones for graphone in graphones),
        )  # fmt: skip
        groups = {letters: i for i, letters in enumerate(by_letters)}
        return cls(arrays, groups, names, max(map(len, by_letters), default=1))

    @property
    def compiled(self) -> bool:
        """Whether guessing compiles nothing."""
        return is_kept(find_best, self.arrays, np.zeros((1, 1), np.int64), 1, 1.0)

    def n_best(self, word: str, count: int, beam: float) -> list[Guess]:
        """Finds the `count` likeliest pronunciations; see `lm.g2p.model.G2pModel.guess`."""
        if not word or count < 1:
            return []
        letters, lengths = range(1, len(word) + 1), range(1, self.longest + 1)
        ends = [[self.groups.get(tuple(word[max(at - n, 0) : at]), -1) for n in lengths] for at in letters]
        found, scores = find_best(self.arrays, np.array(ends, np.int64), count, float(beam))
        return [Guess(tuple(self.phones[i] for i in row.tolist()), score) for row, score in zip(found, scores)]


def _splits(rows: Iterable[Sized]) -> np.ndarray:
    """Returns where each of some rows begins when they stand side by side, and the end: int64 [rows + 1]."""
    return np.cumsum([0, *map(len, rows)], dtype=np.int64)
