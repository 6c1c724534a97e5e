"""G: a grammar as an acceptor of word ids, as small as the grammar.

The automaton's empty arcs are followed with the probability of all ways through them; then subsets of states are built
in the probability semiring (Mohri, 1997), so that a sentence has the probability of all its parses together and every
state sums to one; then equal states are merged. Where weights differ without end (`a*` beside a more probable `a*`)
no such acceptor exists: the ways stay apart, and those that begin with the same word lie behind arcs of `#0`, as
back-off arcs do, so that L∘G can be determinised all the same.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from hybrid.base.errors import InputError
from hybrid.formats.openfst import FstArrays
from hybrid.fst.minimize import minimize_encoded
from lm.grammar.automaton import GrammarAutomaton
from lm.grammar.rules import MAX_ARCS, components

__all__ = ["Closures", "acceptor"]

DELTA = 2.0**-16  # nats between costs that are told apart
DIGITS = 9  # of probabilities of states in a subset
RAREST = 1e-100  # of them: rarer ones mean that weights go apart without end
END = 1
Weights = dict[int, float]
Arcs = list[tuple[int, int, int, float]]  # source, label, target, probability


class Closures:
    """What each state leads to without a word: states with words and the end, with the probability of all ways."""

    def __init__(self, automaton: GrammarAutomaton, limit: int = MAX_ARCS) -> None:
        """Takes an automaton.

        Args:
          limit: entries, in all, at which it is given up.

        Raises:
          InputError: more than `limit` entries, or as many ways that lead back to their beginning.
        """
        self._automaton, self._limit, self._entries = automaton, limit, 0
        self._known: list[Weights] = [{} for _ in range(automaton.num_states)]
        self._empty: dict[int, Weights] = {state: {} for state in range(automaton.num_states)}
        self.words: list[list[tuple[int, int, float]]] = [[] for _ in range(automaton.num_states)]
        rows = zip(automaton.sources, automaton.targets, automaton.labels, automaton.probabilities)
        for source, target, label, probability in rows:
            if label:
                self.words[source].append((label, target, probability))
            else:
                self._empty[source][target] = self._empty[source].get(target, 0.0) + probability
        for group in components({state: list(to) for state, to in self._empty.items()}):
            self._close(group)

    def _too_large(self, found: str) -> InputError:
        return InputError.at(self._automaton.place, found, "Use fewer optional parts in a row.")

    def _own(self, state: int) -> Weights:
        return {state: 1.0} if self.words[state] or state == END else {}

    def _close(self, group: tuple[int, ...]) -> None:
        """Sums over the ways out of a strongly connected part: x = own + P x, where what it leads to is known."""
        if len(group) ** 2 > self._limit:
            raise self._too_large(f"a repetition of {len(group)} parts that may all be left out is too large")
        number = {state: n for n, state in enumerate(group)}
        inside = np.zeros((len(group), len(group)))
        outside: list[Weights] = []
        for state in group:
            sums: defaultdict[int, float] = defaultdict(float, self._own(state))
            for target, probability in self._empty[state].items():
                if target in number:
                    inside[number[state], number[target]] += probability
                else:
                    for core, weight in self._known[target].items():
                        sums[core] += probability * weight
            outside.append(dict(sums))
        if len(group) == 1:
            scale = 1 / (1 - inside[0, 0])
            rows = [outside[0] if scale == 1 else {core: scale * weight for core, weight in outside[0].items()}]
        else:
            rows = self._solved(inside, outside)
        for state, row in zip(group, rows):
            self._known[state] = row
            self._entries += len(row)
        if self._entries > self._limit:
            raise self._too_large(f"parts that may be left out lead to more than {self._limit:,} continuations")

    def _solved(self, inside: np.ndarray, outside: Sequence[Weights]) -> list[Weights]:
        cores = sorted({core for row in outside for core in row})
        if len(cores) * len(outside) > self._limit:
            raise self._too_large(f"parts that may be left out lead to more than {self._limit:,} continuations")
        column = {core: n for n, core in enumerate(cores)}
        values = np.zeros((len(outside), len(cores)))
        for n, row in enumerate(outside):
            for core, weight in row.items():
                values[n, column[core]] = weight
        solved = np.linalg.solve(np.eye(len(outside)) - inside, values)
        return [{core: float(w) for core, w in zip(cores, row) if w > 0} for row in solved]

    def of(self, state: int) -> Weights:
        """Returns the states behind one, and their probabilities."""
        return self._known[state]


def acceptor(automaton: GrammarAutomaton, labels: Mapping[str, int], backoff: int = 0) -> FstArrays:
    """Compiles G.

    Args:
      labels: word → id in the lexicon's table.
      backoff: id of `#0`, wanted where no deterministic acceptor exists.

    Returns:
      Costs are negative logs of probabilities; the costs of each state sum to one but for `#0`. Arcs of a state rise by
      label.

    Raises:
      InputError: more than 10 million arcs.
    """
    ids = [0, *(labels[word] for word in automaton.words)]
    closures = Closures(automaton)
    found = _deterministic(automaton, closures)
    apart = found is None
    arcs, finals = _apart(automaton, closures) if found is None else found
    fst = minimize_encoded(_fst(arcs, finals, ids), DELTA)
    return _behind_backoff(fst, backoff) if apart else _sorted(fst)


def _deterministic(automaton: GrammarAutomaton, closures: Closures) -> tuple[Arcs, Weights] | None:
    """Returns arcs and final probabilities of the subset construction; None where it does not end soon."""
    limit = 4 * automaton.num_states + 1000
    numbers: dict[tuple[tuple[int, float], ...], int] = {((0, 1.0),): 0}
    subsets: list[tuple[tuple[int, float], ...]] = [((0, 1.0),)]
    arcs: Arcs = []
    finals: Weights = {}
    for number, subset in enumerate(subsets):  # grows
        if len(subsets) > limit or len(arcs) > MAX_ARCS:
            return None
        words: dict[int, defaultdict[int, float]] = {}
        for state, share in subset:
            for core, weight in closures.of(state).items():
                if core == END:
                    finals[number] = finals.get(number, 0.0) + share * weight
                for label, target, probability in closures.words[core]:
                    words.setdefault(label, defaultdict(float))[target] += share * weight * probability
        for label, targets in words.items():
            total = sum(targets.values())
            if min(targets.values()) < RAREST * total:
                return None
            key = tuple(sorted((state, float(f"{weight / total:.{DIGITS}g}")) for state, weight in targets.items()))
            if key not in numbers:
                numbers[key] = len(subsets)
                subsets.append(key)
            arcs.append((number, label, numbers[key], total))
    return arcs, finals


def _apart(automaton: GrammarAutomaton, closures: Closures) -> tuple[Arcs, Weights]:
    """Returns arcs and final probabilities with a state for each of the automaton's that a word leads to."""
    numbers, states = {0: 0}, [0]
    arcs: Arcs = []
    finals: Weights = {}
    for number, state in enumerate(states):  # grows
        merged: defaultdict[tuple[int, int], float] = defaultdict(float)
        for core, weight in closures.of(state).items():
            if core == END:
                finals[number] = weight
            for label, target, probability in closures.words[core]:
                merged[label, target] += weight * probability
        for (label, target), probability in merged.items():
            if target not in numbers:
                numbers[target] = len(states)
                states.append(target)
            arcs.append((number, label, numbers[target], probability))
        if len(arcs) > MAX_ARCS:
            raise InputError.at(automaton.place, f"would have more than {MAX_ARCS:,} arcs", "Use fewer optional parts.")
    return arcs, finals


