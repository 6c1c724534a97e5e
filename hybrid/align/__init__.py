"""Alignment of speech with known text: flat start, Viterbi, and times of phones and words."""

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
