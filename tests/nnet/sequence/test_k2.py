"""The operator against k2's `intersect_dense`, an independent implementation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybrid.nnet.sequence.arcs import Arcs
from hybrid.nnet.sequence.forward_backward import total_log_score
from tests.nnet.sequence.graphs import NEVER, random_hmm


@pytest.mark.k2
@pytest.mark.parametrize("seed", range(3))
def test_totals_and_occupancies_equal_those_of_k2(seed):
    import k2

    hmm = random_hmm(seed, states=20, pdfs=12)
    graph = Arcs(hmm.from_state, hmm.to_state, hmm.pdf, hmm.log_weight, [0.0] + [NEVER] * 19, hmm.final)
    scores = torch.from_numpy(np.random.default_rng(seed).normal(size=(5, 15, 12)) * 2).float()
    lengths = torch.tensor([15, 15, 12, 7, 1])  # k2 wants them falling
    arcs = np.stack([
        np.append(graph.from_state, np.arange(20)), np.append(graph.to_state, [20] * 20),
        np.append(graph.pdf + 1, [-1] * 20), np.append(graph.log_weight, graph.final).view(np.int32),
    ], 1).astype(np.int32)  # fmt: skip
    fsa = k2.Fsa(torch.from_numpy(arcs[np.argsort(arcs[:, 0], kind="stable")]))

    def with_k2(x):
        columns = torch.cat([torch.full((5, 15, 1), -1e10), x], 2)
        segments = torch.tensor([[n, 0, frames] for n, frames in enumerate(lengths)], dtype=torch.int32)
        dense = k2.DenseFsaVec(columns, segments)
        return k2.intersect_dense(k2.create_fsa_vec([fsa] * 5), dense, 100.0).get_tot_scores(True, True)

    found = []
    for operator in (with_k2, lambda x: total_log_score(x, lengths, graph)):
        given = scores.clone().requires_grad_()
        totals = operator(given)
        totals.sum().backward()
        found.append((totals.detach().double(), given.grad))
    torch.testing.assert_close(found[1][0], found[0][0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found[1][1], found[0][1], rtol=1e-3, atol=1e-5)
