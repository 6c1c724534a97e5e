"""Determinisation: of each word sequence the best path, with its alignment (Povey et al., 2012).

Subsets of states are the states of the result, as for acceptors; the weight of an element is its two scores and a
string of transition-ids, and of two ways to one state the better is kept. States are made best first, along exact
scores to the end, so that the work stops at the beam; where memory is limited, what is found by then is complete
within a smaller beam, which is reported.

A raw lattice is determinised twice, as Kaldi's lattice-determinize-phone-pruned does it: over phones and words, where
strings are short and few paths meet, and what that leaves over words.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hybrid.lattice import kernels
from hybrid.lattice.compact import CompactLattice, no_paths
from hybrid.lattice.determinize_kernels import determinize_arcs
from hybrid.lattice.lattice import Lattice
from hybrid.lattice.prune import prune
from hybrid.lattice.trim import trimmed

__all__ = ["Determinized", "determinize", "determinize_compact"]

MAX_ELEMENTS = 20_000_000  # of all subsets of one utterance, or nodes of their strings; below 1 GB


@dataclass(frozen=True)
class Determinized:
    """A determinised lattice, and the beam within which it holds every word sequence of the one it was made from."""

    lattice: CompactLattice
    beam: float


def determinize(
    lattice: Lattice, beam: float, acoustic_scale: float, lm_scale: float = 1.0, phone_starts: np.ndarray | None = None,
    max_elements: int = MAX_ELEMENTS,
) -> Determinized:  # fmt: skip
    """Determinises a lattice within a beam of its best path.

    Args:
      beam: in the log units of the scaled scores.
      acoustic_scale, lm_scale: factors of the scores while they are compared; the result holds unscaled ones.
      phone_starts: int32 [transition-ids + 1], the phone that begins with each, 0 where none does: with it the work is
        done over phones and words first (`TransitionModel.phone_starts`). The result is the same, large lattices
        take less.
      max_elements: of subsets, and symbols of their strings; past it the result is complete within a smaller beam, at
        least the best path.

    Raises:
      ValueError: a negative beam.
    """
    if not beam >= 0:
        raise ValueError(f"determinisation beam {beam} is negative, wanted 0 or more")
    if lattice.is_empty:
        return Determinized(no_paths(), beam)
    labels = lattice.word_ids.astype(np.int64)
    width = int(labels.max(initial=0)) + 1
    reached = beam
    compact = _as_compact(lattice)
    if phone_starts is not None:
        labels += width * phone_starts[lattice.transition_ids].astype(np.int64)
        both = None if labels.max(initial=0) <= np.iinfo(np.int32).max else np.unique(np.concatenate([[0], labels]))
        labels = labels if both is None else np.searchsorted(both, labels)
        over_phones = determinize_compact(
            replace(compact, word_ids=labels.astype(np.int32)), beam, acoustic_scale, lm_scale, max_elements
        )
        compact, reached = over_phones.lattice, over_phones.beam
        labels = compact.word_ids if both is None else both[compact.word_ids]
        compact = replace(compact, word_ids=(labels % width).astype(np.int32))
    over_words = determinize_compact(compact, beam, acoustic_scale, lm_scale, max_elements)
    return Determinized(over_words.lattice, min(reached, over_words.beam))


def determinize_compact(
    compact: CompactLattice, beam: float, acoustic_scale: float, lm_scale: float = 1.0,
    max_elements: int = MAX_ELEMENTS,
) -> Determinized:  # fmt: skip
    """Determinises a compact lattice, states in topological order from 0, over its words; see `determinize`."""
    states = compact.num_states
    if compact.start < 0 or states == 0:
        return Determinized(no_paths(), beam)
    splits = np.searchsorted(compact.sources, np.arange(states + 1)).astype(np.int64)
    graph, acoustic = compact.graph_scores.astype(np.float64), compact.acoustic_scores.astype(np.float64)
    ends = (compact.final_graph_scores.astype(np.float64), compact.final_acoustic_scores.astype(np.float64))
    scales = np.array([lm_scale, acoustic_scale], np.float64)
    final = np.where(
        np.isfinite(ends[0]), lm_scale * ends[0] + acoustic_scale * np.where(np.isfinite(ends[0]), ends[1], 0), -np.inf
    )
    beta, _ = kernels.backward_max(splits, compact.next_states, lm_scale * graph + acoustic_scale * acoustic, final)
    if not np.isfinite(beta[0]):
        return Determinized(no_paths(), beam)
    elements, nodes, enough = compact.num_arcs + 1024, 6 * (compact.num_arcs + len(compact.strings)) + 1024, False
    while not enough:
        arcs, finals, reached, enough = determinize_arcs(
            splits, compact.next_states, compact.word_ids, graph, acoustic, compact.string_splits, compact.strings,
            (*ends, compact.final_string_splits, compact.final_strings), beta, scales, float(beam), max_elements,
            elements, nodes,
        )  # fmt: skip
        elements, nodes = 2 * elements, 2 * nodes
    found = trimmed(_compact(arcs, finals))
    if found.is_empty and beam > 0:  # the limit is too low for the best path even, which alone is little work
        best = determinize_compact(prune(compact, 0.0, acoustic_scale, lm_scale), 0.0, acoustic_scale, lm_scale)
        return Determinized(best.lattice, 0.0)
    return Determinized(found, float(reached))


def _as_compact(lattice: Lattice) -> CompactLattice:
    """The same states and arcs; strings of one transition-id, or none."""
    emits = lattice.transition_ids != 0
    splits = np.concatenate([[0], np.cumsum(emits)]).astype(np.int64)
    return CompactLattice(
        0, lattice.sources, lattice.next_states, lattice.word_ids, lattice.graph_scores, lattice.acoustic_scores,
        splits, lattice.transition_ids[emits], lattice.final_graph_scores, lattice.final_acoustic_scores,
        np.zeros(lattice.num_states + 1, np.int64), np.zeros(0, np.int32),
    )  # fmt: skip


def _compact(arcs: tuple[np.ndarray, ...], finals: tuple[np.ndarray, ...]) -> CompactLattice:
    """What the loops found, in the order in which they found it."""
    sources, nexts, labels, graph, acoustic, splits, strings = arcs
    return CompactLattice(
        0 if len(finals[0]) else -1, sources.astype(np.int32), nexts.astype(np.int32), labels.astype(np.int32), graph,
        acoustic, splits, strings, *finals,
    )  # fmt: skip
