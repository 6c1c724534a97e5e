"""Natural gradient: a map's gradient is divided by the second moments of what goes in and of what comes back.

A map y = W x has the gradient G = Σ e xᵀ over the rows of a batch, e the derivative by y. Its Fisher matrix is taken as
the Kronecker product of the moments of e and of x (Povey, Zhang and Khudanpur 2014; Martens and Grosse 2015), so that

    G' = F(e)⁻¹ · G · F(x)⁻¹ · γ(e) · γ(x),    F(z) = M(z) + α · tr(M(z)) / D · I,    M(z) ~ mean of z zᵀ

What varies most in x or e is overrated by the plain gradient and drowns the rest. γ gives the rows their norm back, so
that learning rates mean what they mean without. Kaldi's NG-SGD keeps F as a low rank and a multiple of I; here it is
whole, measured every `PERIOD` steps, and never of the batch that it is applied to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hybrid.base.errors import quote

__all__ = ["Moments", "NaturalGradient", "rows_of"]

SMOOTHING = 4.0  # Kaldi's alpha
PERIOD = 4  # steps from one measurement to the next, after the first ten
KEEP = 0.5  # weight of earlier measurements beside a new one
ROWS = 2048  # of a batch that are measured, about
SIDES = ("in", "out")


class Moments:
    """Second moments of one side of a map, and what divides by them.

    Attributes:
      mean: [D][D], trace 1; None before the first measurement.
      inverse: γ times the inverse of the smoothed moments, [D][D].
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.mean: Tensor | None = None
        self.inverse: Tensor | None = None
        self._measured: Tensor | None = None

    def add(self, rows: Tensor) -> None:
        """Measures rows [N][D]."""
        rows = rows.float()
        product = rows.T @ rows
        self._measured = product if self._measured is None else self._measured + product

    def forget(self) -> None:
        """Leaves out what was measured since the last update."""
        self._measured = None

    def update(self, device: torch.device) -> None:
        """Takes up what all processes measured since the last time; nothing where that is zero or not finite."""
        new, self._measured = self._measured, None
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            new = torch.zeros(self.dim, self.dim, device=device) if new is None else new
            torch.distributed.all_reduce(new)
        trace = float(new.trace()) if new is not None else 0.0
        if new is None or not 0.0 < trace < float("inf"):
            return
        new = new / trace
        self.set(new if self.mean is None else self.mean * KEEP + new * (1.0 - KEEP))

    def set(self, mean: Tensor) -> None:
        """Sets `mean`, and `inverse` from it."""
        self.mean = mean
        smooth = SMOOTHING * mean.trace() / self.dim
        eye = torch.eye(self.dim, dtype=mean.dtype, device=mean.device)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(mean + smooth * eye))
        left = inverse.trace() - smooth * inverse.square().sum()  # tr(F⁻¹ M F⁻¹), since M = F − smooth · I
        self.inverse = inverse * (mean.trace() / left).sqrt()


