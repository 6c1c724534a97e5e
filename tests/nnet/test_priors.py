"""Priors are the average posterior."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybrid.base.errors import InputError
from hybrid.nnet.network import build_network
from hybrid.nnet.priors import measure_log_prior


def network(**more):
    torch.manual_seed(0)
    network = build_network("tdnnf", {"dim": 12, "bottleneck_dim": 5, "prefinal_dim": 6, **more}, 4, 7)
    torch.nn.init.normal_(network.xent.output.weight)
    return network.eval()


def test_average_posterior_over_frames() -> None:
    """However the data are cut into batches, whatever the padding holds; a probability of each pdf."""
    model, lengths = network(), torch.tensor([30, 12, 25])
    features = torch.randn(3, 30, 4)
    features[1, 12:] = float("nan")
    prior = measure_log_prior(model, [(features, lengths)])
    one_by_one = measure_log_prior(model, [(features[n : n + 1], lengths[n : n + 1]) for n in range(3)])
    posteriors = [model(features[n : n + 1, :m], torch.tensor([m])).xent[0].exp() for n, m in enumerate(lengths)]
    assert np.exp(prior.astype(np.float64)).sum() == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(np.exp(prior), torch.cat(posteriors).mean(0).detach(), rtol=1e-4)
    np.testing.assert_allclose(one_by_one, prior, rtol=1e-4)


def test_floor() -> None:
    model = network()
    torch.nn.init.constant_(model.xent.output.bias[:1], -50.0)
    prior = np.exp(measure_log_prior(model, [(torch.randn(1, 30, 4), torch.tensor([30]))], floor=1e-4))
    assert prior[0] == pytest.approx(1e-4, rel=1e-3) and prior.sum() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("features, message", [
    (torch.zeros(1, 0, 4), "priors: there are no frames to measure them on."),
    (torch.full((1, 9, 4), float("nan")), "priors: the network's posteriors are not finite."),
])  # fmt: skip
def test_nothing_to_measure(features, message) -> None:
    with pytest.raises(InputError) as caught:
        measure_log_prior(network(), [(features, torch.tensor([features.shape[1]]))] if features.shape[1] else [])
    assert str(caught.value).startswith(message)
