"""Lattices of several systems as one lattice: brought to one scale and one clock, then united (lattice-combine)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hybrid.lattice.combine import combine, scaled
from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.trim import state_times

__all__ = ["combine_systems", "retimed"]

FRAME = 1  # stands for a frame of a system whose frames are others'


def retimed(compact: CompactLattice, num_frames: int) -> CompactLattice:
    """Returns a lattice of the same paths that covers `num_frames`; its transition-ids are 1s, which only count frames.

    Args:
      compact: trimmed.
    """
    if compact.start < 0:
        return compact
    times = state_times(compact).astype(np.int64)
    ends = np.flatnonzero(np.isfinite(compact.final_graph_scores))
    total = times[ends[0]] + len(compact.final_string(ends[0]))
    moved = (times * num_frames + total // 2) // max(int(total), 1)
    lengths = moved[compact.next_states] - moved[compact.sources]
    finals = np.zeros(compact.num_states, np.int64)
    finals[ends] = num_frames - moved[ends]
    splits, final_splits = (np.concatenate([[0], np.cumsum(n)]).astype(np.int64) for n in (lengths, finals))
    return replace(
        compact, string_splits=splits, strings=np.full(splits[-1], FRAME, np.int32), final_string_splits=final_splits,
        final_strings=np.full(final_splits[-1], FRAME, np.int32),
    )  # fmt: skip


def combine_systems(
    lattices: Sequence[CompactLattice], weights: Sequence[float], acoustic_scales: Sequence[float],
    lm_scales: Sequence[float] | None = None,
) -> CompactLattice:  # fmt: skip
    """Returns one lattice in which each system's paths together have its weight; its scores are scaled: decode it at 1.

    Systems of different frame rates are brought to the longest one's frames, and lose their transition-ids.

    Args:
      lattices: trimmed, of one utterance, over the same words; those without paths do not count.
      weights: above 0. acoustic_scales, lm_scales: of each system.

    Raises:
      ValueError: not one positive weight and one scale for each.
    """
    lm_scales = [1.0] * len(lattices) if lm_scales is None else list(lm_scales)
    if not len(lattices) == len(acoustic_scales) == len(lm_scales):
        raise ValueError(f"{len(acoustic_scales)} acoustic scales for {len(lattices)} lattices: wanted one for each")
    even = [scaled(one, a, b) for one, a, b in zip(lattices, acoustic_scales, lm_scales)]
    sizes = [_frames(one) for one in even if one.start >= 0]
    if len(set(sizes)) > 1:
        even = [retimed(one, max(sizes)) for one in even]
    return combine(even, weights, 1.0)


def _frames(compact: CompactLattice) -> int:
    end = int(np.flatnonzero(np.isfinite(compact.final_graph_scores))[0])
    return int(state_times(compact)[end]) + len(compact.final_string(end))
