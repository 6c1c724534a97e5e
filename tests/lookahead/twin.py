"""Readable twins: H∘C∘L composed with G as a whole, without look-ahead; the paths of a lattice with exact back-off."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hybrid.formats.openfst import FstArrays


def compose(tree: FstArrays, word_cost: float, grammar: FstArrays, backoff_label: int) -> FstArrays:
    """Returns the composition, back-off arcs as epsilons.

    Args:
      tree: H∘C∘L in which every word, and the end, costs `word_cost`.
      grammar: over words, `backoff_label` on arcs that read none.
    """

    def ways(g: int, cost: float) -> Iterator[tuple[int, float]]:
        """The states that g backs off to, itself first, and what each costs."""
        yield g, cost
        for a in range(grammar.row_splits[g], grammar.row_splits[g + 1]):
            if grammar.ilabels[a] == backoff_label:
                yield from ways(int(grammar.next_states[a]), cost + float(grammar.costs[a]))

    def read(g: int, word: int) -> Iterator[tuple[int, float]]:
        """The states after a word, and what each costs."""
        for back, cost in ways(g, -word_cost):
            for a in range(grammar.row_splits[back], grammar.row_splits[back + 1]):
                if grammar.ilabels[a] == word:
                    yield int(grammar.next_states[a]), cost + float(grammar.costs[a])

    pairs, finals, arcs = [(tree.start, grammar.start)], [], []
    number = {pairs[0]: 0}
    for s, g in pairs:
        end = min(cost + float(grammar.final_costs[back]) for back, cost in ways(g, -word_cost))
        finals.append(float(tree.final_costs[s]) + end)
        for a in range(tree.row_splits[s], tree.row_splits[s + 1]):
            word = int(tree.olabels[a])
            for after, cost in read(g, word) if word else [(g, 0.0)]:
                pair = (int(tree.next_states[a]), after)
                if pair not in number:
                    number[pair] = len(pairs)
                    pairs.append(pair)
                arcs.append((number[s, g], int(tree.ilabels[a]), word, number[pair], float(tree.costs[a]) + cost))
    sources, ilabels, olabels, targets, costs = zip(*arcs)
    return FstArrays.from_arcs(0, sources, ilabels, olabels, targets, costs, np.array(finals))


def exact_paths(
    arcs: list[tuple[int, int, int, int]], finals: set[int], said: list[set[int]], left: tuple[int, ...] = ()
) -> list[tuple[int, ...]]:
    """Returns the paths from state 0 (their arcs, by number) that never back off beside a word that a history has.

    Args:
      arcs: source, target, history left by back-off (-1: none), number of the word (-1: none).
      finals: states in which a sentence ends, number 0.
      said: the words of each history.
      left: histories left before state 0.
    """

    def ways(state: int, passed: tuple[int, ...], path: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if state in finals and not any(0 in said[h] for h in passed):
            yield path
        for a, (source, target, history, word) in enumerate(arcs):
            if source == state and not any(word in said[h] for h in passed):
                after = () if word >= 0 else (*passed, history) if history >= 0 else passed
                yield from ways(target, after, (*path, a))

    return list(ways(0, left, ()))
