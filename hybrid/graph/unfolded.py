"""A graph whose slots are filled, written out: the readable twin of what the search does with the two of them.

Every place gets a copy of the filling. Only for small graphs, for tests, and for programs that know no slots.
"""

from __future__ import annotations

import numpy as np

from hybrid.formats.openfst import FstArrays
from hybrid.fst.ops import connect
from hybrid.graph.filling import Filling
from hybrid.graph.slot_table import SlotTable

__all__ = ["unfold"]


def unfold(graph: FstArrays, table: SlotTable, filling: Filling) -> FstArrays:
    """Returns one graph over transition-ids and words, trimmed.

    Args:
      graph: HCLG with slots. filling: of its slots.
    """
    key = graph.ilabels - table.first_label
    entering, leaving = (key >= 0) & (key < table.num_entries), key >= table.num_entries
    sources = graph.sources()
    places = np.unique(np.concatenate([graph.next_states[entering], sources[leaving]]))
    places = np.union1d(places, graph.next_states[np.isin(sources, places) & (key < 0)])
    inner = filling.fst
    base = graph.num_states + np.searchsorted(places, np.arange(graph.num_states)) * inner.num_states
    plain = (key < 0) & ~np.isin(sources, places)
    rows = [(sources[plain], graph.ilabels[plain], graph.olabels[plain], graph.next_states[plain], graph.costs[plain])]
    for arcs, known in ((np.flatnonzero(entering), True), (np.flatnonzero(leaving), False)):
        states = filling.entry[key[arcs]] if known else filling.exit[key[arcs] - table.num_entries]
        more = filling.entry_costs[key[arcs]] if known else filling.exit_costs[key[arcs] - table.num_entries]
        arcs, states, more = arcs[states >= 0], states[states >= 0], more[states >= 0]
        place = graph.next_states[arcs] if known else sources[arcs]
        inside = base[place] + states
        ends = (sources[arcs], inside) if known else (inside, graph.next_states[arcs])
        rows.append((ends[0], 0 * arcs, graph.olabels[arcs], ends[1], graph.costs[arcs] + more))
    for place in places:
        rows.append(
            (base[place] + inner.sources(), inner.ilabels, inner.olabels, base[place] + inner.next_states, inner.costs)
        )
    exits = np.flatnonzero(np.isfinite(inner.final_costs))
    for arc in np.flatnonzero((key < 0) & ~plain):  # a place backs off to another
        none = 0 * exits
        here, there = base[sources[arc]] + exits, base[graph.next_states[arc]] + exits
        rows.append((here, none, none + graph.olabels[arc], there, none + graph.costs[arc]))
    source, il, ol, to, costs = (np.concatenate(column) for column in zip(*rows))
    finals = np.concatenate([graph.final_costs, np.full(len(places) * inner.num_states, np.inf, np.float32)])
    return connect(FstArrays.from_arcs(graph.start, source, il, ol, to, costs, finals))
