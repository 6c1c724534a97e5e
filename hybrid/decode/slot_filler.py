"""Filling the slots of a system: entries of lists become words with pronunciations, and another system that knows them.

The new system shares model and graph with the old one, which stays as it is: streams that are open go on with what
they were opened with.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from hybrid.base.errors import InputError, quote
from hybrid.base.log import get_logger
from hybrid.decode.engine import searching
from hybrid.decode.slot_trace import SlotTracer
from hybrid.graph.decoding import DecodingGraph
from hybrid.graph.filling import Filler
from hybrid.graph.new_words import NEW, NEW_COST
from hybrid.graph.own_words import Spoken
from hybrid.graph.phrase_graph import Phrase
from hybrid.graph.slot_table import SlotTable
from hybrid.timing.word_alignment import LexiconWordAlignment
from lexicon.symbols import SymbolTable
from lexicon.words.class_names import is_class
from lexicon.words.phone_fit import absent_phones, base_phones, fit_phones, is_marked, lacking_phones
from lm.word_list import ListEntry, check_entries, spelled

__all__ = ["Contents", "SlotFiller"]

if TYPE_CHECKING:
    from hybrid.decode.system import System

logger = get_logger(__name__)

Contents = Mapping[str, Sequence[ListEntry]]  # slot → its entries


@dataclass(frozen=True, eq=False)
class SlotFiller:
    """Fills the slots of one system.

    Attributes:
      system: whatever is in its slots.
      graph: its graph. filler: of its slots.
    """

    system: System
    graph: DecodingGraph
    filler: Filler

    @classmethod
    def of(cls, system: System) -> SlotFiller:
        """Of a system whose graph has slots.

        Raises:
          InputError: it has none.
        """
        if system.graph is not None and system.graph.word_cost is not None:
            cure = "Compile it with its grammar and --slot NAME, or give a language model that has the words."
            raise InputError.at(system.spec.graph_dir, "is a graph for look-ahead, which has no slots", cure)
        if system.graph is None or system.filler is None:
            cure = "Compile it with --slot NAME, or with --open for new words."
            raise InputError.at(system.spec.graph_dir or "the graph", "has no slots", cure)
        return cls(system, system.graph, system.filler)

    @property
    def table(self) -> SlotTable:
        """The slots."""
        return self.filler.table

    @cached_property
    def _phones(self) -> SymbolTable:
        return self.system.model.phones

    @cached_property
    def _marked(self) -> bool:
        return is_marked(self._phones)

    @cached_property
    def _known(self) -> frozenset[str]:
        """Names of the phones of speech, without marks of place."""
        silent = SymbolTable(("<eps>", *(self._phones.symbol(i) for i in self.system.silence_phones)))
        return base_phones(self._phones, self._marked) - base_phones(silent, self._marked)

    def spelt(self, entries: Sequence[ListEntry]) -> Sequence[ListEntry]:
        """Returns entries as the graph's lexicon spells them; see `lm.word_list.spelled`."""
        return spelled(entries, self.graph.spelling)

    def spoken(self, contents: Contents) -> tuple[Spoken, dict[str, str]]:
        """Finds pronunciations: given in a list, of the graph's lexicon, or guessed.

        Returns:
          Word → pronunciations in the model's phones, and word → "given", "lexicon" or "guessed".

        Raises:
          InputError: phones that the model lacks, or words without a pronunciation; all of them are named.
        """
        given: Spoken = {}
        words: dict[str, None] = {}
        for entry in (entry for some in contents.values() for entry in some):
            words.update(dict.fromkeys(entry.words))
            for word, phones in zip(entry.words, entry.phones):
                if phones not in given.setdefault(word, []):
                    given[word].append(phones)
        if lacking := lacking_phones(((w, p) for w, some in given.items() for p in some), self._known):
            raise absent_phones(self.system.spec.model_dir, lacking, self._known)
        missing = [word for word in words if word not in given and word not in self.graph.lexicon]
        guessed = self.system.guess(missing) if self.system.guess is not None and missing else {}
        spoken: Spoken = {}
        source: dict[str, str] = {}
        for name, table in (("given", given), ("lexicon", self.graph.lexicon), ("guessed", guessed)):
            for word in words:
                rows = () if word in spoken else table.get(word, ())
                fitted = [row for phones in rows if (row := fit_phones(phones, self._known)) is not None]
                if fitted:
                    spoken[word], source[word] = list(dict.fromkeys(fitted)), name
        if none := [word for word in words if word not in spoken]:
            shown = ", ".join(map(quote, none[:10])) + (", …" if len(none) > 10 else "")
            cure = "Give their phones in the list, or a model that guesses with --g2p."
            raise InputError.at("slots", f"{len(none)} words have no pronunciation: {shown}", cure)
        return spoken, source

    def fill(self, contents: Contents) -> System:
        """Returns the system with these entries in its slots, whatever was in them before.

        Args:
          contents: slot → entries. The weights of a slot's entries are relative to one another; those of new words
            (`hybrid.graph.new_words`) are probabilities.

        Raises:
          InputError: a slot that the graph lacks, a bad entry (`check_entries`), a word that cannot be said (`spoken`).
        """
        contents = {self.table.name(name): self.spelt(entries) for name, entries in contents.items()}
        for name, entries in contents.items():
            check_entries(entries, f"slot '{quote(name)}'")
            _refuse_classes(entries, f"slot '{quote(name)}'")
        spoken, source = self.spoken(contents)
        for word in (word for word in spoken if source[word] == "guessed"):
            logger.info("guessed: %s %s", quote(word), quote(" / ".join(" ".join(row) for row in spoken[word]), 200))
        known = self.graph.words if self.system.nearest is None else self.system.nearest.words
        more = sorted(word for word in spoken if word not in known)
        table = known.extended(more) if more else known
        phrases = {
            name: [Phrase(tuple(table[w] for w in words), cost) for words, cost in _costs(name, entries).items()]
            for name, entries in contents.items()
        }
        pronunciations = {table[word]: [(self._ids(p), 0.0) for p in some] for word, some in spoken.items()}
        alignment = self.system.word_alignment
        if isinstance(alignment, LexiconWordAlignment):
            alignment = alignment.with_words((w, w, *p) for w, some in pronunciations.items() for p, _ in some)
        spec, second = self.system.spec, self.system.second_pass
        is_new = len(table) > len(self.graph.words) and table is not self.system.words
        if spec.second_pass is not None and (second is None or is_new):
            second = spec.second_pass.open(table, spec.search_lm, self.system.config.scale)
        filling = self.filler(phrases, pronunciations)
        made = searching(
            replace(
                self.system, words=table, filling=filling, word_alignment=alignment, contents=dict(contents),
                second_pass=second,
            )
        )  # fmt: skip
        tracer = SlotTracer.of(made.searcher, self.graph, self.system.model.transition_model, filling)
        return replace(made, tracer=tracer)

    @cached_property
    def _places(self) -> tuple[dict[str, int], ...]:
        """The ids of phones that are a whole word, and of first, inner and last ones, by their names without marks."""
        marks = ("_S", "_B", "_I", "_E") if self._marked else ("",) * 4
        forms = ({p: p + mark if p + mark in self._phones else p for p in self._known} for mark in marks)
        return tuple({p: self._phones[form] for p, form in some.items() if form in self._phones} for some in forms)

    def _ids(self, phones: Sequence[str]) -> tuple[int, ...]:
        """The ids of a word's phones, with marks of place where the model has them."""
        whole, first, inner, last = self._places
        try:
            if len(phones) == 1:
                return (whole[phones[0]],)
            return (first[phones[0]], *[inner[phone] for phone in phones[1:-1]], last[phones[-1]])
        except KeyError as error:  # the model has it in other places only
            return tuple(self._phones.encode(error.args, "phones.txt"))


def _refuse_classes(entries: Iterable[ListEntry], place: str) -> None:
    """Raises InputError where an entry names a class: classes nest when a graph is compiled, not in a slot."""
    for count, entry in enumerate(entries, 1):
        if name := next(filter(is_class, entry.words), None):
            found = f"entry {count}, '{quote(entry.text)}', names the class {quote(name)}, wanted words"
            cure = f"Write an entry for each word of {quote(name)}, or compile this list into the graph with --class."
            raise InputError.at(place, found, cure)


def _costs(slot: str, entries: Iterable[ListEntry]) -> dict[tuple[str, ...], float]:
    """Returns words → negative natural log of each entry; of several of one text the first counts."""
    weights: dict[tuple[str, ...], float] = {}
    for entry in entries:
        weights.setdefault(entry.words, entry.weight)
    whole = -NEW_COST if slot == NEW else math.log(sum(weights.values()))
    return {words: whole - math.log(weight) for words, weight in weights.items()}
