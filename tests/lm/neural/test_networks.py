"""Networks: probabilities sum to one, nothing looks ahead, a batch equals single rows, a tree equals rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lm.neural.config import NeuralLmConfig
from lm.neural.softmax import TiedSoftmax
from lm.neural.token_tree import TokenTree

CPU = torch.device("cpu")


@pytest.mark.parametrize("cutoffs", [(), (5,), (4, 9), (4, 9, 15), (50,)])
def test_probabilities_sum_to_one(cutoffs: tuple[int, ...]) -> None:
    torch.manual_seed(1)
    softmax = TiedSoftmax(NeuralLmConfig(dim=6, cutoffs=cutoffs, shrink=2), 20)
    hidden = torch.randn(7, 6)
    whole = softmax.all_log_probs(hidden)
    assert whole.shape == (7, 20)
    np.testing.assert_allclose(whole.exp().sum(1).detach(), 1.0, atol=1e-5)
    tokens = torch.randint(20, (7,))
    np.testing.assert_allclose(softmax.log_probs(hidden, tokens).detach(), whole[range(7), tokens].detach(), atol=1e-6)
    rows = torch.tensor([2, 2, 0, 6])
    found = softmax.log_probs(hidden, tokens[:4], rows)
    np.testing.assert_allclose(found.detach(), whole[rows, tokens[:4]].detach(), atol=1e-6)


def test_input_and_output_share_their_embeddings() -> None:
    softmax = TiedSoftmax(NeuralLmConfig(dim=4, cutoffs=(3,), shrink=2), 6)
    with torch.no_grad():
        softmax.embeddings[0][1] = torch.tensor([9.0, 0, 0, 0])
    assert softmax.embed(torch.tensor([1]))[0].tolist() == [9.0, 0, 0, 0]
    assert softmax.log_probs(torch.tensor([[1.0, 0, 0, 0]]), torch.tensor([1])) > -0.1
    assert sum(p.numel() for p in softmax.embeddings) == 3 * 4 + 3 * 2


def test_batch_equals_single_and_padding_changes_nothing(lm) -> None:  # type: ignore[no-untyped-def]
    tokens = torch.randint(20, (5, 9))
    lengths = torch.tensor([8, 3, 1, 5, 8])
    whole = lm.network(tokens, lengths)
    for row, length in enumerate(lengths.tolist()):
        one = lm.network(tokens[row : row + 1, : length + 1], lengths[row : row + 1])
        np.testing.assert_allclose(whole[row, :length], one[0], atol=1e-5)
        assert not whole[row, length:].any()


def test_nothing_looks_ahead(lm) -> None:  # type: ignore[no-untyped-def]
    tokens = torch.randint(20, (1, 9))
    other = tokens.clone()
    other[0, 5:] = (other[0, 5:] + 7) % 20
    lengths = torch.tensor([8])
    np.testing.assert_allclose(lm.network(tokens, lengths)[0, :4], lm.network(other, lengths)[0, :4], atol=1e-6)
    assert abs(lm.network(tokens, lengths)[0, 4] - lm.network(other, lengths)[0, 4]) > 1e-4


def test_a_long_history_moves_out_of_the_window() -> None:
    from tests.lm.neural.conftest import tiny

    lm = tiny("transformer", positions=6)
    tokens = torch.randint(20, (2, 21))
    hidden = lm.network.hidden(tokens)
    assert hidden.shape[:2] == (2, 21)
    np.testing.assert_allclose(hidden[:, :6], lm.network.hidden(tokens[:, :6]), atol=1e-5)
    np.testing.assert_allclose(hidden[:, 6:9], lm.network.hidden(tokens[:, 3:9])[:, 3:], atol=1e-5)


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_a_tree_equals_rows(lm, batch: int) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(5)
    tree = TokenTree(lm, CPU, batch)
    for _ in range(3):  # the tree grows
        rows = [rng.integers(0, 20, rng.integers(1, 9)).tolist() for _ in range(12)]
        nodes = np.array([tree.after(0, row[:-1]) for row in rows])
        found = tree.log_probs(nodes, np.array([row[-1] for row in rows]))
        for row, value in zip(rows, found):
            wanted = lm.network(torch.tensor([[0, *row]]), torch.tensor([len(row)]))[0, -1]
            assert value == pytest.approx(float(wanted), abs=1e-5)
    assert tree.after(0, [3, 4]) == tree.child(tree.child(0, 3), 4)
    size = len(tree)
    assert tree.after(0, rows[0][:-1]) < size == len(tree)


@pytest.mark.gpu
def test_a_tree_on_a_gpu_with_half_precision(lm) -> None:  # type: ignore[no-untyped-def]
    rows = [np.random.default_rng(i).integers(0, 20, 6).tolist() for i in range(9)]
    wanted = TokenTree(lm, CPU)
    found = TokenTree(lm.__class__(lm.config, lm.units, lm.network.to("cuda")), torch.device("cuda"), 4, "float16")
    ends = np.array([row[-1] for row in rows])
    ours = found.log_probs(np.array([found.after(0, row[:-1]) for row in rows]), ends)
    lm.network.to("cpu")
    theirs = wanted.log_probs(np.array([wanted.after(0, row[:-1]) for row in rows]), ends)
    np.testing.assert_allclose(ours, theirs, atol=0.05)


def test_half_precision_is_near(lm) -> None:  # type: ignore[no-untyped-def]
    exact, half = TokenTree(lm, CPU), TokenTree(lm, CPU, amp="bfloat16")
    nodes = [tree.after(0, [5, 7, 2]) for tree in (exact, half)]
    for token in range(20):
        one, other = (t.log_probs(np.array([n]), np.array([token]))[0] for t, n in zip((exact, half), nodes))
        assert one == pytest.approx(other, abs=0.1)


@pytest.mark.parametrize(("settings", "message"), [
    ({"architecture": "gru"}, "architecture is 'gru', wanted lstm or transformer"),
    ({"cutoffs": (9, 4)}, "cutoffs: wanted at most 8 ranks that rise"),
    ({"architecture": "transformer", "dim": 10, "heads": 4}, "dim 10 is no multiple of heads 4"),
    ({"dim": 0}, "dim is 0, wanted 2 to 16384"),
])  # fmt: skip
def test_settings_that_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NeuralLmConfig(**settings)