def _fst(arcs: Arcs, finals: Weights, ids: Sequence[int]) -> FstArrays:
    states = 1 + max([0, *(max(arc[0], arc[2]) for arc in arcs)])
    final_costs = np.full(states, np.inf)
    for state, probability in finals.items():
        final_costs[state] = max(0.0, -math.log(probability))
    sources, labels, targets, probabilities = np.array(arcs, float).reshape(-1, 4).T
    words = np.array(ids)[labels.astype(int)]
    return FstArrays.from_arcs(0, sources, words, words, targets, np.maximum(0, -np.log(probabilities)), final_costs)


def _sorted(fst: FstArrays) -> FstArrays:
    sources = fst.sources()
    order = np.lexsort((fst.ilabels, sources))
    il, ol, to, costs = (column[order] for column in (fst.ilabels, fst.olabels, fst.next_states, fst.costs))
    return FstArrays.from_arcs(fst.start, sources[order], il, ol, to, costs, fst.final_costs)


def _behind_backoff(fst: FstArrays, backoff: int) -> FstArrays:
    """Returns the acceptor with the second arc of a word in a state behind one `#0`, the third behind two, …"""
    rows: list[tuple[int, int, int, int, float]] = []
    states = fst.num_states
    for state in range(fst.num_states):
        seen: defaultdict[int, int] = defaultdict(int)
        layers = [state]
        for arc in range(fst.row_splits[state], fst.row_splits[state + 1]):
            label = int(fst.ilabels[arc])
            if seen[label] == len(layers):
                rows.append((layers[-1], backoff, 0, states, 0.0))
                layers.append(states)
                states += 1
            rows.append((layers[seen[label]], label, label, int(fst.next_states[arc]), float(fst.costs[arc])))
            seen[label] += 1
    finals = np.concatenate([fst.final_costs, np.full(states - fst.num_states, np.inf)])
    sources, il, ol, to, costs = np.array(rows).T
    return _sorted(FstArrays.from_arcs(fst.start, sources, il, ol, to, costs, finals))
