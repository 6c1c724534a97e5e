"""Biasing on lattices: phrases gain their boosts on every path that says them; and why a phrase was said or was not."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from hybrid.lattice.algebra.product import product
from hybrid.lattice.compact import CompactLattice, expand
from hybrid.lattice.paths import Path, best_path
from hybrid.lattice.trim import trimmed
from lexicon.symbols import SymbolTable
from lm.biasing.bias_automaton import BiasAutomaton, BiasPhrase
from lm.biasing.bias_list import BiasList

__all__ = ["SWALLOWED", "BiasShare", "BiasWhy", "best_saying", "biased", "covered", "explain_bias", "why_line",
           "words_without"]  # fmt: skip

SWALLOWED = 0.3  # share of all words that a list should not write


def biased(compact: CompactLattice, automaton: BiasAutomaton) -> CompactLattice:
    """Returns the lattice with the boosts of the phrases that a path says added to its graph score."""
    return product(trimmed(compact), automaton)


def words_without(lattice: CompactLattice, phrases: BiasList, acoustic_scale: float) -> list[int]:
    """Returns the words of the best path of a biased lattice without the boosts, as far as it holds that path."""
    back = BiasAutomaton(replace(phrase, boost=-phrase.boost) for phrase in phrases.phrases)
    path = best_path(expand(biased(lattice, back)), acoustic_scale)
    return [] if path is None else path.word_ids.tolist()


def covered(words: Sequence[int], phrases: BiasList, boost: float) -> int:
    """Returns how many of some words stand in phrases that have more than a boost."""
    high = {phrase.words for phrase in phrases.phrases if phrase.boost > boost}
    inside = [False] * len(words)
    for size in {len(one) for one in high}:
        for k in range(len(words) - size + 1):
            if tuple(words[k : k + size]) in high:
                inside[k : k + size] = [True] * size
    return sum(inside)


@dataclass(frozen=True)
class BiasWhy:
    """What became of a phrase in an utterance.

    Attributes:
      phrase: its words.
      outcome: "said"; "beaten", where a path says it and another is better; "no path", where the lattice holds none;
        "no pronunciation", where the graph does not know a word of it. Where the utterance can be searched again, no
        path is "pruned" (the lattice should hold it, and the beam lost it) or "acoustics" (it is too unlike what was
        said for the lattice, or too unlikely there).
      raised: natural log, by which it was raised where it was said.
      word: index of its first word in the best path, if said.
      instead_of: words of the best path without the list that it took the place of; empty where it changed nothing.
      needed: boost per word that would have made it win; of a phrase that was beaten, or found by a wider search.
      acoustics, graph: natural log, by which the best path that says it is worse than the best path in either; of the
        same. What the phrase itself gains counts for the graph.
      guessed: its words whose pronunciations were guessed, each with one of them, "WORD PHONE …".
    """

    phrase: str
    outcome: str
    raised: float = 0.0
    word: int | None = None
    instead_of: tuple[int, ...] = ()
    needed: float | None = None
    acoustics: float | None = None
    graph: float | None = None
    guessed: tuple[str, ...] = ()

    @property
    def loss(self) -> float:
        """By how much the best path that says it is worse than the best path; infinite where none is known."""
        return math.inf if self.acoustics is None or self.graph is None else self.acoustics + self.graph

    def beside(self, phrase: BiasPhrase, best: Path, other: Path, acoustic_scale: float) -> BiasWhy:
        """Returns the same with what the best path that says the phrase, `other`, lacks to be the best path."""
        graph = best.graph_score - other.graph_score
        acoustics = acoustic_scale * (best.acoustic_score - other.acoustic_score)
        needed = (phrase.boost + graph + acoustics) / len(phrase.words)
        numbers = {"needed": needed, "acoustics": acoustics, "graph": graph}
        return replace(self, **{name: round(float(value), 3) for name, value in numbers.items()})  # type: ignore[arg-type]


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


def best_saying(lattice: CompactLattice, phrase: BiasPhrase, acoustic_scale: float, there: set[int]) -> Path | None:
    """Returns the best path that says a phrase in its context; `there`: the words of the lattice."""
    if not there.issuperset(phrase.context + phrase.words):
        return None
    return best_path(expand(product(lattice, _Saying(phrase))), acoustic_scale)


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
        other = best_saying(lattice, phrase, acoustic_scale, there)
        row = BiasWhy(text, "no path" if other is None else "beaten")
        rows.append(row if other is None else row.beside(phrase, path, other, acoustic_scale))
    return rows


def _beaten(plain: Sequence[int], after: Sequence[int], begin: int, end: int) -> tuple[int, ...]:
    """The words of the plain path in the place of after[begin:end]."""
    words: list[int] = []
    for _, first, last, where, to in _changes(plain, after):
        if where < end and to > begin:
            words += plain[first:last]
    return tuple(words)


def why_line(utterance: str, rows: Sequence[BiasWhy], words: SymbolTable, far: int = 0) -> str:
    """A line of JSON: the phrases that were said, or of which a path is known, and how many were neither.

    Args:
      words: names of word ids.
      far: how many more phrases the list has, which were not raised in this utterance.
    """
    shown = [asdict(row) for row in rows if row.outcome == "said" or row.needed is not None]
    for row in shown:
        row["instead_of"] = [words.symbol(word) for word in row["instead_of"]]
    names = ("no path", "acoustics", "no pronunciation")
    others = {name: sum(row.outcome == name and row.needed is None for row in rows) for name in names}
    others |= {"not near": far} if far else {}
    return json.dumps({"utterance": utterance, "phrases": shown, "neither": others}, ensure_ascii=False)
