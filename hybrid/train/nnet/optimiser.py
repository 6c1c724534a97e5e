"""Steps of the optimiser: groups of parameters, clipped gradients, limited changes, and its state as arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from hybrid.base.errors import InputError, quote
from hybrid.nnet.natural_gradient import NaturalGradient
from hybrid.train.nnet.config import OptimiserConfig

__all__ = ["Optimiser", "parameter_groups"]

NATURAL = "natural gradient/"
BUFFER = {"momentum_buffer"}
KEYS = {"adam": {"step", "exp_avg", "exp_avg_sq"}, "sgd": BUFFER, "natural": BUFFER}  # that torch keeps for a parameter


def parameter_groups(network: nn.Module, config: OptimiserConfig) -> list[dict[str, Any]]:
    """Sorts parameters by what becomes of them: weights of hidden layers, of outputs, and all that has no decay."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        is_output = ".output." in name
        factor = config.xent_factor if is_output and name.startswith("xent.") else 1.0
        decay = config.output_weight_decay if is_output else config.weight_decay
        groups.setdefault((0.0 if parameter.ndim < 2 else decay, factor), []).append(parameter)
    return [{"params": found, "weight_decay": d, "factor": f} for (d, f), found in sorted(groups.items())]


class Optimiser:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), SGD, or SGD along the natural gradient.

    Call `begin`, compute gradients, then `step`. Steps may be limited as Kaldi's.

    Kaldi's maximal change bounds how far a step moves the parameters, whatever the gradient: all of them together, and
    each tensor by itself.
    """

    def __init__(self, network: nn.Module, config: OptimiserConfig) -> None:
        self.config = config
        self._named = {name: p for name, p in network.named_parameters() if p.requires_grad}
        self._natural = NaturalGradient(network) if config.optimiser == "natural" else None
        groups = parameter_groups(network, config)
        if config.optimiser == "adam":
            self.torch: torch.optim.Optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))
        else:
            self.torch = torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)

    def begin(self, step: int) -> None:
        """Forgets the gradients, before those of a step are computed."""
        if self._natural is not None:
            self._natural.begin(step)
        for parameter in self._named.values():
            parameter.grad = None

    @property
    def has_gradient(self) -> bool:
        """Whether anything was computed since `begin`."""
        return any(parameter.grad is not None for parameter in self._named.values())

    def gradient_norm(self) -> float:
        """Returns the norm of all gradients together; not finite where one of them is not."""
        norms = [p.grad.detach().float().norm() for p in self._named.values() if p.grad is not None]
        return float(torch.stack(norms).norm()) if norms else 0.0

    def step(self, rate: float, norm: float) -> None:
        """Takes a step at a learning rate.

        Args:
          norm: of the gradient, from `gradient_norm`.
        """
        config = self.config
        if self._natural is not None:
            self._natural.change()
        for group in self.torch.param_groups:
            group["lr"] = rate * group["factor"]
        if config.clip and norm > config.clip:
            for parameter in self._named.values():
                if parameter.grad is not None:
                    parameter.grad.mul_(config.clip / norm)
        limited = config.max_change or config.layer_max_change
        before = [p.detach().clone() for p in self._named.values()] if limited else []
        self.torch.step()
        if limited:
            self._limit(before)

    @torch.no_grad()
    def _limit(self, before: list[torch.Tensor]) -> None:
        layer, total = self.config.layer_max_change or math.inf, self.config.max_change or math.inf
        changes = [p - old for p, old in zip(self._named.values(), before)]
        norms = [float(change.norm()) for change in changes]
        scales = [min(1.0, layer / norm) if norm > 0 else 1.0 for norm in norms]
        whole = math.sqrt(sum((norm * scale) ** 2 for norm, scale in zip(norms, scales)))
        overall = min(1.0, total / whole) if whole > 0 else 1.0
        for parameter, old, change, scale in zip(self._named.values(), before, changes, scales):
            if scale * overall < 1.0:
                parameter.copy_(old + change * (scale * overall))

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns its state by parameter, e.g. `layer.weight/exp_avg`."""
        out: dict[str, np.ndarray] = {}
        if self._natural is not None:
            out |= {f"{NATURAL}{name}": array for name, array in self._natural.arrays().items()}
        for name, parameter in self._named.items():
            for key, value in self.torch.state.get(parameter, {}).items():
                if value is not None:
                    out[f"{name}/{key}"] = torch.as_tensor(value).detach().cpu().numpy()
        return out

    def load(self, arrays: Mapping[str, np.ndarray], place: object) -> None:
        """Takes up a state.

        Raises:
          InputError: it is of other parameters or of another optimiser, or holds what none can have.
        """
        cure = "Start afresh in another folder."
        arrays = self._load_moments(arrays, place, cure)
        held: dict[str, set[str]] = {}
        for full, array in arrays.items():
            name, _, key = full.rpartition("/")
            held.setdefault(name, set()).add(key)
            parameter = self._named.get(name)
            if parameter is None or array.shape != (() if key == "step" else tuple(parameter.shape)):
                found = f"holds the state of a parameter '{quote(name)}' that this network does not have"
                raise InputError.at(place, found, cure)
            least = -np.inf if key in ("exp_avg", "momentum_buffer") else 0
            if array.dtype.kind != "f" or not (np.isfinite(array) & (array >= least)).all():
                raise InputError.at(place, f"holds '{quote(full)}' with values that no optimiser has", cure)
            value = torch.from_numpy(array.copy())
            # Adam counts its steps in a tensor on the CPU, in every version that is supported.
            self.torch.state[parameter][key] = value if key == "step" else value.to(parameter.device)
        for name, keys in held.items():
            if keys != KEYS[self.config.optimiser]:
                found = f"holds {', '.join(sorted(map(quote, keys)))} of '{quote(name)}', not the state of "
                raise InputError.at(place, found + self.config.optimiser, cure)

    def _load_moments(self, arrays: Mapping[str, np.ndarray], place: object, cure: str) -> dict[str, np.ndarray]:
        """Takes up moments of the natural gradient and returns the other arrays."""
        moments = {name[len(NATURAL) :]: array for name, array in arrays.items() if name.startswith(NATURAL)}
        if moments and self._natural is None:
            raise InputError.at(
                place, f"holds moments of a natural gradient, not the state of {self.config.optimiser}", cure
            )
        try:
            if self._natural is not None:
                self._natural.load(moments)
        except ValueError as error:
            raise InputError.at(place, f"holds moments {error}", cure) from None
        return {name: array for name, array in arrays.items() if not name.startswith(NATURAL)}
