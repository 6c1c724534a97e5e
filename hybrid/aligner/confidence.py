"""Confidence of aligned phones: the posterior of each against the phones that could stand in its place.

For a phone p on frames s … e, between its neighbours l and r:

    P(p | l, r, o_s … o_e) = p(o_s … o_e | l-p+r) / Σ_q p(o_s … o_e | l-q+r)

with q over the phones of the same place in a word, and silence; likelihoods are sums over the HMM's paths, scaled as
in alignment. It is the "goodness of pronunciation" of Witt and Young (2000) with the sum kept. A word's confidence is
the geometric mean of its phones'.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hybrid.align.alignment_graph import scaled_transition_scores
from hybrid.align.config import AlignConfig
from hybrid.graph.hmm_expand import HmmExpander
from hybrid.hmm import TransitionModel
from hybrid.timing.segments import Segment

if TYPE_CHECKING:
    from lexicon.lang_dir import LangDir

__all__ = ["PhoneConfidence", "competitors", "word_confidence"]

FLOOR = math.log(1e-6)  # of one phone, so that a single phone does not decide over a word


def competitors(lang: LangDir) -> dict[int, tuple[int, ...]]:
    """Returns phone → the phones that could stand in its place, itself among them.

    Those are the non-silence phones of the same place in a word (where phones carry marks), and the optional silence;
    for a silence phone: the non-silence phones that may be a word of their own.
    """
    boundary: Mapping[int, str] = lang.word_boundary or {}
    speech = [p for p in lang.nonsilence_phones if p not in lang.silence_phones]
    alone = [p for p in speech if boundary.get(p, "singleton") == "singleton"]
    found = {p: (p, *(q for q in alone if q != p)) for p in lang.silence_phones}
    for phone in speech:
        kind = boundary.get(phone)
        same = [q for q in speech if q != phone and boundary.get(q) == kind]
        found[phone] = (phone, *same, lang.optional_silence)
    return found


def word_confidence(confidences: Sequence[float]) -> float:
    """Returns the geometric mean of phones' confidences, each at least 1e-6."""
    logs = [max(FLOOR, math.log(c)) if c > 0 else FLOOR for c in confidences]
    return math.exp(sum(logs) / len(logs)) if logs else 0.0


class PhoneConfidence:
    """Computes confidences with one model."""

    def __init__(
        self, model: TransitionModel, rivals: Mapping[int, Sequence[int]], config: AlignConfig | None = None
    ) -> None:
        """Takes a transition model, phone → competing phones (itself first), and the scales."""
        self.config = config or AlignConfig()
        self._model, self._rivals = model, {p: np.array(q, np.int32) for p, q in rivals.items()}
        self._expander = HmmExpander(model)
        self._known: dict[tuple[int, ...], np.ndarray] = {}  # context → int32 [rivals][HMM states]
        self._first = np.append(model.first_ids, model.num_transition_ids + 1).astype(np.int64)
        scores = scaled_transition_scores(model, *self.config.transition_scales)
        self._arrays = (model.targets.astype(np.int32), model.pdf_ids.astype(np.int32), scores)

    def __call__(self, segments: Sequence[Segment], scores: np.ndarray) -> np.ndarray:
        """Returns float64 [len(segments)], each phone's posterior.

        Args:
          segments: phones that tile the frames.
          scores: float32 [frame][pdf_id], unscaled.
        """
        from hybrid.aligner.confidence_kernels import segment_posteriors

        if not segments:
            return np.zeros(0)
        keys = [tuple(window.tolist()) for window in self._model.tree.pad([s.label for s in segments])]
        self._learn(keys)
        states = [self._known[key] for key in keys]
        splits = np.concatenate([[0], np.cumsum([len(rows) for rows in states])]).astype(np.int64)
        starts = np.array([s.start for s in segments], np.int64)
        ends = np.array([s.end for s in segments], np.int64)
        joined = np.ascontiguousarray(np.concatenate(states), np.int32)
        rows = np.ascontiguousarray(scores, np.float32)
        first = self._first
        return segment_posteriors(rows, self.config.scale, starts, ends, splits, joined, first, *self._arrays)

    def _learn(self, keys: Sequence[tuple[int, ...]]) -> None:
        """Finds, for all contexts not met before at once, the transition-states of the rivals in them."""
        new = [key for key in dict.fromkeys(keys) if key not in self._known]
        if not new:
            return
        center = self._model.tree.central_position
        rivals = [self._rivals.get(key[center], np.array([key[center]], np.int32)) for key in new]
        sizes = [len(some) for some in rivals]
        windows = np.repeat(np.array(new, np.int32), sizes, axis=0)
        windows[:, center] = np.concatenate(rivals)
        states = self._expander.transition_states(windows)
        self._known.update(zip(new, np.split(states, np.cumsum(sizes)[:-1])))
