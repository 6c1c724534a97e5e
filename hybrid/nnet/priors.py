"""Priors of pdfs: what a network takes them for on average.

Log-posteriors less log-priors are log-likelihoods but for a constant (Bourlard and Morgan 1994). The model's average
posterior is a better prior than the frequencies of the alignment that it was trained on, since it has the model's own
bias; pdfs that no alignment held are as rare in one as in the other.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from hybrid.base.errors import InputError
from hybrid.base.log import get_logger
from hybrid.nnet.layers import frames_inside
from hybrid.nnet.network import Network, Output

__all__ = ["average_log_prior", "measure_log_prior"]

logger = get_logger(__name__)


def measure_log_prior(network: Network, batches: Iterable[tuple[Tensor, Tensor]], floor: float = 1e-8) -> np.ndarray:
    """Measures the average posterior of each pdf over utterances: features float32 [N][T][D], lengths int64 [N].

    See `average_log_prior`.
    """
    logger.info("measuring the prior: the mean posterior of each pdf over features of the training data")
    scorer = network.for_inference("xent")
    return average_log_prior((scorer(features.to(network.device), lengths) for features, lengths in batches), floor)


@torch.no_grad()
def average_log_prior(outputs: Iterable[Output], floor: float = 1e-8) -> np.ndarray:
    """Averages the posteriors of a network over frames.

    Args:
      outputs: of a network with a head of log-posteriors, in evaluation.
      floor: least probability of a pdf; the sum stays 1.

    Returns:
      Natural logs, float32 [num_pdfs].

    Raises:
      InputError: no frame, or posteriors that are not finite.
    """
    total, frames = torch.zeros((), dtype=torch.float64), 0
    for output in outputs:
        assert output.xent is not None
        inside = frames_inside(output.lengths.to(output.xent.device), output.xent.shape[1])
        total = total + output.xent[inside].double().exp().sum(0).cpu()
        frames += int(output.lengths.sum())
    if not frames or not bool(torch.isfinite(total).all()):
        what = "the network's posteriors are not finite" if frames else "there are no frames to measure them on"
        raise InputError.at("priors", what, "Give the features that the network was trained on.")
    prior = (total / total.sum()).clamp(min=floor)
    return (prior / prior.sum()).log().float().numpy()
