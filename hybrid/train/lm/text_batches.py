"""From texts to batches of tokens, in the form that the training loop takes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hybrid.base.content import ByContent
from hybrid.base.errors import InputError, quote
from hybrid.train.nnet.batches import Batch
from hybrid.train.nnet.data import Example
from hybrid.train.nnet.sources import Item
from lm.neural.units import END, Units
from lm.word_stream import read_ids
from lm.word_table import EOS, UNK, Vocabulary, WordTable

__all__ = ["Stretch", "TokenMaker", "TokenText", "piece_units", "read_tokens", "stretches", "word_units"]

LONGEST = 512  # tokens of a stretch; a longer sentence is cut
Texts = Sequence[str | os.PathLike]


@dataclass(frozen=True)
class Stretch(Item):
    """Some sentences in a row; `frames` are its tokens, `begin` the place of the token before its first."""

    begin: int = 0


@dataclass(frozen=True, eq=False)
class TokenText(ByContent):
    """A text as tokens.

    Attributes:
      tokens: int32, a sentence end first.
      words, unknown: of the text, sentence ends aside, and how many of them are not in the vocabulary.
    """

    tokens: np.ndarray
    words: int
    unknown: int


def word_units(texts: Texts, with_ids: bool, min_count: int, vocabulary: Sequence[str] | None) -> Units:
    """Chooses the words of a model, the most frequent first."""
    if vocabulary is not None:
        known = Vocabulary.build(vocabulary)
        counts = _counts(texts, known.table(), with_ids, insert=False)
        words = known.symbols
        allowed = range(3, len(words))
    else:
        table = WordTable.for_training()
        counts = _counts(texts, table, with_ids, insert=True)
        words = [word.decode() for word in table.word_bytes()]
        allowed = [i for i in range(3, len(words)) if counts[i] >= min_count]  # type: ignore[assignment]
    counts = np.pad(counts, (0, len(words) - len(counts)))
    return Units.of_words([words[i] for i in sorted(allowed, key=lambda i: (-counts[i], words[i]))])


def piece_units(texts: Texts, with_ids: bool, model: bytes) -> Units:
    """Sorts the pieces of a SentencePiece model by how often they are in the texts."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    table = WordTable.for_training()
    counts = _counts(texts, table, with_ids, insert=True)
    found = np.zeros(processor.get_piece_size(), np.int64)
    for word, count in list(zip(table.word_bytes(), counts))[3:]:
        np.add.at(found, processor.encode(word.decode()), int(count))
    found[processor.unk_id()] = -1
    order = sorted(range(len(found)), key=lambda i: (-found[i], i))
    return Units.of_pieces([processor.id_to_piece(i) for i in order if found[i] >= 0], model)


def _counts(texts: Texts, table: WordTable, with_ids: bool, insert: bool) -> np.ndarray:
    counts = np.zeros(0, np.int64)
    for path in texts:
        for ids in read_ids(path, table, insert, skip_special=True, with_ids=with_ids):
            more = np.bincount(ids, minlength=len(counts))
            more[: len(counts)] += counts
            counts = more
    return np.pad(counts, (0, max(0, table.count - len(counts))))


def read_tokens(texts: Texts, units: Units, with_ids: bool) -> TokenText:
    """Reads texts, a sentence a line.

    Raises:
      InputError: see `read_ids`; or there is no word.
    """
    table = WordTable.for_training()
    blocks = [ids for path in texts for ids in read_ids(path, table, True, skip_special=True, with_ids=with_ids)]
    ids = np.concatenate(blocks) if blocks else np.zeros(0, np.int32)
    words = [word.decode() for word in table.word_bytes()]
    known = np.array([units.knows(word) for word in words])
    is_word = ids != EOS
    if not is_word.any():
        raise InputError.at(quote(" ".join(map(str, texts)), 300), "holds no word", "Give text, a sentence a line.")
    splits, rows = units.table(words)
    starts, lengths = splits[:-1], np.diff(splits)
    out = np.concatenate([[0], np.cumsum(lengths[ids])])
    index = np.arange(out[-1]) + np.repeat(starts[ids] - out[:-1], lengths[ids])
    unknown = int(np.count_nonzero(is_word & (~known[ids] | (ids == UNK))))
    return TokenText(np.concatenate([[END], rows[index]]).astype(np.int32), int(is_word.sum()), unknown)


def stretches(tokens: np.ndarray, context: int, first: int = 0, name: str = "text") -> list[Stretch]:
    """Cuts a text into stretches of whole sentences.

    Args:
      tokens: of a `TokenText`. context: tokens of a stretch at most, unless a sentence has more; 0: a sentence each.
      first: added to where they begin.
    """
    ends = np.flatnonzero(tokens[1:] == END) + 1  # places of the sentence ends
    found: list[Stretch] = []
    begin = last = 0

    def close(upto: int) -> None:
        """Ends stretches of at most LONGEST words before `upto`."""
        nonlocal begin
        while begin < upto:
            size = min(LONGEST, upto - begin)
            label = f"{name} {len(found)}"
            found.append(Stretch(label, label, "", 1.0, size, 0.0, first + begin))
            begin += size

    for end in ends.tolist():
        if end - begin > context and last > begin:
            close(last)
        last = end
        if end - begin >= context:
            close(end)
    close(int(ends[-1]) if len(ends) else 0)
    return found


@dataclass(eq=False)
class TokenMaker:
    """Makes batches of tokens; see `BatchMaker`, whose place it takes in the loop."""

    tokens: np.ndarray
    items: Sequence[Stretch]
    seed: int
    targets: None = None
    factor: int = 1
    left: int = 0
    right: int = 0

    def make(self, epoch: int, batch: Batch, vary: bool = True) -> Example:
        """Returns tokens int64 [N][1 + T], each row after the token before it; targets are the lengths."""
        lengths = batch.frames.astype(np.int64)
        rows = np.zeros((len(batch), int(lengths.max(initial=0)) + 1), np.int64)
        for place, (number, length) in enumerate(zip(batch.items.tolist(), lengths.tolist())):
            begin = self.items[number].begin
            rows[place, : length + 1] = self.tokens[begin : begin + length + 1]
        return Example(rows, lengths, lengths, tuple(self.items[n].name for n in batch.items.tolist()))
