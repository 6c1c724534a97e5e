"""Phone graphs of utterances: every way that the lexicon lets a text be spoken.

L∘text without epsilons and deterministic, then with its arcs split until each knows the phones
around it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hybrid.base.errors import InputError
from hybrid.formats.openfst import FstArrays, from_kaldifst, to_kaldifst
from hybrid.fst.ops import number_rows

__all__ = ["LexiconIndex", "add_context"]


class LexiconIndex:
    """L ready for composition with texts."""

    def __init__(self, lexicon: FstArrays) -> None:
        """Args: lexicon: L (phones in, words out), without disambiguation symbols."""
        order = np.lexsort((lexicon.olabels, lexicon.sources()))
        self._fst = lexicon
        self._order = order
        self._olabels = lexicon.olabels[order]
        self._next_states = lexicon.next_states[order]

    def compose(self, word_ids: Sequence[int], name: Callable[[int], str] = "id {}".format) -> FstArrays:
        """Returns L∘text with epsilons, phones in, words out.

        Args:
          name: word id → what messages call it.

        Raises:
          InputError: a word has no pronunciation.
        """
        from hybrid.graph.kernels import compose_text

        fst = self._fst
        words = np.asarray(word_ids, np.int32)
        if words.size and words.min() < 1:
            raise InputError.at("text", f"has word id {int(words.min())}, wanted ids from 1")
        nodes, arcs, reached = compose_text(fst.start, fst.row_splits, self._olabels, self._next_states, words)
        if reached < len(words):
            what = f"word {name(int(words[reached]))} ({reached + 1} of {len(words)}) has no pronunciation in L.fst"
            raise InputError.at("text", what, "Add it to the lexicon, or map it to the out-of-vocabulary word.")
        chosen = self._order[arcs[:, 1]]
        finals = np.where(nodes[:, 1] == len(words), fst.final_costs[nodes[:, 0]], np.inf).astype(np.float32)
        return FstArrays.from_arcs(
            0, arcs[:, 0], fst.ilabels[chosen], fst.olabels[chosen], arcs[:, 2], fst.costs[chosen], finals
        )

    def phone_graph(self, word_ids: Sequence[int], name: Callable[[int], str] = "id {}".format) -> FstArrays:
        """Returns the deterministic, epsilon-free phone graph of a text; equal ways are added (log semiring).

        Raises:
          InputError: a word has no pronunciation, or L does not end.
        """
        import kaldifst

        graph = to_kaldifst(self.compose(word_ids, name))
        kaldifst.connect(graph)
        if graph.num_states == 0:
            raise InputError.at("text", "cannot be spoken with this L.fst", "Make the lang folder again.")
        kaldifst.determinize_star(graph, use_log=True)
        return from_kaldifst(graph)


def add_context(graph: FstArrays, left: int, right: int) -> tuple[FstArrays, np.ndarray]:
    """Splits the states of an epsilon-free phone graph until each arc knows the phones around it.

    Args:
      graph: no input epsilons.
      left, right: how many phones before and after an arc's own it shall know.

    Returns:
      An equivalent graph, and the window of each arc: int32 [num_arcs][left + 1 + right], phone ids,
      0 beyond the ends.
    """
    if (graph.next_states == graph.start).any():
        graph = _private_start(graph)
    windows = graph.ilabels.reshape(-1, 1)
    for _ in range(left):
        graph, windows = _split_by_entering(graph, windows)
    for _ in range(right):
        graph, windows = _split_by_leaving(graph, windows)
    return graph, windows


def _private_start(graph: FstArrays) -> FstArrays:
    """Returns the graph with a new start state that no arc enters."""
    own = slice(int(graph.row_splits[graph.start]), int(graph.row_splits[graph.start + 1]))
    names = ("ilabels", "olabels", "next_states", "costs")
    il, ol, to, cost = (np.concatenate([getattr(graph, n), getattr(graph, n)[own]]) for n in names)
    splits = np.append(graph.row_splits, len(il))
    finals = np.append(graph.final_costs, graph.final_costs[graph.start])
    return FstArrays(graph.num_states, splits, il, ol, to, cost, finals)


def _split_by_entering(graph: FstArrays, windows: np.ndarray) -> tuple[FstArrays, np.ndarray]:
    """Makes one copy of a state for each window that enters it; leaving arcs learn its first phone."""
    pairs = np.stack([graph.next_states, number_rows(windows)[1] + 1], axis=1).astype(np.int64)
    pairs = np.concatenate([[[graph.start, 0]], pairs])
    first, index = number_rows(pairs)
    copies = pairs[first]
    first_phone = np.zeros(len(copies), np.int32)
    first_phone[index[1:]] = windows[:, 0]
    state = copies[:, 0]
    degrees = np.diff(graph.row_splits)[state]
    source = np.repeat(np.arange(len(copies)), degrees)
    arc = np.arange(degrees.sum()) - np.repeat(np.cumsum(degrees) - degrees, degrees)
    arc += graph.row_splits[state[source]]
    split = FstArrays(
        int(index[0]), np.concatenate([[0], np.cumsum(degrees)]), graph.ilabels[arc], graph.olabels[arc],
        index[1:][arc], graph.costs[arc], graph.final_costs[state],
    )  # fmt: skip
    return split, np.concatenate([first_phone[source][:, None], windows[arc]], axis=1)


def _split_by_leaving(graph: FstArrays, windows: np.ndarray) -> tuple[FstArrays, np.ndarray]:
    """Makes one copy of a state for each window that leaves it; entering arcs learn its last phone.

    The final state becomes a copy of its own, left by no phone (0). Copies of the start state stay one.
    """
    sources = graph.sources()
    last = np.flatnonzero(np.isfinite(graph.final_costs))
    leaving = np.concatenate([number_rows(windows)[1] + 1, np.zeros(len(last), np.int64)])
    state = np.concatenate([sources, last]).astype(np.int64)
    leaving[state == graph.start] = 0
    pairs = np.stack([state, leaving], axis=1)
    first, index = number_rows(pairs)
    copies = pairs[first]
    last_phone = np.zeros(len(copies), np.int32)
    last_phone[index[: len(sources)]] = windows[:, -1]
    # Every arc goes to each copy of the state that it led to.
    splits = np.searchsorted(copies[:, 0], np.arange(graph.num_states + 1))
    counts = np.diff(splits)[graph.next_states]
    arc = np.repeat(np.arange(graph.num_arcs), counts)
    target = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + splits[graph.next_states[arc]]
    finals = np.where(copies[:, 1] == 0, graph.final_costs[copies[:, 0]], np.inf).astype(np.float32)
    new_source = index[: len(sources)][arc]
    order = np.argsort(new_source, kind="stable")
    arc, target, new_source = arc[order], target[order], new_source[order]
    start = int(np.searchsorted(copies[:, 0], graph.start))
    new = FstArrays.from_arcs(
        start, new_source, graph.ilabels[arc], graph.olabels[arc], target, graph.costs[arc], finals
    )
    return new, np.concatenate([windows[arc], last_phone[target][:, None]], axis=1)
