"""The joint n-gram model of letters and phones (Bisani and Ney, 2008), trained on a lexicon, kept as an ARPA file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from hybrid.base.errors import InputError
from hybrid.base.log import get_logger
from lm.arpa import read_arpa, write_arpa
from lm.config import EstimateConfig
from lm.estimate import estimate_from_sentences
from lm.g2p.config import GraphoneAlignConfig
from lm.g2p.graphone import Graphone
from lm.g2p.joint_em import Pair, align_lexicon
from lm.g2p.pronounce import GraphoneTable, Guess
from lm.ngram import NgramModel

__all__ = ["G2pModel", "G2pTrainReport", "train_g2p"]

_log = get_logger(__name__)


@dataclass(frozen=True)
class G2pTrainReport:
    """Attributes:
    pairs: pronunciations learnt from. graphones: different ones. failed: (word, reason) of pairs left out.
    log_likelihoods: of the alignment by pass of EM.
    """

    pairs: int
    graphones: int
    failed: tuple[tuple[str, str], ...]
    log_likelihoods: tuple[float, ...]


@dataclass(frozen=True)
class G2pModel:
    """Guesses pronunciations; callable as words → pronunciations, best first.

    Attributes:
      ngrams: its words are graphones (see `lm.g2p.graphone`).
      beam: partial pronunciations this much (natural log) below the best of equal letters are given up;
        inf searches all.
    """

    ngrams: NgramModel
    beam: float = field(default=12.0)

    def __post_init__(self) -> None:
        if not self.beam > 0:
            raise ValueError("the beam must be above 0")
        self.by_letters  # noqa: B018 - checks the graphones

    @cached_property
    def graphones(self) -> list[Graphone]:
        """The graphone of each word id; the three special words have none and stand as empty ones."""
        empty = [Graphone((), ())] * 3
        return empty + [Graphone.parse(word) for word in self.ngrams.vocabulary.symbols[3:]]

    @cached_property
    def by_letters(self) -> dict[tuple[str, ...], np.ndarray]:
        """Ids of the graphones of some letters, int32."""
        groups: dict[tuple[str, ...], list[int]] = {}
        for i, graphone in enumerate(self.graphones[3:], 3):
            groups.setdefault(graphone.letters, []).append(i)
        return {letters: np.array(ids, np.int32) for letters, ids in groups.items()}

    @cached_property
    def _letters(self) -> frozenset[str]:
        return frozenset(letter for letters in self.by_letters for letter in letters)

    @cached_property
    def table(self) -> GraphoneTable:
        """The graphones as they are searched."""
        return GraphoneTable.of(self.ngrams.automaton, self.graphones, self.by_letters)

    @classmethod
    def load(cls, path: str | os.PathLike, beam: float = 12.0) -> G2pModel:
        """Reads the ARPA file of `save`.

        Raises:
          InputError: no ARPA file, or its words are no graphones.
        """
        ngrams = read_arpa(path)
        try:
            return cls(ngrams, beam)
        except ValueError as error:
            raise InputError.at(path, str(error), "Give a model made by `hybrid lm g2p-train`.") from error

    def save(self, path: str | os.PathLike) -> None:
        """Writes the model (an ARPA file; .gz compresses it)."""
        write_arpa(path, self.ngrams)

    def guess(self, word: str, count: int = 1) -> list[Guess]:
        """The likeliest pronunciations of a word, best first; in the case of the training words.

        Returns:
          Up to `count` different ones; none if the word has a letter that the training words lack.
        """
        for spelling in dict.fromkeys((word, word.upper(), word.lower())):
            if self._letters.issuperset(spelling):
                return self.table.n_best(spelling, count, self.beam)
        return []

    def __call__(self, words: Sequence[str]) -> Mapping[str, Sequence[Sequence[str]]]:
        """The best pronunciation of each word; words that it cannot pronounce are absent."""
        found = {word: self.guess(word) for word in words}
        return {word: [list(g.phones) for g in guesses] for word, guesses in found.items() if guesses}


def train_g2p(
    pairs: Iterable[Pair], order: int = 8, config: GraphoneAlignConfig | None = None
) -> tuple[G2pModel, G2pTrainReport]:
    """Learns from a lexicon: alignment by EM, then a Kneser-Ney n-gram over the graphones of its words.

    Args:
      pairs: (word, phones).
      order: length of the longest n-grams of graphones, 1 to 9.

    Raises:
      InputError: no pair can be aligned.
    """
    some = list(pairs)
    aligned = align_lexicon(some, config or GraphoneAlignConfig())
    names = {graphone: str(graphone) for row in aligned.graphones for graphone in row}
    sentences = [[names[graphone] for graphone in row] for row in aligned.graphones]
    ngrams, _ = estimate_from_sentences(sentences, EstimateConfig(order))
    failed = tuple((some[k][0], reason) for k, reason in aligned.failed)
    if failed:
        _log.warning("%d of %d pronunciations left out, e.g. %s: %s", len(failed), len(some), *failed[0])
    report = G2pTrainReport(len(sentences), len(ngrams.vocabulary) - 3, failed, aligned.log_likelihoods)
    return G2pModel(ngrams), report
