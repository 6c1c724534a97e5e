"""Full-sum training: the total of an utterance is the sum over its alignments."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from hybrid.chain.full_sum import full_sum_acceptor
from hybrid.chain.numerator import aligned_numerator
from hybrid.hmm import HmmTopology, TransitionModel
from hybrid.nnet.sequence.arcs import Arcs
from hybrid.nnet.sequence.reference import reference_passes
from hybrid.tree import ContextTree


@pytest.fixture(scope="module")
def model() -> TransitionModel:
    """One pdf a phone."""
    topology = HmmTopology.chain([1, 2, 3])
    return TransitionModel(topology, ContextTree.monophone([[1], [2], [3]], topology.pdf_class_counts(), True))


@pytest.mark.parametrize("scale", [0.0, 1.0])
@pytest.mark.parametrize("phones", [[1, 2, 1], [2, 2], [3]])
def test_total_is_the_sum_over_alignments(model, phones, scale):
    assert model.num_pdfs == 3
    frames, loop, rng = 6, 0.6, np.random.default_rng(1)
    scores = rng.standard_normal((frames, 3))
    wanted = -np.inf
    for cuts in itertools.combinations(range(1, frames), len(phones) - 1):
        bounds = [0, *cuts, frames]
        path = np.repeat([p - 1 for p in phones], np.diff(bounds))
        stays = frames - len(phones)
        weight = scale * (stays * math.log(loop) + len(phones) * math.log(1 - loop))
        wanted = np.logaddexp(wanted, scores[np.arange(frames), path].sum() + weight)
    numerator = aligned_numerator(np.array(phones), np.full(len(phones), 4), model)
    acceptor = full_sum_acceptor(numerator, frames, loop, scale)
    total, occupancy = reference_passes(scores, Arcs(**acceptor.arrays))
    assert total == pytest.approx(wanted, abs=1e-5)
    np.testing.assert_allclose(occupancy.sum(axis=1), 1.0)


def test_ways_of_a_text(chain_model):
    from tests.chain.test_supervision import diamond

    model = chain_model(4, seed=3)
    numerator = diamond(model)
    acceptor = full_sum_acceptor(numerator, 6)
    assert acceptor.num_states == 1 + len(numerator.arcs) and (acceptor.from_state == 0).sum() == 1
    total, _ = reference_passes(np.zeros((6, model.num_pdfs)), Arcs(**acceptor.arrays))
    # 4, 3 and 3 phones in 6 frames: 10 + 10 + 10 alignments, each of six transitions of one half
    assert total == pytest.approx(math.log(30) - 6 * math.log(2), abs=1e-5)


def test_no_probability_is_refused(model):
    numerator = aligned_numerator(np.array([1]), np.array([4]), model)
    with pytest.raises(ValueError, match=r"loop_probability is 1\.0, wanted a number between 0 and 1"):
        full_sum_acceptor(numerator, 4, 1.0)
