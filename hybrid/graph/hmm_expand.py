"""HMMs in place of the phones of an utterance's phone graph.

Self-loops follow the transition that they belong to (Kaldi's `reorder`): an arc of transition-state t
enters a state that carries t's self-loop. The graph has no epsilons on its input side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hybrid.base.errors import InputError
from hybrid.formats.openfst import FstArrays
from hybrid.fst.ops import number_rows
from hybrid.hmm import TransitionModel
from hybrid.tree import ContextTree

__all__ = ["HmmExpander"]


@dataclass(frozen=True, eq=False)
class HmmExpander:
    """Puts the HMM of each phone in context in the place of its arc.

    Attributes:
      transition_model: with its topology and its tree, from phones in context to pdfs.
    """

    transition_model: TransitionModel

    @property
    def tree(self) -> ContextTree:
        """The tree of the transition model: no other one numbers its transition-states."""
        return self.transition_model.tree

    # --- tables of the topology --------------------------------------------------------------------

    @cached_property
    def _entry_of_phone(self) -> np.ndarray:
        """int32 [highest phone + 1]: topology entry, -1 where a phone has none."""
        topology = self.transition_model.topology
        table = np.full(max(topology.phones) + 1, -1, np.int32)
        for number, entry in enumerate(topology.entries):
            table[list(entry.phones)] = number
        return table

    @cached_property
    def _transitions(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Transitions that are no self-loops: entry splits, HMM state left, entered, transition_index; final states."""
        rows, splits, finals = [], [0], []
        for entry in self.transition_model.topology.entries:
            for number, state in enumerate(entry.states):
                rows += [(number, t, i) for i, (t, _) in enumerate(state.transitions) if t != number]
            splits.append(len(rows))
            finals.append(len(entry.states))
        left, entered, index = np.array(rows, np.int32).T.copy()
        return np.array(splits, np.int32), left, entered, index, np.array(finals, np.int32)

    @cached_property
    def _pdf_classes(self) -> tuple[np.ndarray, np.ndarray]:
        """int32 [num_entries][max states]: forward and self-loop pdf-class; -1 beyond an entry's states."""
        entries = self.transition_model.topology.entries
        shape = (len(entries), max(len(entry.states) for entry in entries))
        forward, loop = np.full(shape, -1, np.int32), np.full(shape, -1, np.int32)
        for number, entry in enumerate(entries):
            forward[number, : len(entry.states)] = [s.forward_pdf_class for s in entry.states]
            loop[number, : len(entry.states)] = [s.self_loop_pdf_class for s in entry.states]
        return forward, loop

    @cached_property
    def _tuple_keys(self) -> np.ndarray:
        return self._key(*self.transition_model.tuples.T.astype(np.int64))

    def _key(self, phone: np.ndarray, state: np.ndarray, forward: np.ndarray, loop: np.ndarray) -> np.ndarray:
        """Numbers tuples in their sorted order."""
        states, pdfs = self._pdf_classes[0].shape[1], np.int64(self.tree.num_pdfs)
        return ((phone * states + state) * pdfs + forward) * pdfs + loop

    def entries(self, windows: np.ndarray) -> np.ndarray:
        """Returns the topology entry of the central phone of each window, int32 [N].

        Raises:
          InputError: a phone has no HMM.
        """
        phones = windows[:, self.tree.central_position]
        known = (phones > 0) & (phones < len(self._entry_of_phone))
        entries = np.where(known, self._entry_of_phone[np.where(known, phones, 0)], -1)
        if (entries < 0).any():
            phone = int(phones[entries < 0][0])
            raise InputError.at("graph", f"has phone {phone}, which has no HMM", "Use the lang folder of the model.")
        return entries

    def transition_states(self, windows: np.ndarray) -> np.ndarray:
        """Returns the transition_state of each HMM state of phones in context.

        Args:
          windows: int32 [N][context_width].

        Returns:
          int32 [N][max HMM states], 0 where a phone has no such state.

        Raises:
          InputError: a phone has no HMM, or the tree has no pdf for it.
        """
        windows = np.asarray(windows, np.int32)
        phones = windows[:, self.tree.central_position]
        entries = self.entries(windows)
        forward, loop = self._pdf_classes
        states = np.zeros((len(windows), forward.shape[1]), np.int32)
        for number in range(int(forward.shape[1])):
            rows = np.flatnonzero(forward[entries, number] >= 0)
            pdfs = [self.tree.pdf_ids(windows[rows], table[entries[rows], number]) for table in (forward, loop)]
            missing = rows[(pdfs[0] < 0) | (pdfs[1] < 0)]
            if missing.size:
                raise InputError.at(
                    "tree",
                    f"has no pdf for the phones {windows[missing[0]].tolist()}",
                    "Use the model's own lang folder.",
                )
            numbers = np.full(len(rows), number, np.int64)
            keys = self._key(phones[rows].astype(np.int64), numbers, pdfs[0].astype(np.int64), pdfs[1])
            states[rows, number] = np.searchsorted(self._tuple_keys, keys) + 1
        return states

    @cached_property
    def _known(self) -> dict[bytes, np.ndarray]:
        return {}

    def _states_of(self, windows: np.ndarray) -> np.ndarray:
        """Like `transition_states`, and remembers every window met."""
        width = 4 * self.tree.context_width
        first, number = number_rows(windows)
        data = np.ascontiguousarray(windows[first], np.int32).tobytes()
        keys = [data[i : i + width] for i in range(0, len(data), width)]
        new = sorted(set(keys) - self._known.keys())
        if new:
            rows = self.transition_states(np.frombuffer(b"".join(new), np.int32).reshape(len(new), -1))
            self._known.update(zip(new, rows))
        if not keys:
            return np.zeros((0, self._pdf_classes[0].shape[1]), np.int32)
        return np.stack([self._known[key] for key in keys])[number]

    # --- the expansion -----------------------------------------------------------------------------

    def expand(self, graph: FstArrays, windows: np.ndarray) -> FstArrays:
        """Returns the graph over transition-ids, without transition costs.

        Args:
          graph: an epsilon-free phone graph.
          windows: int32 [num_arcs][context_width], the phone in context of each arc.
        """
        return self.expand_from(graph, windows, np.array([graph.start]))[0]

    def expand_from(self, graph: FstArrays, windows: np.ndarray, starts: np.ndarray) -> tuple[FstArrays, np.ndarray]:
        """Does the same for a graph that is entered in several nodes.

        Args:
          starts: int64 [N], nodes, each once; the graph's own is the first.

        Returns:
          The graph; and of which node each of its first states is a copy, int64 [num_copies][2]: node, and the
          transition-state that enters it, 0 in the copies that the graph is entered by.
        """
        from hybrid.graph import kernels

        model = self.transition_model
        splits, left, entered, index, finals = self._transitions
        entries = self.entries(windows)
        states = self._states_of(windows)
        base = model.first_ids[states]
        copies, copy_splits, exit_copy = self._copies(graph, entries, states, starts)
        num_inner = np.bincount(np.repeat(np.arange(len(finals)), np.diff(splits)),
                                weights=entered != finals[np.repeat(np.arange(len(finals)), np.diff(splits))],
                                minlength=len(finals)).astype(np.int64)  # fmt: skip
        inner = num_inner[entries]
        first_inner = len(copies) + np.cumsum(inner) - inner
        num_states = len(copies) + int(inner.sum())
        sources = graph.sources()
        counts = kernels.count_hmm_arcs(sources, entries, splits, left, entered, finals, np.diff(copy_splits))
        rows, costs = np.empty((int(counts.sum()), 4), np.int64), np.empty(int(counts.sum()), np.float32)
        kernels.expand_hmm(
            sources, graph.next_states, graph.olabels, graph.costs, entries, splits, left, entered, index,
            finals, first_inner, base, copy_splits, exit_copy, (rows, costs),
        )  # fmt: skip
        final_costs = np.full(num_states, np.inf, np.float32)
        final_costs[: len(copies)] = graph.final_costs[copies[:, 0]]
        start = int(copy_splits[graph.start])
        return self._with_self_loops(start, rows, costs, final_costs), copies

    def _copies(
        self, graph: FstArrays, entries: np.ndarray, states: np.ndarray, starts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Copies each node once for every transition-state that enters it, and once for being a start.

        Returns:
          int64 [num_copies][2] (node, transition-state; 0 for a start), int64 [num_nodes + 1] splits, and
          int64 [num_arcs][max states]: the copy entered by leaving the HMM from each state.
        """
        splits, left, entered, _, finals = self._transitions
        leaves = np.zeros((len(finals), states.shape[1]), bool)
        entry = np.repeat(np.arange(len(finals)), np.diff(splits))
        ends = entered == finals[entry]
        leaves[entry[ends], left[ends]] = True
        arc, state = np.nonzero(leaves[entries])
        pairs = np.stack([graph.next_states[arc].astype(np.int64), states[arc, state].astype(np.int64)], axis=1)
        pairs = np.concatenate([np.stack([starts, 0 * starts], axis=1), pairs])
        key, index = np.unique(pairs[:, 0] * (self.transition_model.num_transition_states + 1) + pairs[:, 1],
                               return_inverse=True)  # fmt: skip
        copies = np.stack(np.divmod(key, self.transition_model.num_transition_states + 1), axis=1)
        exit_copy = np.full(states.shape, -1, np.int64)
        exit_copy[arc, state] = index.reshape(-1)[len(starts) :]
        return copies, np.searchsorted(copies[:, 0], np.arange(graph.num_states + 1)), exit_copy

    def _with_self_loops(self, start: int, rows: np.ndarray, costs: np.ndarray, finals: np.ndarray) -> FstArrays:
        """Adds to each state the self-loop of the transition-state that enters it."""
        model = self.transition_model
        loops = np.zeros(len(finals), np.int32)
        loops[rows[:, 3]] = model.self_loops[model.transition_states[rows[:, 1]]]
        states = np.flatnonzero(loops)
        none = np.zeros(len(states), np.int64)
        return FstArrays.from_arcs(
            start,
            np.concatenate([rows[:, 0], states]),
            np.concatenate([rows[:, 1], loops[states]]),
            np.concatenate([rows[:, 2], none]),
            np.concatenate([rows[:, 3], states]),
            np.concatenate([costs, none.astype(np.float32)]),
            finals,
        )
