"""GmmAcousticModel: a batch equals its utterances, padding changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybrid.gmm import AmDiagGmm, GmmAcousticModel
from hybrid.model.boost import boosted
from hybrid.model.protocol import AcousticModel


@pytest.fixture
def model() -> GmmAcousticModel:
    random = np.random.RandomState(0)
    return GmmAcousticModel(
        AmDiagGmm.from_normal([0, 1, 4, 6], [1, 0.2, 0.3, 0.5, 0.5, 0.5], random.randn(6, 3), 0.5 + random.rand(6, 3))
    )


def test_it_is_an_acoustic_model(model):
    assert isinstance(model, AcousticModel)
    assert (model.num_pdfs, model.feature_dim, model.subsampling_factor) == (3, 3, 1)


def test_batch_equals_single_and_padding_changes_nothing(model):
    random = torch.Generator().manual_seed(1)
    batch = torch.randn(3, 9, 3, generator=random)
    lengths = torch.tensor([9, 4, 1])
    batch[1, 4:] = float("nan")
    scores, out_lengths = model.scores(batch, lengths)
    assert scores.dtype == torch.float32
    assert out_lengths.tolist() == [9, 4, 1]
    for n, length in enumerate(lengths.tolist()):
        alone, _ = model.scores(batch[n : n + 1, :length], torch.tensor([length]))
        assert torch.equal(alone[0], scores[n, :length])
        assert not scores[n, length:].any()


def test_the_way_of_a_gpu_gives_the_same(model):
    batch = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(2))
    lengths = torch.tensor([5, 2])
    here, _ = model.scores(batch, lengths)
    there = model._scores_gpu(batch, lengths)
    assert torch.allclose(here, there, atol=1e-4)


@pytest.mark.gpu
def test_a_gpu_agrees(model):
    batch = torch.randn(2, 500, 3, generator=torch.Generator().manual_seed(2))
    lengths = torch.tensor([500, 20])
    here, _ = model.scores(batch, lengths)
    there, _ = model.to("cuda").scores(batch, lengths)
    assert torch.allclose(here, there.cpu(), atol=1e-3)


def test_some_pdfs_are_columns_of_all(model):
    x = np.random.RandomState(3).randn(6, 3).astype(np.float32)
    everything, _ = model.scores(torch.from_numpy(x)[None], torch.tensor([6]))
    score = model.band(x, np.array([2, 0, 1]))
    assert score(1, 4, np.array([0, 1])) == pytest.approx(everything[0].numpy()[1:4, [2, 0]], abs=1e-5)


def test_boosting_is_a_factor_on_the_weights(model):
    """Kaldi's gmm-boost-silence multiplies the weights of a pdf's Gaussians."""
    x = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(4))
    lengths, pdfs = torch.tensor([6, 2]), np.array([1])
    ours, theirs = boosted(model, pdfs, 1.25), GmmAcousticModel(model.gmm.boosted(pdfs, 1.25))
    assert torch.allclose(ours.scores(x, lengths)[0], theirs.scores(x, lengths)[0], atol=1e-5)
    band = [m.band(x[0].numpy(), np.array([2, 1]))(0, 6, np.array([1, 0])) for m in (ours, theirs)]
    assert band[0] == pytest.approx(band[1], abs=1e-5)
    assert boosted(model, pdfs, 1.0) is model and isinstance(ours.to("cpu"), AcousticModel)
    with pytest.raises(ValueError, match="boost is 0, wanted a positive number"):
        boosted(model, pdfs, 0)


def test_a_gmm_scores_every_frame(model):
    with pytest.raises(ValueError, match="subsampling_factor 3; a GMM scores every frame"):
        GmmAcousticModel.from_arrays(model.arrays(), {"acoustic_scale": 0.1, "subsampling_factor": 3})
    again = GmmAcousticModel.from_arrays(model.arrays(), model.settings())
    assert again.settings() == model.settings() and again.gmm.content_hash() == model.gmm.content_hash()
