"""TransitionModel: transition-ids, the pdf that each scores with, and their probabilities.

A transition_state is a tuple (phone, hmm_state, forward pdf, self-loop pdf) that can occur; they are
numbered from 1 in sorted order. A transition_id is an arc out of one, numbered from 1, arcs of one
transition_state after another. This is Kaldi's numbering, so that alignments and lattices of either
toolkit mean the same.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from hybrid.base.artifact import atomic_path
from hybrid.base.errors import InputError
from hybrid.hmm.pdf_pairs import pdf_pairs
from hybrid.hmm.topology import HmmTopology
from hybrid.tree import ContextTree

__all__ = ["TransitionModel"]


@dataclass(frozen=True, eq=False)
class TransitionModel:
    """Transition probabilities over the transition-ids of a topology and a tree.

    Attributes:
      topology: HMMs of the phones.
      tree: from phones in context to pdfs.
      log_probs: float32 [num_transition_ids + 1], natural logs; entry 0 is unused and 0. The
        topology's own probabilities where not given.
    """

    topology: HmmTopology
    tree: ContextTree
    log_probs: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        given = self._initial_log_probs() if self.log_probs is None else self.log_probs
        log_probs = np.ascontiguousarray(given, dtype=np.float32)
        if log_probs.shape != (self.num_transition_ids + 1,):
            raise ValueError(
                f"{log_probs.shape[0] - 1} transition probabilities for {self.num_transition_ids} transition-ids"
            )
        if not np.isfinite(log_probs).all() or log_probs.max() > 0.01:
            raise ValueError("a transition probability is not a number in (0, 1]")
        log_probs.setflags(write=False)
        object.__setattr__(self, "log_probs", log_probs)

    # --- numbering -------------------------------------------------------------------------------

    @cached_property
    def tuples(self) -> np.ndarray:
        """int32 [num_transition_states][4], sorted rows (phone, hmm_state, forward pdf, self-loop pdf)."""
        found: list[tuple[int, int, int, int]] = []
        for phone in self.topology.phones:
            for number, state in enumerate(self.topology.states(phone)):
                pairs = pdf_pairs(self.tree, phone, state.forward_pdf_class, state.self_loop_pdf_class)
                if not pairs:
                    raise InputError.at(
                        "tree",
                        f"has no pdf for phone {phone}, pdf-class {state.forward_pdf_class}, which the topology has",
                        "Use the tree and topology of one model.",
                    )
                found += [(phone, number, forward, loop) for forward, loop in sorted(pairs)]
        return np.array(found, dtype=np.int32)

    @cached_property
    def _transitions(self) -> list[tuple[tuple[int, float], ...]]:
        states = {phone: self.topology.states(phone) for phone in self.topology.phones}
        return [states[int(row[0])][int(row[1])].transitions for row in self.tuples]

    @cached_property
    def first_ids(self) -> np.ndarray:
        """int32 [num_transition_states + 2]: first transition_id of each transition_state; entry 0 is unused."""
        counts = [len(t) for t in self._transitions]
        return np.concatenate([[0, 1], 1 + np.cumsum(counts)]).astype(np.int32)

    @property
    def num_transition_states(self) -> int:
        """How many transition-states there are; they count from 1."""
        return len(self.tuples)

    @cached_property
    def num_transition_ids(self) -> int:
        """How many transition-ids there are; they count from 1."""
        return int(self.first_ids[-1]) - 1

    @cached_property
    def num_pdfs(self) -> int:
        """As the tree has, whether or not a phone reaches each."""
        return self.tree.num_pdfs

    # --- tables over transition-ids; entry 0 stands for no transition ------------------------------

    @cached_property
    def transition_states(self) -> np.ndarray:
        """int32 [num_transition_ids + 1]."""
        counts = np.diff(self.first_ids[1:])
        return np.concatenate([[0], np.repeat(np.arange(1, len(counts) + 1), counts)]).astype(np.int32)

    @cached_property
    def transition_indexes(self) -> np.ndarray:
        """int32 [num_transition_ids + 1]; -1 at entry 0."""
        ids = np.arange(self.num_transition_ids + 1)
        indexes = (ids - self.first_ids[self.transition_states]).astype(np.int32)
        indexes[0] = -1
        return indexes

    @cached_property
    def phones(self) -> np.ndarray:
        """int32 [num_transition_ids + 1]."""
        return self._of_tuple(0, 0)

    @cached_property
    def hmm_states(self) -> np.ndarray:
        """int32 [num_transition_ids + 1]; -1 at entry 0."""
        return self._of_tuple(1, -1)

    @cached_property
    def pdf_ids(self) -> np.ndarray:
        """int32 [num_transition_ids + 1]: the pdf that a frame on this transition is scored with; -1 at entry 0."""
        return np.where(self.is_self_loop, self._of_tuple(3, -1), self._of_tuple(2, -1))

    @cached_property
    def targets(self) -> np.ndarray:
        """int32 [num_transition_ids + 1]: hmm_state that the arc leads to; -1 at entry 0."""
        return np.array([-1] + [t for arcs in self._transitions for t, _ in arcs], dtype=np.int32)

    @cached_property
    def is_self_loop(self) -> np.ndarray:
        """bool [num_transition_ids + 1]."""
        loops = self.targets == self.hmm_states
        loops[0] = False
        return loops

    @cached_property
    def is_final(self) -> np.ndarray:
        """bool [num_transition_ids + 1]: the arc leads to the phone's final state."""
        ends = [False] + [t == len(self.topology.states(int(row[0])))
                          for row, arcs in zip(self.tuples, self._transitions) for t, _ in arcs]  # fmt: skip
        return np.array(ends)

    @cached_property
    def phone_starts(self) -> np.ndarray:
        """int32 [num_transition_ids + 1]: the phone that begins with each transition, 0 where none does."""
        return np.where((self.hmm_states == 0) & ~self.is_self_loop, self.phones, 0).astype(np.int32)

    @cached_property
    def self_loops(self) -> np.ndarray:
        """int32 [num_transition_states + 1]: transition_id of each state's self-loop, 0 where it has none."""
        loops = np.zeros(self.num_transition_states + 1, np.int32)
        ids = np.flatnonzero(self.is_self_loop)
        loops[self.transition_states[ids]] = ids
        return loops

    def transition_state_of(self, phone: int, hmm_state: int, forward_pdf: int, self_loop_pdf: int) -> int:
        """Returns the transition_state of a tuple.

        Raises:
          InputError: the tuple cannot occur under this tree and topology.
        """
        try:
            return self._state_of_tuple[(phone, hmm_state, forward_pdf, self_loop_pdf)]
        except KeyError:
            raise InputError.at(
                "transition model",
                f"has no transition-state (phone {phone}, state {hmm_state}, pdfs {forward_pdf} and {self_loop_pdf})",
                "Use the tree and transition model of one model.",
            ) from None

    def transition_id_of(self, transition_state: int, transition_index: int) -> int:
        """Returns the transition_id of an arc.

        Raises:
          IndexError: there is no such transition_state or arc.
        """
        if not 1 <= transition_state <= self.num_transition_states:
            raise IndexError(f"transition_state {transition_state} lies outside 1–{self.num_transition_states}")
        if not 0 <= transition_index < len(self._transitions[transition_state - 1]):
            raise IndexError(f"transition_state {transition_state} has no arc {transition_index}")
        return int(self.first_ids[transition_state]) + transition_index

    @cached_property
    def _state_of_tuple(self) -> dict[tuple[int, ...], int]:
        return {tuple(row): index for index, row in enumerate(self.tuples.tolist(), 1)}

    def _of_tuple(self, column: int, first: int) -> np.ndarray:
        padded = np.concatenate([np.array([first], np.int32), self.tuples[:, column]])
        return padded[self.transition_states]

    # --- probabilities ---------------------------------------------------------------------------

    def _initial_log_probs(self) -> np.ndarray:
        probabilities = np.array([1.0] + [p for arcs in self._transitions for _, p in arcs], dtype=np.float32)
        return np.log(probabilities)

    @cached_property
    def log_probs_not_self_loop(self) -> np.ndarray:
        """float32 [num_transition_states + 1]: log of what the self-loop leaves over; 0 without one."""
        loop = self.log_probs[self.self_loops].astype(np.float64)
        left = np.log(np.maximum(-np.expm1(np.minimum(loop, 0.0)), 1.0e-10))
        return np.where(self.self_loops > 0, left, 0.0).astype(np.float32)

    @cached_property
    def log_probs_ignoring_self_loops(self) -> np.ndarray:
        """float32 [num_transition_ids + 1]: log-probability given that the arc is no self-loop; 0 for self-loops.

        Graphs are built from these; self-loops are added last.
        """
        scores = self.log_probs - self.log_probs_not_self_loop[self.transition_states]
        return np.where(self.is_self_loop, np.float32(0.0), scores)

    def update(self, counts: np.ndarray, floor: float = 0.01, min_count: float = 5.0) -> TransitionModel:
        """Re-estimates the probabilities by maximum likelihood, as Kaldi's `MleUpdate`.

        Args:
          counts: float64 [num_transition_ids + 1], how often each transition_id was passed; entry 0 unused.
          floor: no probability falls below it (states with one arc aside).
          min_count: transition-states seen less often keep their probabilities.

        Returns:
          A new model.
        """
        counts = np.asarray(counts, dtype=np.float64)
        if counts.shape != (self.num_transition_ids + 1,):
            raise ValueError(f"{len(counts) - 1} counts for {self.num_transition_ids} transition-ids")
        splits = self.first_ids[1:-1].astype(np.int64) - 1
        states = self.transition_states[1:] - 1
        totals = np.add.reduceat(counts[1:], splits)
        arcs = np.diff(self.first_ids[1:])
        use = ((totals >= min_count) & (arcs > 1))[states]
        probabilities = counts[1:] / np.where(totals > 0, totals, 1.0)[states]
        for _ in range(3):  # flooring takes mass from the others, which may fall below the floor in turn
            sums = np.add.reduceat(probabilities, splits)
            probabilities = np.maximum(probabilities / np.where(sums > 0, sums, 1.0)[states], floor)
        probabilities /= np.add.reduceat(probabilities, splits)[states]
        log_probs = self.log_probs.copy()
        log_probs[1:][use] = np.log(probabilities[use])
        return replace(self, log_probs=log_probs)

    # --- files -----------------------------------------------------------------------------------

    def to_text(self, digits: int = 9) -> str:
        """Returns what `copy-transition-model --binary=false` writes with 7 digits; 9 keep every float32."""
        text = "<TransitionModel> \n" + self.topology.to_text(" ", 7 if digits == 7 else 15)
        if self.topology.is_hmm:
            text += f"<Triples> {len(self.tuples)} \n"
            text += "".join(f"{p} {s} {f} \n" for p, s, f, _ in self.tuples.tolist()) + "</Triples> \n"
        else:
            text += f"<Tuples> {len(self.tuples)} \n"
            text += "".join(f"{p} {s} {f} {l} \n" for p, s, f, l in self.tuples.tolist()) + "</Tuples> \n"
        numbers = " ".join(f"{x:.{digits}g}" for x in self.log_probs)
        return f"{text}<LogProbs> \n [ {numbers} ]\n</LogProbs> \n</TransitionModel> \n"

    def write(self, path: str | os.PathLike, digits: int = 9) -> None:
        """Writes Kaldi's text transition model, atomically."""
        with atomic_path(path) as temporary:
            temporary.write_text(self.to_text(digits), encoding="ascii")
