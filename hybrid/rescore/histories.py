"""What a second pass asks of a language model: log-probabilities of words after histories, which form a tree.

Each history is a node; a node's word is read once, and what was asked for is not asked again. `NeuralHistories` asks a
model of `lm.neural`; `CallableHistories` any function of histories and words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch

from hybrid.base.errors import InputError
from lexicon.symbols import SymbolTable
from lm.neural.folder import NeuralLm
from lm.neural.text_scores import earlier_tokens
from lm.neural.token_tree import ROOT, TokenTree
from lm.word_table import SENTENCE_END

__all__ = ["END", "LOWEST", "CallableHistories", "NeuralHistories", "WordHistories"]

END = 0  # word id that stands for the sentence end
LOWEST = -1000.0  # natural log; what is impossible in a function's eyes stays a number in a lattice

Function = Callable[[Sequence[tuple[str, ...]], Sequence[str]], Sequence[float]]


class WordHistories(Protocol):
    """A tree of histories of words by id."""

    def begin(self, earlier: Sequence[Sequence[str]] = ()) -> int:
        """Returns the node at the start of a sentence.

        Args:
          earlier: the words of the sentences before it, the last one last.
        """

    def child(self, node: int, word_id: int) -> int:
        """Returns the node after one more word."""

    def log_probs(self, nodes: np.ndarray, word_ids: np.ndarray) -> np.ndarray:
        """Returns float64 [N], natural logs of words after nodes; word 0 is the sentence end."""


class NeuralHistories:
    """See `WordHistories`; scores of pieces are summed along words."""

    def __init__(
        self, lm: NeuralLm, words: SymbolTable, device: torch.device, batch: int = 512, amp: str = "none",
        history: int = 0,
    ) -> None:  # fmt: skip
        """Starts with nothing said.

        Args:
          lm: on `device`. words: of the lattices.
          batch: histories read together at most. amp: none, float16 or bfloat16.
          history: tokens of earlier sentences at most.
        """
        self._lm, self._words, self._history = lm, words, history
        self._tree = TokenTree(lm, device, batch, amp)
        self._tokens: dict[int, tuple[int, ...]] = {END: lm.units.of_word(SENTENCE_END)}

    def _spelt(self, word_id: int) -> tuple[int, ...]:
        found = self._tokens.get(word_id)
        if found is None:
            found = self._tokens[word_id] = self._lm.units.of_word(self._words.symbol(word_id, "lattice"))
        return found

    def begin(self, earlier: Sequence[Sequence[str]] = ()) -> int:
        """See `WordHistories.begin`."""
        units = self._lm.units
        said = [[token for word in (*words, SENTENCE_END) for token in units.of_word(word)] for words in earlier]
        return self._tree.after(ROOT, earlier_tokens(said, self._history))

    def child(self, node: int, word_id: int) -> int:
        """See `WordHistories.child`."""
        return self._tree.after(node, self._spelt(word_id))

    def log_probs(self, nodes: np.ndarray, word_ids: np.ndarray) -> np.ndarray:
        """See `WordHistories.log_probs`."""
        pairs, inverse = np.unique(np.stack([nodes, word_ids]).astype(np.int64), axis=1, return_inverse=True)
        at, tokens, owner = [], [], []
        for number, (node, word) in enumerate(pairs.T.tolist()):
            for token in self._spelt(word):
                at.append(node)
                tokens.append(token)
                owner.append(number)
                node = self._tree.child(node, token) if len(self._spelt(word)) > 1 else node
        found = self._tree.log_probs(np.array(at, np.int64), np.array(tokens, np.int64))
        return np.bincount(owner, weights=found, minlength=pairs.shape[1])[inverse.reshape(-1)]


class CallableHistories:
    """Any function `(histories, words) → natural logs of the words' probabilities`; see `WordHistories`.

    A history is a tuple of words, earlier sentences and their `</s>` included; a word may be `</s>`. Histories are
    handed over together, those of one node beside each other, and no pair twice.
    """

    def __init__(self, function: Function, words: SymbolTable, batch: int = 512) -> None:
        """Starts with nothing said.

        Args:
          words: of the lattices. batch: pairs of a call at most.
        """
        self._function, self._words, self._batch = function, words, batch
        self._histories: list[tuple[str, ...]] = []
        self._nodes: dict[tuple[str, ...], int] = {}
        self._known: dict[tuple[int, int], float] = {}

    def _node(self, history: tuple[str, ...]) -> int:
        found = self._nodes.setdefault(history, len(self._histories))
        if found == len(self._histories):
            self._histories.append(history)
        return found

    def _symbol(self, word_id: int) -> str:
        return SENTENCE_END if word_id == END else self._words.symbol(word_id, "lattice")

    def begin(self, earlier: Sequence[Sequence[str]] = ()) -> int:
        """See `WordHistories.begin`."""
        return self._node(tuple(word for words in earlier for word in (*words, SENTENCE_END)))

    def child(self, node: int, word_id: int) -> int:
        """See `WordHistories.child`."""
        return self._node((*self._histories[node], self._symbol(word_id)))

    def log_probs(self, nodes: np.ndarray, word_ids: np.ndarray) -> np.ndarray:
        """See `WordHistories.log_probs`.

        Raises:
          InputError: the function gave what are no log-probabilities, or not one for each word.
        """
        pairs = list(zip(np.asarray(nodes).tolist(), np.asarray(word_ids).tolist()))
        missing = sorted(set(pairs) - self._known.keys())
        for begin in range(0, len(missing), self._batch):
            part = missing[begin : begin + self._batch]
            found = self._function([self._histories[n] for n, _ in part], [self._symbol(w) for _, w in part])
            values = np.asarray(found, np.float64)
            if values.shape != (len(part),):
                message = f"gave values of shape {values.shape} for {len(part)} words"
                raise InputError.at("language model", message, "Return one natural log for each history and word.")
            if np.isnan(values).any() or (values > 1e-3).any():
                worst = float(values[np.isnan(values) | (values > 1e-3)][0])
                raise InputError.at("language model", f"gave the log-probability {worst:g}",
                                    "Return natural logs, which are 0 at most.")  # fmt: skip
            self._known.update(zip(part, np.clip(values, LOWEST, 0.0).tolist()))
        return np.array([self._known[pair] for pair in pairs])
