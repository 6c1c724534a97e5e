"""Phrases over lattices that are there: those without a path are explained by what the lattices were made with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hybrid.base.errors import quote
from hybrid.base.log import get_logger
from hybrid.data.utterance import Utterance
from hybrid.decode.missed_phrases import explain_missed
from hybrid.decode.sources import ScoreSource
from hybrid.decode.system import System, SystemSpec, load_system
from hybrid.lattice.algebra.lattice_biasing import BiasWhy
from hybrid.lattice.compact import CompactLattice, expand
from hybrid.lattice.paths import best_path
from hybrid.search.batch import check_scores
from lexicon.symbols import SymbolTable
from lm.biasing.bias_list import BiasLine

__all__ = ["LatticePhrases"]

logger = get_logger(__name__)


@dataclass(frozen=True, eq=False)
class LatticePhrases:
    """Explains phrases over lattices that are there, by what they were made with.

    Attributes:
      system: model and graph of the lattices, and the phrases that are raised in them.
      source: their speech. items: its utterances by id.
    """

    system: System
    source: ScoreSource
    items: Mapping[str, Utterance]

    @classmethod
    def of(
        cls, spec: SystemSpec, words: SymbolTable, phrases: tuple[BiasLine, ...], source: ScoreSource
    ) -> LatticePhrases:
        """Loads model and graph.

        Args:
          spec: with the widths and the acoustic scale that the lattices were made with. words: of the lattices.

        Raises:
          InputError, MismatchError: see `load_system`.
        """
        system = replace(load_system(replace(spec, bias_pass="lattice")), words=words, phrases=phrases)
        return cls(system, source, {item.id: item for item in source.utterances()[0]})

    def explain(self, utterance: str, lattice: CompactLattice, rows: list[BiasWhy]) -> list[BiasWhy]:
        """Returns the rows of an utterance, see `explain_missed`; those of one without scores stay as they are.

        Args:
          lattice: biased.
        """
        if not any(row.outcome == "no path" for row in rows):
            return rows
        items = [self.items[utterance]] if utterance in self.items else []
        scores = next(iter(self.source.scores(self.system.model, items)), "is not among what is scored")
        if isinstance(scores, str):
            logger.warning("%s: phrases without a path are not explained: %s", quote(utterance), quote(scores, 300))
            return rows
        best = best_path(expand(lattice), self.system.config.scale)
        return explain_missed(self.system, best, check_scores(scores, self.system.searcher.num_pdfs), rows)
