"""A search graph whose slots are filled: rows behind those of the base graph, whose memory it shares.

The base is laid out with its ways into slots closed. A filling is laid out once for every place behind it, and the ways
into it are opened. The base graph is not touched: where it is mapped from a file, the pages are mapped once more in
front of the new rows (private, so that only those that change are copied); elsewhere it is copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from hybrid.base.errors import HybridError, InputError
from hybrid.formats.openfst import FstArrays
from hybrid.graph.decoding import DecodingGraph
from hybrid.graph.filling import Filling
from hybrid.graph.slot_table import SlotTable
from hybrid.search.graph import SearchGraph, lay_out

__all__ = ["SlotRows", "closed", "slot_rows"]

MOST = 1 << 27  # states of all fillings together
_FOUND: WeakKeyDictionary[DecodingGraph, SlotRows] = WeakKeyDictionary()


def closed(fst: FstArrays, table: SlotTable) -> FstArrays:
    """Returns HCLG for token passing: ways into slots lead nowhere, at no probability, and no label is a slot's."""
    label = fst.ilabels - table.first_label
    enters = (label >= 0) & (label < table.num_entries)
    return FstArrays(
        fst.start,
        np.append(fst.row_splits, fst.num_arcs),
        np.where(label >= 0, 0, fst.ilabels),
        fst.olabels,
        np.where(enters, fst.num_states, fst.next_states),
        np.where(enters, np.inf, fst.costs),
        np.append(fst.final_costs, np.float32(np.inf)),
    )


def slot_rows(graph: DecodingGraph) -> SlotRows:
    """Returns the ways in and out of the slots of a graph; they are found once.

    Raises:
      InputError: it has no slots.
    """
    if graph.slots is None:
        raise InputError.at(graph.path or "the graph", "has no slots", "Compile it with --slot NAME.")
    if graph not in _FOUND:
        _FOUND[graph] = SlotRows.of(graph.fst, graph.slots)
    return _FOUND[graph]


@dataclass(frozen=True, eq=False)
class SlotRows:
    """The ways in and out of the places of a graph.

    Attributes:
      table: the slots.
      places: int64 [P], states.
      entries: int64 [N][3], place (from 0), key of the entry, arc of the search graph. entry_scores: float32 [N].
      exits: int64 [N][4], place, key of the exit (from 0), state behind it, word. exit_scores: float32 [N].
      backoffs: int64 [N][3], place, the place that it backs off to, word. backoff_scores: float32 [N].
    """

    table: SlotTable
    places: np.ndarray
    entries: np.ndarray
    entry_scores: np.ndarray
    exits: np.ndarray
    exit_scores: np.ndarray
    backoffs: np.ndarray
    backoff_scores: np.ndarray

    @classmethod
    def of(cls, fst: FstArrays, table: SlotTable) -> SlotRows:
        """Finds them in HCLG."""
        label, sources = fst.ilabels - table.first_label, fst.sources()
        enters, leaves = (label >= 0) & (label < table.num_entries), label >= table.num_entries
        is_place = np.zeros(fst.num_states, bool)
        is_place[fst.next_states[enters]] = is_place[sources[leaves]] = True
        backs = (fst.ilabels == 0) & is_place[sources]
        is_place[fst.next_states[backs]] = True
        places = np.flatnonzero(is_place)
        number = np.full(fst.num_states, -1, np.int64)
        number[places] = np.arange(len(places))
        silent = (fst.ilabels == 0) | (label >= 0)
        before = np.concatenate([[0], np.cumsum(silent)])  # epsilons before each arc
        ends = fst.row_splits[sources + 1]
        laid = ends - (before[ends] - before[:-1])  # behind the emitting arcs of a state, in order
        columns = (
            (number[fst.next_states], label, laid),
            (number[sources], label - table.num_entries, fst.next_states, fst.olabels),
            (number[sources], number[fst.next_states], fst.olabels),
        )
        found = []
        for chosen, some in zip((enters, leaves, backs), columns):
            found += [np.stack([column[chosen].astype(np.int64) for column in some], axis=1), -fst.costs[chosen]]
        return cls(table, places, *found)

    def fill(self, graph: SearchGraph, filling: Filling, transition_pdfs: np.ndarray) -> SearchGraph:
        """Returns a base graph with its slots filled.

        Args:
          graph: of `closed`.

        Raises:
          HybridError: more states than there is room for.
        """
        size = filling.fst.num_states
        if len(self.places) * size > MOST:
            found = f"{len(self.places)} places and a filling of {size} states are too many to lie side by side"
            raise HybridError(f"slots: {found}. Train the language model with a lower order, or shorten the lists.")
        if not size:
            return graph
        first = graph.num_states
        rows = self._rows(filling, first)
        pdfs = np.asarray(transition_pdfs, np.int32).copy()
        pdfs[0] = -1
        bounds, arcs, ids, words = lay_out(
            rows.row_splits, rows.ilabels, rows.olabels, rows.next_states, (0.0 - rows.costs).view(np.int32), pdfs
        )
        ways = graph.joined("arcs", arcs)
        place, key, arc = self.entries.T
        state = filling.entry[key].astype(np.int64)
        known = state >= 0
        ways[arc[known], 0] = first + place[known] * size + state[known]
        ways.view(np.float32)[arc[known], 2] = self.entry_scores[known] - filling.entry_costs[key[known]]
        return SearchGraph(
            graph.start,
            graph.num_pdfs,
            graph.joined("bounds", bounds + np.int32(len(graph.arcs)), first),
            ways,
            graph.joined("transition_ids", ids),
            graph.joined("word_ids", words),
            graph.joined("final_scores", np.full(rows.num_states, -np.inf, np.float32)),
        )

    def _rows(self, filling: Filling, first: int) -> FstArrays:
        """Returns the filling once for every place; states of the base graph are numbered below `first`."""
        inner, count = filling.fst, len(self.places)
        size, ends = inner.num_states, np.flatnonzero(np.isfinite(inner.final_costs))
        shift = np.arange(count)[:, None] * size
        place, key, target, word = self.exits.T
        known = filling.exit[key] >= 0
        here, there, said = self.backoffs.T
        blocks = [
            ((shift + inner.sources()).ravel(), np.tile(inner.ilabels, count), np.tile(inner.olabels, count),
             (first + shift + inner.next_states).ravel(), np.tile(inner.costs, count)),
            (place[known] * size + filling.exit[key[known]], 0 * word[known], word[known], target[known],
             filling.exit_costs[key[known]] - self.exit_scores[known]),
            ((here[:, None] * size + ends).ravel(), np.zeros(len(here) * len(ends)), np.repeat(said, len(ends)),
             (first + there[:, None] * size + ends).ravel(), np.repeat(-self.backoff_scores, len(ends))),
        ]  # fmt: skip
        source, il, ol, to, costs = (np.concatenate(column) for column in zip(*blocks))
        return FstArrays.from_arcs(0, source, il, ol, to, costs, np.full(count * size, np.inf, np.float32))
