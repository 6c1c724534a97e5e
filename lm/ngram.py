"""N-gram models with back-off (Katz, 1987): a trie of n-grams, and the automaton that scores with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.base.content import ByContent
from lm.word_table import BOS, EOS, Vocabulary

__all__ = ["LN_10", "BackoffAutomaton", "NgramLevel", "NgramModel"]

LN_10 = float(np.log(10.0))


@dataclass(frozen=True, eq=False)
class NgramLevel(ByContent):
    """The n-grams of one order, sorted by (context, word).

    Attributes:
      contexts: int32, position of the first n-1 words in the level below; 0 for unigrams.
      words: int32, id of the last word.
      log10_probs: float32, log10 p(word | context); -inf for special words that the model lacks.
      log10_backoffs: float32, log10 of the back-off weight of the n-gram as a context; 0 where none.
    """

    contexts: np.ndarray
    words: np.ndarray
    log10_probs: np.ndarray
    log10_backoffs: np.ndarray

    def __post_init__(self) -> None:
        if not len(self.contexts) == len(self.words) == len(self.log10_probs) == len(self.log10_backoffs):
            raise ValueError("the arrays of a level differ in length")

    def __len__(self) -> int:
        return len(self.words)


@dataclass(frozen=True)
class NgramModel:
    """An n-gram model with back-off:

        p(w | h) = p of the n-gram (h, w) where the model has it, else backoff(h) · p(w | h without its first word)

    The values are those of the ARPA file, in log10; what scores for others (`score_sentence`,
    `BackoffAutomaton`) says its unit.

    Attributes:
      vocabulary: the words; its ids are those of the levels.
      levels: orders 1 … N; level 1 has a row for every word, in the order of the ids.
    """

    vocabulary: Vocabulary
    levels: tuple[NgramLevel, ...]

    def __post_init__(self) -> None:
        if not self.levels:
            raise ValueError("a model has at least unigrams")
        if not np.array_equal(self.levels[0].words, np.arange(len(self.vocabulary))):
            raise ValueError("level 1 must have one row for each word, in the order of the ids")

    @property
    def order(self) -> int:
        """Length of the longest n-grams."""
        return len(self.levels)

    @property
    def num_ngrams(self) -> tuple[int, ...]:
        """How many n-grams of each order an ARPA file of this model lists."""
        absent = int(np.count_nonzero(np.isneginf(self.levels[0].log10_probs)))
        return (len(self.levels[0]) - absent, *(len(level) for level in self.levels[1:]))

    def columns(self, length: int) -> np.ndarray:
        """Word ids of all n-grams of one order: int32 [length][n-gram]."""
        level = self.levels[length - 1]
        rows = np.empty((length, len(level)), np.int32)
        rows[-1] = level.words
        contexts = level.contexts
        for below in range(length - 2, -1, -1):
            rows[below] = self.levels[below].words[contexts]
            contexts = self.levels[below].contexts[contexts]
        return rows

    @cached_property
    def automaton(self) -> "BackoffAutomaton":
        """The model as one array of nodes, for scoring."""
        return BackoffAutomaton.build(self)

    def log10_prob(self, word: str, history: Sequence[str] = ()) -> float:
        """log10 p(word | history), for tests and curious people; `automaton` is for work.

        Args:
          history: words before it, oldest first, beginning with <s> where the sentence does.
        """
        automaton, vocabulary = self.automaton, self.vocabulary
        state = 0
        for previous in history:
            state = int(automaton.step(state, vocabulary.id(previous))[1])
        return float(automaton.step(state, vocabulary.id(word))[0])

    def score_sentence(self, words: Sequence[str]) -> float:
        """Natural log of the probability of a sentence and its end."""
        ids = np.array([*(self.vocabulary.id(w) for w in words), EOS], np.int32)
        return float(self.automaton.score(ids)[0].sum() * LN_10)


@kernel
def find_child(words, begin, end, word):
    """Position of `word` in the sorted words[begin:end], or -1."""
    while begin < end:
        middle = (begin + end) >> 1
        if words[middle] < word:
            begin = middle + 1
        elif words[middle] > word:
            end = middle
        else:
            return middle
    return -1


@kernel
def score_word(state, word, children, words, log_probs, backoffs, links, highest):
    """Returns (log10 probability as float64, next state); see `BackoffAutomaton`."""
    score = 0.0
    while True:
        node = find_child(words, children[state], children[state + 1], word)
        if node >= 0:
            return score + log_probs[node], links[node] if node >= highest else node
        if state == 0:
            return -np.inf, 0
        score += backoffs[state]
        state = links[state]


@kernel
def _score_ids(ids, state, start, children, words, log_probs, backoffs, links, highest, scores):
    """Scores running text; after a sentence end the state is `start` again. Returns the state reached."""
    for i in range(len(ids)):
        scores[i], state = score_word(state, ids[i], children, words, log_probs, backoffs, links, highest)
        if ids[i] == EOS:
            state = start
    return state


@kernel
def _score_many(states, word_ids, children, words, log_probs, backoffs, links, highest, scores, following):
    for i in range(len(states)):
        scores[i], following[i] = score_word(
            states[i], word_ids[i], children, words, log_probs, backoffs, links, highest
        )


@kernel
def _link_nodes(first, parents, words, children, links):
    """Longest proper suffix of each node that is a node itself, from node `first` on (shorter ones are done)."""
    for node in range(first, len(words)):
        state = links[parents[node]]
        while True:
            found = find_child(words, children[state], children[state + 1], words[node])
            if found >= 0:
                links[node] = found
                break
            if state == 0:
                links[node] = 0
                break
            state = links[state]


@dataclass(frozen=True, eq=False)
class BackoffAutomaton:
    """All n-grams of a model as nodes of one trie with suffix links (Aho and Corasick, 1975).

    Node 0 is the empty context; then come the unigrams (node = word id + 1), bigrams, … A node below
    `highest` is also a state: the context that its words make.

    Attributes:
      children: int32 [node + 1], where the nodes that extend a node by one word begin.
      words: int32 [node], last word; log_probs, backoffs: float32 [node], log10.
      links: int32 [node], the longest proper suffix that is a node.
      highest: first node of the highest order, which is no state.
    """

    children: np.ndarray
    words: np.ndarray
    log_probs: np.ndarray
    backoffs: np.ndarray
    links: np.ndarray
    highest: int

    @classmethod
    def build(cls, model: NgramModel) -> "BackoffAutomaton":
        """Lays out the levels of a model one after the other."""
        sizes = [1, *(len(level) for level in model.levels)]
        first = np.concatenate([[0], np.cumsum(sizes)])
        parents = np.concatenate([[0], *(lv.contexts + first[n] for n, lv in enumerate(model.levels))]).astype(np.int32)
        words = np.concatenate([[-1], *(lv.words for lv in model.levels)]).astype(np.int32)
        counts = np.bincount(parents[1:], minlength=len(words))
        children = np.ones(len(words) + 1, np.int32)
        children[1:] += np.cumsum(counts).astype(np.int32)
        links = np.zeros(len(words), np.int32)
        _link_nodes(int(first[2]), parents, words, children, links)
        zero = np.zeros(1, np.float32)
        log_probs = np.concatenate([zero, *(lv.log10_probs for lv in model.levels)])
        backoffs = np.concatenate([zero, *(lv.log10_backoffs for lv in model.levels)])
        highest = int(first[len(model.levels)]) if len(model.levels) > 0 else 1
        return cls(children, words, log_probs, backoffs, links, highest)

    @property
    def start(self) -> int:
        """The state at the start of a sentence."""
        node = BOS + 1
        return node if node < self.highest else 0

    def step(self, state: int, word: int) -> tuple[float, int]:
        """log10 p(word | state) and the state after it."""
        scores, following = self.steps(np.array([state]), np.array([word]))
        return float(scores[0]), int(following[0])

    def steps(self, states: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`step` for arrays (any integer dtype) of equal length: float64 log10 scores and int32 states."""
        scores, following = np.empty(len(states)), np.empty(len(states), np.int32)
        arrays = (self.children, self.words, self.log_probs, self.backoffs, self.links, self.highest)
        _score_many(states, words, *arrays, scores, following)
        return scores, following

    def score(self, ids: np.ndarray, state: int | None = None) -> tuple[np.ndarray, int]:
        """Scores running text; after each EOS the next sentence starts.

        Args:
          ids: int32 word ids.
          state: where the text goes on from; None for the start of a sentence.

        Returns:
          log10 probabilities (float64) of the words, -inf where the model has none, and the state after them.
        """
        scores = np.empty(len(ids))
        arrays = (self.children, self.words, self.log_probs, self.backoffs, self.links, self.highest)
        state = _score_ids(ids, self.start if state is None else state, self.start, *arrays, scores)
        return scores, int(state)
