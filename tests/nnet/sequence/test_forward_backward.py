"""The operator against enumeration, finite differences and its readable twin; and its laws."""

from __future__ import annotations

import importlib.util
import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.nnet.sequence.arcs import Arcs, ArcsError, batch
from hybrid.nnet.sequence.forward_backward import choose, forward_backward, total_log_score
from hybrid.nnet.sequence.reference import enumerate_paths, reference_passes
from tests.nnet.sequence.graphs import NEVER, linear, random_arcs, random_hmm, unrolled

TRITON = pytest.param("triton", marks=pytest.mark.skipif(  # tests/conftest.py chooses its interpreter
    importlib.util.find_spec("triton") is None or os.environ.get("TRITON_INTERPRET") != "1",
    reason="no Triton interpreter",
))  # fmt: skip
PATHS = ["numba", "torch", TRITON]


def scores_of(seed: int, *shape: int, scale: float = 2.0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape) * scale)


def enumerated(scores: np.ndarray, graph: Arcs) -> tuple[float, np.ndarray]:
    paths = [np.array(path, int) for path in enumerate_paths(len(scores), graph)]
    frames = np.arange(len(scores))
    totals = np.array([
        graph.initial[graph.from_state[path[0]]].astype(float) + graph.log_weight[path].astype(float).sum()
        + scores[frames, graph.pdf[path]].sum() + graph.final[graph.to_state[path[-1]]].astype(float)
        for path in paths
    ])  # fmt: skip
    total = np.logaddexp.reduce(totals)
    occupancy = np.zeros_like(scores)
    for path, weight in zip(paths, np.exp(totals - total)):
        occupancy[frames, graph.pdf[path]] += weight
    return float(total), occupancy


def test_a_coin_by_hand():
    """Two pdfs, one state, weights 1/4 and 3/4, likelihoods 2 and 1: (2/4 + 3/4)² after two frames."""
    graph = Arcs([0, 0], [0, 0], [0, 1], np.log([0.25, 0.75]), [0.0], [0.0])
    scores = torch.tensor([[[np.log(2), 0.0]] * 2], dtype=torch.float64)
    total, occupancy = forward_backward(scores, torch.tensor([2]), graph)
    assert total.item() == pytest.approx(2 * np.log(1.25), rel=1e-7)
    np.testing.assert_allclose(occupancy[0], [[0.4, 0.6]] * 2, rtol=1e-7)


def test_a_leak_by_hand():
    """Two states that never meet: a leak of 0.1 towards the second before, between and after."""
    graph = Arcs([0, 1], [0, 1], [0, 1], [0.0, 0.0], [NEVER, 0.0], [0.0, 0.0])
    total, _ = forward_backward(torch.zeros(1, 3, 2, dtype=torch.float64), torch.tensor([3]), graph, leak=0.1)
    assert total.item() == pytest.approx(4 * np.log(1.1), rel=1e-7)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("seed", range(5))
def test_equals_the_sum_over_all_paths(seed, path):
    graphs = [random_arcs(seed), random_arcs(100 + seed), unrolled(random_hmm(seed, 3), 4, 0.7, seed)]
    lengths, scores = torch.tensor([5, 3, 4]), scores_of(seed, 3, 5, 5)
    shared, each = (
        forward_backward(scores, lengths, graphs[0], 0.0, path),
        forward_backward(scores, lengths, batch(graphs), 0.0, path),
    )
    for n, frames in enumerate(lengths.tolist()):
        for found, graph in ((shared, graphs[0]), (each, graphs[n])):
            total, occupancy = enumerated(scores[n, :frames].numpy(), graph)
            assert found.total[n].item() == pytest.approx(total, rel=1e-10)
            np.testing.assert_allclose(found.occupancy[n, :frames], occupancy, rtol=1e-10, atol=1e-12)
            assert not found.occupancy[n, frames:].any()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("leak", [0.0, 1e-5, 0.1])
