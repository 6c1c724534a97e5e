"""Places for slots, from LG to HCLG: phones that are not there carry the context over the gap.

An arc of a slot in LG becomes a short chain: a *ghost* of the slot's first phone, gaps, a ghost of its last phone.

    p ──$SLOT──► r      ⇒      p ══gx══► · ──gap──► · ──gap──► place ══gy══► r        one arc for each x and each y

Composed with C as if ghosts were phones, the phone before the slot sees x on its right, and the one after it y on its
left. The windows around the ghosts themselves tell what stands on their other side: (b, gx, gap) becomes the label of
the entry (b, x), and (gap, gy, c) that of the exit (y, c). As many gaps as a window has neighbours keep x and y apart,
so that a place costs a sum of ways in and out, and no product. H lets both labels pass as it lets symbols for
disambiguation pass; they stay in HCLG when those go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hybrid.base.errors import HybridError
from hybrid.formats.openfst import FstArrays
from hybrid.graph.slot_table import SlotTable
from hybrid.tree import ContextTree

__all__ = ["Ghosts", "kept_labels", "places_last"]

KEYS = 1 << 24  # keys of entries and exits among the symbols of context_ids begin here; no phone has such an id
GAP = KEYS - 1


@dataclass(frozen=True)
class Ghosts:
    """The labels of LG that stand for slots and for phones that are not there.

    Attributes:
      table: the slots.
      markers: phone ids of the slots in LG, in the order of their names.
      begin: the first free label after all phones and symbols.
    """

    table: SlotTable
    markers: tuple[int, ...]
    begin: int

    @property
    def _gap(self) -> int:
        return self.begin + len(self.markers) * len(self.table.first)

    def _first(self, slot: np.ndarray) -> np.ndarray:
        """Ghosts of the first phones of slots, int64 [N][first]."""
        count = len(self.table.first)
        return self.begin + slot[:, None] * count + np.arange(count)

    def _last(self, slot: np.ndarray) -> np.ndarray:
        count = len(self.table.last)
        return self._gap + 1 + slot[:, None] * count + np.arange(count)

    def open(self, lg: FstArrays, tree: ContextTree) -> FstArrays:
        """Returns LG with a chain of ghosts for each arc of a slot."""
        marked = np.isin(lg.ilabels, self.markers)
        arcs, rest = np.flatnonzero(marked), np.flatnonzero(~marked)
        slot = np.searchsorted(self.markers, lg.ilabels[arcs])
        places, which = np.unique(np.stack([slot, lg.next_states[arcs]], axis=1), axis=0, return_inverse=True)
        which = which.reshape(-1)
        sources = lg.sources()
        gaps = tree.context_width - 1
        begins = lg.num_states + np.arange(len(places)) * (gaps + 1)
        ends, chain = begins + gaps, begins[:, None] + np.arange(gaps)
        into, out = self._first(slot), self._last(places[:, 0])
        ways_in, ways_out = into.shape[1], out.shape[1]
        columns = [
            (sources[rest], lg.ilabels[rest], lg.olabels[rest], lg.next_states[rest], lg.costs[rest]),
            (np.repeat(sources[arcs], ways_in), into.ravel(), np.repeat(lg.olabels[arcs], ways_in),
             np.repeat(begins[which], ways_in), (lg.costs[arcs][:, None] - np.log(self.table.first_shares)).ravel()),
            (chain.ravel(), np.full(chain.size, self._gap), np.zeros(chain.size), chain.ravel() + 1,
             np.zeros(chain.size)),
            (np.repeat(ends, ways_out), out.ravel(), np.zeros(out.size), np.repeat(places[:, 1], ways_out),
             np.zeros(out.size)),
        ]  # fmt: skip
        source, il, ol, to, cost = (np.concatenate(column) for column in zip(*columns))
        finals = np.concatenate([lg.final_costs, np.full(len(places) * (gaps + 1), np.inf, np.float32)])
        return FstArrays.from_arcs(lg.start, source, il, ol, to, cost, finals)

    def resolve(self, context_ids: Sequence[Sequence[int]], tree: ContextTree) -> list[list[int]]:
        """Takes the ghosts out of CLG's labels again: around them stand symbols, beside them their phones.

        Args:
          context_ids: of a CLG with ghosts.

        Returns:
          Of each label a window of real phones, [-(KEYS + key)] for an entry or exit, [-GAP] for a gap.
        """
        central = tree.central_position
        names = []
        for window in context_ids:
            if len(window) != tree.context_width or window[central] < self.begin:
                names.append([self._real(p) for p in window] if len(window) == tree.context_width else list(window))
                continue
            ghost = window[central]
            if ghost == self._gap:
                names.append([-GAP])
                continue
            before = self._real(window[central - 1]) if central else 0
            after = self._real(window[central + 1]) if central + 1 < len(window) else 0
            entering, place = ghost < self._gap, ghost - (self.begin if ghost < self._gap else self._gap + 1)
            slot, phone = divmod(place, len(self.table.first if entering else self.table.last))
            key = (
                self.table.entry(slot, before, self.table.first[phone])
                if entering
                else self.table.exit(slot, self.table.last[phone], after)
            )
            names.append([-(KEYS + key)])
        return names

    def _real(self, phone: int) -> int:
        """The phone that a ghost is of; a gap is no phone."""
        if phone < self.begin:
            return phone
        if phone == self._gap:
            return 0
        if phone < self._gap:
            return self.table.first[(phone - self.begin) % len(self.table.first)]
        return self.table.last[(phone - self._gap - 1) % len(self.table.last)]


def kept_labels(context_ids: Sequence[Sequence[int]], num_transition_ids: int) -> np.ndarray:
    """Returns what becomes of each symbol that H lets pass, int32, in the order of `context_ids`: a label, or 0."""
    keys = [-info[0] - KEYS for info in context_ids if len(info) == 1 and info[0] <= 0]
    return np.array([num_transition_ids + 1 + key if key >= 0 else 0 for key in keys], np.int32)


def places_last(hclg: FstArrays, table: SlotTable) -> tuple[FstArrays, int, SlotTable]:
    """Returns the graph with its places as the last states, after those that lead to them, how many there are, and the
    table with what follows them.

    Besides its exits a place may have arcs without label to other places: where the language model backs off after a
    slot, before the phone after it is known.

    Raises:
      HybridError: a place is entered or left otherwise.
    """
    label, sources = hclg.ilabels - table.first_label, hclg.sources()
    enters, leaves = (label >= 0) & (label < table.num_entries), label >= table.num_entries
    place = np.zeros(hclg.num_states, bool)
    place[hclg.next_states[enters]] = True
    while True:
        backs_off = place[sources] & (hclg.ilabels == 0)
        if place[hclg.next_states[backs_off]].all():
            break
        place[hclg.next_states[backs_off]] = True
    inside = leaves | backs_off
    if (place[sources] != inside).any() or (place[hclg.next_states] != (enters | backs_off)).any():
        raise HybridError("a slot's place in the graph is entered or left by other arcs than the slot's")
    leads = np.zeros(hclg.num_states, bool)
    leads[sources[enters]] = True  # side by side: few pages of memory change where slots are filled
    order = np.argsort(2 * place + (leads & ~place), kind="stable")
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    keys = np.where(place[sources], hclg.ilabels, 0)
    arcs = np.lexsort((keys, number[sources]))  # the exits of a place by their label
    moved = FstArrays.from_arcs(
        int(number[hclg.start]), number[sources][arcs], hclg.ilabels[arcs], hclg.olabels[arcs],
        number[hclg.next_states[arcs]], hclg.costs[arcs], hclg.final_costs[order],
    )  # fmt: skip
    after = (label[leaves] - table.num_entries) % len(table.after)
    follow = np.bincount(after, np.exp(-hclg.costs[leaves].astype(float)), len(table.after))
    return moved, int(place.sum()), table.with_exits(follow)
