"""Alignment of speech with known text: flat start, Viterbi, and times of phones and words."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybrid.align.alignment import Alignment, Segment, Speller, phone_segments
    from hybrid.align.config import AlignConfig, AlignmentError
    from hybrid.align.equal import equal_align
    from hybrid.align.graph import AlignmentGraph, scaled_transition_scores
    from hybrid.align.viterbi import viterbi_align

__all__ = [
    "AlignConfig",
    "Alignment",
    "AlignmentError",
    "AlignmentGraph",
    "Segment",
    "Speller",
    "equal_align",
    "phone_segments",
    "scaled_transition_scores",
    "viterbi_align",
]

# imported when first used, so that looking up settings costs nothing
_MODULES = {
    "AlignConfig": "hybrid.align.config",
    "Alignment": "hybrid.align.alignment",
    "AlignmentError": "hybrid.align.config",
    "AlignmentGraph": "hybrid.align.graph",
    "Segment": "hybrid.align.alignment",
    "Speller": "hybrid.align.alignment",
    "equal_align": "hybrid.align.equal",
    "phone_segments": "hybrid.align.alignment",
    "scaled_transition_scores": "hybrid.align.graph",
    "viterbi_align": "hybrid.align.viterbi",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
