"""How large a lattice is: arcs over each frame, arcs with words for each word said."""

from __future__ import annotations

import numpy as np

from hybrid.lattice.compact import CompactLattice
from hybrid.lattice.lattice import Lattice
from hybrid.lattice.trim import state_times

__all__ = ["compact_depth", "depth_per_frame", "word_density"]


def depth_per_frame(lattice: Lattice) -> np.ndarray:
    """Returns int64 [frames], the arcs that cross each frame (lattice-depth-per-frame)."""
    frames = lattice.state_frames[lattice.sources][lattice.transition_ids != 0]
    return np.bincount(frames[frames >= 0], minlength=lattice.num_frames)


def compact_depth(compact: CompactLattice) -> float:
    """Returns the depth of a trimmed compact lattice, that which `Lattice.depth` has when it is expanded."""
    final = np.isfinite(compact.final_graph_scores)
    if not final.any():
        return 0.0
    ends = np.diff(compact.final_string_splits)[final]
    frames = int((state_times(compact)[final] + ends).max())
    return float(len(compact.strings) + ends.sum()) / frames if frames else 0.0


def word_density(lattice: Lattice | CompactLattice, num_words: int) -> float:
    """Returns the arcs with words for each word that was said.

    Args:
      num_words: of the transcript, or of the best path where none is known; 0 counts as 1.
    """
    return float(np.count_nonzero(lattice.word_ids)) / max(num_words, 1)
