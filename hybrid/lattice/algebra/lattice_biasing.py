"""Biasing on lattices: phrases gain their boosts on every path that says them; and why a phrase was said or was not."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from hybrid.lattice.algebra.product import product
from hybrid.lattice.compact import CompactLattice, expand
from hybrid.lattice.paths import best_path
from hybrid.lattice.trim import trimmed
from lexicon.symbols import SymbolTable
from lm.biasing.bias_automaton import BiasAutomaton, BiasPhrase
from lm.biasing.bias_list import BiasList

__all__ = ["BiasShare", "BiasWhy", "biased", "explain_bias", "why_line", "words_without"]

SWALLOWED = 0.3  # share of all words that a list should not write


def biased(compact: CompactLattice, automaton: BiasAutomaton) -> CompactLattice:
    """Returns the lattice with the boosts of the phrases that a path says added to its graph score."""
    return product(trimmed(compact), automaton)


def words_without(lattice: CompactLattice, phrases: BiasList, acoustic_scale: float) -> list[int]:
    """Returns the words of the best path of a biased lattice without the boosts, as far as it holds that path."""
    back = BiasAutomaton(replace(phrase, boost=-phrase.boost) for phrase in phrases.phrases)
    path = best_path(expand(biased(lattice, back)), acoustic_scale)
    return [] if path is None else path.word_ids.tolist()


@dataclass(frozen=True)
class BiasWhy:
    """What became of a phrase in an utterance.

    Attributes:
      phrase: its words.
      outcome: "said"; "beaten", where a path says it and another is better; "no path", where the search kept none (it
        was pruned, or sounds otherwise); "no pronunciation", where the graph does not know a word of it.
      raised: natural log, by which it was raised where it was said.
      word: index of its first word in the best path, if said.
      instead_of: words of the best path without the list that it took the place of; empty where it changed nothing.
      needed: boost per word that would have made it win; of a beaten phrase.
      acoustics, graph: natural log, by which the best path that says it is worse than the best path in either; of a
        beaten phrase. What the phrase itself gains counts for the graph.
    """

    phrase: str
    outcome: str
    raised: float = 0.0
    word: int | None = None
    instead_of: tuple[int, ...] = ()
    needed: float | None = None
    acoustics: float | None = None
    graph: float | None = None


@dataclass(eq=False)
class BiasShare:
    """How many of all words a list wrote: said because of it, and not without."""

    words: int = 0
    written: int = 0

    def add(self, plain: Sequence[int], after: Sequence[int]) -> None:
        """Counts an utterance: its best path without the list, and with it."""
        self.words += len(after)
        self.written += sum(end - begin for _, _, _, begin, end in _changes(plain, after))

    def summary(self) -> str:
        """Both numbers in a sentence."""
        return f"{self.written} of {self.words} words were written by the list"

    def warning(self) -> str:
        """A sentence where the list swallows what was said, else ''."""
        share = self.written / max(1, self.words)
        if share <= SWALLOWED:
            return ""
        return f"{share:.0%} of {self.words} words were written by the list alone; its boosts are too high. Lower them."


def _changes(plain: Sequence[int], after: Sequence[int]) -> list[tuple[str, int, int, int, int]]:
    matcher = difflib.SequenceMatcher(None, list(plain), list(after), autojunk=False)
    return [change for change in matcher.get_opcodes() if change[0] != "equal"]


class _Saying:
    """Reads everything; what it read ends only if a phrase was among it."""

    def __init__(self, phrase: BiasPhrase) -> None:
        self._inner = BiasAutomaton([BiasPhrase(phrase.context + phrase.words, -1.0)])
        self.start = (0, False)

    def steps(self, state: tuple[int, bool], word: int) -> Iterable[tuple[tuple[int, bool], int, float]]:
        to, gain = self._inner.step(state[0], word)
        yield (to, state[1] or gain < 0), word, 0.0

    def free_steps(self, state: tuple[int, bool]) -> Iterable[tuple[tuple[int, bool], int, float]]:
        return ()

    def end(self, state: tuple[int, bool]) -> float | None:
        return 0.0 if state[1] else None


def explain_bias(
    lattice: CompactLattice, phrases: BiasList, acoustic_scale: float, plain: Sequence[int]
) -> list[BiasWhy]:
    """Says of each phrase of a list what became of it.

    Args:
      lattice: biased.
      acoustic_scale: with which the best path is meant.
      plain: the words of the best path without the list.
    """
    rows = [BiasWhy(text, "no pronunciation") for text, _ in phrases.unknown]
    path = best_path(expand(lattice), acoustic_scale)
    if path is None:
        return rows + [BiasWhy(text, "no path") for text in phrases.texts]
    after, there = path.word_ids.tolist(), set(np.unique(lattice.word_ids).tolist())
    for text, phrase in zip(phrases.texts, phrases.phrases):
        said = phrase.context + phrase.words
        places = [k for k in range(len(after) - len(said) + 1) if tuple(after[k : k + len(said)]) == said]
        if places:
            begin = places[0] + len(phrase.context)
            rows.append(BiasWhy(text, "said", phrase.boost * len(places), begin,
                                _beaten(plain, after, begin, begin + len(phrase.words))))  # fmt: skip
            continue
        other = best_path(expand(product(lattice, _Saying(phrase))), acoustic_scale) if there.issuperset(said) else None
        if other is None:
            rows.append(BiasWhy(text, "no path"))
            continue
        graph = path.graph_score - other.graph_score
        acoustics = acoustic_scale * (path.acoustic_score - other.acoustic_score)
        needed = (phrase.boost + graph + acoustics) / len(phrase.words)
        values = (round(float(value), 3) for value in (needed, acoustics, graph))
        rows.append(BiasWhy(text, "beaten", 0.0, None, (), *values))
    return rows


def _beaten(plain: Sequence[int], after: Sequence[int], begin: int, end: int) -> tuple[int, ...]:
    """The words of the plain path in the place of after[begin:end]."""
    words: list[int] = []
    for _, first, last, where, to in _changes(plain, after):
        if where < end and to > begin:
            words += plain[first:last]
    return tuple(words)


def why_line(utterance: str, rows: Sequence[BiasWhy], words: SymbolTable) -> str:
    """A line of JSON: the phrases that were said or beaten, and how many were neither.

    Args:
      words: names of word ids.
    """
    shown = [asdict(row) for row in rows if row.outcome in ("said", "beaten")]
    for row in shown:
        row["instead_of"] = [words.symbol(word) for word in row["instead_of"]]
    others = {name: sum(row.outcome == name for row in rows) for name in ("no path", "no pronunciation")}
    return json.dumps({"utterance": utterance, "phrases": shown, "neither": others}, ensure_ascii=False)
