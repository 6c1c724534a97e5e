"""Lattices of phones with times: the ways an utterance may have been spoken, out of a lattice of transition-ids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hybrid.formats.openfst import FstArrays
from hybrid.hmm import TransitionModel
from hybrid.lattice.compact import expand
from hybrid.lattice.determinize import determinize
from hybrid.lattice.lattice import Lattice

__all__ = ["phone_ways", "phones_of_lattice"]


def phone_ways(
    lattice: Lattice, model: TransitionModel, beam: float, acoustic_scale: float
) -> tuple[FstArrays, np.ndarray]:
    """Returns every phone sequence of a lattice, each with the times of its best path, as `phones_of_lattice`.

    Args:
      lattice: of one frame an arc, as searches give it.
      model: of its transition-ids.
      beam: phone sequences worse than the best by more are left out.
    """
    by_phones = replace(lattice, word_ids=model.phone_starts[lattice.transition_ids])
    return phones_of_lattice(expand(determinize(by_phones, beam, acoustic_scale).lattice), model)


def phones_of_lattice(lattice: Lattice, model: TransitionModel) -> tuple[FstArrays, np.ndarray]:
    """Returns a lattice's phones as an acceptor without scores.

    A phone begins with the arc into its HMM; the self-loops that follow its last arc still belong to it. States
    between phones are the acceptor's; equal phones between two of them are one arc.

    Returns:
      The acceptor, and int32 [arcs][2]: first frame of each arc's phone and the frame after its last.
    """
    if lattice.is_empty:
        return FstArrays.empty(), np.zeros((0, 2), np.int32)
    begins = model.phone_starts[lattice.transition_ids]
    splits, targets = lattice.row_splits.tolist(), lattice.next_states.tolist()
    phone = begins.tolist()
    leaving = np.zeros(lattice.num_states, bool)
    leaving[lattice.sources[begins > 0]] = True
    ends = leaving | np.isfinite(lattice.final_graph_scores)
    arcs: set[tuple[int, int, int]] = set()
    before = [(0, state) for state in _ends(0, splits, targets, phone)]  # epsilons before the first phone
    for node, state in [*before, *((state, state) for state in np.flatnonzero(leaving).tolist() if state)]:
        for first in range(splits[state], splits[state + 1]):
            if phone[first]:
                reached = _ends(targets[first], splits, targets, phone)
                arcs |= {(node, phone[first], end) for end in reached if ends[end]}
    rows = np.array(sorted(arcs), np.int64).reshape(-1, 3)
    finals = np.where(np.isfinite(lattice.final_graph_scores), 0.0, np.inf)
    fst = FstArrays.from_arcs(0, rows[:, 0], rows[:, 1], rows[:, 1], rows[:, 2], np.zeros(len(rows)), finals)
    frames = lattice.state_frames
    times = np.stack([frames[rows[:, 0]], frames[rows[:, 2]]], axis=1)
    return _trimmed(fst, times)


def _ends(state: int, splits: list[int], targets: list[int], phone: list[int]) -> set[int]:
    """Returns the states that can be reached without beginning another phone."""
    seen, stack = {state}, [state]
    while stack:
        at = stack.pop()
        for arc in range(splits[at], splits[at + 1]):
            if not phone[arc] and targets[arc] not in seen:
                seen.add(targets[arc])
                stack.append(targets[arc])
    return seen


def _trimmed(fst: FstArrays, times: np.ndarray) -> tuple[FstArrays, np.ndarray]:
    """Drops states that no way through passes; the arcs' numbers travel as output labels."""
    from hybrid.fst.ops import connect

    marked = replace(fst, olabels=np.arange(1, fst.num_arcs + 1, dtype=np.int32))
    kept = connect(marked)
    return replace(kept, olabels=kept.ilabels), times[kept.olabels - 1]
