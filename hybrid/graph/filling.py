"""What fills the slots of a graph: words and phrases, compiled by themselves in milliseconds.

The graph of their phones begins with each phone that may stand before the slot and ends with each that may stand after,
so that its own first and last phones are in their context. Phones before (after) that make no difference to any HMM at
that edge are taken together. Its states hold no place of the base graph: the same filling serves all of them.

Where phones see the next one, the weight of a phone stands on the phone before it, as in HCLG: what is unlikely is told
as early as there, and beams cut the same. That of a first phone stands on the entry. Of what comes after the slot
no more is known than how often each phone follows a place in the graph, and the exits pay the difference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hybrid.formats.openfst import FstArrays
from hybrid.fst.det_between import determinized
from hybrid.graph.hmm_expand import HmmExpander
from hybrid.graph.phone_graph import add_context
from hybrid.graph.phrase_graph import Phrase, PhraseGraph, WordPhones
from hybrid.graph.slot_table import SlotTable
from hybrid.graph.stages import FINE
from hybrid.graph.training import transition_costs, with_transition_costs
from hybrid.hmm import TransitionModel

__all__ = ["Filler", "Filling"]

Rows = tuple[np.ndarray, ...]  # sources, phones, words, costs, targets of arcs
_Group = tuple[int, list[int], float]  # a phone that stands for some, the keys of all of them, what choosing them costs
MOST_GROUPS = 10_000  # that are remembered
EdgeTables = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # `entry` to `exit_costs` of a `Filling`


@dataclass(frozen=True, eq=False)
class Filling:
    """The words in the slots of a graph.

    Attributes:
      fst: transition-ids in, words out; its start means nothing, its final states are the exits.
      entry: int32 [table.num_entries], the state that each entry leads to; -1 where nothing begins so.
      exit: int32 [table.num_exits], the final state that each exit leaves; -1 where nothing ends so.
      entry_costs: float32 [table.num_entries], of each entry. exit_costs: float32 [table.num_exits], of each exit.
      owners: first state of each slot's part of `fst`, and the slot; ascending.
    """

    fst: FstArrays
    entry: np.ndarray
    exit: np.ndarray
    entry_costs: np.ndarray
    exit_costs: np.ndarray
    owners: tuple[tuple[int, str], ...] = ()

    @classmethod
    def nothing(cls, table: SlotTable) -> Filling:
        """The filling of slots in which nothing is."""
        return cls(FstArrays.empty(), *_no_edges(table))


@dataclass(frozen=True, eq=False)
class _Edges:
    """Arcs of phones outside a slot, which lend their context and go again.

    Attributes:
      rows: the arcs. keys: per arc the keys (table's) that it stands for.
    """

    rows: list[tuple[int, int, int, float, int]]
    keys: list[list[int]]


@dataclass(frozen=True, eq=False)
class Filler:
    """Compiles fillings for the slots of one graph.

    Attributes:
      scales: of transition probabilities and of self-loops, as in the graph.
    """

    table: SlotTable
    model: TransitionModel
    scales: tuple[float, float]

    @cached_property
    def _expander(self) -> HmmExpander:
        return HmmExpander(self.model)

    @cached_property
    def _costs(self) -> np.ndarray:
        return transition_costs(self.model, *self.scales)

    @property
    def _left(self) -> int:
        return self.model.tree.central_position

    @property
    def _right(self) -> int:
        return self.model.tree.context_width - 1 - self._left

    def __call__(self, contents: Mapping[str, Sequence[Phrase]], pronunciations: WordPhones) -> Filling:
        """Compiles the contents of slots; slots without phrases stay empty. The order of phrases is of no account.

        Args:
          contents: slot → phrases, each once.
          pronunciations: of all their words: phone ids that the slot's edges may have, no silence.

        Raises:
          InputError: a slot that the graph lacks.
          HybridError: a phone that may not stand at the beginning or end of a word.
        """
        table = self.table
        edges = _no_edges(table)
        parts: list[FstArrays] = []
        owners: list[tuple[int, str]] = []
        for name in sorted(contents):
            number, phrases = table.names.index(table.name(name)), sorted(contents[name])
            if phrases:
                offset = sum(part.num_states for part in parts)
                parts.append(self._slot(number, phrases, pronunciations, edges, offset))
                owners.append((offset, table.names[number]))
        return Filling(_side_by_side(parts), *edges, tuple(owners))

    def _slot(
        self, slot: int, phrases: Sequence[Phrase], pronunciations: WordPhones,
        edges: EdgeTables, offset: int,
    ) -> FstArrays:  # fmt: skip
        """Returns the graph of one slot, and enters its edges (of a `Filling`), states counted from `offset`."""
        table, (entry, exit_, entry_costs, exit_costs) = self.table, edges
        silence = table.silence_phone, table.silence_prob
        graph = PhraseGraph.of(phrases, pronunciations, silence, tell_ends=self._left > 0)
        firsts, root = np.unique(graph.begins[0] * (self._right > 0), return_inverse=True)
        roots = {int(first): graph.num_states + 1 + number for number, first in enumerate(firsts)}  # 0: looks not ahead
        start, end = graph.num_states, graph.num_states + 1 + len(roots)
        own = start + 1 + root.reshape(-1), *graph.begins
        rows = tuple(np.concatenate(pair) for pair in zip(graph.arcs, own))
        before = self._before(slot, rows, roots, start, graph.ends)
        after = self._after(slot, rows, roots, end, graph.ends)
        ahead = _Ahead.of(rows, after)
        phones, windows, entries, exits = self._in_context(rows, before, after, ahead, start, end + 1)
        fst, copies = self._expander.expand_from(phones, windows, np.unique(entries))
        fst = with_transition_costs(fst, self._costs)
        number = np.full(phones.num_states, -1, np.int64)
        first = copies[:, 1] == 0
        number[copies[first, 0]] = np.flatnonzero(first)
        fst, collectors = _collected(fst, copies, exits)
        entered, left = (np.unique(nodes, return_inverse=True) for nodes in (number[entries], collectors))
        fst, into, out = determinized(fst, entered[0], left[0], FINE)
        for node, row, keys in zip(into[entered[1].reshape(-1)].tolist(), before.rows, before.keys):
            entry[keys] = offset + node
            if self._right:
                phone = rows[1][rows[0] == row[4]][:1]
                share = table.first_shares[table.first.index(int(phone[0]))]
                entry_costs[keys] = ahead.costs_of(np.array([row[4]]), phone)[0] + math.log(share)
        for node, row, keys in zip(out[left[1].reshape(-1)].tolist(), after.rows, after.keys):
            exit_[np.array(keys) - table.num_entries] = offset + node
            exit_costs[np.array(keys) - table.num_entries] = -row[3]
        return fst

    def _before(self, slot: int, rows: Rows, roots: Mapping[int, int], start: int, ends: Mapping[int, int]) -> _Edges:
        """Arcs from the start to the roots: one for all phones before that make no difference to what begins there."""
        source, phone, _, _, target = rows
        edges = _Edges([], [])
        for first, root in roots.items():
            mine = source == root
            windows = [[x] for x in sorted(set(phone[mine].tolist()))]
            if self._right:
                windows = [[first, n] for n in self._next(rows, set(target[mine].tolist()), ends, first)]
            for phone_before, keys, cost in self._groups(True, slot, first, windows):
                edges.rows.append((start, phone_before, 0, cost, root))
                edges.keys.append(keys)
        return edges

    def _next(self, rows: Rows, targets: set[int], ends: Mapping[int, int], phone: int) -> list[int]:
        """Phones that may come next in some states."""
        follow = set(rows[1][np.isin(rows[0], list(targets))].tolist())
        if ends.get(phone, -1) in targets:
            follow |= set(self.table.after)
        return sorted(follow)

    def _after(self, slot: int, rows: Rows, roots: Mapping[int, int], end: int, ends: Mapping[int, int]) -> _Edges:
        """Arcs from where phrases end to the end: one for all phones after that make no difference there."""
        source, phone, _, _, target = rows
        edges = _Edges([], [])
        entering = {root: set(self.table.before) for root in roots.values()}
        for last, state in ends.items():
            sources = set(source[target == state].tolist())
            before = set(phone[np.isin(target, list(sources))].tolist()).union(*(entering.get(s, ()) for s in sources))
            windows = [[p, last] for p in sorted(before)] if self._left else [[last]]
            for phone_after, keys, cost in self._groups(False, slot, last, windows):
                edges.rows.append((state, phone_after, 0, cost, end))
                edges.keys.append(keys)
        return edges

    @cached_property
    def _known_groups(self) -> dict[tuple, list[_Group]]:
        return {}

    def _groups(self, before: bool, slot: int, phone: int, windows: Sequence[Sequence[int]]) -> list[_Group]:
        """Groups the phones before or after a slot; remembers groups, since another word changes few of them.

        Args:
          phone: the slot's first or last.

        Returns:
          Of each group its first phone, the keys (table's) of all, and what choosing it costs.
        """
        key = before, slot, phone, np.array(windows, np.int32).tobytes()
        known = self._known_groups.get(key)
        if known is None:
            table = self.table
            groups = self._alike(table.before if before else table.after, windows, 0 if before else len(windows[0]))
            if before:
                known = [(group[0], [table.entry(slot, b, phone) for b in group], 0.0) for group in groups]
            else:
                share = dict(zip(table.after, table.after_shares))
                known = [
                    (g[0], [table.exit(slot, phone, c) for c in g], -math.log(sum(share[c] for c in g))) for g in groups
                ]
            if len(self._known_groups) >= MOST_GROUPS:
                self._known_groups.clear()
            self._known_groups[key] = known
        return known

    def _alike(self, phones: Sequence[int], windows: Sequence[Sequence[int]], place: int) -> list[list[int]]:
        """Groups phones by the HMMs that they give to windows when they stand in them at `place`."""
        if len(phones) == 1:
            return [list(phones)]
        known = np.array(windows, np.int32)
        table = np.empty((len(phones), len(known), known.shape[1] + 1), np.int32)
        table[:, :, place] = np.array(phones, np.int32)[:, None]
        table[:, :, [p for p in range(table.shape[2]) if p != place]] = known
        states = self._expander.transition_states(table.reshape(-1, table.shape[2])).reshape(len(phones), -1)
        groups: dict[bytes, list[int]] = {}
        for one, row in zip(phones, states):
            groups.setdefault(row.tobytes(), []).append(one)
        return list(groups.values())

    def _in_context(
        self, rows: Rows, before: _Edges, after: _Edges, ahead: _Ahead, start: int, states: int
    ) -> tuple[FstArrays, np.ndarray, np.ndarray, np.ndarray]:
        """Splits the graph by context.

        Returns:
          The graph without the arcs of the edges; its windows; the node behind each arc before, and in front of each
          arc after.
        """
        edges, own = np.array(before.rows + after.rows, float).T, len(rows[0])
        source, phone, word, cost, target = (np.concatenate(pair) for pair in zip(rows, edges))
        finals = np.full(states, np.inf, np.float32)
        finals[states - 1] = 0.0
        arcs = np.arange(len(source))  # each knows its number
        graph = FstArrays.from_arcs(start, source, phone, arcs, target.astype(np.int64), cost, finals)
        graph, windows = add_context(graph, self._left, self._right)
        number = graph.olabels - own
        nodes = np.full(edges.shape[1], -1, np.int64)
        out = number >= len(before.rows)
        nodes[number[out]] = graph.sources()[out]
        into = (number >= 0) & ~out
        nodes[number[into]] = graph.next_states[into]
        inner = graph.olabels < own
        arc, costs = graph.olabels[inner], graph.costs[inner]
        if self._right:
            costs = costs - ahead.costs_of(source[arc], phone[arc]) + ahead.costs_of(target[arc], windows[inner, -1])
        kept = FstArrays.from_arcs(
            int(nodes[0]), graph.sources()[inner], graph.ilabels[inner], word[arc], graph.next_states[inner], costs,
            np.full(graph.num_states, np.inf, np.float32),
        )  # fmt: skip
        return kept, windows[inner], nodes[: len(before.rows)], nodes[len(before.rows) :]


@dataclass(frozen=True, eq=False)
class _Ahead:
    """What it costs to go on with a phone from a state of a graph of phones, whatever follows.

    Attributes:
      keys: int64, state and phone, sorted. costs: float64 of each.
    """

    keys: np.ndarray
    costs: np.ndarray

    @classmethod
    def of(cls, rows: Rows, after: _Edges) -> _Ahead:
        """Of arcs inside, and of those that lead out."""
        source, phone, _, cost, _ = (np.concatenate(pair) for pair in zip(rows, np.array(after.rows).T))
        keys, which = np.unique(_pairs(source, phone), return_inverse=True)
        return cls(keys, -np.log(np.bincount(which.reshape(-1), np.exp(-cost.astype(float)))))

    def costs_of(self, states: np.ndarray, phones: np.ndarray) -> np.ndarray:
        """Returns float64 [N]."""
        return self.costs[np.searchsorted(self.keys, _pairs(states, phones))]


def _pairs(states: np.ndarray, phones: np.ndarray) -> np.ndarray:
    return (states.astype(np.int64) << 20) + phones.astype(np.int64)


def _no_edges(table: SlotTable) -> EdgeTables:
    """Returns entries, exits and the costs of both of a filling in which nothing is."""
    ways_in, ways_out = table.num_entries, table.num_exits
    nowhere, nothing = np.full(ways_in, -1, np.int32), np.zeros(ways_in, np.float32)
    return nowhere, np.full(ways_out, -1, np.int32), nothing, np.zeros(ways_out, np.float32)


def _collected(fst: FstArrays, copies: np.ndarray, exits: np.ndarray) -> tuple[FstArrays, np.ndarray]:
    """Adds a final state for each exit, which all copies of its node lead to; returns these states too."""
    collector = np.full(int(max(copies[:, 0].max(), exits.max())) + 1, -1, np.int64)
    distinct = np.unique(exits)
    collector[distinct] = fst.num_states + np.arange(len(distinct))
    leaving = np.flatnonzero(collector[copies[:, 0]] >= 0)
    none = np.zeros(len(leaving))
    finals = np.full(fst.num_states + len(distinct), np.inf, np.float32)
    finals[fst.num_states :] = 0.0
    joined = FstArrays.from_arcs(
        fst.start, np.concatenate([fst.sources(), leaving]), np.concatenate([fst.ilabels, none]),
        np.concatenate([fst.olabels, none]), np.concatenate([fst.next_states, collector[copies[leaving, 0]]]),
        np.concatenate([fst.costs, none]), finals,
    )  # fmt: skip
    return joined, collector[exits]


def _side_by_side(parts: Sequence[FstArrays]) -> FstArrays:
    """Returns graphs as one that hangs together nowhere."""
    if not parts:
        return FstArrays.empty()
    offsets = np.cumsum([0] + [part.num_states for part in parts])
    sources = np.concatenate([part.sources() + offset for part, offset in zip(parts, offsets)])
    targets = np.concatenate([part.next_states + offset for part, offset in zip(parts, offsets)])
    il, ol, cost, finals = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("ilabels", "olabels", "costs", "final_costs")
    )
    return FstArrays.from_arcs(0, sources, il, ol, targets, cost, finals)
