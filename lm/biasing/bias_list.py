"""Lists of phrases as people write them: a phrase a line; after a tab its boost, after another its context.

    NGUYEN
    NEW YORK CITY	2.5
    PETER	1.5	CALL

Boosts are natural logs a word of the phrase; a line without one has that of the list. Words are found in the spelling
of the word table.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hybrid.base.errors import InputError, quote
from hybrid.base.log import get_logger
from hybrid.base.reading import text_lines
from lexicon.symbols import SymbolTable, is_disambig
from lm.biasing.bias_automaton import MAX_WORDS, BiasAutomaton, BiasPhrase

__all__ = ["BiasLine", "BiasLines", "BiasList", "WordFinder", "bias_lines", "check_bias_lines", "read_bias_lines",
           "read_bias_list"]  # fmt: skip

CURE = "Write a phrase a line, after a tab its boost per word."
SHOWN = 5
BiasLine = tuple[str, float, str]  # phrase, boost per word, context
BiasLines = str | os.PathLike | Iterable[str | tuple[str, float] | BiasLine]  # the file of a list, or its phrases


@dataclass(frozen=True)
class BiasList:
    """Phrases in word ids, and those that no graph with these words can recognise.

    Attributes:
      phrases: in the order of the list.
      texts: of them, as the word table spells them.
      unknown: phrase, its words that are not in the word table.
    """

    phrases: tuple[BiasPhrase, ...]
    texts: tuple[str, ...]
    unknown: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def of(cls, lines: Iterable[BiasLine], words: SymbolTable | WordFinder) -> BiasList:
        """Finds the words of phrases.

        Args:
          lines: phrase, boost per word, context.
          words: those of the graph or the lattices; a finder serves many lists.
        """
        finder = words if isinstance(words, WordFinder) else WordFinder(words)
        find = finder.__getitem__
        numbers: dict[tuple, int] = {}  # words, or context and words → number of the phrase
        phrases: list[BiasPhrase] = []
        texts: list[str] = []
        unknown: dict[str, tuple[str, ...]] = {}
        twice = 0
        for text, boost, context in lines:
            ids, before_ids = tuple(map(find, text.split())), tuple(map(find, context.split())) if context else ()
            if 0 in ids or 0 in before_ids:
                unknown[text] = tuple(word for word in text.split() + context.split() if not find(word))
            elif numbers.setdefault((before_ids, ids) if before_ids else ids, len(phrases)) == len(phrases):
                phrases.append(BiasPhrase(ids, boost * len(ids), before_ids))
                texts.append(text)
            else:
                twice += 1
        if twice:
            get_logger(__name__).warning("%d phrases stand in the list again; the first of each counts", twice)
        return cls(tuple(phrases), tuple(texts), tuple(unknown.items()))

    def automaton(self) -> BiasAutomaton:
        """The phrases as an automaton."""
        return BiasAutomaton(self.phrases)


class WordFinder(dict[str, int]):
    """Word ids by the spelling of a table, 0 for words that it lacks; each word is looked for once."""

    def __init__(self, table: SymbolTable) -> None:
        super().__init__()
        self._table = table

    def __missing__(self, word: str) -> int:
        """Looks for a word: as it is, in upper and lower case, by other marks and Unicode forms."""
        found = None if is_disambig(word) else self._table.get(word) or self._other(word)
        self[word] = found or 0
        return self[word]

    def _other(self, word: str) -> int | None:
        for other in (word.upper(), word.lower()):
            if found := self._table.get(other):
                return found
        pair = self._table.spelling.find(word)
        return None if pair is None else self._table.get(pair[0])


def read_bias_list(path: str | os.PathLike, words: SymbolTable, boost: float) -> BiasList:
    """Reads a list of phrases.

    Args:
      words: those of the graph or the lattices.
      boost: natural log a word, of phrases without their own.

    Raises:
      InputError: no phrase, a boost that is no finite number, a phrase too long, or no phrase whose words are known.
    """
    return check_bias_lines(read_bias_lines(path, boost), words, path)


def read_bias_lines(path: str | os.PathLike, boost: float) -> tuple[BiasLine, ...]:
    """Reads a list of phrases, whose words are not looked for.

    Raises:
      InputError: as `read_bias_list`, but for words.
    """
    lines = tuple(_lines(path, boost))
    if not lines:
        raise InputError.at(path, "holds no phrase", CURE)
    return lines


def bias_lines(phrases: BiasLines, boost: float) -> tuple[BiasLine, ...]:
    """Takes the file of a list, or phrases: each a text, or with its boost, or with its boost and its context.

    Raises:
      InputError: as `read_bias_lines`; without phrases there is nothing to raise, and no error.
    """
    if isinstance(phrases, (str, os.PathLike)):
        return read_bias_lines(phrases, boost)
    lines = []
    for number, one in enumerate(phrases, 1):
        text, own, context = (one, boost, "") if isinstance(one, str) else (*one, "")[:3]
        lines.append(_line("phrases", str(text), float(own), str(context), number))
    return tuple(lines)


def check_bias_lines(lines: Iterable[BiasLine], words: SymbolTable, path: str | os.PathLike) -> BiasList:
    """Finds the words of a list, and tells which it cannot find.

    Args:
      path: names the list.

    Raises:
      InputError: no phrase whose words are known.
    """
    found = BiasList.of(lines, words)
    shown = ", ".join(quote(word) for _, missing in found.unknown[:SHOWN] for word in missing[:1])
    if not found.phrases:
        what = f"none of {len(found.unknown)} phrases has only words of the word table; the first unknown are {shown}"
        raise InputError.at(path, what, "Write the phrases in the language and script of the graph.")
    if found.unknown:
        unknown, more = len(found.unknown), " …" if len(found.unknown) > SHOWN else ""
        get_logger(__name__).warning(
            "%s: %d of %d phrases have words that the graph does not know and cannot be found: %s%s. Add the words to "
            "the graph (`hybrid graph build`), or decode with a graph of --open and with --g2p.",
            path, unknown, unknown + len(found.phrases), shown, more,
        )  # fmt: skip
    return found


def _lines(path: str | os.PathLike, boost: float) -> Iterator[tuple[str, float, str]]:
    for number, line in text_lines(path):
        text, *rest = line.lstrip("\ufeff").split("\t")
        if not text.strip():
            continue
        value, context = ([*rest, "", ""])[:2]
        if len(rest) > 2:
            raise InputError.at(path, f"has {1 + len(rest)} columns, wanted at most 3", CURE, number)
        own = boost
        if value.strip():
            try:
                own = float(value)
            except ValueError:
                wanted = f"has the boost {quote(value)}, wanted a finite number"
                raise InputError.at(path, wanted, CURE, number) from None
        yield _line(path, text, own, context, number)


def _line(path: object, text: str, boost: float, context: str, number: int) -> BiasLine:
    """Checks a phrase."""
    said = text.split()
    size = len(said) + (len(context.split()) if context else 0)
    if not said:
        raise InputError.at(path, "has a phrase without words", CURE, number)
    if not math.isfinite(boost):
        raise InputError.at(path, f"has the boost {boost}, wanted a finite number", CURE, number)
    if size > MAX_WORDS:
        raise InputError.at(path, f"has a phrase of {size} words, wanted at most {MAX_WORDS}", CURE, number)
    return " ".join(said), boost, context
