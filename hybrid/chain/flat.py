"""Flat start: trees without training, and phone sequences of texts without alignments (Hadian et al., 2018).

In place of a grown tree every left biphone has pdfs of its own, and where it is rare those of its phone; which
pronunciations a text was spoken with is drawn by their probabilities.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from hybrid.chain.numerator import Numerator, lattice_numerator
from hybrid.formats.openfst import FstArrays
from hybrid.hmm import TransitionModel
from hybrid.tree import ContextTree
from hybrid.tree.nodes import PDF_CLASS_KEY, Leaf, Node, Table

__all__ = ["biphone_tree", "draw_path", "text_numerator"]

CLASSES = 2  # of a chain's topology: a phone's first frame, its others


def biphone_tree(
    sets: Sequence[Sequence[int]],
    context_independent: Iterable[int],
    sequences: Iterable[np.ndarray],
    min_count: int = 0,
) -> ContextTree:
    """Returns the tree in which each pair of a phone's set and that of the phone before has pdfs of its own.

    Args:
      sets: disjoint sets of phones that together hold every phone.
      context_independent: phones whose pdfs do not depend on the one before.
      sequences: int [S], phone sequences of the training data, in which pairs are counted.
      min_count: pairs seen less often share the pdfs of their phone; 0: all have their own.
    """
    set_of = {phone: number for number, phones in enumerate(sets, 1) for phone in phones} | {0: 0}
    counts: Counter[tuple[int, int]] = Counter()
    for phones in sequences:
        numbers = [0, *(set_of[int(p)] for p in phones)]
        counts.update(zip(numbers, numbers[1:]))
    independent = {set_of[phone] for phone in context_independent}
    highest, leaves = max(set_of), 0

    def pair() -> Table:
        nonlocal leaves
        leaves += CLASSES
        return Table(PDF_CLASS_KEY, tuple(Leaf(leaves - CLASSES + number) for number in range(CLASSES)))

    nodes: dict[int, Node] = {}
    for number in range(1, len(sets) + 1):
        lefts = range(len(sets) + 1) if number not in independent else ()
        own = {left: pair() for left in lefts if counts[left, number] >= min_count}
        rare = pair() if len(own) <= len(sets) else None
        if not own:
            nodes[number] = rare  # type: ignore[assignment]
            continue
        nodes[number] = Table(0, tuple(own.get(set_of.get(left, -1), rare) for left in range(highest + 1)))
    return ContextTree(2, 1, Table(1, tuple(nodes.get(set_of.get(p, -1)) for p in range(highest + 1))))


def text_numerator(phones: FstArrays, num_frames: int, model: TransitionModel) -> Numerator:
    """Returns the numerator of a text whose phones may be anywhere in an utterance.

    Args:
      phones: its phone graph (`hybrid.graph.phone_graph.LexiconIndex.phone_graph`).
      num_frames: of the features.

    Raises:
      NumeratorError: no way through, or the tree has no pdf for a phone.
    """
    times = np.tile(np.array([0, num_frames]), (phones.num_arcs, 1))
    return lattice_numerator(phones, times, num_frames, model)


def draw_path(phones: FstArrays, rng: np.random.Generator) -> np.ndarray:
    """Draws a way through a phone graph, each state's ways on by their probabilities: int32 [S] phones."""
    state = phones.start
    found: list[int] = []
    while True:
        arcs = slice(int(phones.row_splits[state]), int(phones.row_splits[state + 1]))
        weights = np.exp(-np.append(phones.costs[arcs], phones.final_costs[state]).astype(np.float64))
        choice = int(rng.choice(len(weights), p=weights / weights.sum()))
        if choice == len(weights) - 1:
            return np.array(found, np.int32)
        found.append(int(phones.ilabels[arcs.start + choice]))
        state = int(phones.next_states[arcs.start + choice])
