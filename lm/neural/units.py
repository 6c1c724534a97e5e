"""What a neural model reads and predicts: words, or the pieces into which SentencePiece cuts them.

Token 0 is the sentence end, which also stands before the first word; token 1 stands for all that is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from hybrid.base.content import ByContent
from hybrid.base.errors import InputError, quote
from lm.word_table import SENTENCE_END, UNKNOWN_WORDS

__all__ = ["END", "UNKNOWN", "Units"]

END, UNKNOWN = 0, 1


@dataclass(frozen=True, eq=False)
class Units(ByContent):
    """The tokens of a model.

    Attributes:
      symbols: of the tokens, by id: the sentence end, the unknown one, then words or pieces, the most frequent first.
      pieces: serialized SentencePiece model; empty where tokens are words.
    """

    symbols: tuple[str, ...]
    pieces: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if self.symbols[:2] != (SENTENCE_END, UNKNOWN_WORDS[0]) or len(self.symbols) < 3:
            raise ValueError(f"the tokens of a model begin with {SENTENCE_END}, {UNKNOWN_WORDS[0]} and a third")
        if len(set(self.symbols)) != len(self.symbols):
            raise ValueError("a token stands twice among the tokens of a model")

    def __len__(self) -> int:
        return len(self.symbols)

    @cached_property
    def ids(self) -> dict[str, int]:
        """Tokens by their symbols."""
        return {symbol: i for i, symbol in enumerate(self.symbols)}

    @cached_property
    def _processor(self) -> Any:
        import sentencepiece

        try:
            return sentencepiece.SentencePieceProcessor(model_proto=self.pieces)
        except (RuntimeError, ValueError) as error:
            raise InputError.at("pieces", "are no SentencePiece model", "Train the model again.") from error

    def of_word(self, word: str) -> tuple[int, ...]:
        """Returns the tokens of a word; `</s>` is the sentence end."""
        if word == SENTENCE_END:
            return (END,)
        if not self.pieces:
            return (self.ids.get(word, UNKNOWN),)
        if word in UNKNOWN_WORDS:
            return (UNKNOWN,)
        return tuple(self.ids.get(piece, UNKNOWN) for piece in self._processor.encode(word, out_type=str)) or (UNKNOWN,)

    def knows(self, word: str) -> bool:
        """Tells whether a word has a probability of its own."""
        return UNKNOWN not in self.of_word(word)

    def table(self, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Returns the tokens of some words as a ragged array: int64 splits [words + 1], int32 tokens."""
        rows = [self.of_word(word) for word in words]
        splits = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)]).astype(np.int64)
        return splits, np.array([token for row in rows for token in row], np.int32)

    @classmethod
    def of_words(cls, words: Sequence[str]) -> Units:
        """Makes tokens of words, the most frequent first; those that stand for others are left out."""
        special = {SENTENCE_END, "<s>", "<eps>", *UNKNOWN_WORDS}
        kept = tuple(word for word in dict.fromkeys(words) if word not in special)
        if not kept:
            raise InputError.at("vocabulary", "holds no word", "Give the words that the model shall know.")
        return cls((SENTENCE_END, UNKNOWN_WORDS[0], *kept))

    @classmethod
    def of_pieces(cls, pieces: Sequence[str], model: bytes) -> Units:
        """Makes tokens of pieces, the most frequent first."""
        if any(not piece for piece in pieces):
            raise InputError.at("pieces", f"an empty one stands beside '{quote(next(iter(pieces)))}'")
        kept = tuple(piece for piece in dict.fromkeys(pieces) if piece not in {SENTENCE_END, "<s>", *UNKNOWN_WORDS})
        return cls((SENTENCE_END, UNKNOWN_WORDS[0], *kept), model)