def test_equals_its_readable_twin(leak, path):
    graph, scores, lengths = random_hmm(3, 12, 7), scores_of(3, 4, 9, 7), torch.tensor([9, 1, 0, 6])
    found = forward_backward(scores, lengths, graph, leak, path)
    for n, frames in enumerate(lengths.tolist()):
        total, occupancy = reference_passes(scores[n, :frames].numpy(), graph, leak)
        assert found.total[n].item() == pytest.approx(total, rel=1e-10, abs=1e-10)
        np.testing.assert_allclose(found.occupancy[n, :frames], occupancy, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("leak", [None, 0.0, 0.1])
def test_finite_differences(leak, path):
    lengths, scores = torch.tensor([3, 2]), scores_of(5, 2, 3, 5).requires_grad_()
    graph = batch([random_arcs(1), random_arcs(2)]) if leak is None else random_hmm(1)
    weights = torch.tensor([1.0, -0.7], dtype=torch.float64)

    def objective(x):
        return (weights * total_log_score(x, lengths, graph, leak or 0.0, path)).sum()

    objective(scores).backward()
    step = 1e-5
    for index in np.ndindex(2, 3, 5):
        moved = [scores.detach().clone() for _ in range(2)]
        moved[0][index] += step
        moved[1][index] -= step
        slope = (objective(moved[0]) - objective(moved[1])).item() / (2 * step)
        assert scores.grad[index].item() == pytest.approx(slope, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("path", PATHS[:2])  # the interpreter takes seconds for each example
@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.floats(0, 0.3))
def test_occupancies_of_a_frame_sum_to_one(path, seed, leak):
    scores, lengths = scores_of(seed, 3, 6, 5, scale=5.0).float(), torch.tensor([6, 2, 5])
    inside = (torch.arange(6) < lengths[:, None]).float()
    for graph, share in ((random_hmm(seed), leak), (batch([random_arcs(seed + n) for n in range(3)]), 0.0)):
        found = forward_backward(scores, lengths, graph, share, path)
        torch.testing.assert_close(found.occupancy.sum(2), inside, rtol=1e-4, atol=1e-5)
        assert (found.occupancy >= 0).all()


@pytest.mark.parametrize("path", PATHS)
def test_padding_and_order_change_nothing(path):
    scores, lengths = scores_of(8, 4, 7, 5).float(), torch.tensor([7, 3, 5, 1])
    padded = torch.full((4, 11, 5), float("nan"))
    for n, frames in enumerate(lengths.tolist()):
        padded[n, :frames] = scores[n, :frames]
    order, graphs = torch.tensor([2, 0, 3, 1]), [random_arcs(n) for n in range(4)]
    for whole, turned in ((random_hmm(2), random_hmm(2)), (batch(graphs), batch([graphs[n] for n in order]))):
        first = forward_backward(scores, lengths, whole, path=path)
        second = forward_backward(padded[order], lengths[order], turned, path=path)
        torch.testing.assert_close(second.total, first.total[order], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(second.occupancy[:, :7], first.occupancy[order], rtol=1e-5, atol=1e-6)
        assert not second.occupancy[:, 7:].any()
        for n, frames in enumerate(lengths.tolist()):
            alone = batch([graphs[n]]) if whole is not turned and not isinstance(whole, Arcs) else whole
            single = forward_backward(scores[n : n + 1, :frames], lengths[n : n + 1], alone, path=path)
            torch.testing.assert_close(single.total, first.total[n : n + 1], rtol=1e-6, atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6))
def test_a_leak_makes_the_total_larger(seed):
    scores, lengths, graph = scores_of(seed, 2, 6, 5), torch.tensor([6, 4]), random_hmm(seed)
    totals = [forward_backward(scores, lengths, graph, leak).total for leak in (0.0, 1e-5, 1e-3, 0.1)]
    assert all((after > before).all() for before, after in zip(totals, totals[1:]))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6))
def test_fewer_paths_weigh_less(seed):
    """A numerator made of a denominator's paths is never likelier than the denominator."""
    graph, lengths, scores = random_hmm(seed), torch.tensor([5, 3]), scores_of(seed, 2, 5, 5)
    some = batch([unrolled(graph, frames, 0.5, seed) for frames in lengths.tolist()])
    whole = batch([unrolled(graph, frames, 1.1, seed) for frames in lengths.tolist()])
    denominator = forward_backward(scores, lengths, graph).total
    assert (forward_backward(scores, lengths, some).total <= denominator + 1e-9).all()
    torch.testing.assert_close(forward_backward(scores, lengths, whole).total, denominator)


@pytest.mark.parametrize("path", PATHS)
def test_a_long_cyclic_numerator_does_not_underflow(path):
    """The scores insist on the first of 40 phones until the end; the only complete paths are 8000 nats below."""
    frames, phones = 300, 40
    scores = torch.full((1, frames, phones), -30.0)
    scores[:, :, 0] = 0
    graph = linear(list(range(phones)))
    found = forward_backward(scores, torch.tensor([frames]), batch([graph]), path=path)
    total, occupancy = reference_passes(scores[0].double().numpy(), graph)
    assert found.total.item() == pytest.approx(total, rel=1e-6)
    assert total < -1000
    np.testing.assert_allclose(found.occupancy[0], occupancy, atol=1e-5)


