"""Natural gradient: the moments of both sides divide a map's gradient, and what that is good for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hybrid.base.errors import InputError
from hybrid.nnet.layers import affine, linear
from hybrid.nnet.natural_gradient import SMOOTHING, Moments, NaturalGradient, rows_of
from hybrid.train.nnet.config import OptimiserConfig
from hybrid.train.nnet.optimiser import Optimiser

MAPS = {
    "linear": (nn.Linear(6, 4), (7, 5, 6)),
    "without bias": (nn.Linear(6, 4, bias=False), (9, 6)),
    "affine, spliced": (affine(6, 4, 3, dilation=2), (3, 6, 20)),
    "linear, strided": (linear(6, 4, 2, dilation=3, stride=3), (2, 6, 21)),
}


def gradients(module: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the derivative by the output of a random objective, and the gradient of weight and bias as a matrix."""
    module.zero_grad()
    output = module(x)
    output.retain_grad()
    (output * torch.randn_like(output)).square().sum().backward()
    return output.grad, whole_gradient(module)


def whole_gradient(module: nn.Module) -> torch.Tensor:
    bias = [] if module.bias is None else [module.bias.grad[:, None]]
    return torch.cat([module.weight.grad.flatten(1), *bias], 1)


@pytest.mark.parametrize("name", MAPS)
def test_a_gradient_is_the_sum_of_outer_products_of_rows(name) -> None:
    torch.manual_seed(1)
    module, shape = MAPS[name]
    x = torch.randn(shape)
    grad, whole = gradients(module, x)
    x_rows, grad_rows = rows_of(module, x, grad)
    torch.testing.assert_close(grad_rows.T @ x_rows, whole, rtol=1e-4, atol=1e-4)
    fewer, _ = rows_of(module, x, grad, 4)
    assert 2 <= len(fewer) < len(x_rows)


def by_hand(rows: torch.Tensor) -> torch.Tensor:
    """Each row divided by the smoothed moments of all, all rows scaled to their old norm."""
    moments = rows.T @ rows / len(rows)
    smoothed = moments + SMOOTHING * moments.trace() / len(moments) * torch.eye(len(moments), dtype=rows.dtype)
    changed = torch.linalg.solve(smoothed, rows.T).T
    return changed * (rows.norm() / changed.norm())


@pytest.mark.parametrize("name", MAPS)
def test_the_first_step_changes_rows_as_the_definition_says(name) -> None:
    torch.manual_seed(2)
    module, shape = MAPS[name]
    scale = torch.linspace(0.1, 3.0, 6)
    x = torch.randn(shape) * (scale[:, None] if isinstance(module, nn.Conv1d) else scale)
    natural = NaturalGradient(nn.ModuleDict({"map": module}))
    natural.begin(0)
    grad, _ = gradients(module, x)
    x_rows, grad_rows = rows_of(module, x, grad)
    natural.change()
    got = whole_gradient(module)
    wanted = by_hand(grad_rows.double()).T @ by_hand(x_rows.double())
    torch.testing.assert_close(got.double(), wanted, rtol=1e-3, atol=1e-3 * float(wanted.abs().max()))


def test_later_steps_take_moments_of_earlier_ones() -> None:
    torch.manual_seed(3)
    module = nn.Linear(5, 3)
    natural = NaturalGradient(nn.ModuleDict({"map": module}))
    found = []
    for step in (0, 10, 12):  # measured in the first ten and in every fourth
        natural.begin(step)
        module(torch.randn(50, 5)).square().sum().backward()
        natural.change()
        found.append(natural.arrays()["map/in"])
        module.zero_grad()
    assert (found[0] == found[1]).all() and (found[1] != found[2]).any()
    assert found[2].trace() == pytest.approx(1.0, rel=1e-5)


def test_what_varies_most_no_longer_drowns_the_rest() -> None:
    """Least squares on inputs of which one direction is 30 times as large: the natural gradient gets the others too."""
    torch.manual_seed(4)
    scale = torch.ones(100)
    scale[0] = 30.0
    truth = torch.randn(3, 100)
    losses = {}
    for optimiser in ("sgd", "natural"):
        best = np.inf
        for rate in (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3):  # each at its best rate
            network = nn.Sequential(nn.Linear(100, 3, bias=False))
            nn.init.zeros_(network[0].weight)
            config = OptimiserConfig(optimiser=optimiser, momentum=0.0, clip=0.0)
            steps = Optimiser(network, config)
            torch.manual_seed(5)
            for step in range(60):
                x = torch.randn(256, 100) * scale
                steps.begin(step)
                loss = (network(x) - x @ truth.T).square().mean()
                loss.backward()
                steps.step(rate, steps.gradient_norm())
            rest = float((network[0].weight - truth)[:, 1:].norm())
            best = min(best, rest) if np.isfinite(rest) else best
        losses[optimiser] = best
    assert losses["natural"] < 0.5 * losses["sgd"]


def test_nothing_is_learnt_of_what_is_not_finite_or_zero() -> None:
    moments = Moments(3)
    moments.add(torch.full((2, 3), torch.nan))
    moments.update(torch.device("cpu"))
    moments.add(torch.zeros(2, 3))
    moments.update(torch.device("cpu"))
    assert moments.mean is None
    moments.add(torch.eye(3))
    moments.forget()
    moments.update(torch.device("cpu"))
    assert moments.mean is None


def state() -> tuple[Optimiser, dict[str, np.ndarray]]:
    torch.manual_seed(6)
    network = nn.Sequential(nn.Linear(4, 3))
    optimiser = Optimiser(network, OptimiserConfig(optimiser="natural"))
    optimiser.begin(0)
    network(torch.randn(20, 4)).square().sum().backward()
    optimiser.step(0.1, 1.0)
    return Optimiser(nn.Sequential(nn.Linear(4, 3)), OptimiserConfig(optimiser="natural")), optimiser.arrays()


def test_a_state_goes_on() -> None:
    other, arrays = state()
    other.load(arrays, "state")
    again = other.arrays()
    assert arrays.keys() == again.keys() and "natural gradient/0/in" in arrays
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, again[name])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda a: {"natural gradient/9/in": a["natural gradient/0/in"]}, "moments of a map '9/in' that this network"),
        (lambda a: {"natural gradient/0/in": np.eye(7, dtype=np.float32)}, "'0/in' of shape .7, 7. that are none of 5"),
        (lambda a: {"natural gradient/0/in": -a["natural gradient/0/in"]}, "'0/in' of shape .5, 5. that are none of 5"),
        (lambda a: {"natural gradient/0/in": a["natural gradient/0/in"] * np.nan}, "that are none of 5 values"),
    ],
)
def test_moments_of_another_network_are_refused(change, text) -> None:
    other, arrays = state()
    with pytest.raises(InputError, match=text):
        other.load(change(arrays), "state")


def test_another_optimiser_does_not_take_them() -> None:
    _, arrays = state()
    optimiser = Optimiser(nn.Sequential(nn.Linear(4, 3)), OptimiserConfig(optimiser="sgd"))
    with pytest.raises(InputError, match="holds moments of a natural gradient, not the state of sgd"):
        optimiser.load(arrays, "state")
