"""Priors of pdfs: the average of a network's posteriors over training data."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from hybrid.nnet.network import Network
from hybrid.train.nnet.data import Example
from hybrid.train.nnet.forward import forward

__all__ = ["average_log_posteriors"]

FLOOR = 1e-8  # share of frames that a pdf without any gets


@torch.no_grad()
def average_log_posteriors(network: Network, examples: Iterable[Example], device: torch.device) -> np.ndarray:
    """Returns the log of the average posterior of each pdf, float32 [num_pdfs]; its exponentials sum to one.

    Better than counts of the alignment, since it carries the network's own confusions (Manohar et al. 2015).
    """
    total = torch.zeros(network.num_pdfs, dtype=torch.float64)
    was = network.training
    network.eval()
    for example in examples:
        if not example.names:
            continue
        output = forward(network, example, device)
        assert output.xent is not None
        inside = torch.arange(output.xent.shape[1])[None] < output.lengths.cpu()[:, None]
        total += output.xent.float().exp().cpu().double()[inside].sum(0)
    network.train(was)
    total = total + FLOOR * total.sum().clamp_min(1.0)
    return (total / total.sum()).log().float().numpy()