class NaturalGradient:
    """Watches the maps of a network (linear layers and convolutions over time) and changes their gradients.

    Call `begin`, compute gradients, then `change`.
    """

    def __init__(self, network: nn.Module) -> None:
        self._collects = False
        self._maps: dict[str, Any] = {}
        self._moments: dict[str, tuple[Moments, Moments]] = {}
        for name, module in network.named_modules():
            plain = isinstance(module, nn.Conv1d) and module.groups == 1 and module.padding == (0,)
            if plain or isinstance(module, nn.Linear):
                self._maps[name] = module
                inputs = module.weight[0].numel() + (module.bias is not None)
                self._moments[name] = (Moments(inputs), Moments(len(module.weight)))
                module.register_forward_hook(self._watch(*self._moments[name]))

    def _watch(self, into: Moments, out: Moments) -> Callable[..., None]:
        def forward(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            """Has the rows measured once the derivative by the output is known."""
            if not self._collects or not output.requires_grad:
                return

            x = inputs[0].detach()

            def backward(grad: Tensor) -> None:
                x_rows, grad_rows = rows_of(module, x, grad.detach(), ROWS)
                into.add(x_rows)
                out.add(grad_rows)

            output.register_hook(backward)

        return forward

    def begin(self, step: int) -> None:
        """Prepares for the gradient of a step, or for computing it again."""
        self._collects = step < 10 or step % PERIOD == 0
        for sides in self._moments.values():
            for side in sides:
                side.forget()

    @torch.no_grad()
    def change(self) -> None:
        """Changes the gradients of the maps, then takes up what was measured with them."""
        for name, module in self._maps.items():
            into, out = self._moments[name]
            if self._collects and (into.inverse is None or out.inverse is None):
                self._update(name)
            if module.weight.grad is not None and into.inverse is not None and out.inverse is not None:
                columns = [module.weight.grad.flatten(1)]
                if module.bias is not None:
                    columns.append(module.bias.grad[:, None])
                changed = out.inverse @ torch.cat(columns, 1) @ into.inverse
                module.weight.grad.copy_(changed[:, : columns[0].shape[1]].reshape(module.weight.shape))
                if module.bias is not None:
                    module.bias.grad.copy_(changed[:, -1])
            if self._collects:
                self._update(name)

    def _update(self, name: str) -> None:
        for side in self._moments[name]:
            side.update(self._maps[name].weight.device)

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns what was measured, e.g. `layers.0.linear/in`."""
        found = {f"{name}/{side}": m.mean for name, sides in self._moments.items() for side, m in zip(SIDES, sides)}
        return {name: mean.cpu().numpy() for name, mean in found.items() if mean is not None}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Takes up what `arrays` returned.

        Raises:
          ValueError: it is of other maps, or no moments.
        """
        for full, array in arrays.items():
            name, _, side = full.rpartition("/")
            if name not in self._moments or side not in SIDES:
                raise ValueError(f"of a map '{quote(full)}' that this network does not have")
            moments = self._moments[name][SIDES.index(side)]
            if array.shape != (moments.dim, moments.dim) or array.dtype != np.float32 or not _is_positive(array):
                raise ValueError(f"'{quote(full)}' of shape {array.shape} that are none of {moments.dim} values")
            moments.set(torch.from_numpy(array.copy()).to(self._maps[name].weight.device))


def _is_positive(array: np.ndarray) -> bool:
    """Whether a square matrix is positive semi-definite, but for rounding."""
    if not np.isfinite(array).all() or not array.trace() > 0:
        return False
    smoothed = array.astype(np.float64) + 1e-3 * array.trace() / len(array) * np.eye(len(array))
    return np.abs(array - array.T).max() <= 1e-3 * np.abs(array).max() and bool(np.linalg.eigvalsh(smoothed)[0] > 0)


def rows_of(module: nn.Module, x: Tensor, grad: Tensor, most: int = 1 << 62) -> tuple[Tensor, Tensor]:
    """Returns the rows of a map: the gradient of weight (flattened) and bias is the sum of their outer products.

    Args:
      module: a linear layer, or a convolution over time without padding.
      x: its input, [..., D] or [N][D][T]. grad: of its output.
      most: about so many, evenly over the frames.

    Returns:
      [R][inputs · width, and a 1 where there is a bias], [R][outputs].
    """
    if isinstance(module, nn.Conv1d):
        (width,), (stride,), (dilation,) = module.kernel_size, module.stride, module.dilation
        frames, step = grad.shape[2], max(1, grad.shape[0] * grad.shape[2] // most)
        parts = [x[:, :, k * dilation :: stride][:, :, :frames:step] for k in range(width)]
        x = torch.stack(parts, 2).flatten(1, 2).transpose(1, 2)
        grad = grad[:, :, ::step].transpose(1, 2)
    x, grad = x.reshape(-1, x.shape[-1]), grad.reshape(-1, grad.shape[-1])
    if isinstance(module, nn.Linear):
        step = max(1, len(grad) // most)
        x, grad = x[::step], grad[::step]
    if module.bias is not None:
        x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
    return x, grad
