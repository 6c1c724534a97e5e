"""Second passes of a decoding: other language models, one after the other, over each determinised lattice.

A pass is chosen by what its path is: an ARPA file is an n-gram model, which takes the place of the model before it, a
folder a neural model, which is mixed with the model before it and comes last. The first one takes the place of the
graph's model, whose scores the search took at their best back-off (where it was not exact); each further one that of
exact scores.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hybrid.base.errors import InputError, quote
from hybrid.base.ranges import SHARE, check_fields
from hybrid.lattice.compact import CompactLattice
from hybrid.rescore.ngram_swap import WordModel, swap_ngram
from lexicon.symbols import SymbolTable

__all__ = ["DecodingPasses", "NeuralPass", "NgramPass", "passes_of"]


class HasArpa(Protocol):
    """What is asked of the language model of a graph."""

    @property
    def arpa(self) -> Path | None:
        """Its file, where it is known and unchanged."""

    @property
    def exact(self) -> bool:
        """Scores of the lattices are the model's; else those of the best way that backs off."""


class Pass(Protocol):
    """One language model."""

    @property
    def path(self) -> str:
        """Of its file or folder."""

    def rescored(self, words: SymbolTable, old: WordModel, of_graph: bool, acoustic_scale: float) -> Any:
        """Loads the model, and returns a function from a determinised lattice to one with other scores.

        Args:
          old: whose scores the lattices hold; of_graph: as a graph gave them.
        """


@dataclass(frozen=True)
class NgramPass:
    """An n-gram model in the place of the one before it.

    Attributes:
      path: of its ARPA file.
      share: of its probabilities; the rest stays the one's before it.
    """

    path: str
    share: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self, share=SHARE)

    def rescored(self, words: SymbolTable, old: WordModel, of_graph: bool, acoustic_scale: float) -> Any:
        """See `Pass`."""
        new = WordModel.read(Path(self.path), words)

        def swap(compact: CompactLattice) -> CompactLattice:
            return swap_ngram(compact, old, new, self.share, of_graph)

        return swap


@dataclass(frozen=True)
class NeuralPass:
    """A neural model mixed with the one before it, all words of a lattice in one batch.

    Attributes:
      path: of its folder.
      share: of its probabilities; the rest stays the one's before it.
    """

    path: str
    share: float = 0.5

    def __post_init__(self) -> None:
        check_fields(self, share=SHARE)

    def rescored(self, words: SymbolTable, old: WordModel, of_graph: bool, acoustic_scale: float) -> Any:
        """See `Pass`."""
        import torch

        from hybrid.rescore.histories import NeuralHistories
        from hybrid.rescore.pass_config import SecondPassConfig
        from hybrid.rescore.second_pass import score_lattice
        from lm.neural.folder import load_neural_lm

        lm, config = load_neural_lm(self.path), SecondPassConfig(share=self.share)

        def mix(compact: CompactLattice) -> CompactLattice:
            histories = NeuralHistories(lm, words, torch.device("cpu"))
            return score_lattice(compact, histories, acoustic_scale, config, old, of_graph).mixed(config.mixture)

        return mix


@dataclass(frozen=True)
class DecodingPasses:
    """Several models, each in the place of the one before it.

    Attributes:
      passes: in order.
    """

    passes: tuple[Pass, ...]

    @property
    def name(self) -> str:
        """Names of the models' files or folders."""
        return " + ".join(Path(one.path).name for one in self.passes)

    def inputs(self) -> dict[str, Any]:
        """The files and folders by name, for the record of a result."""
        return {f"second_lm_{number}" if number > 1 else "second_lm": one.path
                for number, one in enumerate(self.passes, 1)}  # fmt: skip

    def open(self, words: SymbolTable, search: HasArpa, acoustic_scale: float) -> Any:
        """Loads the models.

        Args:
          search: the graph's language model.

        Returns:
          Utterance id and determinised lattice → the lattice with the scores of the last model.

        Raises:
          InputError: the ARPA file of the graph's language model is not known, or not what it was.
        """
        place = search.arpa
        if place is None:
            raise InputError.at(
                self.passes[0].path,
                "takes the place of the graph's language model, whose ARPA file no record leads to, or has changed",
                "Name it with --search-lm.",
            )
        old, functions = WordModel.read(place, words), []
        for number, one in enumerate(self.passes):
            functions.append(one.rescored(words, old, number == 0 and not search.exact, acoustic_scale))
            if number + 1 < len(self.passes):
                old = WordModel.read(Path(one.path), words)

        def rescore(_utterance: str, compact: CompactLattice) -> CompactLattice:
            for function in functions:
                compact = function(compact)
            return compact

        return rescore


def passes_of(paths: Sequence[str | os.PathLike], share: float | None = None) -> DecodingPasses | None:
    """Chooses the passes by what their paths are; None without any.

    Args:
      share: of the last model's probabilities; by default 1 for n-gram models, 0.5 for neural ones.

    Raises:
      InputError: a path that is not there, or a neural model before another.
    """
    passes: list[Pass] = []
    names = [os.fspath(one) for one in paths]
    for number, path in enumerate(names):
        if os.path.isdir(path):
            if number + 1 < len(names):
                found = "is a neural model, whose place no other can take"
                raise InputError.at(quote(path), found, "Name it last.")
            passes.append(NeuralPass(path, 0.5 if share is None else share))
            continue
        if not os.path.isfile(path):
            found = "is not there, wanted an ARPA file or the folder of a neural model"
            raise InputError.at(quote(path), found, "Name a language model.")
        is_last = number + 1 == len(names)  # what is mixed cannot be taken out again
        passes.append(NgramPass(path, share if share is not None and is_last else 1.0))
    return DecodingPasses(tuple(passes)) if passes else None