@pytest.mark.parametrize("path", PATHS)
def test_scores_far_apart_are_passed_in_double_precision(path):
    """A state that cannot be reached fits far better than those that can: its backward probability bursts float32."""
    graph = Arcs([0, 1], [0, 1], [0, 1], [0.0, 0.0], [0.0, NEVER], [0.0, 0.0])
    scores = torch.zeros(2, 9, 2)
    scores[0, :, 1] = 25
    found = forward_backward(scores, torch.tensor([9, 9]), graph, path=path)
    assert found.total.tolist() == [0, 0]
    np.testing.assert_allclose(found.occupancy, [[[1, 0]] * 9] * 2)
    scores[0, :, 1] = 200  # too far even then: a failure that is told, never a wrong gradient
    found = forward_backward(scores, torch.tensor([9, 9]), graph, path=path)
    assert found.total.isfinite().tolist() == [False, True]
    assert not found.occupancy[0].any()


@pytest.mark.parametrize("path", PATHS)
def test_failed_sequences_have_no_gradient(path):
    """Too short for its graph, NaN, and +inf; the sequence beside them is as if alone."""
    graph = linear([0, 1, 2])
    scores = scores_of(4, 4, 5, 5)
    scores[1, 2, 0], scores[2, 1, 1] = float("nan"), float("inf")
    lengths = torch.tensor([2, 5, 5, 5])
    alone = forward_backward(scores[3:], lengths[3:], batch([graph]), path=path)
    scores.requires_grad_()
    for graphs in (batch([graph] * 4), graph):
        scores.grad = None
        totals = total_log_score(scores, lengths, graphs, path=path)
        totals.sum().backward()
        assert totals[0] == NEVER
        assert not torch.isfinite(totals[1:3]).any()
        assert totals[3].item() == pytest.approx(alone.total.item(), rel=1e-10)
        assert not scores.grad[:3].any()
        torch.testing.assert_close(scores.grad[3:], alone.occupancy)


def test_threads_change_nothing():
    scores, lengths, graph = scores_of(1, 19, 8, 5).float(), torch.full((19,), 8), random_hmm(1)
    numerators, before = batch([random_arcs(n) for n in range(19)]), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(forward_backward(scores, lengths, graph, 0.1, "numba")
                         + forward_backward(scores, lengths, numerators, 0.0, "numba"))  # fmt: skip
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        for one, two in zip(found[0], other):
            assert torch.equal(one, two)


def test_a_cpu_tensor_goes_to_numba_and_a_strange_one_to_torch():
    assert choose(torch.device("cpu")) == "numba"
    assert choose(torch.device("meta")) == "torch"
    wanted = "triton" if importlib.util.find_spec("triton") else "torch"
    assert choose(torch.device("cuda")) == wanted


@pytest.mark.parametrize("change, message", [
    ({"scores": torch.zeros(2, 3, 4)}, "the graph has pdf 4, but the scores have 4 columns"),
    ({"scores": torch.zeros(2, 3, 5).half()}, "scores are torch.float16 [2, 3, 5], wanted float32 or"),
    ({"lengths": torch.tensor([3, 4])}, "lengths [3, 4] do not fit 2 sequences of at most 3 frames"),
    ({"graph": batch([random_arcs(1)])}, "1 graphs for 2 sequences, wanted one for each"),
    ({"leak": 1.5}, "leak is 1.5, wanted 0 to 1, and 0 where each sequence has a graph of its own"),
])  # fmt: skip
def test_what_does_not_fit(change, message):
    fitting = {"scores": torch.zeros(2, 3, 5), "lengths": torch.tensor([3, 2]), "graph": random_arcs(1, arcs=40)}
    with pytest.raises(ArcsError) as error:
        forward_backward(**{**fitting, **change})
    assert message in str(error.value)


@pytest.mark.parametrize("change, message", [
    ({"to_state": [0, 2]}, "arcs: to_state holds 2, but there are 2 states"),
    ({"pdf": [0, -1]}, "arcs: pdf holds -1 to 0, wanted ids from 0"),
    ({"log_weight": [0.0]}, "arcs: log_weight has shape (1,), wanted (2,)"),
    ({"final": [0.0, np.inf]}, "arcs: final holds NaN or +inf, wanted natural logs below infinity"),
])  # fmt: skip
def test_arrays_that_are_no_graph(change, message):
    whole = {"from_state": [0, 0], "to_state": [0, 1], "pdf": [0, 1], "log_weight": [0.0, 0.0],
             "initial": [0.0, NEVER], "final": [NEVER, 0.0]}  # fmt: skip
    with pytest.raises(ArcsError) as error:
        Arcs(**{**whole, **change})
    assert message in str(error.value)


def test_a_batch_of_nothing():
    with pytest.raises(ArcsError, match="a batch of graphs is empty"):
        batch([])
