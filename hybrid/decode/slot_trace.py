"""Which words of a path stand in slots: the path is followed once more through the filled graph.

A path tells transition-ids and words, not states. Of the ways through the graph with exactly these the most probable is
the one that the search took, and those of its states that lie behind the base graph's are a filling's. No label and no
score has to tell where a word is from, so lattices stay what they are on any graph.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hybrid.base.compiled import kernel
from hybrid.graph.filling import Filling
from hybrid.search.engines.trellis import enlarged
from hybrid.search.graph import SearchGraph
from hybrid.search.layout import load_search_graph
from hybrid.search.protocol import Searcher
from hybrid.search.raised_graph import BiasedGraph
from hybrid.search.splice import slot_rows

if TYPE_CHECKING:
    from hybrid.graph.decoding import DecodingGraph
    from hybrid.hmm import TransitionModel

__all__ = ["SlotSpan", "SlotTracer"]


class SlotSpan(NamedTuple):
    """Words of a path that stand in a slot.

    Attributes:
      slot: its name. begin, end: the words, from 0, without the last.
    """

    slot: str
    begin: int
    end: int


@dataclass(frozen=True, eq=False)
class SlotTracer:
    """Follows paths through one filled graph.

    Attributes:
      graph: with the filling. base: the first state behind those of the graph that was filled.
      size: states of the filling. owners: the first state of each slot's part in it, and the slot.
    """

    graph: SearchGraph
    base: int
    size: int
    owners: tuple[tuple[int, str], ...]

    @classmethod
    def of(cls, searcher: Searcher, graph: DecodingGraph, model: TransitionModel, filling: Filling) -> SlotTracer:
        """Of a searcher of a filled graph, whose memory it shares where the engine searches one of this layout."""
        found, rows = getattr(searcher, "graph", None), slot_rows(graph)
        found = found.base if isinstance(found, BiasedGraph) else found
        if not isinstance(found, SearchGraph):
            found = rows.fill(load_search_graph(graph, model), filling, model.pdf_ids)
        places, size = len(rows.places), filling.fst.num_states
        return cls(found, found.num_states - places * size, size, filling.owners)

    def spans(self, transition_ids: np.ndarray, word_ids: np.ndarray, begin: int | None = None) -> list[SlotSpan]:
        """Returns the words that stand in slots, in order; nothing where the path is none of this graph.

        Args:
          transition_ids: int32, one per frame. word_ids: int32.
          begin: the state that it begins in; None: the graph's start.
        """
        graph = self.graph
        if not self.size or not len(word_ids):
            return []
        rows, totals, last = _follow(
            graph.bounds, graph.arcs, graph.graph_scores, graph.transition_ids, graph.word_ids,
            graph.start if begin is None else begin, np.asarray(transition_ids, np.int32),
            np.asarray(word_ids, np.int32),
        )  # fmt: skip
        return self._read(rows, totals, int(last), len(word_ids))

    def _read(self, rows: np.ndarray, totals: np.ndarray, last: int, words: int) -> list[SlotSpan]:
        """Reads the spans off the tokens; `last` is the first one of the last frame."""
        ends = last + np.flatnonzero(rows[last:, 1] == words)
        if not len(ends):
            return []
        finals = self.graph.final_scores[rows[ends, 0]]
        scores = totals[ends] + (finals if np.isfinite(finals).any() else 0.0)
        token, way = int(ends[np.argmax(scores)]), []
        while token >= 0:
            way.append((int(rows[token, 0]), int(rows[token, 1])))
            token = int(rows[token, 2])
        spans: list[SlotSpan] = []
        inside, begin, before = "", 0, 0
        for state, said in reversed(way):
            slot = self._slot(state)
            if slot and not inside:
                begin = said
            elif inside and not slot and before > begin:  # the word of the arc that leads out is not the slot's
                spans.append(SlotSpan(inside, begin, before))
            inside, before = slot, said
        return [*spans, SlotSpan(inside, begin, words)] if inside and words > begin else spans

    def _slot(self, state: int) -> str:
        """The slot whose filling a state belongs to; "" for one of the base graph."""
        if state < self.base:
            return ""
        place = bisect.bisect_right(self.owners, (state - self.base) % self.size, key=lambda owner: owner[0])
        return self.owners[place - 1][1]


@kernel
def _follow(bounds, arcs, scores, transition_ids, word_ids, start, ids, words):
    """Finds the best way to each (state, number of words said) that a path's transition-ids and words allow.

    Returns:
      Tokens int64 [N][3] (state, words said, token before), their scores float64 [N], the first one of the last frame.
    """
    rows, totals = np.empty((256, 3), np.int64), np.empty(256, np.float64)
    rows[0, 0], rows[0, 1], rows[0, 2], totals[0] = start, 0, -1, 0.0
    begin, first, count = 0, 0, 1
    for t in range(-1, len(ids)):
        if t >= 0:
            begin, first = first, count
            for i in range(begin, first):
                state = rows[i, 0]
                for a in range(bounds[state, 0], bounds[state, 1]):
                    if transition_ids[a] == ids[t]:
                        rows, totals, count, _ = _step(rows, totals, first, count, i, a, arcs, scores, word_ids, words)
        i = first
        while i < count:
            state, nearest = rows[i, 0], count
            for a in range(bounds[state, 1], bounds[state + 1, 0]):
                rows, totals, count, j = _step(rows, totals, first, count, i, a, arcs, scores, word_ids, words)
                nearest = min(nearest, j)
            i = min(i + 1, nearest)  # what an earlier token leads to has become better
    return rows[:count], totals[:count], first


@kernel
def _step(rows, totals, first, count, i, a, arcs, scores, word_ids, words):
    """Takes token `i` over arc `a`, where its word is the next one said.

    Returns:
      The tokens, their scores, how many there are, and the one that became better; their number where none did.
    """
    said, total = rows[i, 1], totals[i] + scores[a]
    if word_ids[a]:
        if said == len(words) or words[said] != word_ids[a]:
            return rows, totals, count, count
        said += 1
    if total == -np.inf:
        return rows, totals, count, count
    state = arcs[a, 0]
    for j in range(first, count):
        if rows[j, 0] == state and rows[j, 1] == said:
            if total <= totals[j]:
                return rows, totals, count, count
            rows[j, 2], totals[j] = i, total
            return rows, totals, count, j
    rows, totals = enlarged(rows, count, count + 1), enlarged(totals, count, count + 1)
    rows[count, 0], rows[count, 1], rows[count, 2], totals[count] = state, said, i, total
    return rows, totals, count + 1, count
