"""The readable twin: H∘C∘L composed with G as a whole, without look-ahead; back-off arcs are epsilons."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hybrid.formats.openfst import FstArrays


def compose(tree: FstArrays, word_cost: float, grammar: FstArrays, backoff_label: int) -> FstArrays:
    """Returns the composition.

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
