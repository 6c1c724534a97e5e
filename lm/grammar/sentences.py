"""The language of a grammar: its sentences listed by the rules themselves (the readable twin of the acceptor), drawn at
random, counted, and how hard they are to guess.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hybrid.formats.openfst import FstArrays
from lm.grammar.automaton import GrammarAutomaton
from lm.grammar.values import Choice, Grammar, Node, Ref, Repeat, Tagged, Word

__all__ = ["Facts", "enumerate_language", "facts_of", "sample"]

Sentence = tuple[str, ...]


def enumerate_language(grammar: Grammar, longest: int, depth: int = 40) -> dict[Sentence, float]:
    """Returns the sentences of a small grammar and their probabilities, by the definition of each kind of part.

    Args:
      longest: words of a sentence; longer ones are left out.
      depth: how often a part is repeated, or a rule calls itself, without a word at most.
    """

    def said(node: Node, deep: int) -> dict[Sentence, float]:
        """The language of a part in which rules lie at most so deep."""
        if isinstance(node, Word):
            return {(node.text,): 1.0}
        if isinstance(node, Ref):
            return said(grammar.rules[node.name].body, deep - 1) if deep else {}
        if isinstance(node, Tagged):
            return said(node.part, deep)
        if isinstance(node, Choice):
            return added(*((probability, said(part, deep)) for probability, part in node.probable))
        if isinstance(node, Repeat):
            return repeated(node, said(node.part, deep))
        found: dict[Sentence, float] = {(): 1.0}
        for part in node.parts:
            found = joined(found, said(part, deep))
        return found

    def joined(first: Mapping[Sentence, float], second: Mapping[Sentence, float]) -> dict[Sentence, float]:
        return added(*((p, {(a + b): q for b, q in second.items() if len(a + b) <= longest}) for a, p in first.items()))

    def repeated(node: Repeat, once: Mapping[Sentence, float]) -> dict[Sentence, float]:
        """The language of a part said again and again, from the language of saying it once."""
        most = node.least + depth if node.most is None else node.most
        found: dict[Sentence, float] = {}
        so_far: dict[Sentence, float] = {(): 1.0}
        reached = 1.0
        for count in range(most + 1):
            stop = 0.0 if count < node.least else 1.0 if count == node.most else 1 - node.again
            found = added((1.0, found), (reached * stop, so_far))
            so_far, reached = joined(so_far, once), reached * (1 - stop)
        return found

    from lm.grammar.rules import without_void

    grammar = without_void(grammar)
    return added(*((1 / len(grammar.roots), said(Ref(name), depth)) for name in grammar.roots))


def added(*parts: tuple[float, Mapping[Sentence, float]]) -> dict[Sentence, float]:
    """Returns the weighted sum of languages."""
    total: defaultdict[Sentence, float] = defaultdict(float)
    for weight, part in parts:
        for sentence, probability in part.items():
            if weight * probability:
                total[sentence] += weight * probability
    return dict(total)


def sample(automaton: GrammarAutomaton, rng: np.random.Generator, longest: int = 1000) -> Sentence | None:
    """Draws a sentence with its probability; None where it grew longer than `longest` words."""
    state, words = 0, []
    while state != 1:
        arcs = automaton.leaving[state]
        weights = np.array([automaton.probabilities[arc] for arc in arcs])
        arc = arcs[int(rng.choice(len(arcs), p=weights / weights.sum()))]
        if label := automaton.labels[arc]:
            words.append(automaton.words[label - 1])
            if len(words) > longest:
                return None
        state = automaton.targets[arc]
    return tuple(words)


@dataclass(frozen=True)
class Facts:
    """What an acceptor holds.

    Attributes:
      states, arcs: of it. sentences: how many there are; None without end. words: of a sentence, expected.
      perplexity: of a word or a sentence's end, over sentences drawn from the grammar.
    """

    states: int
    arcs: int
    sentences: int | None
    words: float
    perplexity: float


def facts_of(fst: FstArrays) -> Facts:
    """Counts sentences and measures perplexity of an acceptor whose states sum to one.

    The entropy is the sum over states of how often each is passed and of what is decided there; `#0` is no word.
    """
    from scipy.sparse import csr_matrix, identity
    from scipy.sparse.linalg import spsolve

    states = fst.num_states
    probabilities, finals = np.exp(-fst.costs.astype(float)), np.exp(-fst.final_costs.astype(float))
    sources, spoken = fst.sources(), fst.olabels > 0
    moves = csr_matrix((probabilities, (fst.next_states, sources)), shape=(states, states))
    start = np.zeros(states)
    start[fst.start] = 1
    visits = np.atleast_1d(spsolve((identity(states) - moves).tocsc(), start))
    bits = np.bincount(sources, probabilities * fst.costs, states)
    ending = finals > 0
    bits[ending] += finals[ending] * fst.final_costs[ending]
    words = float(visits @ np.bincount(sources, probabilities * spoken, states))
    entropy = float(visits @ bits)
    return Facts(states, fst.num_arcs, _count(fst), words, math.exp(entropy / (words + 1)))


def _count(fst: FstArrays) -> int | None:
    """Returns the number of paths; None where they go round."""
    waits = np.bincount(fst.next_states, minlength=fst.num_states)
    ways = [0] * fst.num_states
    ways[fst.start] = 1
    ready, total, done = [state for state in range(fst.num_states) if not waits[state]], 0, 0
    while ready:
        state = ready.pop()
        done += 1
        total += ways[state] if np.isfinite(fst.final_costs[state]) else 0
        for target in fst.next_states[fst.row_splits[state] : fst.row_splits[state + 1]].tolist():
            ways[target] += ways[state]
            waits[target] -= 1
            if not waits[target]:
                ready.append(target)
    return total if done == fst.num_states else None
