"""Alignment knows nothing of a model but its scores: a model that is no GMM and gives every second frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from hybrid.aligner.align_speech import ProductConfig, align_speech
from hybrid.aligner.config import SpeechAlignConfig
from hybrid.aligner.speech_source import items_of_files
from hybrid.model.folder import load_model
from hybrid.model.protocol import AcousticModel, AcousticModelBase
from lexicon.lang_dir import LangDir

WORDS = "ALFA BRAVO CHARLIE DELTA ECHO BRAVO ALFA"


@dataclass(frozen=True)
class Coarse(AcousticModelBase):
    """Scores of another model on every second frame, as a network with subsampling gives them."""

    inner: AcousticModel
    acoustic_scale: float = 0.1
    subsampling_factor: int = 2

    @property
    def num_pdfs(self) -> int:
        return self.inner.num_pdfs

    @property
    def feature_dim(self) -> int:
        return self.inner.feature_dim

    def scores(self, features: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scores, lengths = self.inner.scores(features, lengths)
        return scores[:, ::2].contiguous(), (lengths + 1) // 2


@pytest.mark.parametrize("long_from", [60.0, 2.0])
def test_any_acoustic_model_will_do(toy, tmp_path, long_from):
    model = load_model(toy.model)
    model = replace(model, acoustic_model=Coarse(model.acoustic_model), path=None)
    assert model.frame_shift == pytest.approx(0.02) and model.boundary_lag == pytest.approx(0.0025)
    starts = toy.save(tmp_path / "in" / "a.wav", WORDS, 90)
    items, failures = items_of_files([tmp_path / "in"])
    speech = SpeechAlignConfig()
    config = ProductConfig(replace(speech, long=replace(speech.long, long_from=long_from)), formats=("ctm",))
    totals = align_speech(model, LangDir.load(toy.lang), items, failures, tmp_path / "out", config)
    assert (totals.done, totals.failed) == (1, 0)
    rows = [line.split() for line in (tmp_path / "out" / "words.ctm").read_text().splitlines()[1:]]
    assert [row[4] for row in rows] == WORDS.split()
    assert np.abs(np.array([float(row[2]) for row in rows]) - starts).max() < 0.06


def test_boundaries_lie_in_the_middle_of_two_windows(toy):
    """Windows of 25 ms, 10 ms apart: frame 0 is centred at 12.5 ms, frame 1 at 22.5, the boundary is at 17.5."""
    model = load_model(toy.model)
    assert model.frame_shift + model.boundary_lag == pytest.approx(0.0175)
    whole = replace(model.pipeline, static=replace(model.pipeline.static, snip_edges=False))
    assert replace(model, pipeline=whole).boundary_lag == pytest.approx(0.0)
