"""Confidences: equal to the sum over all paths, one where one phone fits, a share where all are alike."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from hybrid.align.alignment_graph import scaled_transition_scores
from hybrid.align.config import AlignConfig
from hybrid.aligner.confidence import PhoneConfidence, word_confidence
from hybrid.timing.segments import Segment

CONFIG = AlignConfig(acoustic_scale=0.1, transition_scale=1.0, self_loop_scale=0.1)
RIVALS = {1: (1, 2, 3), 2: (2, 3, 1), 3: (3, 2, 1)}


def by_hand(model, phone: int, scores: np.ndarray, config: AlignConfig) -> float:
    """Sums over every sequence of states of a left-to-right HMM."""
    weights = scaled_transition_scores(model, config.transition_scale, config.self_loop_scale)
    states = [s for s in range(1, model.num_transition_states + 1) if model.tuples[s - 1][0] == phone]
    total = 0.0
    for cuts in itertools.combinations(range(1, len(scores)), len(states) - 1):
        score = 0.0
        for state, begin, end in zip(states, (0, *cuts), (*cuts, len(scores))):
            loop = model.self_loops[state]
            leave = next(i for i in np.flatnonzero(model.transition_states == state) if i != loop)
            score += weights[leave] + (end - begin - 1) * weights[loop]
            score += config.acoustic_scale * scores[begin:end, model.pdf_ids[leave]].sum()
        total += np.exp(score)
    return total


def test_equals_the_sum_over_all_paths(transition_model):
    config = dataclasses.replace(CONFIG, acoustic_scale=0.5)
    scores = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    segments = [Segment(2, 0, 3), Segment(3, 3, 4)]
    found = PhoneConfidence(transition_model, RIVALS, config)(segments, scores)
    for value, segment in zip(found, segments):
        rows = scores[segment.start : segment.end]
        sums = {p: by_hand(transition_model, p, rows, config) for p in (1, 2, 3)}
        assert value == pytest.approx(sums[segment.label] / sum(sums.values()))


def test_a_phone_that_alone_fits_is_certain(transition_model):
    scores = np.full((6, 5), -500.0, np.float32)
    scores[:3, 1] = scores[3:, 2] = 0.0
    confidence = PhoneConfidence(transition_model, RIVALS, CONFIG)
    assert confidence([Segment(2, 0, 6)], scores)[0] == pytest.approx(1.0)
    assert confidence([Segment(3, 0, 6)], scores)[0] < 1e-6


def test_a_phone_too_long_for_its_frames_has_none(transition_model):
    assert PhoneConfidence(transition_model, RIVALS, CONFIG)([Segment(2, 0, 1)], np.zeros((1, 5), np.float32))[0] == 0.0


def test_no_phones(transition_model):
    assert len(PhoneConfidence(transition_model, RIVALS, CONFIG)([], np.zeros((0, 5), np.float32))) == 0


def test_words_take_the_geometric_mean():
    assert word_confidence([0.5, 0.125]) == pytest.approx(0.25)
    assert word_confidence([1.0, 0.0]) == pytest.approx(1e-3)
    assert word_confidence([]) == 0.0
