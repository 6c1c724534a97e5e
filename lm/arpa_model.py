"""From the rows of an ARPA file to a model: the vocabulary, the order of the n-grams, and their contexts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lm.counts import join_contexts
from lm.ngram import NgramLevel, NgramModel
from lm.radix import bits_for, empty_like_keys, pack_columns, radix_sort
from lm.word_table import BOS, EOS, UNK, UNKNOWN_WORDS, Vocabulary

__all__ = ["Section", "build_model"]

# Makes an error of a message and a position in the file.
ErrorAt = Callable[[str, int], Exception]


@dataclass(frozen=True, eq=False)
class Section:
    """Rows of one order as read.

    Attributes:
      columns: int32 [order][row], ids of the reader's word table.
      log_probs, backoffs: float32 [row], log10.
      starts: int64 [row], the position of each row in the file.
    """

    columns: np.ndarray
    log_probs: np.ndarray
    backoffs: np.ndarray
    starts: np.ndarray

    @classmethod
    def empty(cls, order: int, count: int = 0) -> "Section":
        """A section with room for `count` rows."""
        return cls(
            np.empty((order, count), np.int32),
            np.empty(count, np.float32),
            np.empty(count, np.float32),
            np.empty(count, np.int64),
        )

    def __len__(self) -> int:
        return len(self.log_probs)


def build_model(sections: list[Section], words: list[bytes], error: ErrorAt) -> NgramModel:
    """Sorts the rows of every order and links them.

    Args:
      sections: orders 1, 2, … without a gap.
      words: of the reader's table, by id; 0 is nothing, 1 and 2 are <s> and </s>.
      error: tells where a row stands.

    Raises:
      InputError: an n-gram twice or without its context, a word that is not UTF-8.
    """
    vocabulary, ids = _vocabulary(sections[0], words, error)
    levels = [_unigrams(sections[0], vocabulary, ids, error)]
    bits = bits_for(len(vocabulary), len(sections))
    below = (np.empty(0, np.uint64), np.arange(len(vocabulary), dtype=np.uint64))
    for section in sections[1:]:
        hi, lo, rows = _sorted_keys(section, ids, bits)
        _refuse_twice(hi, lo, section.starts[rows], error)
        contexts = np.empty(len(lo), np.int32)
        missing = join_contexts(hi, lo, bits, *below, contexts)
        if missing >= 0:
            start = int(section.starts[rows[missing]])
            raise error("this n-gram's first words are no n-gram of the order below", start)
        words_of_rows = (lo & np.uint64((1 << bits) - 1)).astype(np.int32)
        log_probs = np.maximum(section.log_probs[rows], np.float32(-99))
        backoffs = np.maximum(section.backoffs[rows], np.float32(-99))
        levels.append(NgramLevel(contexts, words_of_rows, log_probs, backoffs))
        below = (hi, lo)
    return NgramModel(vocabulary, tuple(levels))


def _vocabulary(unigrams: Section, words: list[bytes], error: ErrorAt) -> tuple[Vocabulary, np.ndarray]:
    """The model's vocabulary, and the new id of each id of the table."""
    if b"\0" in b"".join(words[3:]) or not _is_utf8(b"\n".join(words)):
        for row, word in enumerate(unigrams.columns[0].tolist()):
            if b"\0" in words[word]:
                raise error("has a NUL byte", int(unigrams.starts[row]))
            if not _is_utf8(words[word]):
                raise error("has a word that is not UTF-8", int(unigrams.starts[row]))
    for symbol in (b"<eps>", b"#0"):
        if symbol in words[3:]:
            row = unigrams.columns[0].tolist().index(words.index(symbol))
            raise error(f"holds the word '{symbol.decode()}', which belongs to graphs", int(unigrams.starts[row]))
    unknown = [w for w in UNKNOWN_WORDS if w.encode() in words[3:]]
    vocabulary = Vocabulary.build(words[3:], unknown[0] if unknown else UNKNOWN_WORDS[0])
    ids = {word: i for i, word in enumerate(vocabulary.words)}
    return vocabulary, np.array([UNK, BOS, EOS, *(ids[word] for word in words[3:])], np.int64)


def _is_utf8(word: bytes) -> bool:
    try:
        word.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _unigrams(section: Section, vocabulary: Vocabulary, ids: np.ndarray, error: ErrorAt) -> NgramLevel:
    """A row for each word; special words that the file lacks get no probability."""
    hi, lo, rows = _sorted_keys(section, ids, bits_for(len(vocabulary), 1))
    _refuse_twice(hi, lo, section.starts[rows], error)
    log_probs = np.full(len(vocabulary), -np.inf, np.float32)
    backoffs = np.zeros(len(vocabulary), np.float32)
    found = lo.astype(np.int64)
    log_probs[found] = np.maximum(section.log_probs[rows], np.float32(-99))
    backoffs[found] = np.maximum(section.backoffs[rows], np.float32(-99))
    words = np.arange(len(vocabulary), dtype=np.int32)
    return NgramLevel(np.zeros(len(words), np.int32), words, log_probs, backoffs)


def _sorted_keys(section: Section, ids: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keys of all rows in sorted order, and the row of each."""
    hi, lo = pack_columns(section.columns, ids, bits)
    rows = np.arange(len(lo), dtype=np.int32)
    buffers = (*empty_like_keys(hi, lo), np.empty_like(rows))
    return radix_sort(hi, lo, rows, *buffers, 0, bits * len(section.columns))


def _refuse_twice(hi: np.ndarray, lo: np.ndarray, starts: np.ndarray, error: ErrorAt) -> None:
    same = lo[1:] == lo[:-1]
    if len(hi):
        same &= hi[1:] == hi[:-1]
    if same.any():
        first = int(np.flatnonzero(same)[0])
        raise error("this n-gram is there twice", int(max(starts[first], starts[first + 1])))
