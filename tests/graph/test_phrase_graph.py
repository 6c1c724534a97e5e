"""Graphs of phrases: what the kernels make is what a few readable loops make."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.graph.phrase_graph import Phrase, PhraseGraph, WordPhones

SILENCE = 9
Path = tuple[tuple[tuple[int, int], ...], int]  # phone and word of each arc; the last phone that the final state tells


class Twin:
    """Every phrase in every pronunciation as a path of its own, words where the graph has them, weights at the end."""

    def __init__(self, phrases: list[Phrase], pronunciations: WordPhones, probability: float, tell_ends: bool) -> None:
        self._pronunciations, self._tell_ends = pronunciations, tell_ends
        self._skip = -math.log(1 - probability)
        self._pause = -math.log(probability) if probability else math.inf
        self.paths: Counter[Path] = Counter()
        for phrase in phrases:
            for arcs, cost in self._ways(phrase.words, [p.words for p in phrases]):
                last = arcs[-1][0] if tell_ends else 0
                self.paths[arcs, last] += math.exp(-cost - phrase.cost)

    def _ways(
        self, words: tuple[int, ...], beside: list[tuple[int, ...]]
    ) -> Iterator[tuple[tuple[tuple[int, int], ...], float]]:
        """Ways to say a phrase that stands beside others (itself one of them): the arcs, and what they cost."""
        for phones, cost in self._pronunciations[words[0]]:
            ways = [(p, w[0], w[1:]) for w in beside for p, _ in self._pronunciations[w[0]]]
            place = next(
                (i for i in range(len(phones)) if sum(p[: i + 1] == phones[: i + 1] for p, _, _ in ways) == 1),
                len(phones) - 1,
            )
            said = tuple((phone, words[0] * (i == place)) for i, phone in enumerate(phones))
            others = [rest for p, word, rest in ways if (p, word) == (phones, words[0]) and rest]
            for pause, more in ((), self._skip), (((SILENCE, 0),), self._pause):
                if more < math.inf and len(words) == 1:
                    yield said + pause, cost + more
                elif more < math.inf:
                    for arcs, further in self._ways(words[1:], others):
                        yield said + pause + arcs, cost + more + further


def paths_of(graph: PhraseGraph) -> Counter[Path]:
    """The paths of a graph, and their probabilities."""
    leaving: dict[int, list[tuple[int, int, float, int]]] = {}
    for source, phone, word, cost, target in zip(*(column.tolist() for column in graph.arcs)):
        leaving.setdefault(source, []).append((phone, word, cost, target))
    last = {state: phone for phone, state in graph.ends.items()}
    found: Counter[Path] = Counter()
    stack: list[tuple[tuple[tuple[int, int], ...], float, int]] = [
        (((phone, word),), cost, target) for phone, word, cost, target in zip(*(c.tolist() for c in graph.begins))
    ]
    while stack:
        arcs, total, state = stack.pop()
        if state in last:
            assert state not in leaving
            found[arcs, last[state]] += math.exp(-total)
        for phone, word, cost, target in leaving.get(state, ()):
            stack.append(((*arcs, (phone, word)), total + cost, target))
    return found


spellings = st.lists(st.sampled_from((1, 2)), min_size=1, max_size=3).map(tuple)
lexicons = st.lists(
    st.lists(st.tuples(spellings, st.floats(0, 2)), min_size=1, max_size=2, unique_by=lambda row: row[0]),
    min_size=3, max_size=3,
)  # fmt: skip
phrase_lists = st.lists(
    st.builds(Phrase, st.lists(st.integers(11, 13), min_size=1, max_size=3).map(tuple), st.floats(0, 4)),
    min_size=1, max_size=6, unique_by=lambda phrase: phrase.words,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(phrase_lists, lexicons, st.sampled_from((0.0, 0.3)), st.booleans())
def test_the_paths_are_those_of_a_readable_twin(phrases, lexicon, probability, tell_ends):
    pronunciations = dict(enumerate(lexicon, 11))
    graph = PhraseGraph.of(sorted(phrases), pronunciations, (SILENCE, probability), tell_ends)
    ours, theirs = paths_of(graph), Twin(phrases, pronunciations, probability, tell_ends).paths
    assert ours.keys() == theirs.keys()
    assert all(ours[path] == pytest.approx(theirs[path], rel=1e-9) for path in ours)
    source, _, _, cost, target = graph.arcs
    sums = np.bincount(source, np.exp(-cost), graph.num_states)
    assert np.allclose(sums[np.unique(source)], 1.0)  # weights stand as far ahead as they can
    assert set(target.tolist()) | set(graph.begins[3].tolist()) == set(range(1, graph.num_states))


def test_ends_are_shared_and_beginnings_too():
    """A first word has its own states and those of the five phones that may follow; all share the last phone."""
    pronunciations = {word: [((word // 10, word % 10, 5), 0.0)] for word in range(10, 60)}
    phrases = [Phrase((first, second), 3.0) for first in range(10, 30) for second in range(10, 60)]
    graph = PhraseGraph.of(phrases, pronunciations, (SILENCE, 0.0), tell_ends=True)
    assert graph.num_states == (1 + 2 + 20) + 20 * (1 + 5) + 1 + 1
    assert list(graph.ends) == [5]
