"""Long lists of phrases: each utterance gets those that are nearest in sound to what is heard in it without them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from hybrid.base.log import get_logger
from hybrid.lattice.compact import expand
from hybrid.lattice.determinize import determinize
from hybrid.lattice.paths import nbest
from hybrid.search.protocol import SearchResult
from hybrid.timing.word_alignment import phone_segments
from lexicon.symbols import SymbolTable
from lexicon.words.phone_fit import bare_names
from lm.biasing.bias_list import BiasLine
from lm.biasing.phone_costs import PhoneCosts
from lm.biasing.phrase_filter import PhraseFilter
from lm.word_list import ListEntry

if TYPE_CHECKING:
    from hybrid.decode.system import System

__all__ = ["NearestPhrases", "heard_phones", "spelt", "usual_case"]

logger = get_logger(__name__)
PATHS = 20  # word sequences of the first search that a phrase may be near to


@dataclass(frozen=True, eq=False)
class NearestPhrases:
    """A long list.

    Attributes:
      lines: its phrases. filter: their sounds. count: so many of them are raised in an utterance, at most.
      words: of the system, and those of the list that it lacks and that can be said.
      new: word of the list → what must stand in the slot for new words so that it can be heard.
    """

    lines: tuple[BiasLine, ...]
    filter: PhraseFilter
    count: int
    words: SymbolTable
    new: Mapping[str, Sequence[ListEntry]]

    @classmethod
    def of(
        cls, system: System, lines: Sequence[BiasLine], count: int, words: SymbolTable,
        new: Mapping[str, Sequence[ListEntry]],
    ) -> NearestPhrases:  # fmt: skip
        """Finds how the phrases sound: as the graph's lexicon has it, or as new words do.

        Args:
          words, new: see above.
        """
        lexicon = {} if system.graph is None else system.graph.lexicon
        guessed = {some[0].text: [entry.phones[0] for entry in some] for some in new.values()}
        case = usual_case(lexicon)
        said = [tuple(spelt(word, lexicon, case) for word in text.split()) for text, _, _ in lines]
        phones = bare_names(system.model.phones)
        costs = PhoneCosts.even(name for number, name in phones.items() if number not in system.silence_phones)
        found = PhraseFilter.of(said, {**guessed, **lexicon}, costs)
        if found.unspoken:
            logger.warning("%d of %d phrases have no pronunciation and are left out", len(found.unspoken), len(lines))
        return cls(tuple(lines), found, count, words, new)

    def near(self, system: System, result: SearchResult) -> tuple[tuple[BiasLine, ...], list[ListEntry]]:
        """Returns the phrases that are nearest to the best paths of an utterance, and the new words that they need."""
        lines = tuple(self.lines[number] for number in self.filter.keep(heard_phones(system, result), self.count))
        said = sorted({word for text, _, context in lines for word in (*text.split(), *context.split())})
        return lines, [entry for word in said for entry in self.new.get(word, ())]


def heard_phones(system: System, result: SearchResult, count: int = PATHS) -> list[list[str]]:
    """Returns the phones, without silence, of the best word sequences that a search found."""
    if result.lattice.is_empty:
        return []
    model, scale = system.model.transition_model, system.config.scale
    beam = result.attempts[-1].lattice_beam
    lattice = expand(determinize(result.lattice, beam, scale, phone_starts=model.phone_starts).lattice)
    names, silent = bare_names(system.model.phones), set(system.silence_phones)
    segments = (phone_segments(path.transition_ids, model) for path in nbest(lattice, count, scale))
    return [[names[one.label] for one in some if one.label not in silent] for some in segments]


def usual_case(words: Iterable[str]) -> Callable[[str], str]:
    """Returns what puts a word into the case of most of the first of these."""
    letters = [one for one in islice(words, 500) if one.lower() != one.upper()]
    for case in (str.upper, str.lower):
        if 2 * sum(one == case(one) for one in letters) > len(letters):
            return case
    return str


def spelt(word: str, known: Container[str], case: Callable[[str], str]) -> str:
    """Returns a word as those known spell it: as it is, in upper or lower case; else in their `usual_case`."""
    return next((other for other in (word, word.upper(), word.lower()) if other in known), None) or case(word)
