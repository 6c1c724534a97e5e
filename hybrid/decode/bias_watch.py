"""Whether a list of raised phrases swallows what is said: the words that it wrote, beside those without it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from hybrid.base.log import get_logger
from hybrid.decode.engine import searching
from hybrid.lattice.algebra.lattice_biasing import SWALLOWED, BiasShare, covered, words_without
from hybrid.lattice.paths import best_path

if TYPE_CHECKING:
    from hybrid.decode.recognition import Recognition
    from hybrid.decode.system import System

__all__ = ["BiasWatch", "PlainSearches"]

ENOUGH, MOST = 10, 300  # words from which on a share is told, and up to which it is counted

logger = get_logger(__name__)


@dataclass(eq=False)
class PlainSearches:
    """Searches without phrases that may still be made, to see what a list wrote where lattices cannot tell."""

    left: int = 4

    def words(self, system: System, one: Recognition, scores: np.ndarray | None) -> list[int] | None:
        """Returns the words of the best path without the list; None where that would take one search too many.

        Phrases whose boosts are beyond the lattice beam may have driven everything else out of a lattice that the
        search made with them.

        Args:
          scores: float32 [T][num_pdfs] of the utterance; None where nobody kept them: it is not searched then.
        """
        phrases, path = system.raised, one.path
        assert phrases is not None and path is not None
        after = path.word_ids.tolist()
        high = covered(after, phrases, system.config.lattice_beam)
        if system.spec.bias_pass != "search" or high <= SWALLOWED * len(after):
            return words_without(one.compact, phrases, one.acoustic_scale)
        if not self.left or scores is None:
            return None
        self.left -= 1
        found = searching(replace(system, phrases=())).search([scores])[0]
        plain = best_path(found.lattice, one.acoustic_scale)
        return [] if plain is None else plain.word_ids.tolist()


@dataclass(eq=False)
class BiasWatch:
    """Looks at the first words that are recognised with a list, and warns once where it writes too many of them.

    Attributes:
      share: what was counted. searches: those that may still be made. told: the warning was given.
    """

    share: BiasShare = field(default_factory=BiasShare)
    searches: PlainSearches = field(default_factory=PlainSearches)
    told: bool = False

    def ends(self, system: System) -> bool:
        """Whether there is nothing to look at: no phrases, or the list has been judged."""
        return system.raised is None or self.told or self.share.words >= MOST

    def wants_scores(self, system: System) -> bool:
        """Whether scores of an utterance may be wanted when it ends: some boosts are beyond the lattice beam."""
        if self.ends(system) or not self.searches.left or system.spec.bias_pass != "search":
            return False
        assert system.raised is not None
        return any(phrase.boost > system.config.lattice_beam for phrase in system.raised.phrases)

    def look(self, system: System, one: Recognition, scores: np.ndarray | None) -> None:
        """Counts an utterance; `scores`: see `PlainSearches.words`."""
        if self.ends(system) or one.path is None or one.compact.start < 0:
            return
        plain = self.searches.words(system, one, scores)
        if plain is None:
            return
        self.share.add(plain, one.path.word_ids.tolist())
        if self.share.words >= ENOUGH and self.share.warning():
            self.told = True
            logger.warning("phrases: %s", self.share.warning())
