"""GmmAcousticModel: a batch equals its utterances, padding changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybrid.acoustic_model import AcousticModel
from hybrid.gmm import AmDiagGmm, GmmAcousticModel


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
    there, _ = model.scores(batch.cuda(), lengths.cuda())
    assert torch.allclose(here, there.cpu(), atol=1e-3)


def test_some_pdfs_are_columns_of_all(model):
    x = np.random.RandomState(3).randn(6, 3).astype(np.float32)
    everything, _ = model.scores(torch.from_numpy(x)[None], torch.tensor([6]))
    assert model.pdf_scores(x, np.array([2, 0])) == pytest.approx(everything[0].numpy()[:, [2, 0]], abs=1e-5)
