"""Words of a text that a lexicon lacks, with counts: the first thing to look at before training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

__all__ = ["OovReport", "count_oov"]


@dataclass(frozen=True)
class OovReport:
    """What `count_oov` counted.

    Attributes:
      tokens, types: words in the text, and how many different ones.
      counts: (word, how often, id of the first utterance that has it), most frequent first.
      utterances, utterances_with_oov: how many, and how many have at least one.
    """

    tokens: int
    types: int
    counts: tuple[tuple[str, int, str], ...]
    utterances: int
    utterances_with_oov: int

    @property
    def oov_tokens(self) -> int:
        """How often words without pronunciation stand in the text."""
        return sum(count for _, count, _ in self.counts)

    @property
    def rate(self) -> float:
        """Share of the tokens that the lexicon lacks; 0 for an empty text."""
        return self.oov_tokens / self.tokens if self.tokens else 0.0

    def summary(self) -> str:
        """One line of totals."""
        return (
            f"{self.oov_tokens} of {self.tokens} tokens ({100 * self.rate:.2f} %) and {len(self.counts)} of "
            f"{self.types} different words are not in the lexicon; "
            f"{self.utterances_with_oov} of {self.utterances} utterances have at least one"
        )

    def to_tsv(self) -> str:
        """Returns `word, count, first utterance` lines, tab-separated, with a heading."""
        rows = [("word", "count", "first_utterance"), *self.counts]
        return "".join("\t".join(map(str, row)) + "\n" for row in rows)


def count_oov(utterances: Iterable[tuple[str, Sequence[str]]], vocabulary: Container[str]) -> OovReport:
    """Counts the words that a vocabulary lacks.

    Args:
      utterances: (utterance id, words).
      vocabulary: a Lexicon, SymbolTable or set.

    Returns:
      Words by falling count, equal counts by the order of their bytes.
    """
    all_words: Counter[str] = Counter()
    first: dict[str, str] = {}
    total = with_oov = 0
    for utterance, words in utterances:
        total += 1
        all_words.update(words)
        missing = [w for w in words if w not in vocabulary]
        with_oov += bool(missing)
        for word in missing:
            first.setdefault(word, utterance)
    counts = sorted(((w, all_words[w], first[w]) for w in first), key=lambda row: (-row[1], row[0]))
    return OovReport(all_words.total(), len(all_words), tuple(counts), total, with_oov)
