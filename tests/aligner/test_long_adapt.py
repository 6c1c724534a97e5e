"""Adaptation of long recordings: an adapted model that hears all voices shifted, which transforms undo."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hybrid.adapt.speaker_stats import speech_stats, transform_of
from hybrid.aligner import long_adapt
from hybrid.aligner.config import LongConfig, SpeechAlignConfig
from hybrid.aligner.long_adapt import adapt_pieces
from hybrid.aligner.long_audio import align_long
from hybrid.aligner.text_aligner import TextAligner
from hybrid.gmm.am_diag_gmm import AmDiagGmm
from hybrid.model.folder import load_model
from hybrid.model.recording import Recording
from lexicon.lang_dir import LangDir
from lexicon.vocabulary import TextLexicon

WORDS = ["ALFA", "BRAVO", "CHARLIE", "DELTA", "ECHO"]


@pytest.fixture(scope="module")
def shifted(toy):
    """The toy's model with all means moved by one, beside the unmoved one."""
    model = load_model(toy.model)
    arrays = model.acoustic_model.gmm.arrays()
    moved = AmDiagGmm.from_arrays({**arrays, "means_invvars": arrays["means_invvars"] + 3.0 * arrays["inv_vars"]})
    return replace(
        model, acoustic_model=replace(model.acoustic_model, gmm=moved), speaker_independent=model.acoustic_model
    )


@pytest.fixture(scope="module")
def spoken(toy, tmp_path_factory):
    """Forty seconds of random words."""
    path = tmp_path_factory.mktemp("long") / "a.wav"
    words = " ".join(np.random.default_rng(6).choice(WORDS, size=80))
    return path, words.split(), toy.save(path, words, 66)


def make(toy, model, path, frames):
    config = SpeechAlignConfig(adapt_frames=frames, long=LongConfig(chunk=8, max_segment=6))
    lexicon = TextLexicon.make(LangDir.load(toy.lang), WORDS)
    return TextAligner(model, lexicon, config), Recording(model.unadapted, path)


def test_pieces_are_adapted_to_the_speech_around_them(toy, shifted, spoken, monkeypatch):
    path, words, starts = spoken
    again, seen = long_adapt._again, []

    def watched(aligner, recording, piece, matrix):
        seen.append((piece, again(aligner, recording, piece, matrix)))
        return seen[-1][1]

    monkeypatch.setattr(long_adapt, "_again", watched)
    aligner, recording = make(toy, shifted, path, 500.0)
    found = align_long(aligner, recording, words)
    said = [w for w in found.words if w.label]
    assert [w.label for w in said] == words and not found.gaps
    assert np.abs(np.array([w.start for w in said]) - starts).max() < 0.1
    assert len(seen) > 3 and all(after is not before for before, after in seen)


def test_the_transform_moves_features_to_the_model(toy, shifted, spoken):
    path, words, _ = spoken
    aligner, recording = make(toy, shifted, path, 500.0)
    independent = aligner.with_model(shifted.unadapted)
    features = recording.features(0.0, recording.duration)
    ids = independent.align(words, recording.scores(0.0, recording.duration)).alignment.transition_ids
    stats = speech_stats(aligner.model, aligner.lexicon.lang.silence_phones, [(features, ids)])
    matrix, reason = transform_of(stats, aligner.config.adapt_frames, aligner.model.frame_shift)
    assert reason == ""
    moved = features @ matrix[:, :-1].T + matrix[:, -1] - features
    assert np.median(moved) == pytest.approx(3.0, abs=0.5)


def test_too_little_speech_or_no_such_model_changes_nothing(toy, shifted, spoken):
    path, words, _ = spoken
    aligner, recording = make(toy, shifted, path, 1e6)
    plain = align_long(aligner.with_model(shifted.unadapted), recording, words)
    assert align_long(aligner, recording, words) == plain
    assert adapt_pieces(aligner.with_model(shifted.unadapted), recording, []) == []
